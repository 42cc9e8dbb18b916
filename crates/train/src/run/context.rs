//! What the steps of a run share, and what they leave.

use burn::tensor::Device;
use lodestone_data::Loader;
use lodestone_eval::Report;

use crate::config::run_config::RunConfig;
use crate::input::parts::Parts;
use crate::judge::judging::Judge;
use crate::judge::outcomes::Line;
use crate::learn::learner::Learner;
use crate::record::run_log::RunLog;
use crate::run::checkpoint::CheckpointFolder;
use crate::run::refresh::Refresher;
use crate::run::state::State;
use crate::run::trainer::Trainer;

/// What stays as it is through all steps of a run.
pub(crate) struct Run<'a> {
    pub(crate) config: &'a RunConfig,
    pub(crate) trainer: &'a Trainer,
    /// With gradients.
    pub(crate) device: &'a Device,
    pub(crate) parts: &'a Parts,
    /// Of the training rows.
    pub(crate) labels: &'a [usize],
    pub(crate) loader: &'a Loader,
    pub(crate) refresher: Refresher<'a>,
    pub(crate) judge: Judge<'a>,
    pub(crate) checkpoints: CheckpointFolder,
}

/// A report on the validation images, the outcomes behind it, and its step.
pub(crate) struct Validation {
    pub(crate) step: usize,
    pub(crate) report: Report,
    pub(crate) outcomes: Vec<Line>,
}

/// A run whose steps are made.
pub(crate) struct Ended {
    pub(crate) state: State,
    pub(crate) learner: Learner,
    pub(crate) log: RunLog,
    /// The latest report on the validation images.
    pub(crate) latest: Option<Validation>,
    /// Whether the observer stopped it before it was over.
    pub(crate) stopped: bool,
}
