//! What an embedding is worth: retrieval, classification, clustering and the paper's own tests.
//!
//! Everything here takes embeddings on the host ([`Rows`]) and class labels, and never sees a model. A [`Search`] says who looks
//! for whom; the numbers follow from it:
//!
//! ```
//! use lodestone_eval::{Convention, Errors, Predictions, RankingMetric, RetrievalConfig, Rows, Search, SoftVote};
//!
//! // Two classes on a line, and two queries.
//! let training = [0.0, 1.0, 10.0, 11.0];
//! let classes = [0, 0, 1, 1];
//! let test = Rows::new(&[0.4, 6.5], 1).unwrap();
//! let search = Search::between(test, Rows::new(&training, 1).unwrap())?;
//!
//! // Soft kNN: both queries are classified by all four training rows, σ² = 1.
//! let errors: Errors = Predictions::soft_vote(&search, &classes, SoftVote::new(1.0))?.errors(&[0, 0])?;
//! assert_eq!(errors.at_1, 0.5);
//!
//! // Retrieval: query 1 finds the rows of its class at ranks 3 and 4.
//! let scored = search.retrieval(&[0, 0], &classes, &RetrievalConfig::default())?;
//! let map = scored.mean(RankingMetric::MeanAveragePrecision, Convention::Lodestone).unwrap();
//! assert_eq!(map.value, (1.0 + (1.0 / 3.0 + 2.0 / 4.0) / 2.0) / 2.0);
//! # Ok::<(), lodestone_eval::EvalError>(())
//! ```
//!
//! | question | answer |
//! |---|---|
//! | who looks for whom, in which memory, on which engine | [`Search`], [`Mode`], [`Protocol`], [`Visibility`], [`Roles`], [`Bytes`], [`Forecast`], [`Engine`] |
//! | are the nearest rows of the same class | [`Search::retrieval`] → [`Retrieval`], [`RankingMetric`], [`Convention`] |
//! | the same for lists made elsewhere | [`Search::score_lists`] |
//! | the same in cosine distance, and of each query | [`Search::add_cosine`], [`Retrieval::outcomes`] → [`QueryOutcome`] |
//! | which class would be predicted | [`Predictions`] → [`Errors`], [`Confusion`]; [`SoftVote`] for kNC and soft kNN |
//! | do fine classes survive coarse training | [`hierarchy_recovery`], [`merge_at_random`], [`merge_mixed`] |
//! | do neighbours share attributes | [`concentration`] |
//! | do clusters agree with classes | [`Search::k_means`], [`clustering_scores`] |
//! | known or not, by the distance to what is nearest | [`Unknowns`], [`Report::add_unknowns`] |
//! | same or not the same | [`Pairs`], [`sample_pairs`], [`Verification`] |
//! | has the space collapsed | [`diagnostics()`] |
//! | how sure is a mean | [`Bootstrap`] |
//! | all of it, to keep | [`Search::report`] → [`Report`] ([keys of its JSON](report)), [`Retrieval::write_csv`] |
//!
//! # Definitions
//!
//! A row never finds itself, by row number and not by distance; a second copy of it is a legitimate hit. Rankings ascend by
//! (squared distance, row number). Queries with nothing to find are left out of ranking metrics and counted. Means are over
//! queries unless a name ends in `_per_class_mean`. Rankings do not depend on tile size, engine or number of threads: tiles
//! are approximate with a known error, and whatever they leave open is decided by exact distances.
//!
//! # Speed
//!
//! `cargo xtask bench retrieval --peer PYTHON`: 30 000 rows in 5650 classes, 512 dimensions, each against all the others,
//! precision@1, R-precision and MAP@R, beside pytorch-metric-learning's `AccuracyCalculator` over faiss on the same arrays. The
//! values are equal to six digits. Medians of three runs of each in turn; two cores of an AMD EPYC with AVX-512, nothing else
//! running; commit 2a7ac51:
//!
//! | | lodestone | peer | ratio |
//! |---|---:|---:|---:|
//! | time, s | 2.98 | 7.24 | 0.41 |
//! | memory above the embeddings, MB | 39 | 1720 | 0.02 |
//!
//! 450 000 rows in 8142 classes, 512 dimensions, with a limit of 2 GB (example `bench_retrieval 450000 8142 512 2GB`, run once at
//! commit e283cee beside compilers): 1284 s of processor time; the process peaks at 1.48 GB, 0.59 GB of it above the embeddings.

#[cfg(feature = "approximate")]
mod approximate;
mod attributes;
mod bootstrap;
mod bytes;
mod clustering;
mod convention;
mod cosine;
mod diagnostics;
mod eigenvalues;
mod error;
mod evaluate;
mod hierarchy;
mod kmeans;
mod labelled;
mod lists;
mod memory;
mod mode;
mod nearest;
mod pair_sample;
mod parts;
mod per_query;
mod predictions;
mod ranking_metric;
mod ranks;
mod relevance;
pub mod report;
mod retrieval;
mod roles;
mod scores;
mod search;
mod soft;
mod sweep;
mod table;
mod table_parts;
mod tile;
mod unit;
mod unknowns;
mod verification;
mod visibility;

#[cfg(feature = "approximate")]
pub use approximate::{Approximate, ApproximateConfig};
pub use attributes::{Attribute, Concentration, Curve, concentration};
pub use bootstrap::Bootstrap;
pub use bytes::Bytes;
pub use clustering::{ClusteringScores, clustering_scores};
pub use convention::Convention;
pub use cosine::QueryOutcome;
pub use diagnostics::{Collapse, Diagnostics, diagnostics};
pub use error::{EvalError, Side};
pub use evaluate::{ReportConfig, Rules};
pub use hierarchy::{
    Chance, HierarchyRecovery, Levels, hierarchy_recovery, merge_at_random, merge_mixed,
};
pub use kmeans::{KMeans, KMeansConfig};
pub use labelled::Labelled;
pub use lodestone_distances::Rows;
pub use memory::Forecast;
pub use mode::{Mode, Protocol};
pub use nearest::Neighbour;
pub use pair_sample::sample_pairs;
pub use parts::{PartError, RetrievalPart};
pub use predictions::{Confusion, Errors, Predictions};
pub use ranking_metric::{Depth, RankingMetric, RetrievalConfig};
pub use report::{
    ApproximateNote, Clustering, KMeansRun, Measure, RankingDistance, Report, Setting,
};
pub use retrieval::{Mean, Retrieval};
pub use roles::Roles;
pub use scores::{AtCut, QueryScores};
pub use search::Search;
pub use soft::{ClassScore, SoftVote};
pub use tile::Engine;
pub use unit::unit_rows;
pub use unknowns::{Unknowns, balanced};
pub use verification::{Calibrated, Calibration, FnmrAtFmr, Pairs, RocPoint, Verification};
pub use visibility::Visibility;
