//! The binary as its users run it: one test program, small data, seconds.
//!
//! - `training`: from a run file to a report: losses, plans, recipes, comparisons
//! - `resume`: stopped runs go on to the same bytes: killed, interrupted, out of space, damaged
//! - `watching`: event files as TensorBoard reads them, explained keys
//! - `mistakes`: what a user does wrong gets one line, a non-zero exit and no half-written file
//! - `data`: data sets listed, looked over, and trained on in spite of a broken photograph
//! - `embedding`: a folder of images to embeddings
//! - `shards`: embed, index, evaluate and training in shares, the same as the whole
//! - `weights`: weight files looked into, converted, loaded in part, refused
//! - `networks`: less memory, auxiliary classifiers, another image size
//! - `clusters`: the modes of each class, as a table and as photographs
//! - `evaluating`: embedding files evaluated alone
//! - `everyday`: from a folder of photographs to answers: init, index, search, report and serve in a browser
//! - `serve`: the server under attack, and how it ends
//! - `exchange`: our files as numpy, pandas, usearch and others read them
//! - `lodestone`: how the binary is run
//! - `run_log`: the losses that a run wrote down

#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests write what a user would have, and a skipped test says why"
)]

mod clusters;
mod data;
mod embedding;
mod evaluating;
mod everyday;
mod exchange;
mod lodestone;
mod mistakes;
mod networks;
mod resume;
mod run_log;
mod serve;
mod shards;
mod training;
mod watching;
mod weights;
