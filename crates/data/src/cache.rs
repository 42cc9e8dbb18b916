//! Decoded photographs kept in memory, within a budget of bytes.
//!
//! Decoding is most of what a loader does, and every epoch decodes the same files. Photographs are kept as they were decoded,
//! before any crop, so a cached row gives the same values as one read anew. The first ones that fit stay: every epoch visits
//! all rows, and throwing out the oldest would then throw out each row just before it is needed again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::pixels::Pixels;

/// Photographs by row number.
#[derive(Debug)]
pub(crate) struct PixelCache {
    budget: usize,
    state: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    pixels: BTreeMap<usize, Arc<Pixels>>,
    bytes: usize,
}

impl PixelCache {
    /// An empty cache that keeps at most `budget` bytes of pixels.
    pub(crate) fn new(budget: usize) -> Self {
        PixelCache {
            budget,
            state: Mutex::default(),
        }
    }

    /// The photograph of a row, if it was kept.
    pub(crate) fn get(&self, row: usize) -> Option<Arc<Pixels>> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pixels
            .get(&row)
            .cloned()
    }

    /// Keeps a photograph if there is room and it is not there already.
    pub(crate) fn offer(&self, row: usize, pixels: &Arc<Pixels>) {
        let mut kept = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let size = pixels.bytes.len();
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
        let cache = PixelCache::new(100);
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
