//! The run file: its keys, what they mean, which values are allowed, and a first one for a data set.

pub(crate) mod auxiliary;
pub(crate) mod bounds;
pub(crate) mod documented;
pub(crate) mod explain;
pub(crate) mod optimizer;
pub(crate) mod precision;
pub(crate) mod run_config;
pub mod run_file;
pub(crate) mod schedule;
pub(crate) mod suggest;
pub(crate) mod survey;
