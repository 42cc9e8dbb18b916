//! Vectors of 16 floats.
#![cfg(target_arch = "x86_64")]
#![expect(unsafe_code, reason = "intrinsics")]

use std::arch::x86_64::*;

use super::lanes::Lanes;

/// AVX-512 F: 32 registers hold the sums of 8 rows of 3 vectors, a row of the right operand, and a broadcast.
pub(super) struct Avx512;

/// A mask of the first `lanes` lanes.
#[inline(always)]
fn first(lanes: usize) -> __mmask16 {
    ((1u32 << lanes) - 1) as __mmask16
}

// SAFETY (all methods): the caller vouches for AVX-512 F and for the memory, as the trait asks.
impl Lanes for Avx512 {
    type Vector = __m512;
    const WIDTH: usize = 16;
    const MAX_ROWS: usize = 8;
    const MAX_VECTORS: usize = 3;

    #[inline(always)]
    unsafe fn splat(value: f32) -> __m512 {
        unsafe { _mm512_set1_ps(value) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m512 {
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn load_first(from: *const f32, lanes: usize) -> __m512 {
        unsafe { _mm512_maskz_loadu_ps(first(lanes), from) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, value: __m512) {
        unsafe { _mm512_storeu_ps(to, value) }
    }
    #[inline(always)]
    unsafe fn store_first(to: *mut f32, value: __m512, lanes: usize) {
        unsafe { _mm512_mask_storeu_ps(to, first(lanes), value) }
    }
    #[inline(always)]
    unsafe fn add(left: __m512, right: __m512) -> __m512 {
        unsafe { _mm512_add_ps(left, right) }
    }
    #[inline(always)]
    unsafe fn subtract(left: __m512, right: __m512) -> __m512 {
        unsafe { _mm512_sub_ps(left, right) }
    }
    #[inline(always)]
    unsafe fn multiply_add(left: __m512, right: __m512, sum: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(left, right, sum) }
    }
    #[inline(always)]
    unsafe fn max(left: __m512, right: __m512) -> __m512 {
        unsafe { _mm512_max_ps(left, right) }
    }
}
