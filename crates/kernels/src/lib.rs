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
//! `cargo xtask bench convnet --peer PYTHON`: images per second with two threads, beside torch 2.15.0 with channels-last; `f32`,
//! networks without classifiers, forward with folded normalisation and forward + backward with that of the batch. Medians; two
//! cores of an AMD EPYC (Zen 4) with AVX-512, 117 GFLOP/s a core in multiply-adds of registers, nothing else running.
//!
//! | | burn's own | lodestone | torch | lodestone / torch |
//! | --- | ---: | ---: | ---: | ---: |
//! | GoogLeNet, 32 × 224², forward | 16.2 | 78.5 | 59.5 | 1.32 |
//! | GoogLeNet, 32 × 224², forward + backward | 4.92 | 25.0 | 18.5 | 1.35 |
//! | Inception V3, 8 × 299², forward | 6.17 | 18.8 | 17.0 | 1.11 |
//! | Inception V3, 8 × 299², forward + backward | 1.62 | 5.9 | 5.2 | 1.13 |
//! | GoogLeNet, peak memory of two training steps, GB | | 1.02 | 2.43 | 0.42 |
//! | Inception V3, peak memory of two training steps, GB | | 0.82 | 1.86 | 0.44 |
//!
//! torch starts from weights of ordinary scale. Those of torchvision's `init_weights=True` shrink activations to 1e-13, where
//! torch computes with denormal numbers: that made an earlier table say 2.04 in the first row.
//!
//! Share of the measured peak, as plain sums count multiply-adds: 3 × 3 convolutions 110 to 180 % (Winograd's need fewer),
//! 1 × 7 and 7 × 1 about 85 % forward and 76 % with both gradients, 5 × 5 about 90 and 80 %, pointwise ones 55 to 85 % (fewer
//! with 16 to 32 outputs: the panel is half empty). Inception V3 gains least because a quarter of its products are 1 × 7 and
//! 7 × 1, which run near the peak already: only fewer products would help, and a one-dimensional Winograd of seven taps that
//! saves a worthwhile part of them needs points at which `f32` loses the fifth digit.
//!
//! There is no storage in `bf16` yet. Processors with `avx512bf16` multiply it twice as fast as `f32`, and torch's autocast uses that.

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
