//! Decoded photographs in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::pixels::Pixels;

/// Photographs by row number.
#[derive(Debug)]
pub(super) struct MemoryCache {
    budget: u64,
    state: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    pixels: BTreeMap<usize, Arc<Pixels>>,
    bytes: u64,
}

impl MemoryCache {
    /// An empty cache that keeps at most `budget` bytes of pixels.
    pub(super) fn new(budget: u64) -> Self {
        MemoryCache {
            budget,
            state: Mutex::default(),
        }
    }

    /// The photograph of a row, if it was kept.
    pub(super) fn get(&self, row: usize) -> Option<Arc<Pixels>> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pixels
            .get(&row)
            .cloned()
    }

    /// Keeps a photograph if there is room and it is not there already.
    pub(super) fn offer(&self, row: usize, pixels: &Arc<Pixels>) {
        let mut kept = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let size = pixels.bytes.len() as u64;
        if kept.bytes + size <= self.budget && !kept.pixels.contains_key(&row) {
            kept.bytes += size;
            kept.pixels.insert(row, Arc::clone(pixels));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_stays_and_the_budget_is_never_passed() {
        let cache = MemoryCache::new(100);
        let pixels = |size| Arc::new(Pixels::from_grey(size, 1, &vec![1; size]));
        for (row, size) in [(4, 20), (2, 20), (4, 10), (9, 13)] {
            cache.offer(row, &pixels(size));
        }
        // Rows 4 (60 bytes) and 9 (39); row 2 would have made 120, and row 4 was there.
        assert_eq!(cache.get(4).unwrap().width, 20);
        assert_eq!(cache.get(2), None);
        assert_eq!(cache.get(9).unwrap().width, 13);
        assert_eq!(cache.state.lock().unwrap().bytes, 99);
    }
}
