//! Vectors of 8 floats.
#![cfg(target_arch = "x86_64")]
#![expect(unsafe_code, reason = "intrinsics")]

use std::arch::x86_64::*;

use super::lanes::Lanes;

/// AVX2 and FMA: 16 registers hold the sums of 6 rows of 2 vectors, a row of the right operand, and a broadcast.
pub(super) struct Avx2;

/// All bits set in the first `lanes` lanes.
#[inline(always)]
unsafe fn first(lanes: usize) -> __m256i {
    // SAFETY: the caller vouches for AVX2.
    unsafe {
        let index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        _mm256_cmpgt_epi32(_mm256_set1_epi32(lanes as i32), index)
    }
}

// SAFETY (all methods): the caller vouches for AVX2, FMA and for the memory, as the trait asks.
impl Lanes for Avx2 {
    type Vector = __m256;
    const WIDTH: usize = 8;
    const MAX_ROWS: usize = 6;
    const MAX_VECTORS: usize = 2;

    #[inline(always)]
    unsafe fn splat(value: f32) -> __m256 {
        unsafe { _mm256_set1_ps(value) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m256 {
        unsafe { _mm256_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn load_first(from: *const f32, lanes: usize) -> __m256 {
        unsafe { _mm256_maskload_ps(from, first(lanes)) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, value: __m256) {
        unsafe { _mm256_storeu_ps(to, value) }
    }
    #[inline(always)]
    unsafe fn store_first(to: *mut f32, value: __m256, lanes: usize) {
        unsafe { _mm256_maskstore_ps(to, first(lanes), value) }
    }
    #[inline(always)]
    unsafe fn add(left: __m256, right: __m256) -> __m256 {
        unsafe { _mm256_add_ps(left, right) }
    }
    #[inline(always)]
    unsafe fn subtract(left: __m256, right: __m256) -> __m256 {
        unsafe { _mm256_sub_ps(left, right) }
    }
    #[inline(always)]
    unsafe fn multiply_add(left: __m256, right: __m256, sum: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(left, right, sum) }
    }
    #[inline(always)]
    unsafe fn max(left: __m256, right: __m256) -> __m256 {
        unsafe { _mm256_max_ps(left, right) }
    }
}
