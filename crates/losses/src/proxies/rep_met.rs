//! RepMet: Karlinsky et al., *RepMet: Representative-based Metric Learning for Classification and Few-shot Object
//! Detection*, CVPR 2019. Magnet's own successor: the modes of a class are learned instead of clustered.

use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::Prototypes;
use crate::construct::construct;
use crate::distance::Distance;
use crate::error::{ConfigError, require};
use crate::labels::Labels;
use crate::output::{LossOutput, Statistic};
use crate::softmax::cross_entropy;
use crate::tensors::{epsilon, label_mask, share};

/// Settings of [`RepMetLoss`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RepMetLossConfig {
    /// Modes per class. Default 3, as in public code.
    pub modes_per_class: usize,
    /// Variance of each mode, in squared distance between unit vectors. Default 0.5, as in the paper.
    pub variance: f64,
    /// How much nearer the nearest own mode must be than the nearest other one. Default 1, as in public code.
    pub margin: f64,
    /// Learning rate of the modes, as a multiple of the network's. Default 1: they learn as fast as the network.
    pub learning_rate_factor: f64,
}

impl Default for RepMetLossConfig {
    fn default() -> Self {
        RepMetLossConfig {
            modes_per_class: 3,
            variance: 0.5,
            margin: 1.0,
            learning_rate_factor: 1.0,
        }
    }
}

construct! {
    RepMetLossConfig => RepMetLoss, with_parameters {
        with_modes_per_class(modes_per_class: usize),
        with_variance(variance: f64),
        with_margin(margin: f64),
        with_learning_rate_factor(learning_rate_factor: f64),
    }
}

impl RepMetLossConfig {
    fn build(&self, embedding_size: usize, classes: usize, device: &Device) -> RepMetLoss {
        RepMetLoss {
            modes: Prototypes::init(classes, self.modes_per_class, embedding_size, device),
            variance: self.variance,
            margin: self.margin,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        require(
            self.modes_per_class > 0,
            "modes_per_class",
            self.modes_per_class,
            "must be above 0",
        )?;
        require(
            self.variance > 0.0,
            "variance",
            self.variance,
            "must be above 0",
        )?;
        require(
            self.margin >= 0.0,
            "margin",
            self.margin,
            "must not be negative",
        )?;
        require(
            self.learning_rate_factor > 0.0,
            "learning_rate_factor",
            self.learning_rate_factor,
            "must be above 0",
        )
    }
}

/// RepMet loss: each class is a mixture of learned modes; classify by the mixture, and keep a margin between the nearest
/// own and the nearest other mode.
///
/// With distances `d_ick` between embedding `i` and mode `k` of class `c`, both of unit length:
///
/// ```text
/// p(c | i) = Σ_k exp(-d_ick² / 2v) / Σ_{c', k} exp(-d_ic'k² / 2v)
/// L        = mean_i( -log p(y_i | i) + max(0, min_k d_iyk - min_{c ≠ y, k} d_ick + margin) )
/// ```
///
/// The first term is in nats, the second a distance between unit vectors. The posterior is the paper's for classification; for detection it has a background class besides. Half precision is
/// widened to f32 first.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use lodestone_losses::RepMetLossConfig;
///
/// let device = Device::flex();
/// let loss = RepMetLossConfig::default().init(2, 3, &device);
/// let output = loss.forward(Tensor::from_data([[0.5, -1.0], [2.0, 0.0]], &device), &[0, 2]).read();
/// assert!(output.mean > 0.0);
/// ```
///
/// Source: Karlinsky et al., *RepMet*, CVPR 2019.
#[derive(Module, Debug)]
pub struct RepMetLoss {
    pub(crate) modes: Prototypes,
    variance: f64,
    margin: f64,
}

impl RepMetLoss {
    /// Loss of a batch. Reports [`Statistic::Accuracy`] and [`Statistic::Active`], the share of examples inside the
    /// margin.
    ///
    /// # Shapes
    /// - embeddings: `[batch, dim]`, of any length
    /// - labels: `[batch]`, each below the number of classes
    ///
    /// # Panics
    /// If the lengths differ, a label is not below the number of classes, or there is only one class.
    pub fn forward<'a>(&self, embeddings: Tensor<2>, labels: impl Into<Labels<'a>>) -> LossOutput {
        let labels: Labels<'a> = labels.into();
        let labels = labels.classes();
        let squared = self.squared_distances(embeddings);
        let [n, classes, _] = squared.dims();
        assert!(classes > 1, "with one class there is no other mode");
        let classified = cross_entropy(self.scores(squared.clone()), labels);

        let floor = Tensor::full(
            [1],
            4.0 * epsilon(squared.dtype()),
            (&squared.device().inner(), squared.dtype()),
        );
        let nearest =
            Distance::Euclidean.of_squared(squared.min_dim(2).reshape([n, classes]), floor);
        let own = label_mask(labels, classes, &nearest.device());
        let to_own = nearest
            .clone()
            .mask_fill(own.clone().bool_not(), 0.0)
            .sum_dim(1);
        // Unit vectors are at most 2 apart.
        let to_other = nearest.mask_fill(own, 4.0).min_dim(1);
        let hinge = relu(to_own - to_other + self.margin).reshape([n]);

        let plain = hinge.clone().inner();
        let statistics = classified
            .statistics
            .with(Statistic::Active, share(plain.clone().greater_scalar(0.0)));
        LossOutput {
            mean: classified.mean + hinge.mean(),
            per_example: classified.per_example + plain,
            statistics,
        }
    }

    /// Logarithm of each class's unnormalised mixture `[batch, classes]`; the highest is the prediction.
    pub fn logits(&self, embeddings: Tensor<2>) -> Tensor<2> {
        self.scores(self.squared_distances(embeddings))
    }

    fn squared_distances(&self, embeddings: Tensor<2>) -> Tensor<3> {
        (self.modes.cosines_by_class(embeddings) * -2.0 + 2.0).clamp_min(0.0)
    }

    fn scores(&self, squared: Tensor<3>) -> Tensor<2> {
        let [n, classes, _] = squared.dims();
        // Squared distances are at most 4, so only a tiny variance could underflow; the shift keeps even that exact.
        let exponent = squared / (-2.0 * self.variance);
        let top = exponent.clone().detach().max_dim(2);
        ((exponent - top.clone()).exp().sum_dim(2).log() + top).reshape([n, classes])
    }
}
