//! Between a run in memory and the parts of a checkpoint.

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::store::{ModuleRecord, RecordError};
use burn::tensor::Bytes;

use crate::average::Average;
use crate::checkpoint::{CheckpointError, CheckpointFolder, Parts};
use crate::error::TrainError;
use crate::learner::Learner;
use crate::state::State;

/// All that a checkpoint holds.
///
/// # Errors
/// If a tensor cannot be read from its device.
pub(crate) fn save(learner: &Learner, state: &State) -> Result<Parts, TrainError> {
    let parts = Parts::default()
        .with(
            "embedder",
            learner
                .embedder
                .clone()
                .into_record()
                .into_bytes()?
                .to_vec(),
        )
        .with(
            "auxiliary",
            learner
                .auxiliary
                .clone()
                .into_record()
                .into_bytes()?
                .to_vec(),
        )
        .with(
            "loss",
            learner.loss.clone().into_record().into_bytes()?.to_vec(),
        )
        .with(
            "trunk_optimizer",
            learner.trunk_optimizer.into_bytes()?.to_vec(),
        )
        .with(
            "head_optimizer",
            learner.head_optimizer.into_bytes()?.to_vec(),
        )
        .with(
            "auxiliary_optimizer",
            learner.auxiliary_optimizer.into_bytes()?.to_vec(),
        )
        .with(
            "loss_optimizer",
            learner.loss_optimizer.into_bytes()?.to_vec(),
        )
        .with("state", state.to_bytes());
    let Some(average) = &learner.average else {
        return Ok(parts);
    };
    let embedder = average.embedder.clone().into_record().into_bytes()?;
    let loss = average.loss.clone().into_record().into_bytes()?;
    Ok(parts
        .with("average_embedder", embedder.to_vec())
        .with("average_loss", loss.to_vec()))
}

/// The run that a checkpoint holds, in the place of `learner`, which was made from the same settings.
///
/// # Errors
/// If a part is missing or of another network.
pub(crate) fn load(
    mut parts: Parts,
    learner: Learner,
    checkpoints: &CheckpointFolder,
) -> Result<(State, Learner), TrainError> {
    let mut restore = || -> Result<(State, Learner), String> {
        let text = |error: RecordError| error.to_string();
        let mut record = |name: &str| {
            ModuleRecord::from_bytes(Bytes::from_bytes_vec(parts.take(name)?)).map_err(text)
        };
        let embedder = learner
            .embedder
            .clone()
            .try_load_record(record("embedder")?);
        let auxiliary = learner
            .auxiliary
            .clone()
            .try_load_record(record("auxiliary")?);
        let loss = learner.loss.clone().try_load_record(record("loss")?);
        let average = match &learner.average {
            None => None,
            Some(fresh) => {
                // The record goes into a copy: running statistics are shared by clones, and `fresh` stays as it is.
                let fresh = fresh.valid();
                let embedder = fresh.embedder.try_load_record(record("average_embedder")?);
                let loss = fresh.loss.try_load_record(record("average_loss")?);
                Some(Average {
                    embedder: embedder.map_err(|error| error.to_string())?,
                    loss: loss.map_err(|error| error.to_string())?,
                })
            }
        };
        let mut optimizer = |name: &str, fresh: &ModuleOptimizer| {
            fresh
                .clone()
                .from_bytes(Bytes::from_bytes_vec(parts.take(name)?))
                .map_err(text)
        };
        let restored = Learner {
            trunk_optimizer: optimizer("trunk_optimizer", &learner.trunk_optimizer)?,
            head_optimizer: optimizer("head_optimizer", &learner.head_optimizer)?,
            loss_optimizer: optimizer("loss_optimizer", &learner.loss_optimizer)?,
            auxiliary_optimizer: optimizer("auxiliary_optimizer", &learner.auxiliary_optimizer)?,
            embedder: embedder.map_err(|error| error.to_string())?,
            auxiliary: auxiliary.map_err(|error| error.to_string())?,
            loss: loss.map_err(|error| error.to_string())?,
            average,
        };
        Ok((State::from_bytes(&parts.take("state")?)?, restored))
    };
    restore().map_err(|reason| {
        let path = checkpoints.path().to_path_buf();
        CheckpointError::Damaged { path, reason }.into()
    })
}
