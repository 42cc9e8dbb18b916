//! Supervised contrastive loss: Khosla et al., *Supervised Contrastive Learning*, NeurIPS 2020.

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
use crate::reduction::Reduction;
use crate::relation::ChosenPairs;
use crate::tensors::{count, logsumexp, mean_of, unit_rows, widen};

/// Settings of [`SupConLoss`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SupConLossConfig {
    /// What cosine similarities are divided by. Default 0.1, as in the paper.
    pub temperature: f64,
    /// Divide by all examples or by those with a loss. Default [`Reduction::Nonzero`], as in pytorch-metric-learning:
    /// it leaves out an example without positives.
    pub reduction: Reduction,
    /// Which pairs count. Default [`Miner::All`], as in the paper.
    pub mining: Miner,
}

impl Default for SupConLossConfig {
    fn default() -> Self {
        SupConLossConfig {
            temperature: 0.1,
            reduction: Reduction::Nonzero,
            mining: Miner::All,
        }
    }
}

construct! {
    SupConLossConfig => SupConLoss, without_parameters {
        with_temperature(temperature: f64),
        with_reduction(reduction: Reduction),
        with_mining(mining: Miner),
    }
}

impl SupConLossConfig {
    fn build(&self) -> SupConLoss {
        SupConLoss {
            temperature: self.temperature,
            reduction: self.reduction,
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

/// Supervised contrastive loss, on cosine similarities `s` over the temperature `t`:
///
/// ```text
/// L_i = logsumexp_{j ≠ i}(s_ij / t) - mean_{positive j}(s_ij / t)        the form L_out of the paper
/// ```
///
/// Mean over the examples, in nats; one without positives has loss 0. Half precision is widened to f32 first.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use lodestone_losses::{Labels, SupConLossConfig};
///
/// let device = Device::flex();
/// let embeddings = Tensor::<2>::from_data([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]], &device);
/// let loss = SupConLossConfig { temperature: 1.0, ..Default::default() }.init();
/// // Both examples of class 0 have s = 1 and 0: log(e + 1) - 1. The lone example is left out.
/// let value = loss.forward(embeddings, &Labels::new(&[0, 0, 1])).read().mean;
/// assert!((value - 0.313262).abs() < 1e-5);
/// ```
///
/// Source: Khosla et al., *Supervised Contrastive Learning*, NeurIPS 2020, the form L_out.
#[derive(Module, Debug)]
pub struct SupConLoss {
    temperature: f64,
    #[module(skip)]
    reduction: Reduction,
    #[module(skip)]
    mining: Miner,
}

impl SupConLoss {
    /// Loss of a batch over the pairs of the configured miner.
    ///
    /// Reports [`Statistic::Active`](crate::Statistic::Active) and [`Statistic::Counted`](crate::Statistic::Counted),
    /// of examples.
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
                let denominator =
                    logsumexp(similarity.clone(), &positive.clone().bool_or(negative));
                let positives = positive.clone().float().cast(dtype).sum_dim(1);
                let attraction = similarity.mask_fill(positive.bool_not(), 0.0).sum_dim(1);
                let lone = positives.clone().equal_scalar(0.0);
                let value =
                    (denominator - mean_of(attraction, positives)).mask_fill(lone.clone(), 0.0);
                let active = value.clone().inner().greater_scalar(0.0);
                let all = lone.clone().bool_or(lone.clone().bool_not());
                BlockLoss {
                    sums: [value.clone().sum()],
                    counts: [count(self.reduction.divisor(&all, &active), dtype)],
                    per_row: value.reshape([rows.len()]),
                    active: [count(active, dtype), count(lone.bool_not(), dtype)],
                }
            },
        )
    }
}
