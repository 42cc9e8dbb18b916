//! The choice of a miner, as a closed list.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::hard::batch_hard;
use super::pairs::{Pairs, Triplets};
use super::semi_hard::{SemiHardRest, semi_hard_per_pair};
use crate::distance::Distance;
use crate::error::{ConfigError, require};
use crate::labels::Labels;

/// Which pairs or triplets of a batch count. `{ kind = "hard" }` in a run file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Miner {
    /// All of them.
    All,
    /// Per anchor the farthest positive and the nearest negative; see [`batch_hard`].
    #[default]
    Hard,
    /// All triplets whose negative is farther than the positive, by at most the margin.
    SemiHard {
        /// Margin, in units of the distance.
        margin: f64,
    },
    /// Per positive pair the nearest negative farther than the positive, if inside the margin; see
    /// [`semi_hard_per_pair`].
    SemiHardNearest {
        /// Margin, in units of the distance.
        margin: f64,
    },
    /// The same, and the farthest negative where none is farther than the positive, as in FaceNet's published code.
    SemiHardOrFarthest,
}

/// What a miner chose.
#[derive(Clone, Debug)]
pub enum Mined {
    /// All pairs or triplets.
    All,
    /// All triplets whose negative is farther than the positive by at most the margin; too many to list, so the loss
    /// finds them as it goes.
    SemiHard {
        /// Margin, in units of the loss's distance.
        margin: f64,
    },
    /// These pairs, or the triplets they form.
    Pairs(Pairs),
    /// These triplets, or the pairs in them.
    Triplets(Triplets),
}

impl Miner {
    /// Chooses among the pairs or triplets of a batch, by Euclidean distance.
    ///
    /// # Shapes
    /// - embeddings: `[batch, dim]`, of unit length if the loss compares unit lengths; the choice has no gradient
    /// - labels: `[batch]`
    ///
    /// # Panics
    /// If the batch is empty or the lengths differ.
    pub fn mine(self, embeddings: Tensor<2>, distance: Distance, labels: &Labels<'_>) -> Mined {
        let classes = labels.classes();
        match self {
            Miner::All => Mined::All,
            Miner::Hard => Mined::Triplets(batch_hard(embeddings, classes)),
            Miner::SemiHard { margin } => Mined::SemiHard { margin },
            Miner::SemiHardNearest { margin } => {
                let rest = SemiHardRest::Dropped { margin };
                Mined::Triplets(semi_hard_per_pair(embeddings, classes, distance, rest))
            }
            Miner::SemiHardOrFarthest => {
                let rest = SemiHardRest::FarthestNegative;
                Mined::Triplets(semi_hard_per_pair(embeddings, classes, distance, rest))
            }
        }
    }

    pub(crate) fn validate(self) -> Result<(), ConfigError> {
        match self {
            Miner::All | Miner::Hard | Miner::SemiHardOrFarthest => Ok(()),
            Miner::SemiHard { margin } | Miner::SemiHardNearest { margin } => {
                require(margin > 0.0 && margin.is_finite(), "mining.margin", margin, "must be a number above 0")
            }
        }
    }
}
