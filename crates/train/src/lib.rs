//! The training loop, checkpoints and logs.
//!
//! A run is a [`RunConfig`], usually read from a TOML file, and a seed; the same file gives the same numbers. [`Trainer`]
//! connects the crates that do not know each other: rows from the data, batches from the sampler, embeddings from the
//! network, a loss, an optimiser. Two things go back to the sampler: the losses of the examples to its cache, and embeddings to
//! its cluster index.
//!
//! ```no_run
//! use burn::tensor::Device;
//! use lodestone_train::{Places, RunConfig, Silent, Trainer, run_file};
//!
//! let config: RunConfig = run_file::read("datasets/fashion-mini/magnet.toml".as_ref(), &[])?;
//! let table = config.data.set.open(None)?;
//! let places = Places { run: "runs/first".into(), cache: "cache".into() };
//! let outcome = Trainer::new(config, table, places, Device::default())?.run(&mut Silent)?;
//! println!("{}", outcome.report.map(|report| report.to_markdown()).unwrap_or_default());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What a run leaves in its folder
//!
//! | file | what is in it |
//! |---|---|
//! | `run.toml` | the run file as it was resolved, every key spelled out |
//! | `log.csv` | a row a step: loss, statistics of the loss, the shape of the embeddings, drift, validation |
//! | `times.csv` | a row a step: seconds of waiting, forward, backward, update, refresh, the rest |
//! | `refreshes.csv` | a row for each time the cluster index was built: what moved, what it cost |
//! | `events.out.tfevents.lodestone` | the same for TensorBoard, with histograms and strips of nearest neighbours |
//! | `receipts/epoch-N/` | how often each class, cluster and image was seen in an epoch of the plan, and how often that was to be expected |
//! | `checkpoints/` | the last few and the best, each whole or absent |
//! | `model.safetensors`, `best.safetensors` | the trained network, and the one with the best validation value |
//! | `report.json`, `report.md` | the evaluation on the test images, or on the validation images of a set without |
//! | `outcomes.csv` | the same photograph by photograph, by the rules that all losses share: right or wrong, in the run's distance and in cosine |
//!
//! # What holds
//!
//! - A run that is killed at any moment and resumed ends with the same bytes as one that was not, on the same device: model,
//!   report, log, receipts and the last checkpoint. Only times differ. Random numbers come from the seed and the number of
//!   the batch, so none have to be saved.
//! - The three losses of a comparison go through this one loop, from the same starting weights and over the same number of
//!   images; loss, plan and rule of evaluation are all that the run file has to change.
//! - Averaging the gradients of several batches (`train.accumulate`) is not a larger batch: pairs, clusters and variance stay
//!   within each. `train.part_size` gives the gradient of the whole batch, in the memory of a part.
//! - The folder of an earlier run stays as it was until the next run in it has made a step.
//! - A loss or a weight that is no number ends the run, and no checkpoint with it is ever written.
//!
//! # What the loop costs
//!
//! `cargo xtask bench training`: of a GoogLeNet step with 32 photographs on two cores, all but forward, backward and decoding
//! takes 1.1 %, waiting for photographs 0.5 %. Over 10 000 small steps with checkpoints the process grows from 41.2 MB after the
//! first thousand to 41.5 MB. Commit e283cee, on a machine with other work, which lengthens all parts of a step.

mod config;
mod error;
mod input;
mod judge;
mod learn;
mod random;
mod record;
mod run;
#[cfg(test)]
mod testing;

pub use config::auxiliary::AuxiliaryConfig;
pub use config::documented::documented;
pub use config::explain::{Explanation, Meaning, UnknownKey, explain, explain_in, keys};
pub use config::optimizer::{OptimizerConfig, RuleConfig};
pub use config::precision::Precision;
pub use config::run_config::{
    BatchNormUse, CoarseConfig, DataConfig, EvaluationConfig, FrozenCache, ModelConfig, RunConfig,
    TrainConfig,
};
pub use config::run_file;
pub use config::schedule::{AnnealingConfig, ScheduleConfig};
pub use config::suggest::{Goal, Wishes, suggest};
pub use config::survey::Survey;
pub use error::TrainError;
pub use input::columns::Part;
pub use input::embedding_cache::{Embedded, EmbeddingCache, Pass};
pub use input::parts::Parts;
pub use judge::evaluate::{Judged, headline, judge, rule_name};
pub use judge::outcomes::is_outcomes;
pub use judge::saved_embeddings::{KEPT, report_of_kept};
pub use learn::variance::VarianceAverage;
pub use record::health::{Condition, Warning};
pub use record::observer::{Event, Observer, Phase, Silent, StepReport};
pub use record::results::in_the_way;
pub use record::timing::{Lap, Times};
pub use run::checkpoint::{CheckpointError, CheckpointFolder};
pub use run::setup::Places;
pub use run::trainer::{Outcome, Trainer};

/// The snippets of the README, which shows crates that meet here alone: they compile, and those that can do run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;
