//! The binary as its users run it: one test program, small data, seconds.
//!
//! - `training`: from a run file to a report, the same twice, and after a kill
//! - `mistakes`: what a user does wrong gets one line, a non-zero exit and no half-written file
//! - `embedding`: a folder of images to embeddings
//! - `lodestone`: how the binary is run

#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests write what a user would have, and a skipped test says why"
)]

mod embedding;
mod lodestone;
mod mistakes;
mod training;
