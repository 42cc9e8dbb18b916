//! Contrastive loss: Hadsell et al., *Dimensionality Reduction by Learning an Invariant Mapping*, CVPR 2006.

use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Bool, Tensor};
use serde::{Deserialize, Serialize};

use crate::candidates::Candidates;
use crate::construct::construct;
use crate::distance::{Distance, SquaredDistances};
use crate::error::{ConfigError, require};
use crate::labels::Labels;
use crate::mining::{Mined, Miner};
use crate::output::LossOutput;
use crate::pair_matrix::{BlockLoss, PairLoss, blocks, over_blocks};
use crate::reduction::Reduction;
use crate::relation::ChosenPairs;
use crate::tensors::{count, mean_of, widen};

/// Settings of [`ContrastiveLoss`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ContrastiveLossConfig {
    /// Distance between embeddings. Default [`Distance::UnitEuclidean`], as in pytorch-metric-learning.
    pub distance: Distance,
    /// Distance below which a positive pair costs nothing, in units of the distance. Default 0, as in the paper.
    pub positive_margin: f64,
    /// Distance above which a negative pair costs nothing, in units of the distance. Default 1, as in
    /// pytorch-metric-learning; the paper leaves it open.
    pub negative_margin: f64,
    /// What each of the two sums is divided by. Default [`Reduction::Nonzero`], as in pytorch-metric-learning.
    pub reduction: Reduction,
    /// Which pairs count. Default [`Miner::All`], as in the paper.
    pub mining: Miner,
}

impl Default for ContrastiveLossConfig {
    fn default() -> Self {
        ContrastiveLossConfig {
            distance: Distance::UnitEuclidean,
            positive_margin: 0.0,
            negative_margin: 1.0,
            reduction: Reduction::Nonzero,
            mining: Miner::All,
        }
    }
}

construct! {
    ContrastiveLossConfig => ContrastiveLoss, without_parameters {
        with_distance(distance: Distance),
        with_positive_margin(positive_margin: f64),
        with_negative_margin(negative_margin: f64),
        with_reduction(reduction: Reduction),
        with_mining(mining: Miner),
    }
}

impl ContrastiveLossConfig {
    fn build(&self) -> ContrastiveLoss {
        ContrastiveLoss {
            distance: self.distance,
            positive_margin: self.positive_margin,
            negative_margin: self.negative_margin,
            reduction: self.reduction,
            mining: self.mining,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        require(
            self.positive_margin >= 0.0,
            "positive_margin",
            self.positive_margin,
            "must not be negative",
        )?;
        require(
            self.negative_margin > 0.0,
            "negative_margin",
            self.negative_margin,
            "must be above 0",
        )?;
        self.mining.validate()
    }
}

/// Contrastive loss: positive pairs come together, negative pairs move apart until they reach a margin.
///
/// ```text
/// L = mean_{positive (i, j)} max(0, d(i, j) - positive_margin) + mean_{negative (i, j)} max(0, negative_margin - d(i, j))
/// ```
///
/// Each of the two means is reduced by itself; one without pairs is 0. The paper squares both terms, `max(0, m - d)²` for
/// negatives; like most later work this does not. [`Distance::SquaredEuclidean`] squares positives as the paper does, but gives
/// negatives `m - d²`, whose push is weakest where they are nearest. The loss has the unit of the distance. Per example: its
/// positive plus its negative mean.
/// Half precision is widened to f32 first.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use lodestone_losses::{ContrastiveLossConfig, Distance, Labels};
///
/// let device = Device::flex();
/// let embeddings = Tensor::<2>::from_data([[0.0], [0.25], [0.75]], &device);
/// let loss = ContrastiveLossConfig { distance: Distance::Euclidean, ..Default::default() }.init();
/// // Positive: 0.25. Negative: 1 - 0.75 and 1 - 0.5, on average 0.375.
/// let value = loss.forward(embeddings, &Labels::new(&[0, 0, 1])).read().mean;
/// assert!((value - 0.625).abs() < 1e-5);
/// ```
///
/// Source: Hadsell, Chopra & LeCun, *Dimensionality Reduction by Learning an Invariant Mapping*, CVPR 2006.
#[derive(Module, Debug)]
pub struct ContrastiveLoss {
    #[module(skip)]
    distance: Distance,
    positive_margin: f64,
    negative_margin: f64,
    #[module(skip)]
    reduction: Reduction,
    #[module(skip)]
    mining: Miner,
}

impl ContrastiveLoss {
    /// Loss of a batch over the pairs of the configured miner.
    ///
    /// Reports [`Statistic::Active`](crate::Statistic::Active) and [`Statistic::Counted`](crate::Statistic::Counted).
    ///
    /// # Shapes
    /// - embeddings: `[batch, dim]`
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
        self.distance.prepare(widen(embeddings))
    }

    /// Loss over the pairs among prepared rows and columns that the configured miner chooses.
    pub(crate) fn between(&self, among: &Candidates<'_>, draw: u64) -> PairLoss {
        self.of_mined(among, &self.mining.among(among, self.distance, draw))
    }

    fn of_mined(&self, among: &Candidates<'_>, mined: &Mined) -> PairLoss {
        let chosen = mined.to_pairs(among, self.distance);
        let chosen = ChosenPairs::new(&among.relation, chosen.as_ref());
        let (rows, columns) = (among.rows.clone(), among.columns.clone());
        let blocks = blocks(rows.dims()[0], columns.dims()[0]);
        let squared = SquaredDistances::new(rows, columns);
        over_blocks(squared.left, squared.right, blocks, |block, rows| {
            let distance = self.distance.of_squared(block, squared.floor.clone());
            let [positive, negative] = chosen.masks(rows);
            let too_far = Side::new(
                distance.clone() - self.positive_margin,
                positive,
                self.reduction,
            );
            let too_near = Side::new(
                distance.neg() + self.negative_margin,
                negative,
                self.reduction,
            );
            BlockLoss {
                per_row: too_far.per_row.clone() + too_near.per_row.clone(),
                active: [
                    too_far.active + too_near.active,
                    too_far.counted + too_near.counted,
                ],
                sums: [too_far.sum, too_near.sum],
                counts: [too_far.divisor, too_near.divisor],
            }
        })
    }
}

/// The positive or the negative half of a block.
struct Side {
    sum: Tensor<1>,
    divisor: Tensor<1>,
    per_row: Tensor<1>,
    active: Tensor<1>,
    counted: Tensor<1>,
}

impl Side {
    fn new(excess: Tensor<2>, counted: Tensor<2, Bool>, reduction: Reduction) -> Self {
        let [rows, _] = excess.dims();
        let dtype = excess.dtype();
        let value = relu(excess).mask_fill(counted.clone().bool_not(), 0.0);
        let active = value.clone().inner().greater_scalar(0.0);
        let per_row = reduction
            .divisor(&counted, &active)
            .float()
            .cast(dtype)
            .sum_dim(1);
        Side {
            per_row: mean_of(value.clone().inner().sum_dim(1), per_row.clone()).reshape([rows]),
            sum: value.sum(),
            divisor: per_row.sum(),
            active: count(active, dtype),
            counted: count(counted, dtype),
        }
    }
}
