//! What a layer costs, and the sizes it makes.

/// What one layer with parameters costs for one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerCost {
    /// Name of the layer in weight files.
    pub name: String,
    /// Output shape without the batch axis.
    pub output: Vec<usize>,
    /// Trainable values; running statistics are not counted.
    pub parameters: usize,
    /// Multiplications with an addition in convolutions and matrix products.
    pub multiply_adds: usize,
}

/// Number of windows of `kernel` along an axis of `size`, none if there is not one.
///
/// Rounding up counts a last window that hangs over the edge, unless it would start in the padding.
pub(crate) fn window_count(
    size: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    round_up: bool,
) -> Option<usize> {
    let room = (size + 2 * padding) as isize - kernel as isize;
    let stride = stride as isize;
    let steps = if round_up {
        (room + stride - 1).div_euclid(stride)
    } else {
        room.div_euclid(stride)
    };
    let starts_outside = round_up && steps * stride >= (size + padding) as isize;
    let count = steps + 1 - isize::from(starts_outside);
    usize::try_from(count).ok().filter(|&count| count > 0)
}
