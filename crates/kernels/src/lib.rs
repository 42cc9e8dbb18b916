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
//! The vector instructions (AVX-512, AVX2 with FMA, or what every processor of the target has) are chosen when the program
//! runs. Without the feature `cpu` all operators are burn's own.
//!
//! # How a convolution is done
//! - 3 × 3 without strides, and its gradients: Winograd's F(2 × 2, 3 × 3), 4 products for each output instead of 9, in strips
//!   that stay in a core's cache. An infinity or NaN in a picture spreads up to three pixels further than in plain sums.
//! - All others: one product kernel that walks over runs of the image itself, without a column matrix.
//! - Weights are packed once a call; buffers come from a pool in huge pages and go back to it with the tensor.
//!
//! # What results depend on
//! Shapes and the level of vector instructions, nothing else: neither threads, their load, nor where operands lie in memory
//! (`tests/determinism.rs`). Sums are cut and added in an order that follows from the sizes alone, and no buffer is read
//! before it is written; debug builds fill buffers with NaN so that every test would see it. burn's own `sum` over more than
//! four million values is not of this kind: rayon adds its pieces in an order that follows from which thread was free.
//!
//! # Speed
//! Images per second of processor time with one thread, medians of three runs, and peak memory of a process with two threads
//! that takes two training steps; `fp32`, networks without classifiers, forward with folded normalisation and forward +
//! backward with that of the batch. AMD EPYC (Zen 4) with AVX-512, 120 GFLOP/s a core in multiply-adds of registers; torch
//! 2.15.0, channels-last. Processor time, because other programs ran on the machine; commit 75efd5c, before pointwise weights
//! moved in blocks. Two threads on a quiet machine have not been measured.
//!
//! | | lodestone | torch | ratio |
//! | --- | ---: | ---: | ---: |
//! | GoogLeNet, 32 × 224², forward | 41.7 | 23.4 | 1.78 |
//! | GoogLeNet, 32 × 224², forward + backward | 13.4 | 8.18 | 1.64 |
//! | Inception V3, 8 × 299², forward | 9.52 | 7.53 | 1.26 |
//! | Inception V3, 8 × 299², forward + backward | 3.00 | 2.56 | 1.17 |
//! | GoogLeNet, peak memory, GB | 0.96 | 2.49 | 0.38 |
//! | Inception V3, peak memory, GB | 0.77 | 1.89 | 0.41 |
//!
//! By processor time on one thread, 3 × 3 convolutions run at 140 to 215 GFLOP/s as plain sums count them (large maps; 100 to
//! 160 on maps of 7 × 7), pointwise ones at 75 to 100 (fewer with 16 to 32 outputs), 1 × 7 and 7 × 1 at 107, 5 × 5 at 104.
//! `cargo xtask bench convnet --peer PYTHON` measures all this anew.

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
