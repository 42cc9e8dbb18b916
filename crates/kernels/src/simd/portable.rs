//! Vectors of 8 floats in the instructions that every processor of the target has.
#![expect(unsafe_code, reason = "the trait reads and writes through pointers")]

use super::lanes::Lanes;

/// An array, which the compiler maps to whatever vectors the target has (two of SSE2 or NEON).
pub(super) struct Portable;

// SAFETY (all methods): the caller vouches for the memory, as the trait asks.
impl Lanes for Portable {
    type Vector = [f32; 8];
    const WIDTH: usize = 8;
    const MAX_ROWS: usize = 4;
    const MAX_VECTORS: usize = 1;

    #[inline(always)]
    unsafe fn splat(value: f32) -> [f32; 8] {
        [value; 8]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; 8] {
        unsafe { from.cast::<[f32; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_first(from: *const f32, lanes: usize) -> [f32; 8] {
        let mut value = [0.0; 8];
        unsafe { std::ptr::copy_nonoverlapping(from, value.as_mut_ptr(), lanes) };
        value
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, value: [f32; 8]) {
        unsafe { to.cast::<[f32; 8]>().write_unaligned(value) }
    }
    #[inline(always)]
    unsafe fn store_first(to: *mut f32, value: [f32; 8], lanes: usize) {
        unsafe { std::ptr::copy_nonoverlapping(value.as_ptr(), to, lanes) }
    }
    #[inline(always)]
    unsafe fn add(left: [f32; 8], right: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|lane| left[lane] + right[lane])
    }
    #[inline(always)]
    unsafe fn subtract(left: [f32; 8], right: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|lane| left[lane] - right[lane])
    }
    #[inline(always)]
    unsafe fn multiply_add(left: [f32; 8], right: [f32; 8], sum: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|lane| left[lane] * right[lane] + sum[lane])
    }
    #[inline(always)]
    unsafe fn max(left: [f32; 8], right: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|lane| {
            if left[lane] > right[lane] {
                left[lane]
            } else {
                right[lane]
            }
        })
    }
}
