//! The training loop, checkpoints and logs.
//!
//! A run is a [`RunConfig`], usually read from a TOML file, and a seed; the same file gives the same numbers. [`Trainer`]
//! connects the crates that do not know each other: rows from the data, batches from the sampler, embeddings from the
//! network, a loss, an optimiser, and in the other direction the two edges by value: per-example losses to the sampler's
//! cache and embeddings to its cluster index.
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

mod checkpoint;
mod clip;
mod config;
mod error;
mod evaluate;
mod frozen;
mod health;
mod learner;
mod log;
mod observer;
mod optimizer;
mod preprocess;
mod random;
pub mod run_file;
mod save;
mod schedule;
mod setup;
mod source;
mod state;
mod trainer;
mod variance;

pub use checkpoint::{CheckpointError, CheckpointFolder};
pub use config::{CoarseConfig, DataConfig, EvaluationConfig, ModelConfig, RunConfig, TrainConfig};
pub use error::TrainError;
pub use evaluate::{Judged, Part, headline, judge, rule_name};
pub use health::Warning;
pub use observer::{Event, Observer, Phase, Silent, StepReport};
pub use optimizer::{OptimizerConfig, RuleConfig};
pub use preprocess::loader_preprocessing;
pub use schedule::{AnnealingConfig, ScheduleConfig};
pub use setup::{Parts, Places};
pub use trainer::{Outcome, Trainer};
pub use variance::VarianceAverage;
