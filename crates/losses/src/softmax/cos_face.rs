//! CosFace: Wang et al., *CosFace: Large Margin Cosine Loss for Deep Face Recognition*, CVPR 2018.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::cross_entropy::cross_entropy_with_own_lowered;
use crate::construct::settings;
use crate::error::{above_zero, not_negative};
use crate::on_classes::{OnClasses, on_classes};
use crate::output::LossOutput;
use crate::proxies::Prototypes;

settings! {
    /// Settings of [`CosFaceLoss`].
    pub struct CosFaceLossConfig => CosFaceLoss, with_parameters {
        /// What is taken off the own class's cosine. Default 0.35, as in the paper.
        pub margin: f64 = 0.35, with_margin, not_negative;
        /// What cosines are multiplied by. Default 64, as in the paper.
        pub scale: f64 = 64.0, with_scale, above_zero;
        /// Learning rate of the class weights, as a multiple of the network's. Default 1: they learn as fast as the network.
        pub learning_rate_factor: f64 = 1.0, with_learning_rate_factor, above_zero;
    }
}

impl CosFaceLossConfig {
    fn build(&self, embedding_size: usize, classes: usize, device: &Device) -> CosFaceLoss {
        CosFaceLoss {
            weights: Prototypes::init(classes, 1, embedding_size, device),
            config: self.clone(),
        }
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
    #[module(skip)]
    config: CosFaceLossConfig,
}

on_classes! {
    CosFaceLoss, "`[batch, dim]`, of any length";
    /// Loss of a batch. Reports [`Statistic::Accuracy`](crate::Statistic::Accuracy), without the margin.
    forward;
    /// Scaled cosine to each class weight `[batch, classes]`, without margin; the highest is the prediction.
    logits;
}

impl OnClasses for CosFaceLoss {
    fn scores(&self, embeddings: Tensor<2>) -> Tensor<2> {
        self.weights.cosines(embeddings) * self.config.scale
    }

    fn of_labels(&self, embeddings: Tensor<2>, labels: &[usize]) -> LossOutput {
        let margin = self.config.scale * self.config.margin;
        cross_entropy_with_own_lowered(self.scores(embeddings), margin, labels)
    }
}
