//! Multi-similarity loss: Wang et al., *Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning*, CVPR
//! 2019.

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
use crate::tensors::{count, log1p_sumexp, unit_rows, widen};

/// Settings of [`MultiSimilarityLoss`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct MultiSimilarityLossConfig {
    /// Sharpness for positive pairs. Default 2, as in the paper.
    pub alpha: f64,
    /// Sharpness for negative pairs. Default 50, as in the paper.
    pub beta: f64,
    /// Cosine similarity that positives should exceed and negatives stay below. Default 0.5, as in the authors' code.
    pub base: f64,
    /// Which pairs count. Default: the paper's miner with ε = 0.1.
    pub mining: Miner,
}

impl Default for MultiSimilarityLossConfig {
    fn default() -> Self {
        let mining = Miner::MultiSimilarity { epsilon: 0.1 };
        MultiSimilarityLossConfig {
            alpha: 2.0,
            beta: 50.0,
            base: 0.5,
            mining,
        }
    }
}

construct! {
    MultiSimilarityLossConfig => MultiSimilarityLoss, without_parameters {
        with_alpha(alpha: f64),
        with_beta(beta: f64),
        with_base(base: f64),
        with_mining(mining: Miner),
    }
}

impl MultiSimilarityLossConfig {
    fn build(&self) -> MultiSimilarityLoss {
        MultiSimilarityLoss {
            alpha: self.alpha,
            beta: self.beta,
            base: self.base,
            mining: self.mining,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        require(self.alpha > 0.0, "alpha", self.alpha, "must be above 0")?;
        require(self.beta > 0.0, "beta", self.beta, "must be above 0")?;
        require(self.base.is_finite(), "base", self.base, "must be a number")?;
        self.mining.validate()
    }
}

/// Multi-similarity loss, on cosine similarities `s`:
///
/// ```text
/// L = mean_i( log(1 + Σ_{positive j} exp(-alpha (s_ij - base))) / alpha
///           + log(1 + Σ_{negative j} exp( beta (s_ij - base))) / beta )
/// ```
///
/// The mean is over all examples, in units of cosine similarity; one without pairs counts as 0. Half precision is widened to f32 first.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use lodestone_losses::{Labels, Miner, MultiSimilarityLossConfig};
///
/// let device = Device::flex();
/// let embeddings = Tensor::<2>::from_data([[1.0, 0.0], [3.0, 0.0]], &device);
/// let config = MultiSimilarityLossConfig { mining: Miner::All, ..Default::default() };
/// let value = config.init().forward(embeddings, &Labels::new(&[0, 0])).read().mean;
/// // One positive with s = 1: log(1 + exp(-2 · 0.5)) / 2.
/// assert!((value - 0.156631).abs() < 1e-5);
/// ```
///
/// Source: Wang et al., *Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning*, CVPR 2019.
#[derive(Module, Debug)]
pub struct MultiSimilarityLoss {
    alpha: f64,
    beta: f64,
    base: f64,
    #[module(skip)]
    mining: Miner,
}

impl MultiSimilarityLoss {
    /// Loss of a batch over the pairs of the configured miner.
    ///
    /// Reports [`Statistic::Active`](crate::Statistic::Active), the share of examples with a loss, and
    /// [`Statistic::Counted`](crate::Statistic::Counted), the number of examples.
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
        over_blocks(rows, columns, blocks, |similarity, rows| {
            let [positive, negative] = chosen.masks(rows.clone());
            let dtype = similarity.dtype();
            let above = similarity - self.base;
            let pull = log1p_sumexp(above.clone() * -self.alpha, &positive) / self.alpha;
            let push = log1p_sumexp(above * self.beta, &negative) / self.beta;
            let per_row = (pull + push).reshape([rows.len()]);
            let all = per_row.clone().inner().ones_like().sum();
            let active = count(per_row.clone().inner().greater_scalar(0.0), dtype);
            BlockLoss {
                sums: [per_row.clone().sum()],
                counts: [all.clone()],
                per_row,
                active: [active, all],
            }
        })
    }
}
