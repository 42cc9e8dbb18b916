//! The operators as an extension of burn's CPU backend and of its automatic differentiation.

mod concatenate;
mod convolution;
mod extension;
mod fork;
mod norm;
mod pixels;
mod pooling;
mod response_norm;

pub(crate) use extension::{Bias, FastBackend, Joined, is_fast};
pub(crate) use fork::Fork;
