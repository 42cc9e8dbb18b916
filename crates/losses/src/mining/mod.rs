//! Mining: which pairs or triplets of a batch count. A separate step, so that any miner goes with any loss on pairs or
//! triplets.
//!
//! Miners look at distances without gradient, in blocks of rows, and leave what they choose on the device.

mod distances;
mod hard;
mod miner;
mod pairs;
mod semi_hard;

pub use hard::batch_hard;
pub use miner::{Mined, Miner};
pub use pairs::{Pairs, Triplets};
pub use semi_hard::{SemiHardRest, semi_hard_per_pair};
