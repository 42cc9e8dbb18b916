//! Normalised temperature-scaled cross-entropy: Sohn, *Improved Deep Metric Learning with Multi-class N-pair Loss
//! Objective*, NIPS 2016, in the form of Chen et al., *SimCLR*, ICML 2020.

use burn::module::Module;
use burn::tensor::Tensor;
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
use crate::tensors::{count, logsumexp, mean_of, softplus, unit_rows, widen};

/// Settings of [`NtXentLoss`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct NtXentLossConfig {
    /// What cosine similarities are divided by. Default 0.07, as in pytorch-metric-learning.
    pub temperature: f64,
    /// Which pairs count. Default [`Miner::All`], as in the papers.
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

construct! {
    NtXentLossConfig => NtXentLoss, without_parameters {
        with_temperature(temperature: f64),
        with_mining(mining: Miner),
    }
}

impl NtXentLossConfig {
    fn build(&self) -> NtXentLoss {
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
/// so that the anchor's other positives are not in the denominator. Mean over the pairs, in nats; per example over its own.
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
///
/// Source: Sohn, *Improved Deep Metric Learning with Multi-class N-pair Loss Objective*, NIPS 2016; Chen et al., *SimCLR*, ICML
/// 2020.
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
    pub fn forward<'a>(&self, embeddings: Tensor<2>, labels: impl Into<Labels<'a>>) -> LossOutput {
        let labels: Labels<'a> = labels.into();
        let x = self.prepare(embeddings);
        let among = Candidates::within(x, labels.classes());
        LossOutput::of_pairs(self.between(&among, labels.draw()))
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
        let among = Candidates::within(self.prepare(embeddings), labels);
        LossOutput::of_pairs(self.of_mined(&among, mined))
    }

    pub(crate) fn prepare(&self, embeddings: Tensor<2>) -> Tensor<2> {
        unit_rows(widen(embeddings))
    }

    /// Loss over the pairs among prepared rows and columns that the configured miner chooses.
    pub(crate) fn between(&self, among: &Candidates<'_>, draw: u64) -> PairLoss {
        self.of_mined(
            among,
            &self.mining.among(among, Distance::UnitEuclidean, draw),
        )
    }

    fn of_mined(&self, among: &Candidates<'_>, mined: &Mined) -> PairLoss {
        let chosen = mined.to_pairs(among, Distance::UnitEuclidean);
        let chosen = ChosenPairs::new(&among.relation, chosen.as_ref());
        let (rows, columns) = (among.rows.clone(), among.columns.clone());
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
