//! Triplet loss: Schroff et al., *FaceNet*, CVPR 2015; batch-hard and soft margin: Hermans et al., *In Defense of the
//! Triplet Loss for Person Re-Identification*, 2017.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use serde::{Deserialize, Serialize};

use super::all::{Choice, all_triplets};
use super::listed::listed_triplets;
use crate::distance::Distance;
use crate::error::{ConfigError, require};
use crate::labels::Labels;
use crate::mining::{Mined, Miner};
use crate::output::LossOutput;
use crate::pair_matrix::PairLoss;
use crate::reduction::Reduction;
use crate::relation::Relation;
use crate::tensors::{softplus, widen};

/// How a triplet's loss follows from its lead, the distance to the negative less the distance to the positive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TripletForm {
    /// `max(0, margin - lead)`.
    #[default]
    Hinge,
    /// `log(1 + exp(-lead))`, which needs no margin and never quite stops.
    Soft,
}

/// Settings of [`TripletLoss`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TripletLossConfig {
    /// Distance between embeddings. Default [`Distance::UnitEuclidean`].
    pub distance: Distance,
    /// Margin, in units of the distance. Default 0.2, that of FaceNet. The soft form has none.
    pub margin: f64,
    /// Hinge or soft. Default [`TripletForm::Hinge`].
    pub form: TripletForm,
    /// What the sum is divided by. Default [`Reduction::Nonzero`].
    pub reduction: Reduction,
    /// Which triplets count. Default [`Miner::Hard`].
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
/// over the triplets that the miner chooses. A batch without triplets has loss 0 and gradient 0. There is never an
/// array of n³ numbers. Half precision is widened to f32 first.
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
    pub fn forward(&self, embeddings: Tensor<2>, labels: &Labels<'_>) -> LossOutput {
        // Neighbours are sought with the distance that the loss compares, so on rows in the same form.
        let x = self.prepare(embeddings);
        let mined = self.mining.mine(x.clone(), self.distance, labels);
        self.of_mined(x, labels.classes(), &mined)
    }

    /// Loss of a batch over triplets or pairs from any miner.
    pub fn forward_mined(
        &self,
        embeddings: Tensor<2>,
        labels: &[usize],
        mined: &Mined,
    ) -> LossOutput {
        self.of_mined(self.prepare(embeddings), labels, mined)
    }

    pub(crate) fn prepare(&self, embeddings: Tensor<2>) -> Tensor<2> {
        self.distance.prepare(widen(embeddings))
    }

    /// Loss over all triplets with anchors in prepared rows and the rest in columns.
    pub(crate) fn between(
        &self,
        rows: Tensor<2>,
        columns: Tensor<2>,
        relation: &Relation<'_>,
    ) -> PairLoss {
        all_triplets(self, rows, columns, relation, Choice::All)
    }

    fn of_mined(&self, x: Tensor<2>, labels: &[usize], mined: &Mined) -> LossOutput {
        assert_eq!(
            x.dims()[0],
            labels.len(),
            "{} embeddings, {} labels",
            x.dims()[0],
            labels.len()
        );
        match mined {
            Mined::All => self.of_choice(x, labels, Choice::All),
            Mined::SemiHard { margin } => self.of_choice(x, labels, Choice::SemiHard(*margin)),
            Mined::Pairs(pairs) => self.of_choice(x, labels, Choice::Pairs(pairs)),
            Mined::Triplets(triplets) => LossOutput::of_pairs(listed_triplets(self, x, triplets)),
        }
    }

    fn of_choice(&self, x: Tensor<2>, labels: &[usize], choice: Choice<'_>) -> LossOutput {
        let relation = Relation::within(labels, &x.device());
        LossOutput::of_pairs(all_triplets(self, x.clone(), x, &relation, choice))
    }

    /// Loss of triplets from how much farther their negative is than their positive.
    pub(crate) fn of_lead<const D: usize>(&self, lead: Tensor<D>) -> Tensor<D> {
        match self.form {
            TripletForm::Hinge => relu(lead.neg() + self.margin),
            TripletForm::Soft => softplus(lead.neg()),
        }
    }
}
