//! RepMet: Karlinsky et al., *RepMet: Representative-based Metric Learning for Classification and Few-shot Object
//! Detection*, CVPR 2019. Magnet's own successor: the modes of a class are learned instead of clustered.

use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use super::Prototypes;
use crate::construct::settings;
use crate::distance::Distance;
use crate::error::{above_zero, not_negative};
use crate::on_classes::{OnClasses, on_classes};
use crate::output::{LossOutput, Statistic};
use crate::softmax::cross_entropy;
use crate::tensors::{epsilon, label_mask, number, share};

settings! {
    /// Settings of [`RepMetLoss`].
    pub struct RepMetLossConfig => RepMetLoss, with_parameters {
        /// Modes per class. Default 3, as in public code.
        pub modes_per_class: usize = 3, with_modes_per_class, above_zero;
        /// Variance of each mode, in squared distance between unit vectors. Default 0.5, as in the paper.
        pub variance: f64 = 0.5, with_variance, above_zero;
        /// How much nearer the nearest own mode must be than the nearest other one. Default 1, as in public code.
        pub margin: f64 = 1.0, with_margin, not_negative;
        /// Learning rate of the modes, as a multiple of the network's. Default 1: they learn as fast as the network.
        pub learning_rate_factor: f64 = 1.0, with_learning_rate_factor, above_zero;
    }
}

impl RepMetLossConfig {
    fn build(&self, embedding_size: usize, classes: usize, device: &Device) -> RepMetLoss {
        RepMetLoss {
            modes: Prototypes::init(classes, self.modes_per_class, embedding_size, device),
            config: self.clone(),
        }
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
    #[module(skip)]
    config: RepMetLossConfig,
}

on_classes! {
    RepMetLoss, "`[batch, dim]`, of any length";
    /// Loss of a batch. Reports [`Statistic::Accuracy`](crate::Statistic::Accuracy) and [`Statistic::Active`], the share of
    /// examples inside the margin. With one class alone it panics, as there is no other mode.
    forward;
    /// Logarithm of each class's unnormalised mixture `[batch, classes]`; the highest is the prediction.
    logits;
}

impl OnClasses for RepMetLoss {
    fn scores(&self, embeddings: Tensor<2>) -> Tensor<2> {
        self.mixtures(self.squared_distances(embeddings))
    }

    fn of_labels(&self, embeddings: Tensor<2>, labels: &[usize]) -> LossOutput {
        let squared = self.squared_distances(embeddings);
        let [n, classes, _] = squared.dims();
        assert!(classes > 1, "with one class there is no other mode");
        let classified = cross_entropy(self.mixtures(squared.clone()), labels);

        let floor = number(4.0 * epsilon(squared.dtype()), &squared);
        let nearest =
            Distance::Euclidean.of_squared(squared.min_dim(2).reshape([n, classes]), floor);
        let own = label_mask(labels, classes, &nearest.device());
        let to_own = nearest
            .clone()
            .mask_fill(own.clone().bool_not(), 0.0)
            .sum_dim(1);
        // Unit vectors are at most 2 apart.
        let to_other = nearest.mask_fill(own, 4.0).min_dim(1);
        let hinge = relu(to_own - to_other + self.config.margin).reshape([n]);

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
}

impl RepMetLoss {
    fn squared_distances(&self, embeddings: Tensor<2>) -> Tensor<3> {
        (self.modes.cosines_by_class(embeddings) * -2.0 + 2.0).clamp_min(0.0)
    }

    fn mixtures(&self, squared: Tensor<3>) -> Tensor<2> {
        let [n, classes, _] = squared.dims();
        // Squared distances are at most 4, so only a tiny variance could underflow; the shift keeps even that exact.
        let exponent = squared / (-2.0 * self.config.variance);
        let top = exponent.clone().detach().max_dim(2);
        ((exponent - top.clone()).exp().sum_dim(2).log() + top).reshape([n, classes])
    }
}
