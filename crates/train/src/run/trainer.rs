//! A run, ready to start or to be resumed, and how it ended.

use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::Device;
use lodestone_data::Table;
use lodestone_eval::Report;
use lodestone_sampling::Classes;

use crate::config::run_config::RunConfig;
use crate::error::TrainError;
use crate::input::parts::Parts;
use crate::judge::judging::Judge;
use crate::record::health::Warning;
use crate::record::observer::{Event, Observer};
use crate::record::results;
use crate::record::timing::Times;
use crate::run::checkpoint::{CheckpointError, CheckpointFolder};
use crate::run::setup::Places;
use crate::run::state::State;

/// A run, ready to start or to be resumed.
pub struct Trainer {
    pub(crate) config: RunConfig,
    pub(crate) table: Arc<Table>,
    pub(crate) places: Places,
    pub(crate) device: Device,
    /// Further devices that share each batch with the first.
    pub(crate) workers: Vec<Device>,
    /// Where the embeddings behind the next report go.
    pub(crate) keep: Option<PathBuf>,
    /// Where the outcomes of single photographs behind the next report go, if it is of no run.
    pub(crate) outcomes: Option<PathBuf>,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Test images judged by the loss's own rule; absent if the run was stopped early or has no test images.
    pub report: Option<Report>,
    /// Steps made.
    pub steps: usize,
    /// Images seen.
    pub images: usize,
    /// Whether the observer asked to stop before the run was over.
    pub stopped: bool,
    /// Where the time of all steps went, over all sittings.
    pub times: Times,
}

impl Outcome {
    /// Of a run that has no report yet.
    pub(crate) fn of(state: &State, stopped: bool) -> Self {
        Self {
            report: None,
            steps: state.step,
            images: state.images,
            stopped,
            times: state.times,
        }
    }
}

impl Trainer {
    /// Checks the settings; nothing is read or computed yet.
    ///
    /// `device` is a plain device; gradients are the trainer's business.
    ///
    /// # Errors
    /// The first setting that is out of range.
    pub fn new(
        config: RunConfig,
        table: Table,
        places: Places,
        device: Device,
    ) -> Result<Self, TrainError> {
        config.validate()?;
        Ok(Self {
            config,
            table: Arc::new(table),
            places,
            device,
            workers: Vec::new(),
            keep: None,
            outcomes: None,
        })
    }

    /// Also writes the embeddings behind the report of [`judge_finished`](Self::judge_finished) into `folder`, from which
    /// [`report_of_kept`](crate::report_of_kept) computes the same report.
    pub fn keeping(self, folder: PathBuf) -> Self {
        Self {
            keep: Some(folder),
            ..self
        }
    }

    /// Also writes what the rules that all losses share say of each photograph behind the report of
    /// [`judge_finished`](Self::judge_finished) or [`judge_features`](Self::judge_features) into `file`, as a run does into
    /// `outcomes.csv`.
    pub fn telling_outcomes(self, file: PathBuf) -> Self {
        Self {
            outcomes: Some(file),
            ..self
        }
    }

    /// Shares each batch of the training with further devices, each of which embeds as many images: with N devices the gradient is
    /// that of the whole batch, as if one device had all of it. Batch normalisation must not learn. Refreshes and evaluations
    /// stay on the first device.
    pub fn sharing_with(self, workers: Vec<Device>) -> Self {
        Self { workers, ..self }
    }

    /// Trains from the start. What an earlier run left in the folder goes when the first step is made, and not before: a run that
    /// cannot begin leaves the folder as it was.
    ///
    /// # Errors
    /// See [`TrainError`]; checkpoints written before the error stay.
    pub fn run(&self, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
        self.train(None, observer)
    }

    /// Goes on from the newest undamaged checkpoint of the folder, or from the start if there is none yet.
    ///
    /// On the same device the result is that of the unbroken run, bit by bit.
    ///
    /// What the optimisers know passes through burn's default device, a GPU in a program with one built in: on a machine without
    /// it, start such a program with `BURN_DEVICE=flex` in its environment, as `lodestone train --resume --device cpu` does itself.
    ///
    /// # Errors
    /// If the checkpoint belongs to other settings or other data, and as [`run`](Self::run).
    pub fn resume(&self, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
        match self.checkpoints().newest() {
            Ok((_, parts, damaged)) => {
                for reason in damaged {
                    observer.on(Event::Warning(&Warning::DamagedCheckpoint { reason }));
                }
                self.train(Some(parts), observer)
            }
            Err(CheckpointError::None { .. }) => self.train(None, observer),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn checkpoints(&self) -> CheckpointFolder {
        CheckpointFolder::new(
            self.places.run.join(results::CHECKPOINTS),
            self.config.train.keep_checkpoints,
        )
    }

    pub(crate) fn judge_of<'a>(
        &'a self,
        parts: &'a Parts,
        classes: &'a Classes,
        loader: &'a lodestone_data::Loader,
    ) -> Judge<'a> {
        Judge {
            config: &self.config,
            table: &self.table,
            parts,
            classes,
            loader,
            device: &self.device,
            keep: self.keep.as_deref(),
            cache: None,
        }
    }
}
