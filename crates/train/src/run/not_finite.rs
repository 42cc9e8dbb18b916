//! The errors of a run whose loss or weights are no numbers any more: which rows, and where the last good state lies.

use lodestone_data::Table;
use lodestone_sampling::Batch;

use crate::error::TrainError;
use crate::input::parts::Parts;
use crate::run::checkpoint::CheckpointFolder;

/// The error of a loss that is no number after `steps` good steps.
pub(crate) fn not_finite(
    table: &Table,
    checkpoints: &CheckpointFolder,
    steps: usize,
    loss: f32,
    parts: &Parts,
    batch: &Batch,
) -> TrainError {
    let rows = batch.rows.iter().map(|&place| parts.train[place]);
    let names: Vec<String> = rows
        .take(3)
        .map(|row| table.describe(row).display().to_string())
        .collect();
    let more = batch.rows.len().saturating_sub(names.len());
    // A checkpoint of this very moment holds the weights that gave this loss.
    checkpoints.set_aside(steps);
    TrainError::NotFinite {
        step: steps + 1,
        loss,
        rows: format!("{} and {more} more", names.join(", ")),
        checkpoint: last_good(checkpoints, steps),
    }
}

/// Names the newest checkpoint before that of `step`.
pub(crate) fn last_good(checkpoints: &CheckpointFolder, step: usize) -> String {
    let steps = checkpoints.steps().unwrap_or_default();
    match steps.iter().rfind(|&&good| good < step) {
        Some(step) => format!("the last good checkpoint is that of step {step}"),
        None => "there is no good checkpoint yet".into(),
    }
}
