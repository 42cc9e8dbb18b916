//! A run from its first step to its last: setting up, the loop, checkpoints.

pub(crate) mod batches;
pub(crate) mod begin;
pub(crate) mod checkpoint;
pub(crate) mod context;
pub(crate) mod finish;
pub(crate) mod not_finite;
pub(crate) mod pick;
pub(crate) mod refresh;
pub(crate) mod save;
pub(crate) mod setup;
pub(crate) mod state;
pub(crate) mod step;
pub(crate) mod step_start;
pub(crate) mod stopping;
pub(crate) mod trainer;
pub(crate) mod training;
pub(crate) mod transfers;
