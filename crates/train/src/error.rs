//! What can go wrong in a run, in one line each.

use lodestone_data::DataError;
use lodestone_eval::EvalError;
use lodestone_files::WriteError;
use lodestone_models::{InputError, UnknownStage, WeightsError};
use lodestone_sampling::SamplingError;

use crate::record::append_log::LogError;
use crate::run::checkpoint::CheckpointError;

impl TrainError {
    /// The error of rows that are all left out as broken, with the reasons.
    pub(crate) fn unreadable(skipped: &[(usize, String)]) -> Self {
        let first = skipped.first().map(|(_, reason)| reason.clone());
        Self::Unreadable {
            count: skipped.len(),
            reason: first.unwrap_or_default(),
        }
    }

    /// Whether it is about photographs, of which a run can be mended and go on.
    pub(crate) fn is_of_photographs(&self) -> bool {
        matches!(self, Self::Data(_) | Self::Unreadable { .. })
    }
}

/// A run that could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A photograph cannot be used any more, after steps that are saved.
    #[error("the run stopped after step {step}, which is saved")]
    Photograph {
        /// The last step.
        step: usize,
        /// What is wrong with which photograph.
        #[source]
        source: Box<TrainError>,
    },
    /// Photographs are left out as broken, and there are no others to go on with.
    #[error("none of {count} photographs can be read, such as: {reason}")]
    Unreadable {
        /// How many.
        count: usize,
        /// What is wrong with the first.
        reason: String,
    },
    /// A setting contradicts another, or the data.
    #[error("{reason}")]
    Setting {
        /// Key, value and what it must be.
        reason: String,
    },
    /// The loss is not a number.
    #[error("step {step}: the loss is {loss}; rows of the batch: {rows}; {checkpoint}")]
    NotFinite {
        /// The step.
        step: usize,
        /// The value.
        loss: f32,
        /// Images of the batch, the first few by name.
        rows: String,
        /// Which checkpoint is the last good one.
        checkpoint: String,
    },
    /// A weight is not a number, although the loss still was.
    #[error("step {step}: the weights are not finite; {checkpoint}")]
    WeightsNotFinite {
        /// The step.
        step: usize,
        /// Which checkpoint is the last good one.
        checkpoint: String,
    },
    /// Gradients overflow in half precision even where the loss is not scaled.
    #[error(
        "step {step}: the gradients overflow in f16: set model.precision to \"bf16\" or \"f32\""
    )]
    Overflow {
        /// The step.
        step: usize,
    },
    /// The run that is to be resumed was made by other settings.
    #[error("{reason}")]
    Resume {
        /// What differs.
        reason: String,
    },
    /// Images or lists.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A stage that the network does not have.
    #[error("model.freeze_until")]
    Stage(#[from] UnknownStage),
    /// Images of a size that the network does not take.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A weight file.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Batches that cannot be filled.
    #[error(transparent)]
    Sampling(#[from] SamplingError),
    /// Metrics that cannot be computed.
    #[error(transparent)]
    Evaluation(#[from] EvalError),
    /// Checkpoints.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Weights that could not be turned into bytes.
    #[error("cannot pack a checkpoint")]
    Record(#[from] burn::store::RecordError),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A file that could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The cache of the frozen trunk.
    #[error("cannot use the feature cache {}", path.display())]
    Cache {
        /// The file.
        path: std::path::PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
}
