//! Which rendering of a photograph a batch asks for.

use crate::augmentation::Augmentation;
use crate::draws::Draws;

/// How every image of a stream is rendered.
#[derive(Debug, Clone, PartialEq)]
pub enum View {
    /// Centre crop.
    Evaluation,
    /// Centre crop, mirrored left to right.
    EvaluationFlipped,
    /// Random crops, flips and colours.
    Training {
        /// What is varied.
        augmentation: Augmentation,
        /// Seed of the run.
        seed: u64,
        /// Pass over the data, from 0.
        epoch: u64,
        /// What two renderings of one row have in common.
        draws: Draws,
    },
}
