//! What is trained, and how a batch moves it.

pub(crate) mod average;
pub(crate) mod batch_loss;
pub(crate) mod batch_norm;
pub(crate) mod clip;
pub(crate) mod differentiate;
pub(crate) mod gradients;
pub(crate) mod learner;
pub(crate) mod variance;
pub(crate) mod workers;
