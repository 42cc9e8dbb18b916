//! Losses that train a classifier on the embeddings.

mod arc_face;
mod cos_face;
mod cross_entropy;
mod linear;
mod normalized;
#[cfg(test)]
mod tests;

pub(crate) use cross_entropy::{
    accuracy, cross_entropy, cross_entropy_with_own_lowered, of_examples, target,
};

pub use arc_face::{ArcFaceLoss, ArcFaceLossConfig, SubCenterArcFaceLossConfig};
pub use cos_face::{CosFaceLoss, CosFaceLossConfig};
pub use linear::{SoftmaxLoss, SoftmaxLossConfig};
pub use normalized::{NormalizedSoftmaxLoss, NormalizedSoftmaxLossConfig};
