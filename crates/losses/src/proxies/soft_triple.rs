//! SoftTriple loss: Qian et al., *SoftTriple Loss: Deep Metric Learning Without Triplet Sampling*, ICCV 2019.

use burn::module::Module;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::Prototypes;
use crate::construct::construct;
use crate::error::{ConfigError, require};
use crate::labels::Labels;
use crate::output::LossOutput;
use crate::softmax::cross_entropy_with_margin;
use crate::tensors::label_mask;

/// Settings of [`SoftTripleLoss`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SoftTripleLossConfig {
    /// Centres per class. Default 10, as in the paper.
    pub centers_per_class: usize,
    /// What similarities to classes are multiplied by, λ. Default 20, as in the paper.
    pub scale: f64,
    /// How softly the centres of a class are averaged, γ. Default 0.1, as in the paper.
    pub softness: f64,
    /// Margin δ, in cosine similarity. Default 0.01, as in the paper.
    pub margin: f64,
    /// Learning rate of the centres, as a multiple of the network's. Default 100, as in the paper.
    pub learning_rate_factor: f64,
}

impl Default for SoftTripleLossConfig {
    fn default() -> Self {
        SoftTripleLossConfig {
            centers_per_class: 10,
            scale: 20.0,
            softness: 0.1,
            margin: 0.01,
            learning_rate_factor: 100.0,
        }
    }
}

construct! {
    SoftTripleLossConfig => SoftTripleLoss, with_parameters {
        with_centers_per_class(centers_per_class: usize),
        with_scale(scale: f64),
        with_softness(softness: f64),
        with_margin(margin: f64),
        with_learning_rate_factor(learning_rate_factor: f64),
    }
}

impl SoftTripleLossConfig {
    fn build(&self, embedding_size: usize, classes: usize, device: &Device) -> SoftTripleLoss {
        SoftTripleLoss {
            centers: Prototypes::init(classes, self.centers_per_class, embedding_size, device),
            scale: self.scale,
            softness: self.softness,
            margin: self.margin,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        require(
            self.centers_per_class > 0,
            "centers_per_class",
            self.centers_per_class,
            "must be above 0",
        )?;
        require(self.scale > 0.0, "scale", self.scale, "must be above 0")?;
        require(
            self.softness > 0.0,
            "softness",
            self.softness,
            "must be above 0",
        )?;
        require(
            self.margin.is_finite(),
            "margin",
            self.margin,
            "must be a number",
        )?;
        require(
            self.learning_rate_factor > 0.0,
            "learning_rate_factor",
            self.learning_rate_factor,
            "must be above 0",
        )
    }
}

/// SoftTriple loss: a classifier with several learned centres a class, softly averaged by nearness.
///
/// With cosines `s_ick` between embedding `i` and centre `k` of class `c`:
///
/// ```text
/// S_ic = Σ_k softmax_k(s_ick / softness) s_ick
/// L    = cross-entropy of scale · (S_ic - margin · [c = y_i])
/// ```
///
/// The paper's regulariser, which merges centres, is left out: it does not depend on the batch. In nats. Half
/// precision is widened to f32 first.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use lodestone_losses::SoftTripleLossConfig;
///
/// let device = Device::flex();
/// let loss = SoftTripleLossConfig::default().init(2, 3, &device);
/// let output = loss.forward(Tensor::from_data([[0.5, -1.0], [2.0, 0.0]], &device), &[0, 2]).read();
/// assert!(output.mean > 0.0);
/// ```
///
/// Source: Qian et al., *SoftTriple Loss: Deep Metric Learning Without Triplet Sampling*, ICCV 2019.
#[derive(Module, Debug)]
pub struct SoftTripleLoss {
    pub(crate) centers: Prototypes,
    scale: f64,
    softness: f64,
    margin: f64,
}

impl SoftTripleLoss {
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
        let logits = self.logits(embeddings);
        let [_, classes] = logits.dims();
        let own = label_mask(labels, classes, &logits.device());
        let lowered = logits.clone() - self.scale * self.margin;
        cross_entropy_with_margin(logits.clone().mask_where(own, lowered), logits, labels)
    }

    /// Scaled similarity to each class `[batch, classes]`; the highest is the prediction.
    pub fn logits(&self, embeddings: Tensor<2>) -> Tensor<2> {
        let cosines = self.centers.cosines_by_class(embeddings);
        let [n, classes, _] = cosines.dims();
        let weight = softmax(cosines.clone() / self.softness, 2);
        (weight * cosines).sum_dim(2).reshape([n, classes]) * self.scale
    }
}
