//! Pairwise KL loss: Hsu & Kira, *Neural Network-based Clustering using Pairwise Constraints*, 2016.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::{log_softmax, relu};
use serde::{Deserialize, Serialize};

use crate::candidates::Candidates;
use crate::construct::construct;
use crate::distance::Distance;
use crate::error::{ConfigError, require};
use crate::labels::Labels;
use crate::mining::{Mined, Miner};
use crate::output::LossOutput;
use crate::pair_matrix::{BlockLoss, PairLoss, blocks, over_blocks};
use crate::relation::ChosenPairs;
use crate::tensors::{count, mean_of, unit_rows, widen};

/// Settings of [`KlPairwiseLoss`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct KlPairwiseLossConfig {
    /// Divergence, in nats, beyond which a negative pair costs nothing. Default 2, as in the paper.
    pub margin: f64,
    /// Treat the first distribution of each divergence as a constant in the gradient, as some codes do. Default `false`.
    pub detach_first: bool,
    /// Which pairs count. Default [`Miner::All`], as in the paper.
    pub mining: Miner,
}

impl Default for KlPairwiseLossConfig {
    fn default() -> Self {
        KlPairwiseLossConfig {
            margin: 2.0,
            detach_first: false,
            mining: Miner::All,
        }
    }
}

construct! {
    KlPairwiseLossConfig => KlPairwiseLoss, without_parameters {
        with_margin(margin: f64),
        with_detach_first(detach_first: bool),
        with_mining(mining: Miner),
    }
}

impl KlPairwiseLossConfig {
    fn build(&self) -> KlPairwiseLoss {
        KlPairwiseLoss {
            margin: self.margin,
            detach_first: self.detach_first,
            mining: self.mining,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        require(
            self.margin > 0.0 && self.margin.is_finite(),
            "margin",
            self.margin,
            "must be a number above 0",
        )?;
        self.mining.validate()
    }
}

/// Pairwise KL loss: each embedding is a distribution over clusters, `p = softmax(x)`; those of one class should agree,
/// those of different classes diverge.
///
/// ```text
/// same class:   KL(p_i, p_j) + KL(p_j, p_i)
/// other class:  max(0, margin - KL(p_i, p_j)) + max(0, margin - KL(p_j, p_i))
/// ```
///
/// Mean over the n(n - 1) / 2 pairs, in nats. Per example: mean over its n - 1 pairs. A miner chooses ordered pairs, each of
/// which stands for its one direction, and compares the distributions by the angle between them. Half precision is
/// widened to f32 first.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use lodestone_losses::KlPairwiseLossConfig;
///
/// let device = Device::flex();
/// let loss = KlPairwiseLossConfig::default().init();
/// // Equal distributions of different classes cost the margin, in both directions.
/// let equal = Tensor::<2>::from_data([[1.0, 2.0], [1.0, 2.0]], &device);
/// assert!((loss.forward(equal.clone(), &[0, 1]).read().mean - 4.0).abs() < 1e-5);
/// assert!(loss.forward(equal, &[0, 0]).read().mean.abs() < 1e-5);
/// ```
///
/// Source: Hsu & Kira, *Neural Network-based Clustering using Pairwise Constraints*, 2016, arXiv 1511.06321.
#[derive(Module, Debug)]
pub struct KlPairwiseLoss {
    margin: f64,
    detach_first: bool,
    #[module(skip)]
    mining: Miner,
}

impl KlPairwiseLoss {
    /// Loss of a batch. Reports [`Statistic::Active`](crate::Statistic::Active) and
    /// [`Statistic::Counted`](crate::Statistic::Counted).
    ///
    /// # Shapes
    /// - embeddings: `[batch, clusters]`, unnormalised logits
    /// - labels: `[batch]`
    ///
    /// # Panics
    /// If the batch is empty or the lengths differ.
    pub fn forward<'a>(&self, embeddings: Tensor<2>, labels: impl Into<Labels<'a>>) -> LossOutput {
        let labels: Labels<'a> = labels.into();
        let log_p = log_softmax(widen(embeddings), 1);
        let among = compared(&log_p, labels.classes());
        let mined = self.mining.among(&among, DISTANCE, labels.draw());
        LossOutput::of_pairs(self.of_mined(log_p, &among, &mined))
    }

    /// Loss of a batch over pairs, or the pairs in triplets, from any miner.
    ///
    /// # Panics
    /// If the batch is empty or the lengths differ.
    pub fn forward_mined(
        &self,
        embeddings: Tensor<2>,
        labels: &[usize],
        mined: &Mined,
    ) -> LossOutput {
        let log_p = log_softmax(widen(embeddings), 1);
        let among = compared(&log_p, labels);
        LossOutput::of_pairs(self.of_mined(log_p, &among, mined))
    }

    fn of_mined(&self, log_p: Tensor<2>, among: &Candidates<'_>, mined: &Mined) -> PairLoss {
        let chosen = mined.to_pairs(among, DISTANCE);
        let chosen = ChosenPairs::new(&among.relation, chosen.as_ref());
        let [n, _] = log_p.dims();
        let first = if self.detach_first {
            log_p.clone().detach()
        } else {
            log_p.clone()
        };
        let p = first.clone().exp();
        // KL(p_i, p_j) = Σ p_i log p_i - p_i · log p_j, as one product of [Σ p log p, -p] with [1, log p].
        let self_term = (p.clone() * first).sum_dim(1);
        let ones = self_term.clone().detach().ones_like();
        let left = Tensor::cat(vec![self_term, p.neg()], 1);
        let right = Tensor::cat(vec![ones, log_p], 1);
        over_blocks(left, right, blocks(n, n), |divergence, rows| {
            // It is 0 or more but for roundings.
            let divergence = divergence.clamp_min(0.0);
            let [positive, negative] = chosen.masks(rows.clone());
            let apart = relu(divergence.clone().neg() + self.margin)
                .mask_fill(negative.clone().bool_not(), 0.0);
            let together = divergence.mask_fill(positive.clone().bool_not(), 0.0);
            let value = apart + together;
            let dtype = value.dtype();
            let pairs = positive.bool_or(negative);
            // Each unordered pair owns two entries and is counted once, so the mean over entries is taken twice.
            let value = value * 2.0;
            let entries = pairs
                .clone()
                .float()
                .cast(dtype)
                .sum_dim(1)
                .reshape([rows.len()]);
            let active = value.clone().inner().greater_scalar(0.0);
            BlockLoss {
                per_row: mean_of(
                    value.clone().inner().sum_dim(1).reshape([rows.len()]),
                    entries.clone(),
                ),
                sums: [value.sum()],
                counts: [entries.sum()],
                active: [count(active, dtype), count(pairs, dtype)],
            }
        })
    }
}

/// How a miner compares distributions.
const DISTANCE: Distance = Distance::UnitEuclidean;

/// The distributions as a miner compares them, without gradient.
fn compared<'a>(log_p: &Tensor<2>, labels: &'a [usize]) -> Candidates<'a> {
    Candidates::within(unit_rows(log_p.clone().inner().exp()), labels)
}
