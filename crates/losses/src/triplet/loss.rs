//! Triplet loss: Schroff et al., *FaceNet*, CVPR 2015; batch-hard and soft margin: Hermans et al., *In Defense of the
//! Triplet Loss for Person Re-Identification*, 2017.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use serde::{Deserialize, Serialize};

use super::all::{Choice, all_triplets};
use super::listed::listed_triplets;
use crate::candidates::Candidates;
use crate::distance::Distance;
use crate::error::{ConfigError, require};
use crate::labels::Labels;
use crate::mining::{Mined, Miner};
use crate::output::LossOutput;
use crate::pair_matrix::PairLoss;
use crate::reduction::Reduction;
use crate::tensors::{softplus, widen};

/// How a triplet's loss follows from its lead, the distance to the negative less the distance to the positive.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum TripletForm {
    /// `max(0, margin - lead)`.
    #[default]
    Hinge,
    /// `log(1 + exp(-lead))`, which needs no margin and never reaches 0.
    Soft,
}

/// Settings of [`TripletLoss`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TripletLossConfig {
    /// Distance between embeddings. Default [`Distance::UnitEuclidean`], as in pytorch-metric-learning; FaceNet squares it.
    pub distance: Distance,
    /// Margin, in units of the distance. Default 0.2, that of FaceNet. The soft form has none.
    pub margin: f64,
    /// Hinge or soft. Default [`TripletForm::Hinge`], that of FaceNet.
    pub form: TripletForm,
    /// What the sum is divided by. Default [`Reduction::Nonzero`], which Hermans et al. found to matter for all triplets.
    pub reduction: Reduction,
    /// Which triplets count. Default [`Miner::Hard`], the batch-hard triplets of Hermans et al.
    pub mining: Miner,
}

impl Default for TripletLossConfig {
    fn default() -> Self {
        TripletLossConfig {
            distance: Distance::UnitEuclidean,
            margin: 0.2,
            form: TripletForm::Hinge,
            reduction: Reduction::Nonzero,
            mining: Miner::Hard,
        }
    }
}

impl TripletLossConfig {
    /// Makes the loss. It has no parameters.
    pub fn init(&self) -> TripletLoss {
        TripletLoss {
            distance: self.distance,
            margin: self.margin,
            form: self.form,
            reduction: self.reduction,
            mining: self.mining,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        require(
            self.margin >= 0.0 && self.margin.is_finite(),
            "margin",
            self.margin,
            "must be a number, 0 or more",
        )?;
        self.mining.validate()
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
    pub(crate) distance: Distance,
    margin: f64,
    #[module(skip)]
    form: TripletForm,
    #[module(skip)]
    pub(crate) reduction: Reduction,
    #[module(skip)]
    mining: Miner,
}

impl TripletLoss {
    /// Loss of a batch over the triplets of the configured miner.
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
        let among = Candidates::within(self.prepare(embeddings), labels.classes());
        LossOutput::of_pairs(self.between(&among, labels.draw()))
    }

    /// Loss of a batch over triplets or pairs from any miner.
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

    /// Loss over the triplets among prepared rows and columns that the configured miner chooses.
    pub(crate) fn between(&self, among: &Candidates<'_>, draw: u64) -> PairLoss {
        // Neighbours are sought with the distance that the loss compares.
        self.of_mined(among, &self.mining.among(among, self.distance, draw))
    }

    fn of_mined(&self, among: &Candidates<'_>, mined: &Mined) -> PairLoss {
        match mined {
            Mined::All => all_triplets(self, among, Choice::All),
            Mined::SemiHard { margin } => all_triplets(self, among, Choice::SemiHard(*margin)),
            Mined::Pairs(pairs) => all_triplets(self, among, Choice::Pairs(pairs)),
            Mined::Triplets(triplets) => listed_triplets(self, among, triplets),
        }
    }

    /// Loss of triplets from how much farther their negative is than their positive.
    pub(crate) fn of_lead<const D: usize>(&self, lead: Tensor<D>) -> Tensor<D> {
        match self.form {
            TripletForm::Hinge => relu(lead.neg() + self.margin),
            TripletForm::Soft => softplus(lead.neg()),
        }
    }
}
