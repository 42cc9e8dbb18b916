//! Softmax cross-entropy with its own linear classifier: the baseline of every comparison.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::module::linear;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::cross_entropy::cross_entropy;
use crate::construct::construct;
use crate::error::{ConfigError, require};
use crate::labels::Labels;
use crate::output::LossOutput;
use crate::tensors::widen;

/// Settings of [`SoftmaxLoss`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SoftmaxLossConfig {
    /// Learning rate of the classifier, as a multiple of the network's. Default 1: it learns as fast as the network.
    pub learning_rate_factor: f64,
}

impl Default for SoftmaxLossConfig {
    fn default() -> Self {
        SoftmaxLossConfig {
            learning_rate_factor: 1.0,
        }
    }
}

construct! {
    SoftmaxLossConfig => SoftmaxLoss, with_parameters {
        with_learning_rate_factor(learning_rate_factor: f64),
    }
}

impl SoftmaxLossConfig {
    fn build(&self, embedding_size: usize, classes: usize, device: &Device) -> SoftmaxLoss {
        let classifier = LinearConfig::new(embedding_size, classes).init(device);
        // burn draws a parameter when it is first used. Drawn here, it hangs on the seed alone, not on what draws next.
        classifier.weight.val();
        if let Some(bias) = &classifier.bias {
            bias.val();
        }
        SoftmaxLoss { classifier }
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        require(
            self.learning_rate_factor > 0.0,
            "learning_rate_factor",
            self.learning_rate_factor,
            "must be above 0",
        )
    }
}

/// Cross-entropy of a linear classifier on the embeddings.
///
/// ```text
/// L = mean_i( logsumexp_c(z[i][c]) - z[i][y_i] ),   z = x W + b
/// ```
///
/// In nats. Half precision is widened to f32 first.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use lodestone_losses::SoftmaxLossConfig;
///
/// let device = Device::flex();
/// let loss = SoftmaxLossConfig::default().init(2, 3, &device);
/// let embeddings = Tensor::<2>::from_data([[0.5, -1.0], [2.0, 0.0]], &device);
/// assert_eq!(loss.logits(embeddings.clone()).dims(), [2, 3]);
/// assert!(loss.forward(embeddings, &[0, 2]).read().mean > 0.0);
/// ```
///
/// Source: the usual cross-entropy; with the network cut before it, the baseline of Rippel et al. 2016.
#[derive(Module, Debug)]
pub struct SoftmaxLoss {
    pub(crate) classifier: Linear,
}

impl SoftmaxLoss {
    /// Loss of a batch. Reports [`Statistic::Accuracy`](crate::Statistic::Accuracy).
    ///
    /// # Shapes
    /// - embeddings: `[batch, dim]`
    /// - labels: `[batch]`, each below the number of classes
    ///
    /// # Panics
    /// If the lengths differ or a label is not below the number of classes.
    pub fn forward<'a>(&self, embeddings: Tensor<2>, labels: impl Into<Labels<'a>>) -> LossOutput {
        let labels: Labels<'a> = labels.into();
        let labels = labels.classes();
        cross_entropy(self.logits(embeddings), labels)
    }

    /// Score of each class `[batch, classes]`; the highest is the prediction.
    pub fn logits(&self, embeddings: Tensor<2>) -> Tensor<2> {
        let x = widen(embeddings);
        let dtype = x.dtype();
        let weight = self.classifier.weight.val().cast(dtype);
        linear(
            x,
            weight,
            self.classifier
                .bias
                .as_ref()
                .map(|bias| bias.val().cast(dtype)),
        )
    }
}
