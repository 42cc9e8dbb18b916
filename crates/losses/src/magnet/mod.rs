//! Magnet loss: one file for the loss of a neighbourhood, one for its terms, one for what its value should be.

mod levels;
mod loss;
mod terms;

pub use levels::{pinned_level, uninformed_level};
pub use loss::{MagnetLoss, MagnetLossConfig};
