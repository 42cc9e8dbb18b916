//! Between a run in memory and the parts of a checkpoint.

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::store::{ModuleRecord, RecordError};
use burn::tensor::Bytes;

use crate::config::run_config::RunConfig;
use crate::error::TrainError;
use crate::learn::average::Average;
use crate::learn::learner::Learner;
use crate::record::observer::{Event, Observer};
use crate::record::run_log::RunLog;
use crate::run::checkpoint::{CheckpointError, CheckpointFolder, Saved};
use crate::run::not_finite::last_good;
use crate::run::state::State;

/// All that a checkpoint holds.
///
/// # Errors
/// If a tensor cannot be read from its device.
pub(crate) fn save(learner: &Learner, state: &State) -> Result<Saved, TrainError> {
    let parts = Saved::default()
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

/// Writes a checkpoint behind the logs of its step.
///
/// # Errors
/// If a weight is no number, which no checkpoint ever holds, or a file cannot be written.
pub(crate) fn save_step(
    checkpoints: &CheckpointFolder,
    learner: &Learner,
    state: &State,
    log: &mut RunLog,
    observer: &mut dyn Observer,
) -> Result<(), TrainError> {
    let step = state.step;
    if !learner.is_finite() {
        let checkpoint = last_good(checkpoints, step);
        return Err(TrainError::WeightsNotFinite { step, checkpoint });
    }
    log.flush()?;
    let best = state.best.map(|(_, step)| step);
    checkpoints.write(step, &save(learner, state)?, best)?;
    observer.on(Event::Saved { step });
    Ok(())
}

/// What a checkpoint knows beside its weights.
///
/// # Errors
/// If it is missing or damaged.
pub(crate) fn load_state(
    parts: &mut Saved,
    checkpoints: &CheckpointFolder,
) -> Result<State, TrainError> {
    let state = parts
        .take("state")
        .and_then(|bytes| State::from_bytes(&bytes));
    state.map_err(|reason| damaged(reason, checkpoints))
}

/// The run that a checkpoint holds, in the place of `learner`, which was made from the same settings `config`.
///
/// # Errors
/// If a part is missing or of another network.
pub(crate) fn load(
    mut parts: Saved,
    learner: Learner,
    config: &RunConfig,
    checkpoints: &CheckpointFolder,
) -> Result<Learner, TrainError> {
    let trained = load_trained(&mut parts, learner, config, checkpoints)?;
    let mut optimizer = |name: &str, fresh: ModuleOptimizer| {
        let bytes = Bytes::from_bytes_vec(parts.take(name)?);
        fresh.from_bytes(bytes).map_err(|error| error.to_string())
    };
    let restore = || -> Result<Learner, String> {
        Ok(Learner {
            trunk_optimizer: optimizer("trunk_optimizer", trained.trunk_optimizer)?,
            head_optimizer: optimizer("head_optimizer", trained.head_optimizer)?,
            auxiliary_optimizer: optimizer("auxiliary_optimizer", trained.auxiliary_optimizer)?,
            loss_optimizer: optimizer("loss_optimizer", trained.loss_optimizer)?,
            embedder: trained.embedder,
            auxiliary: trained.auxiliary,
            loss: trained.loss,
            average: trained.average,
        })
    };
    restore().map_err(|reason| damaged(reason, checkpoints))
}

/// The same with optimisers that have not moved anything yet, for a run that is not to go on: what these know may lie on another
/// device than the one it is judged on.
///
/// # Errors
/// If a part is missing or of another network.
pub(crate) fn load_trained(
    parts: &mut Saved,
    learner: Learner,
    config: &RunConfig,
    checkpoints: &CheckpointFolder,
) -> Result<Learner, TrainError> {
    let mut restore = || -> Result<Learner, String> {
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
        // Made for the restored parameters, which bring their own identities: which of them decay is known by these.
        let fresh = Learner::new(
            config,
            embedder.map_err(text)?,
            auxiliary.map_err(text)?,
            loss.map_err(text)?,
        );
        Ok(Learner { average, ..fresh })
    };
    restore().map_err(|reason| damaged(reason, checkpoints))
}

fn damaged(reason: String, checkpoints: &CheckpointFolder) -> TrainError {
    let path = checkpoints.path().to_path_buf();
    CheckpointError::Damaged { path, reason }.into()
}
