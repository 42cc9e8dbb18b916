//! Mining: which pairs or triplets of a batch count. A separate step, so that any miner goes with any loss on pairs or
//! triplets.
//!
//! Miners look at distances without gradient, in blocks of rows, and leave what they choose on the device.

mod distance_weighted;
mod distances;
mod easy_positive;
mod hard;
mod miner;
mod multi_similarity;
mod pairs;
mod semi_hard;
#[cfg(test)]
mod tests;

pub(crate) use distances::PositivePairs;

pub use distance_weighted::{DistanceWeighting, distance_weighted};
pub use easy_positive::{NegativeChoice, easy_positive};
pub use hard::batch_hard;
pub use miner::{Mined, Miner};
pub use multi_similarity::multi_similarity;
pub use pairs::{Pairs, Triplets};
pub use semi_hard::{SemiHardRest, semi_hard_pairs, semi_hard_per_pair};
