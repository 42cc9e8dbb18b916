//! Floats in memory of the pool.
#![expect(
    unsafe_code,
    reason = "a buffer owns a part of the pool's memory, which it reaches through its address"
)]

use std::fmt;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use burn_std::{AccessError, AccessPolicy, AllocationController, AllocationProperty, Bytes};

use super::pool::{Pool, Span};

/// Memory between its uses. It is state of the process, as any allocator's: no result depends on it.
static POOL: Mutex<Pool> = Mutex::new(Pool::new());

/// Shorter buffers would only lengthen the pool's lists.
const SMALLEST: usize = 32 * 1024;

/// Floats that begin at a cache line, and at a page when there are many.
#[derive(Default)]
pub(crate) struct Buffer {
    part: Option<Span>,
    /// In place of a part, for few floats.
    few: Vec<Line>,
    len: usize,
}

/// A cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[expect(dead_code, reason = "read through its address")] [f32; 16]);

impl Buffer {
    /// `len` floats of any value: whoever asks writes all of them.
    ///
    /// In debug builds they are NaN, so that a test sees one that was not written.
    ///
    /// # Panics
    /// If no memory could ever be so long.
    pub(crate) fn stale(len: usize) -> Self {
        let bytes = len.saturating_mul(size_of::<f32>());
        assert!(isize::try_from(bytes).is_ok(), "no memory for {len} floats");
        let mut buffer = if bytes < SMALLEST {
            let few = vec![Line([0.0; 16]); len.div_ceil(16)];
            Self {
                part: None,
                few,
                len,
            }
        } else {
            let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
            Self {
                part: Some(pool.take(bytes)),
                few: Vec::new(),
                len,
            }
        };
        if cfg!(debug_assertions) {
            buffer.fill(f32::NAN);
        }
        buffer
    }

    /// `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        let mut buffer = Self::stale(len);
        buffer.fill(0.0);
        buffer
    }

    /// Makes it `len` long. The floats that it had before are kept only if their memory is long enough.
    pub(crate) fn resize(&mut self, len: usize) {
        let capacity = match self.part {
            Some(part) => part.len / size_of::<f32>(),
            None => self.few.len() * 16,
        };
        if capacity < len {
            *self = Self::stale(len);
        }
        self.len = len;
    }

    /// The memory of a tensor; it goes back to the pool when the tensor is dropped.
    pub(crate) fn into_bytes(self) -> Bytes {
        let len = self.len * size_of::<f32>();
        // SAFETY: the controller's memory is as long as stated and initialised, see `deref`.
        unsafe { Bytes::from_controller(Box::new(self), len) }
    }

    fn address(&self) -> *mut f32 {
        match self.part {
            Some(part) => part.address as *mut f32,
            None => self.few.as_ptr().cast::<f32>().cast_mut(),
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(part) = self.part.take() {
            let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
            pool.give_back(part);
        }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer of {} floats", self.len)
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        let mut copy = Self::stale(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: the part is this buffer's alone until it is dropped, and at least `len` floats long. Its memory is
        // initialised: the system gives zeros, and later owners wrote floats.
        unsafe { std::slice::from_raw_parts(self.address(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        let address = match self.part {
            Some(part) => part.address as *mut f32,
            None => self.few.as_mut_ptr().cast::<f32>(),
        };
        // SAFETY: as in `deref`.
        unsafe { std::slice::from_raw_parts_mut(address, self.len) }
    }
}

impl AllocationController for Buffer {
    fn alloc_align(&self) -> usize {
        // What burn asks at most; the memory is aligned to more.
        16
    }

    fn property(&self) -> AllocationProperty {
        AllocationProperty::Other
    }

    unsafe fn memory_mut(
        &mut self,
        _policy: AccessPolicy,
    ) -> Result<&mut [MaybeUninit<u8>], AccessError> {
        let bytes = self.len * size_of::<f32>();
        let floats: &mut [f32] = self;
        // SAFETY: the same memory; the caller writes initialised bytes only.
        Ok(unsafe { std::slice::from_raw_parts_mut(floats.as_mut_ptr().cast(), bytes) })
    }

    fn memory(&self, _policy: AccessPolicy) -> Result<&[MaybeUninit<u8>], AccessError> {
        let floats: &[f32] = self;
        // SAFETY: the same memory, read only.
        Ok(unsafe { std::slice::from_raw_parts(floats.as_ptr().cast(), size_of_val(floats)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_begins_at_a_cache_line() {
        for len in [0, 1, 100, 8192, 1_000_000] {
            let buffer = Buffer::zeros(len);
            assert_eq!(buffer.len(), len);
            assert_eq!(buffer.as_ptr() as usize % 64, 0);
            assert!(buffer.iter().all(|&value| value == 0.0));
        }
    }

    #[test]
    #[should_panic(expected = "no memory for")]
    fn a_length_whose_bytes_wrap_around_is_refused() {
        // In bytes 2^64 + 65536.
        Buffer::stale((1 << 62) + 16384);
    }

    #[test]
    fn a_tensors_memory_can_be_read_written_and_copied() {
        for len in [4, 20_000] {
            let mut buffer = Buffer::zeros(len);
            buffer[1] = 2.5;
            let mut bytes = buffer.into_bytes();
            let copy = bytes.clone();
            bytes[..4].copy_from_slice(&7.0f32.to_ne_bytes());
            assert_eq!(bytes.len(), 4 * len);
            assert_eq!(bytes[4..8], 2.5f32.to_ne_bytes());
            assert_eq!(copy[..4], 0.0f32.to_ne_bytes());
        }
    }
}
