//! Triplet losses: an anchor must be closer to a positive than to a negative.

mod all;
mod listed;
mod loss;
#[cfg(test)]
mod tests;

pub use loss::{TripletForm, TripletLoss, TripletLossConfig};
