//! Contrastive loss: Hadsell et al., *Dimensionality Reduction by Learning an Invariant Mapping*, CVPR 2006.

use burn::module::Module;
use burn::tensor::activation::relu;

use crate::candidates::Candidates;
use crate::construct::settings;
use crate::distance::{Distance, SquaredDistances};
use crate::error::{above_zero, not_negative};
use crate::mining::{Mined, Miner};
use crate::on_pairs::{OnPairs, on_pairs, over_pairs};
use crate::pair_matrix::{BlockLoss, PairLoss};
use crate::reduction::Reduction;

settings! {
    /// Settings of [`ContrastiveLoss`].
    pub struct ContrastiveLossConfig => ContrastiveLoss, without_parameters {
        /// Distance between embeddings. Default [`Distance::UnitEuclidean`], as in pytorch-metric-learning.
        pub distance: Distance = Distance::UnitEuclidean, with_distance;
        /// Distance below which a positive pair costs nothing, in units of the distance. Default 0, as in the paper.
        pub positive_margin: f64 = 0.0, with_positive_margin, not_negative;
        /// Distance above which a negative pair costs nothing, in units of the distance. Default 1, as in
        /// pytorch-metric-learning; the paper leaves it open.
        pub negative_margin: f64 = 1.0, with_negative_margin, above_zero;
        /// What each of the two sums is divided by. Default [`Reduction::Nonzero`], as in pytorch-metric-learning.
        pub reduction: Reduction = Reduction::Nonzero, with_reduction;
        /// Which pairs count. Default [`Miner::All`], as in the paper.
        pub mining: Miner = Miner::All, with_mining, Miner::validate;
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
    config: ContrastiveLossConfig,
}

on_pairs! {
    /// Loss of a batch over the pairs of the configured miner.
    ///
    /// Reports [`Statistic::Active`](crate::Statistic::Active) and [`Statistic::Counted`](crate::Statistic::Counted).
    ContrastiveLoss, "`[batch, dim]`"
}

impl OnPairs for ContrastiveLoss {
    fn mining(&self) -> Miner {
        self.config.mining
    }

    fn distance(&self) -> Distance {
        self.config.distance
    }

    fn of_mined(&self, among: &Candidates<'_>, mined: &Mined) -> PairLoss {
        let config = &self.config;
        let squared = SquaredDistances::new(among.rows.clone(), among.columns.clone());
        let factors = [squared.left, squared.right];
        over_pairs(
            self,
            among,
            mined,
            factors,
            |block, [positive, negative]| {
                let distance = config.distance.of_squared(block, squared.floor.clone());
                let too_far = relu(distance.clone() - config.positive_margin);
                let too_near = relu(distance.neg() + config.negative_margin);
                BlockLoss::of_entries(too_far, positive, config.reduction)
                    .and(BlockLoss::of_entries(too_near, negative, config.reduction))
            },
        )
    }
}
