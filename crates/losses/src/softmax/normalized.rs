//! Normalised softmax: Zhai & Wu, *Classification is a Strong Baseline for Deep Metric Learning*, BMVC 2019.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::construct::settings;
use crate::error::above_zero;
use crate::on_classes::{OnClasses, on_classes};
use crate::proxies::Prototypes;

settings! {
    /// Settings of [`NormalizedSoftmaxLoss`].
    pub struct NormalizedSoftmaxLossConfig => NormalizedSoftmaxLoss, with_parameters {
        /// What cosines are divided by. Default 0.05, as in the paper.
        pub temperature: f64 = 0.05, with_temperature, above_zero;
        /// Learning rate of the class weights, as a multiple of the network's. Default 1: they learn as fast as the network.
        pub learning_rate_factor: f64 = 1.0, with_learning_rate_factor, above_zero;
    }
}

impl NormalizedSoftmaxLossConfig {
    fn build(
        &self,
        embedding_size: usize,
        classes: usize,
        device: &Device,
    ) -> NormalizedSoftmaxLoss {
        NormalizedSoftmaxLoss {
            weights: Prototypes::init(classes, 1, embedding_size, device),
            config: self.clone(),
        }
    }
}

/// Cross-entropy of cosines: embeddings and class weights both of unit length, no bias.
///
/// ```text
/// L = cross-entropy of cos(x_i, w_c) / temperature
/// ```
///
/// In nats. Half precision is widened to f32 first.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use lodestone_losses::NormalizedSoftmaxLossConfig;
///
/// let device = Device::flex();
/// let loss = NormalizedSoftmaxLossConfig::default().init(2, 3, &device);
/// let output = loss.forward(Tensor::from_data([[0.5, -1.0], [2.0, 0.0]], &device), &[0, 2]).read();
/// assert!(output.mean > 0.0);
/// ```
///
/// Source: Zhai & Wu, *Classification is a Strong Baseline for Deep Metric Learning*, BMVC 2019.
#[derive(Module, Debug)]
pub struct NormalizedSoftmaxLoss {
    pub(crate) weights: Prototypes,
    #[module(skip)]
    config: NormalizedSoftmaxLossConfig,
}

on_classes! {
    NormalizedSoftmaxLoss, "`[batch, dim]`, of any length";
    /// Loss of a batch. Reports [`Statistic::Accuracy`](crate::Statistic::Accuracy).
    forward;
    /// Cosine to each class weight over the temperature `[batch, classes]`; the highest is the prediction.
    logits;
}

impl OnClasses for NormalizedSoftmaxLoss {
    fn scores(&self, embeddings: Tensor<2>) -> Tensor<2> {
        self.weights.cosines(embeddings) / self.config.temperature
    }
}
