//! Triplet loss: Schroff et al., *FaceNet*, CVPR 2015; batch-hard and soft margin: Hermans et al., *In Defense of the
//! Triplet Loss for Person Re-Identification*, 2017.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use serde::{Deserialize, Serialize};

use super::all::{Choice, all_triplets};
use super::listed::listed_triplets;
use crate::candidates::Candidates;
use crate::construct::settings;
use crate::distance::Distance;
use crate::error::finite_not_negative;
use crate::mining::{Mined, Miner};
use crate::on_pairs::{OnPairs, on_pairs};
use crate::pair_matrix::PairLoss;
use crate::reduction::Reduction;
use crate::tensors::softplus;

/// How a triplet's loss follows from its lead, the distance to the negative less the distance to the positive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TripletForm {
    /// `max(0, margin - lead)`.
    #[default]
    Hinge,
    /// `log(1 + exp(-lead))`, which needs no margin and never reaches 0.
    Soft,
}

settings! {
    /// Settings of [`TripletLoss`].
    pub struct TripletLossConfig => TripletLoss, without_parameters {
        /// Distance between embeddings. Default [`Distance::UnitEuclidean`], as in pytorch-metric-learning; FaceNet squares it.
        pub distance: Distance = Distance::UnitEuclidean, with_distance;
        /// Margin, in units of the distance. Default 0.2, that of FaceNet. The soft form has none.
        pub margin: f64 = 0.2, with_margin, finite_not_negative;
        /// Hinge or soft. Default [`TripletForm::Hinge`], that of FaceNet.
        pub form: TripletForm = TripletForm::Hinge, with_form;
        /// What the sum is divided by. Default [`Reduction::Nonzero`], which Hermans et al. found to matter for all triplets.
        pub reduction: Reduction = Reduction::Nonzero, with_reduction;
        /// Which triplets count. Default [`Miner::Hard`], the batch-hard triplets of Hermans et al.
        pub mining: Miner = Miner::Hard, with_mining, Miner::validate;
    }
}

/// Triplet loss: each anchor must be closer to its positive than to its negative.
///
/// ```text
/// L = Σ max(0, d(a, p) - d(a, n) + margin) / count      or      Σ log(1 + exp(d(a, p) - d(a, n))) / count
/// ```
///
/// over the triplets that the miner chooses, in units of the distance (the soft form in nats). A batch without triplets has
/// loss 0 and gradient 0. There is never an array of n³ numbers. Per example: the mean over its triplets as anchor. Half precision is widened to f32 first.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use lodestone_losses::{Distance, Labels, Miner, TripletLossConfig};
///
/// let device = Device::flex();
/// let embeddings = Tensor::<2>::from_data([[0.0], [1.0], [1.5]], &device);
/// let config = TripletLossConfig { distance: Distance::Euclidean, mining: Miner::All, ..Default::default() };
/// let output = config.init().forward(embeddings, &Labels::new(&[0, 0, 1])).read();
/// // Two triplets: anchor 0 has 1 - 1.5 + 0.2 < 0, anchor 1 has 1 - 0.5 + 0.2 = 0.7. One is above 0.
/// assert!((output.mean - 0.7).abs() < 1e-6);
/// assert_eq!(output.per_example.len(), 3);
/// ```
///
/// Source: Schroff et al., *FaceNet*, CVPR 2015; batch-hard and the soft form: Hermans et al., *In Defense of the Triplet Loss
/// for Person Re-Identification*, 2017, arXiv 1703.07737.
#[derive(Module, Debug)]
pub struct TripletLoss {
    #[module(skip)]
    pub(super) config: TripletLossConfig,
}

on_pairs! {
    /// Loss of a batch over the triplets of the configured miner.
    ///
    /// Reports [`Statistic::Active`](crate::Statistic::Active) and [`Statistic::Counted`](crate::Statistic::Counted).
    TripletLoss, "`[batch, dim]`"
}

impl OnPairs for TripletLoss {
    fn mining(&self) -> Miner {
        self.config.mining
    }

    fn distance(&self) -> Distance {
        self.config.distance
    }

    fn of_mined(&self, among: &Candidates<'_>, mined: &Mined) -> PairLoss {
        match mined {
            Mined::All => all_triplets(self, among, Choice::All),
            Mined::SemiHard { margin } => all_triplets(self, among, Choice::SemiHard(*margin)),
            Mined::Pairs(pairs) => all_triplets(self, among, Choice::Pairs(pairs)),
            Mined::Triplets(triplets) => listed_triplets(self, among, triplets),
        }
    }
}

impl TripletLoss {
    /// Loss of triplets from how much farther their negative is than their positive.
    pub(super) fn of_lead<const D: usize>(&self, lead: Tensor<D>) -> Tensor<D> {
        match self.config.form {
            TripletForm::Hinge => relu(lead.neg() + self.config.margin),
            TripletForm::Soft => softplus(lead.neg()),
        }
    }
}
