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

mod afterwards;
mod auxiliary;
mod average;
mod batch_loss;
mod batch_norm;
mod best;
mod bounds;
mod checkpoint;
mod clip;
mod config;
mod documented;
mod error;
mod evaluate;
mod events;
mod explain;
mod fetch;
mod frozen;
mod gradients;
mod growing;
mod health;
mod judging;
mod kept;
mod learner;
mod left_out;
mod log;
mod look;
mod mend;
mod not_finite;
mod observer;
mod optimizer;
mod outcomes;
mod pick;
mod precision;
mod preprocess;
mod random;
mod refresh;
mod results;
pub mod run_file;
mod save;
mod schedule;
mod setup;
mod source;
mod state;
mod step_start;
mod stopping;
mod strips;
mod suggest;
mod survey;
#[cfg(test)]
mod testing;
mod timing;
mod trainer;
mod training;
mod variance;
mod watch;
mod workers;

pub use auxiliary::AuxiliaryConfig;
pub use checkpoint::{CheckpointError, CheckpointFolder};
pub use config::{
    BatchNormUse, CoarseConfig, DataConfig, EvaluationConfig, FrozenCache, ModelConfig, RunConfig,
    TrainConfig,
};
pub use documented::documented;
pub use error::TrainError;
pub use evaluate::{Judged, Part, headline, judge, rule_name};
pub use explain::{Explanation, Meaning, UnknownKey, explain, keys};
pub use health::{Condition, Warning};
pub use kept::{KEPT, report_of_kept};
pub use observer::{Event, Observer, Phase, Silent, StepReport};
pub use optimizer::{OptimizerConfig, RuleConfig};
pub use outcomes::is_outcomes;
pub use precision::Precision;
pub use preprocess::loader_preprocessing;
pub use results::in_the_way;
pub use schedule::{AnnealingConfig, ScheduleConfig};
pub use setup::{Parts, Places};
pub use suggest::{Goal, Wishes, suggest};
pub use survey::Survey;
pub use timing::{Lap, Times};
pub use trainer::{Outcome, Trainer};
pub use variance::VarianceAverage;

/// The snippets of the README, which shows crates that meet here alone: they compile, and those that can do run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;
