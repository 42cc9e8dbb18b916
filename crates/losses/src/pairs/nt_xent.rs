//! Normalised temperature-scaled cross-entropy: Sohn, *Improved Deep Metric Learning with Multi-class N-pair Loss
//! Objective*, NIPS 2016, in the form of Chen et al., *SimCLR*, ICML 2020.

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::distance::Distance;
use crate::error::{ConfigError, require};
use crate::labels::Labels;
use crate::mining::{Mined, Miner};
use crate::output::LossOutput;
use crate::pair_matrix::{BlockLoss, PairLoss, blocks, over_blocks};
use crate::relation::{ChosenPairs, Relation};
use crate::tensors::{count, logsumexp, mean_of, softplus, unit_rows, widen};

/// Settings of [`NtXentLoss`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NtXentLossConfig {
    /// What cosine similarities are divided by. Default 0.07, as in pytorch-metric-learning.
    pub temperature: f64,
    /// Which pairs count. Default [`Miner::All`].
    pub mining: Miner,
}

impl Default for NtXentLossConfig {
    fn default() -> Self {
        NtXentLossConfig {
            temperature: 0.07,
            mining: Miner::All,
        }
    }
}

impl NtXentLossConfig {
    /// Makes the loss. It has no parameters.
    pub fn init(&self) -> NtXentLoss {
        NtXentLoss {
            temperature: self.temperature,
            mining: self.mining,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        require(
            self.temperature > 0.0,
            "temperature",
            self.temperature,
            "must be above 0",
        )?;
        self.mining.validate()
    }
}

/// NT-Xent loss, on cosine similarities `s` over the temperature `t`: one term per positive pair `(i, j)`,
///
/// ```text
/// log( exp(s_ij / t) + Σ_{negative k} exp(s_ik / t) ) - s_ij / t
/// ```
///
/// so that the anchor's other positives are not in the denominator. Mean over the pairs; per example over its own.
/// Half precision is widened to f32 first.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use lodestone_losses::{Labels, NtXentLossConfig};
///
/// let device = Device::flex();
/// let embeddings = Tensor::<2>::from_data([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]], &device);
/// let loss = NtXentLossConfig { temperature: 1.0, ..Default::default() }.init();
/// // Both positive pairs have s = 1 and one negative with s = 0: log(e + 1) - 1.
/// let value = loss.forward(embeddings, &Labels::new(&[0, 0, 1])).read().mean;
/// assert!((value - 0.313262).abs() < 1e-5);
/// ```
#[derive(Module, Debug)]
pub struct NtXentLoss {
    temperature: f64,
    #[module(skip)]
    mining: Miner,
}

impl NtXentLoss {
    /// Loss of a batch over the pairs of the configured miner.
    ///
    /// Reports [`Statistic::Active`](crate::Statistic::Active) and [`Statistic::Counted`](crate::Statistic::Counted),
    /// of positive pairs.
    ///
    /// # Shapes
    /// - embeddings: `[batch, dim]`, of any length
    /// - labels: `[batch]`
    ///
    /// # Panics
    /// If the batch is empty or the lengths differ.
    pub fn forward(&self, embeddings: Tensor<2>, labels: &Labels<'_>) -> LossOutput {
        let mined = self.mining.mine(
            self.prepare(embeddings.clone()),
            Distance::UnitEuclidean,
            labels,
        );
        self.forward_mined(embeddings, labels.classes(), &mined)
    }

    /// Loss of a batch over pairs, or the pairs in triplets, from any miner.
    pub fn forward_mined(
        &self,
        embeddings: Tensor<2>,
        labels: &[usize],
        mined: &Mined,
    ) -> LossOutput {
        let x = self.prepare(embeddings);
        let chosen = mined.to_pairs(x.clone(), Distance::UnitEuclidean, labels);
        let relation = Relation::within(labels, &x.device());
        LossOutput::of_pairs(self.between(
            x.clone(),
            x,
            ChosenPairs::new(&relation, chosen.as_ref()),
        ))
    }

    pub(crate) fn prepare(&self, embeddings: Tensor<2>) -> Tensor<2> {
        unit_rows(widen(embeddings))
    }

    /// Loss over pairs of prepared rows and columns.
    pub(crate) fn between(
        &self,
        rows: Tensor<2>,
        columns: Tensor<2>,
        chosen: ChosenPairs<'_>,
    ) -> PairLoss {
        let blocks = blocks(rows.dims()[0], columns.dims()[0]);
        over_blocks(
            rows / self.temperature,
            columns,
            blocks,
            |similarity, rows| {
                let [positive, negative] = chosen.masks(rows.clone());
                let dtype = similarity.dtype();
                let negatives = logsumexp(similarity.clone(), &negative);
                // log(exp(s) + exp(n)) - s is softplus(n - s).
                let value =
                    softplus(negatives - similarity).mask_fill(positive.clone().bool_not(), 0.0);
                let pairs = positive
                    .clone()
                    .float()
                    .cast(dtype)
                    .sum_dim(1)
                    .reshape([rows.len()]);
                let active = value.clone().inner().greater_scalar(0.0);
                BlockLoss {
                    per_row: mean_of(
                        value.clone().inner().sum_dim(1).reshape([rows.len()]),
                        pairs.clone(),
                    ),
                    sums: [value.sum()],
                    counts: [pairs.sum()],
                    active: [count(active, dtype), count(positive, dtype)],
                }
            },
        )
    }
}
