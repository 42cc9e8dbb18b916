//! Fast convolutions, normalisation and pooling for burn's CPU backend, burn's own operators elsewhere.
//!
//! The operators take and return burn tensors and have gradients. A network that uses them throughout keeps its images with
//! adjacent channels in memory (`[batch, height, width, channels]`, seen by burn as a permuted tensor), which is what makes
//! them fast; any layout is accepted and converted once.
//!
//! ```
//! use burn::tensor::{Device, Tensor, ops::{ConvOptions, MaxPoolOptions}};
//! use lodestone_kernels::{Activation, conv2d, max_pool2d};
//!
//! let device = Device::flex().autodiff();
//! let images = Tensor::<4>::ones([2, 3, 9, 9], &device);
//! let weights = Tensor::<4>::ones([8, 3, 3, 3], &device).require_grad();
//! let options = ConvOptions::new([2, 2], [1, 1], [1, 1], 1);
//! let maps = conv2d(images, weights.clone(), None, options, Activation::Relu);
//! let maps = max_pool2d(maps, MaxPoolOptions::new([2, 2]).with_ceil_mode(true));
//! assert_eq!(maps.dims(), [2, 8, 3, 3]);
//! let gradients = maps.sum().backward();
//! assert_eq!(weights.grad(&gradients).unwrap().dims(), [8, 3, 3, 3]);
//! ```
//!
//! Results do not depend on the number of threads. The vector instructions are chosen when the program runs. Without the
//! feature `cpu` all operators are burn's own.

#[cfg(feature = "cpu")]
mod channels;
#[cfg(feature = "cpu")]
mod conv;
#[cfg(feature = "cpu")]
mod flex;
#[cfg(feature = "cpu")]
mod memory;
#[cfg(feature = "cpu")]
mod norm;
mod operators;
#[cfg(feature = "cpu")]
mod pool;
#[cfg(feature = "cpu")]
mod rectify;
#[cfg(feature = "cpu")]
mod response_norm;
#[cfg(feature = "cpu")]
mod simd;

pub use operators::{
    Activation, NormOutput, ResponseNorm, avg_pool2d, batch_norm, concatenate, conv2d, fork,
    global_average, local_response_norm, max_pool2d, with_burn_operators,
};
