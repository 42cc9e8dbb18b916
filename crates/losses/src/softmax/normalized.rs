//! Normalised softmax: Zhai & Wu, *Classification is a Strong Baseline for Deep Metric Learning*, BMVC 2019.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::cross_entropy::cross_entropy;
use crate::construct::construct;
use crate::error::{ConfigError, require};
use crate::labels::Labels;
use crate::output::LossOutput;
use crate::proxies::Prototypes;

/// Settings of [`NormalizedSoftmaxLoss`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct NormalizedSoftmaxLossConfig {
    /// What cosines are divided by. Default 0.05, as in the paper.
    pub temperature: f64,
    /// Learning rate of the class weights, as a multiple of the network's. Default 1: they learn as fast as the network.
    pub learning_rate_factor: f64,
}

impl Default for NormalizedSoftmaxLossConfig {
    fn default() -> Self {
        NormalizedSoftmaxLossConfig {
            temperature: 0.05,
            learning_rate_factor: 1.0,
        }
    }
}

construct! {
    NormalizedSoftmaxLossConfig => NormalizedSoftmaxLoss, with_parameters {
        with_temperature(temperature: f64),
        with_learning_rate_factor(learning_rate_factor: f64),
    }
}

impl NormalizedSoftmaxLossConfig {
    fn build(
        &self,
        embedding_size: usize,
        classes: usize,
        device: &Device,
    ) -> NormalizedSoftmaxLoss {
        let weights = Prototypes::init(classes, 1, embedding_size, device);
        NormalizedSoftmaxLoss {
            weights,
            temperature: self.temperature,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        require(
            self.temperature > 0.0,
            "temperature",
            self.temperature,
            "must be above 0",
        )?;
        require(
            self.learning_rate_factor > 0.0,
            "learning_rate_factor",
            self.learning_rate_factor,
            "must be above 0",
        )
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
    temperature: f64,
}

impl NormalizedSoftmaxLoss {
    /// Loss of a batch. Reports [`Statistic::Accuracy`](crate::Statistic::Accuracy).
    ///
    /// # Shapes
    /// - embeddings: `[batch, dim]`, of any length
    /// - labels: `[batch]`, each below the number of classes
    ///
    /// # Panics
    /// If the lengths differ or a label is not below the number of classes.
    pub fn forward<'a>(&self, embeddings: Tensor<2>, labels: impl Into<Labels<'a>>) -> LossOutput {
        let labels: Labels<'a> = labels.into();
        let labels = labels.classes();
        cross_entropy(self.logits(embeddings), labels)
    }

    /// Cosine to each class weight over the temperature `[batch, classes]`; the highest is the prediction.
    pub fn logits(&self, embeddings: Tensor<2>) -> Tensor<2> {
        self.weights.cosines(embeddings) / self.temperature
    }
}
