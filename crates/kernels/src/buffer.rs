//! Scratch memory that begins at a cache line.

use std::ops::{Deref, DerefMut};

/// Floats of a cache line.
const LINE: usize = 16;

/// Floats whose first one begins a cache line, so that vectors read from multiples of 16 never straddle two lines, which
/// would halve the rate of loads. Allocators align large blocks to 16 bytes only.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    values: Vec<f32>,
    start: usize,
    len: usize,
}

impl Scratch {
    /// `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        let mut scratch = Self::default();
        scratch.resize(len);
        scratch
    }

    /// Makes it `len` long. New memory is zero, old memory keeps what it held.
    pub(crate) fn resize(&mut self, len: usize) {
        if self.values.len() < len + LINE {
            self.values = vec![0.0; len + LINE];
            self.start = self
                .values
                .as_ptr()
                .align_offset(LINE * size_of::<f32>())
                .min(LINE);
        }
        self.len = len;
    }
}

impl Deref for Scratch {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[self.start..self.start + self.len]
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scratch_begins_at_a_cache_line_and_grows() {
        let mut scratch = Scratch::zeros(3);
        scratch.copy_from_slice(&[1.0, 2.0, 3.0]);
        scratch.resize(2);
        assert_eq!(*scratch, [1.0, 2.0]);
        scratch.resize(1000);
        assert_eq!(scratch.len(), 1000);
        assert_eq!(scratch.as_ptr() as usize % 64, 0);
    }
}
