//! What a run writes and tells while it goes on.

pub(crate) mod append_log;
pub(crate) mod batch_stats;
pub(crate) mod events;
pub(crate) mod health;
pub(crate) mod log;
pub(crate) mod observer;
pub(crate) mod results;
pub(crate) mod run_log;
pub(crate) mod strips;
pub(crate) mod timing;
