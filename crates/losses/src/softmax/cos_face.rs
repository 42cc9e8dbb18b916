//! CosFace: Wang et al., *CosFace: Large Margin Cosine Loss for Deep Face Recognition*, CVPR 2018.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::cross_entropy::cross_entropy_with_margin;
use crate::construct::construct;
use crate::error::{ConfigError, require};
use crate::labels::Labels;
use crate::output::LossOutput;
use crate::proxies::Prototypes;
use crate::tensors::label_mask;

/// Settings of [`CosFaceLoss`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct CosFaceLossConfig {
    /// What is taken off the own class's cosine. Default 0.35, as in the paper.
    pub margin: f64,
    /// What cosines are multiplied by. Default 64, as in the paper.
    pub scale: f64,
    /// Learning rate of the class weights, as a multiple of the network's. Default 1: they learn as fast as the network.
    pub learning_rate_factor: f64,
}

impl Default for CosFaceLossConfig {
    fn default() -> Self {
        CosFaceLossConfig {
            margin: 0.35,
            scale: 64.0,
            learning_rate_factor: 1.0,
        }
    }
}

construct! {
    CosFaceLossConfig => CosFaceLoss, with_parameters {
        with_margin(margin: f64),
        with_scale(scale: f64),
        with_learning_rate_factor(learning_rate_factor: f64),
    }
}

impl CosFaceLossConfig {
    fn build(&self, embedding_size: usize, classes: usize, device: &Device) -> CosFaceLoss {
        let weights = Prototypes::init(classes, 1, embedding_size, device);
        CosFaceLoss {
            weights,
            margin: self.margin,
            scale: self.scale,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        require(
            self.margin >= 0.0,
            "margin",
            self.margin,
            "must not be negative",
        )?;
        require(self.scale > 0.0, "scale", self.scale, "must be above 0")?;
        require(
            self.learning_rate_factor > 0.0,
            "learning_rate_factor",
            self.learning_rate_factor,
            "must be above 0",
        )
    }
}

/// CosFace: cross-entropy of cosines, with a margin on the own class's cosine.
///
/// ```text
/// L = cross-entropy of scale · (cos(x_i, w_c) - margin · [c = y_i])
/// ```
///
/// In nats. Half precision is widened to f32 first.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use lodestone_losses::CosFaceLossConfig;
///
/// let device = Device::flex();
/// let loss = CosFaceLossConfig::default().init(2, 3, &device);
/// let output = loss.forward(Tensor::from_data([[0.5, -1.0], [2.0, 0.0]], &device), &[0, 2]).read();
/// assert!(output.mean > 0.0);
/// ```
///
/// Source: Wang et al., *CosFace: Large Margin Cosine Loss for Deep Face Recognition*, CVPR 2018.
#[derive(Module, Debug)]
pub struct CosFaceLoss {
    pub(crate) weights: Prototypes,
    margin: f64,
    scale: f64,
}

impl CosFaceLoss {
    /// Loss of a batch. Reports [`Statistic::Accuracy`](crate::Statistic::Accuracy), without the margin.
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
        let logits = self.logits(embeddings);
        let [_, classes] = logits.dims();
        let own = label_mask(labels, classes, &logits.device());
        let lowered = logits.clone() - self.scale * self.margin;
        cross_entropy_with_margin(logits.clone().mask_where(own, lowered), logits, labels)
    }

    /// Scaled cosine to each class weight `[batch, classes]`, without margin; the highest is the prediction.
    pub fn logits(&self, embeddings: Tensor<2>) -> Tensor<2> {
        self.weights.cosines(embeddings) * self.scale
    }
}
