//! The choice of a miner, as a closed list.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::distance_weighted::{DistanceWeighting, weighted};
use super::easy_positive::{NegativeChoice, easy};
use super::hard::hard;
use super::multi_similarity::out_of_order;
use super::pairs::{Pairs, Triplets};
use super::semi_hard::{SemiHardRest, per_positive, within_margin};
use crate::candidates::Candidates;
use crate::distance::Distance;
use crate::error::{ConfigError, above_zero, finite, finite_above_zero, require};
use crate::labels::Labels;

/// Which pairs or triplets of a batch count. `{ kind = "hard" }` in a run file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Miner {
    /// All of them.
    All,
    /// Per anchor the farthest positive and the nearest negative.
    ///
    /// See [`batch_hard`](super::batch_hard).
    #[default]
    Hard,
    /// All triplets whose negative is farther than the positive, by at most the margin.
    SemiHard {
        /// Margin, in units of the distance.
        margin: f64,
    },
    /// Per positive pair the nearest negative farther than the positive, if inside the margin.
    ///
    /// See [`semi_hard_per_pair`](super::semi_hard_per_pair).
    SemiHardNearest {
        /// Margin, in units of the distance.
        margin: f64,
    },
    /// Per positive pair the nearest negative farther than the positive, or the farthest negative where none is, as in TensorFlow's
    /// contributed loss.
    SemiHardOrFarthest,
    /// Per anchor the nearest positive with one negative.
    ///
    /// See [`easy_positive`](super::easy_positive).
    EasyPositive {
        /// Which negative goes with it.
        negatives: NegativeChoice,
    },
    /// Per positive pair a negative drawn evenly over distances, for unit-length embeddings.
    ///
    /// See [`distance_weighted`](super::distance_weighted).
    DistanceWeighted {
        /// Distances below this count as this; 0.5 in the paper.
        nearest: f64,
        /// Negatives farther than this are never drawn; 1.4 in the paper.
        farthest: f64,
        /// Seed of the draw, mixed with the number of the step.
        seed: u64,
    },
    /// Per anchor the positives that some negative is nearer than, and the negatives that are nearer than some positive; for unit-length
    /// embeddings.
    ///
    /// See [`multi_similarity`](super::multi_similarity).
    MultiSimilarity {
        /// Tolerance in cosine similarity; 0.1 in the paper.
        epsilon: f64,
    },
}

/// What a miner chose.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one of these lives for one step; a box would be in the user's way"
)]
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
    /// Chooses among the pairs or triplets of a batch.
    ///
    /// # Shapes
    /// - embeddings: `[batch, dim]`, in the form that `distance` compares; the choice has no gradient
    /// - labels: `[batch]`
    ///
    /// # Panics
    /// If the batch is empty or the lengths differ.
    pub fn mine(self, embeddings: Tensor<2>, distance: Distance, labels: &Labels<'_>) -> Mined {
        let among = Candidates::within(embeddings, labels.classes());
        self.among(&among, distance, labels.draw())
    }

    /// Chooses among candidates; `draw` is the number that random miners mix with their seed.
    pub(crate) fn among(self, among: &Candidates<'_>, distance: Distance, draw: u64) -> Mined {
        match self {
            Miner::All => Mined::All,
            Miner::Hard => Mined::Triplets(hard(among)),
            Miner::SemiHard { margin } => Mined::SemiHard { margin },
            Miner::SemiHardNearest { margin } => {
                let rest = SemiHardRest::Dropped { margin };
                Mined::Triplets(per_positive(among, distance, rest))
            }
            Miner::SemiHardOrFarthest => {
                let rest = SemiHardRest::FarthestNegative;
                Mined::Triplets(per_positive(among, distance, rest))
            }
            Miner::EasyPositive { negatives } => Mined::Triplets(easy(among, negatives)),
            Miner::DistanceWeighted {
                nearest,
                farthest,
                seed,
            } => {
                // An odd multiplier spreads the steps over all seeds, so that neighbouring runs share no draw.
                let seed = seed ^ draw.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                let weighting = DistanceWeighting {
                    nearest,
                    farthest,
                    seed,
                };
                Mined::Triplets(weighted(among, weighting))
            }
            Miner::MultiSimilarity { epsilon } => Mined::Pairs(out_of_order(among, epsilon)),
        }
    }

    /// Checks the numbers of the setting `mining`.
    pub(crate) fn validate(_: &'static str, mining: Self) -> Result<(), ConfigError> {
        match mining {
            Miner::All | Miner::Hard | Miner::SemiHardOrFarthest | Miner::EasyPositive { .. } => {
                Ok(())
            }
            Miner::DistanceWeighted {
                nearest, farthest, ..
            } => {
                above_zero("mining.nearest", nearest)?;
                require(
                    farthest > nearest,
                    "mining.farthest",
                    farthest,
                    "must be above mining.nearest",
                )
            }
            Miner::MultiSimilarity { epsilon } => finite("mining.epsilon", epsilon),
            Miner::SemiHard { margin } | Miner::SemiHardNearest { margin } => {
                finite_above_zero("mining.margin", margin)
            }
        }
    }
}

impl Mined {
    /// The chosen pairs of candidates in the form that `distance` compares; `None` for all of them.
    pub(crate) fn to_pairs(&self, among: &Candidates<'_>, distance: Distance) -> Option<Pairs> {
        match self {
            Mined::All => None,
            Mined::SemiHard { margin } => Some(within_margin(among, distance, *margin)),
            Mined::Pairs(pairs) => Some(pairs.clone()),
            Mined::Triplets(triplets) => Some(triplets.to_pairs_of(among.shape())),
        }
    }
}
