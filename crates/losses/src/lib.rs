//! Metric-learning losses and mining inside a batch, magnet loss first.

mod config;
mod cross_entropy;
mod distance;
mod error;
mod labels;
mod loss;
mod magnet;
pub mod mining;
mod output;
mod pair_matrix;
#[cfg(test)]
mod parity;
mod reduction;
mod relation;
mod softmax;
mod tensors;
#[cfg(test)]
mod testing;
mod triplet;

pub use config::{ClassRule, LossConfig};
pub use distance::Distance;
pub use error::ConfigError;
pub use labels::Labels;
pub use loss::Loss;
pub use magnet::{MagnetLoss, MagnetLossConfig, pinned_level, uninformed_level};
pub use mining::{Mined, Miner};
pub use output::{LossOutput, LossReading, Statistic, Statistics};
pub use reduction::Reduction;
pub use softmax::{SoftmaxLoss, SoftmaxLossConfig};
pub use triplet::{TripletForm, TripletLoss, TripletLossConfig};
