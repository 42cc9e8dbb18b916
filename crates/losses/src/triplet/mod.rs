//! Triplet losses: an anchor must be closer to a positive than to a negative.

mod all;
mod listed;
mod loss;

pub use loss::{TripletForm, TripletLoss, TripletLossConfig};
