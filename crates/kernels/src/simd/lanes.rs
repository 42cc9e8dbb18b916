//! What the product kernel asks of a vector of floats.
#![expect(
    unsafe_code,
    reason = "the methods are the processor's instructions, which read through pointers"
)]

/// A vector of `f32` of one instruction set.
///
/// # Safety
/// All methods require the instruction set to be there. Pointers must be valid for the lanes that are read or written.
pub(super) trait Lanes {
    type Vector: Copy;
    /// Lanes of a vector.
    const WIDTH: usize;
    /// Rows of the largest tile whose sums stay in registers beside its operands.
    const MAX_ROWS: usize;
    /// Vectors in a row of the largest tile.
    const MAX_VECTORS: usize;

    unsafe fn splat(value: f32) -> Self::Vector;
    unsafe fn load(from: *const f32) -> Self::Vector;
    /// The first `lanes` lanes, zero in the others, whose memory is not touched.
    unsafe fn load_first(from: *const f32, lanes: usize) -> Self::Vector;
    unsafe fn store(to: *mut f32, value: Self::Vector);
    /// Leaves the memory beyond the first `lanes` lanes as it is.
    unsafe fn store_first(to: *mut f32, value: Self::Vector, lanes: usize);
    unsafe fn add(left: Self::Vector, right: Self::Vector) -> Self::Vector;
    /// `left - right`
    unsafe fn subtract(left: Self::Vector, right: Self::Vector) -> Self::Vector;
    /// `left * right + sum`
    unsafe fn multiply_add(
        left: Self::Vector,
        right: Self::Vector,
        sum: Self::Vector,
    ) -> Self::Vector;
    /// The larger of each pair; `right` where `left` is not a number, so that a NaN in `right` survives.
    unsafe fn max(left: Self::Vector, right: Self::Vector) -> Self::Vector;

    /// The first `lanes` lanes, all if there are so many; the others are zero.
    #[inline(always)]
    unsafe fn load_up_to(from: *const f32, lanes: usize) -> Self::Vector {
        // SAFETY: the caller's.
        unsafe {
            if lanes >= Self::WIDTH {
                Self::load(from)
            } else {
                Self::load_first(from, lanes)
            }
        }
    }
    /// Stores the first `lanes` lanes, all if there are so many.
    #[inline(always)]
    unsafe fn store_up_to(to: *mut f32, value: Self::Vector, lanes: usize) {
        // SAFETY: the caller's.
        unsafe {
            if lanes >= Self::WIDTH {
                Self::store(to, value)
            } else {
                Self::store_first(to, value, lanes)
            }
        }
    }
}
