//! Which images enter a batch: plans, the cluster index and the neighbourhood sampler.
//!
#![doc = include_str!("../README.md")]
//!
//! Metric learning stands and falls with the batches it sees. This crate draws them, on the host and without a model: it gets
//! labels, now and then the embeddings of the training rows, and the losses of past steps, and it hands out row numbers.
//!
//! # The parts
//!
//! | part | what it is |
//! |---|---|
//! | [`Classes`] | the training rows by class, checked once |
//! | [`PlanConfig`], [`Plan`], [`Epoch`] | which rows form a batch: shuffled, per class (P×K), balanced, hard classes, neighbourhood, importance, union |
//! | [`Index`] | the modes of each class, by K-means; refreshed as training moves the embeddings |
//! | [`LossCache`], [`probabilities`] | the last loss of each row, and which cluster is drawn next because of it |
//! | [`RefreshPolicy`], [`Probe`], [`FusedEmbeddings`] | when to refresh, how far embeddings have moved, a refresh without extra passes |
//! | [`Receipts`] | what an epoch showed, against what its plan promised |
//! | [`Mode`] | what a cluster looks like: size, radius, exemplars |
//!
//! # What an epoch is
//!
//! With N training rows:
//!
//! | plan | batches in an epoch | every class is seen | every image is seen |
//! |---|---|---|---|
//! | `shuffled` | each row once | yes | yes, but for the rest that `drop_last` leaves out |
//! | `per-class` (P×K) | N images, rounded up; at least one visit of each class | yes | with `cover` |
//! | `balanced` | N images, rounded up to whole rounds of all classes | equally often | with `cover` |
//! | `hard-classes` | N images; at least one for each class as seed | yes | with `cover` |
//! | `neighbourhood` | N images | sooner or later: ε of the seeds is drawn evenly | sooner or later, in clusters of two and more |
//! | `importance`, `union` | N images, shared ones counted each time | sooner or later | sooner or later, as above |
//!
//! Classes that `small_classes = "skip"` leaves out are not seen, and `cover` then is an error. [`Receipts`] tell what was.
//!
//! # What holds
//!
//! - A batch is a pure function of (labels, seed, epoch, step) and, for plans by clusters, of the index and the losses of that
//!   moment. Index, cache and receipts serialise; a run that is restored from them draws the very same batches.
//! - Nothing depends on the number of threads or on the order of a hash table.
//! - Only rows of [`Classes`] are ever drawn: give it the training rows and no test row can slip in.
//! - An index belongs to its labels, told by a fingerprint; another data set is refused.
//!
//! # K-means of its own
//!
//! The index runs Lloyd's iterations on the matrix kernel of `lodestone_distances` (`kmeans.rs`, under 200 lines). It is not
//! taken from a crate because the index needs what lies inside the loop: a warm start that keeps cluster numbers, the repair of
//! empty clusters, a result that no thread count changes, and a partition whose centres are the means of their members.
//!
//! # Speed
//!
//! `cargo xtask bench sampling --peer PYTHON`, the same arrays to the index, to faiss 1.15.1 and to scikit-learn 1.9.1, 20 iterations,
//! K-means++ here and in scikit-learn, medians; two cores of an AMD EPYC with AVX-512, nothing else running; commit 2a7ac51:
//!
//! | index of | lodestone, s | faiss, s | ratio | scikit-learn, s | ratio | inertia a row: lodestone, faiss, scikit-learn |
//! |---|---:|---:|---:|---:|---:|---|
//! | 12 000 × 1024 in 120 classes, K = 8 | 0.083 | 0.051 | 1.59 | 0.287 | 0.30 | 764, 781, 744 |
//! | 80 000 × 1024 in 1000 classes, K = 3 | 0.53 | 0.290 | 1.84 | 1.34 | 0.40 | 919, 920, 918 |
//!
//! Growth, 1000 classes, 1024 dimensions, K = 3, embeddings in memory once:
//!
//! | rows | s | µs a row | peak above the embeddings |
//! |---:|---:|---:|---:|
//! | 80 000 | 0.54 | 6.8 | 14.7 % |
//! | 320 000 | 1.07 | 3.4 | 5.1 % |
//! | 1 280 000 | 3.86 | 3.0 | 2.7 % |
//!
//! Crates that were weighed on the first array, a class a thread, 20 iterations from one start: linfa-clustering 0.8.1 takes 1.05 s
//! (790 a row), fastkmeans-rs 1.0.8 takes 0.033 s (746 a row; it starts from random points and sums in `f32`), kentro 0.2.1 sets
//! up rayon's global threads and so cannot run beside anything that uses them. fastkmeans-rs is the faster one, but has no start
//! from given centres, reopens an empty cluster at random, and returns labels from before its last step; the index needs the
//! opposite of all three, and builds in a tenth of a second what serves for minutes of training.
//!
//! From 8000 clusters a batch is drawn in 76 µs (the slowest of 1000: 484 µs), its losses are stored in 5 µs.

mod batch;
mod class_clusters;
mod classes;
mod cluster_count;
mod cluster_sums;
mod drift;
mod epoch_receipt;
mod error;
mod expected_images;
mod fused;
mod imposters;
mod index;
mod index_config;
mod kmeans;
mod losses;
mod matching;
mod modes;
mod neighbours;
mod plan;
mod random;
mod receipt_summary;
mod receipts;
mod refresh;
mod refresh_policy;
mod seeds;
#[cfg(test)]
mod testing;

pub use batch::{Batch, BatchNotes, Neighbourhood};
pub use classes::Classes;
pub use drift::Probe;
pub use epoch_receipt::{ClassReceipt, ClusterReceipt, EpochReceipt, RowReceipt};
pub use error::SamplingError;
pub use fused::FusedEmbeddings;
pub use index::Index;
pub use index_config::{Auto, ClusterCount, Criterion, IndexConfig, RefreshStart};
pub use lodestone_distances::Rows;
pub use losses::LossCache;
pub use modes::{Imposter, Mode};
pub use plan::{
    BalancedConfig, Clusters, Epoch, Estimator, HardClassesConfig, NeighbourhoodConfig,
    PerClassConfig, Plan, PlanConfig, ShuffledConfig, SmallGroups, WeightedConfig,
};
pub use receipt_summary::{ClassShare, ReceiptSummary, SeedSpread};
pub use receipts::Receipts;
pub use refresh::RefreshReport;
pub use refresh_policy::{Decision, RefreshPolicy, RefreshSource};
pub use seeds::probabilities;
