//! Convolution of channels-last images and its gradients, on slices.
//!
//! All three products (output, input gradient, weight gradient) are sums over short runs of memory that lie at regular
//! distances, because in a channels-last image the `kernel width × channels` values under one row of the kernel are
//! adjacent. So no column matrix is built: a tile copies its rows with their zero border into the cache, and the product
//! kernel walks over them.

mod backward;
mod border;
mod forward;
mod geometry;
mod pack;
mod shares;
mod weight_gradient;
mod winograd;

pub(crate) use backward::input_gradient;
pub(crate) use forward::{After, convolve};
pub(crate) use geometry::Geometry;
pub(crate) use weight_gradient::weight_gradient;

#[cfg(test)]
mod tests;
