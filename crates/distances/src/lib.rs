//! Squared Euclidean distances between the rows of two matrices, on the host, and what K-means makes of them.
//!
#![doc = include_str!("../README.md")]
//!
//! The cluster index and the metrics both ask for "all distances of these rows to those rows". [`squared_distances`] answers
//! one tile of that question on one thread through one matrix product; callers walk over tiles, in parallel if they like,
//! so that memory stays at a tile whatever the number of rows. [`squared_distance`] is the exact answer for one pair.
//!
//! # Accuracy
//!
//! Each entry of a tile has an absolute error of about `2⁻²⁴ (‖q‖² + ‖p‖²)`, times a small factor that grows with the row
//! length. So whole-number coordinates give exact distances while all sums stay below 2²⁴; but pairs whose distance is far
//! smaller than their norms (near-duplicates, or all points far from the origin) may swap their order. Subtracting the
//! common mean from both sides before the call leaves distances as they are and makes the norms, and with them the error, as
//! small as possible. Where a single pair must be exact, [`squared_distance`] is.

mod kmeans;
mod rows;
mod squared;

pub use kmeans::{Repair, add_centres, draw, fill_empty, plus_plus};
pub use rows::{RaggedRows, Rows};
pub use squared::{
    squared_distance, squared_distances, squared_distances_to_columns, squared_norms,
};
