//! Convolutions of a 3 × 3 kernel without strides in 4 products for each output instead of 9 (see `simd::winograd` for
//! the formulas).
//!
//! A strip of the image, cut into tiles of 2 × 2 outputs, becomes 16 planes of tiles × channels; each plane is one product
//! with a plane of the transformed weights, and the 16 results become the outputs. All of a strip stays in the cache. The
//! gradient of the weights goes the same way backwards. Rounding is no worse than that of the plain sums: the transforms
//! only add, and each product has a ninth of the terms.

mod convolve;
mod tiling;
mod weight_gradient;
mod weights;

pub(super) use convolve::convolve;
pub(super) use weight_gradient::weight_gradient;
pub(super) use weights::TransformedWeights;

use super::geometry::Geometry;

/// Fewest channels on either side that repay the transforms.
const FEWEST_CHANNELS: usize = 16;

/// Whether a convolution, or its gradients, are done so.
pub(super) fn suits(geometry: &Geometry) -> bool {
    geometry.kernel == [3, 3]
        && geometry.stride == [1, 1]
        && geometry.in_channels >= FEWEST_CHANNELS
        && geometry.out_channels >= FEWEST_CHANNELS
}
