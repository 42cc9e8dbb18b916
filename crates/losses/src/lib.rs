//! Metric-learning losses and mining inside a batch, magnet loss first.
//!
#![doc = include_str!("../README.md")]
//!
//! A loss turns a batch of embeddings and their labels into one number to differentiate, the loss of every example, and
//! statistics to watch. [`LossConfig`] is the closed list of losses with their settings; [`LossConfig::init`] makes a
//! [`Loss`], a burn module. Each loss can also be used alone; its page has the formula, the origin of its defaults and
//! an example.
//!
//! - **Magnet** and its relatives: [`MagnetLoss`], [`ImportanceMagnetLoss`], [`RepMetLoss`]; [`magnet_objective`] is what
//!   the magnet loss of a batch estimates
//! - **Pairs**: [`ContrastiveLoss`], [`KlPairwiseLoss`], [`MultiSimilarityLoss`], [`SupConLoss`], [`NtXentLoss`]
//! - **Triplets**: [`TripletLoss`], in hinge and soft form
//! - **Classifiers**: [`SoftmaxLoss`], [`NormalizedSoftmaxLoss`], [`CosFaceLoss`], [`ArcFaceLoss`]
//! - **Proxies**: [`ProxyNcaLoss`], [`ProxyAnchorLoss`], [`SoftTripleLoss`]
//! - **Mining**: [`mining`] chooses pairs or triplets of a batch for any loss on pairs or triplets
//! - **Memory**: [`CrossBatchMemory`] adds the embeddings of earlier batches
//!
//! # Losses with vectors of their own
//! [`MagnetLoss`] asks for the cluster of each example and the class of each cluster instead of labels. A loss that learns
//! vectors is a burn module: an optimiser of its own steps it, with [`LossConfig::learning_rate_factor`] times the
//! network's rate.
//!
//! ```
//! # use burn::module::Module;
//! # use burn::nn::LinearConfig;
//! # use burn::optim::{AdamConfig, GradientsParams, Optimizer};
//! # use burn::tensor::{Device, Tensor};
//! use lodestone_losses::{LossConfig, ProxyAnchorLossConfig};
//! # let device = Device::flex().autodiff();
//! # device.seed(1);
//! # let mut model = LinearConfig::new(2, 2).init(&device);
//! # let images = Tensor::<2>::from_data([[0., 0.], [0., 1.], [1., 0.], [1., 1.], [4., 0.], [4., 1.]], &device);
//! # let (batches, rate) = (vec![(images, [0, 0, 1, 1, 2, 2]); 50], 1e-3);
//! # let mut losses = Vec::new();
//!
//! let config = LossConfig::ProxyAnchor(ProxyAnchorLossConfig::default());
//! let mut loss = config.init(2, 3, &device);
//! let (mut of_model, mut of_loss) = (AdamConfig::new().init(), AdamConfig::new().init());
//! for (images, labels) in batches {
//!     let output = loss.forward(model.forward(images), &labels);
//!     # losses.push(output.read().mean);
//!     let mut gradients = output.mean.backward();
//!     let of_vectors = GradientsParams::from_module(&mut gradients, &loss);
//!     let of_network = GradientsParams::from_module(&mut gradients, &model);
//!     loss = of_loss.step(rate * config.learning_rate_factor(), loss, of_vectors);
//!     model = of_model.step(rate, model, of_network);
//! }
//! # assert!(losses[49] < losses[0], "{losses:?}");
//! ```
//!
//! # What holds for all of them
//! - Gradients flow from [`LossOutput::mean`] alone, once; [`LossOutput::read`] copies everything to the host in one
//!   transfer, and nothing else is read back.
//! - No pairs, or no triplets: loss 0 and gradient 0, never NaN.
//! - Half precision is widened to f32; f64 stays.
//! - Losses on pairs and triplets hold blocks of the n×n matrix and one such matrix of slopes, never n³ numbers.
//! - **Several devices:** gather the embeddings of all shards as constants, put the own shard's rows with their graph in
//!   their place, and call the loss on the whole: value and gradient of the own rows are those of the whole batch on one
//!   device. Gradients of learned proxies come out equal on every device.
//!
//! # What a step costs
//! `cargo xtask bench losses --peer PYTHON` times one step, forward and backward, on 4096 embeddings of 512 numbers in 512
//! classes, beside pytorch-metric-learning 2.9.0 on torch 2.15.0 with the same numbers; value and largest slope agree to three
//! digits in all twelve.
//!
//! | loss | lodestone, s | peer, s | ratio | lodestone, MB | peer, MB |
//! |---|---:|---:|---:|---:|---:|
//! | triplet, batch-hard | 0.258 | 0.887 | 0.29 | 98 | 1232 |
//! | multi-similarity, all pairs | 0.881 | 1.20 | 0.74 | 145 | 1585 |
//! | multi-similarity, its miner | 1.18 | 2.33 | 0.51 | 180 | 1609 |
//! | SupCon | 0.608 | 0.923 | 0.66 | 144 | 1509 |
//! | contrastive | 0.887 | 0.626 | 1.42 | 244 | 1284 |
//! | SoftTriple | 1.09 | 0.911 | 1.19 | 521 | 1113 |
//! | Proxy-Anchor | 0.190 | 0.098 | 1.94 | 88 | 805 |
//! | Proxy-NCA | 0.098 | 0.065 | 1.50 | 78 | 760 |
//! | normalised softmax | 0.101 | 0.055 | 1.83 | 79 | 725 |
//! | CosFace | 0.120 | 0.064 | 1.89 | 82 | 750 |
//! | ArcFace | 0.143 | 0.062 | 2.30 | 95 | 754 |
//! | sub-centre ArcFace | 0.249 | 0.152 | 1.63 | 126 | 800 |
//!
//! Medians of three runs of each side in turn, each the median of its steps; MB are the peak of the whole process. Commit
//! 2a7ac51; two cores of an AMD EPYC with AVX-512, nothing else running. The losses that compare embeddings with as many
//! proxies as there are classes are small products followed by many passes over the scores: burn's CPU backend makes such a
//! pass on one core, torch on both, and so they lose here in seconds and come out about even in processor time (1.0 to
//! 1.5 times the peer's). Beside a network's step all of them are small.

mod candidates;
mod construct;
#[cfg(test)]
mod contract;
mod distance;
mod error;
mod labels;
mod list;
mod magnet;
mod memory;
pub mod mining;
mod on_classes;
mod on_pairs;
mod output;
mod pair_matrix;
mod pairs;
#[cfg(test)]
mod parity;
mod product;
mod proxies;
mod reduction;
mod relation;
mod softmax;
mod tensors;
#[cfg(test)]
mod testing;
mod triplet;

pub use distance::Distance;
pub use error::ConfigError;
pub use labels::Labels;
pub use list::{ClassRule, Loss, LossConfig};
pub use magnet::*;
pub use memory::{CrossBatchMemory, MemoryLoss};
pub use mining::{Mined, Miner};
pub use output::{LossOutput, LossReading, Statistic, Statistics};
pub use pairs::*;
pub use proxies::*;
pub use reduction::Reduction;
pub use softmax::*;
pub use triplet::*;
