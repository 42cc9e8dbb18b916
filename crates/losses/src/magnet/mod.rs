//! Magnet loss: one file for the loss of a neighbourhood, one for its terms, one for what its value should be.

#[cfg(test)]
mod defects;
mod importance;
mod levels;
mod loss;
mod objective;
mod terms;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use terms::means;

pub use importance::{
    ImportanceMagnetLoss, ImportanceMagnetLossConfig, Neighbourhood, WeightedMean, cluster_weights,
    effective_sample_size,
};
pub use levels::{pinned_level, uninformed_level};
pub use loss::{MagnetLoss, MagnetLossConfig, OwnMean};
pub use objective::magnet_objective;
