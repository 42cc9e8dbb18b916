//! SoftTriple loss: Qian et al., *SoftTriple Loss: Deep Metric Learning Without Triplet Sampling*, ICCV 2019.

use burn::module::Module;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};

use super::Prototypes;
use crate::construct::settings;
use crate::error::{above_zero, finite};
use crate::on_classes::{OnClasses, on_classes};
use crate::output::LossOutput;
use crate::softmax::cross_entropy_with_own_lowered;

settings! {
    /// Settings of [`SoftTripleLoss`].
    pub struct SoftTripleLossConfig => SoftTripleLoss, with_parameters {
        /// Centres per class. Default 10, as in the paper.
        pub centers_per_class: usize = 10, with_centers_per_class, above_zero;
        /// What similarities to classes are multiplied by, λ. Default 20, as in the paper.
        pub scale: f64 = 20.0, with_scale, above_zero;
        /// How softly the centres of a class are averaged, γ. Default 0.1, as in the paper.
        pub softness: f64 = 0.1, with_softness, above_zero;
        /// Margin δ, in cosine similarity. Default 0.01, as in the paper.
        pub margin: f64 = 0.01, with_margin, finite;
        /// Learning rate of the centres, as a multiple of the network's. Default 100, as in the paper.
        pub learning_rate_factor: f64 = 100.0, with_learning_rate_factor, above_zero;
    }
}

impl SoftTripleLossConfig {
    fn build(&self, embedding_size: usize, classes: usize, device: &Device) -> SoftTripleLoss {
        SoftTripleLoss {
            centers: Prototypes::init(classes, self.centers_per_class, embedding_size, device),
            config: self.clone(),
        }
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
    #[module(skip)]
    config: SoftTripleLossConfig,
}

on_classes! {
    SoftTripleLoss, "`[batch, dim]`, of any length";
    /// Loss of a batch. Reports [`Statistic::Accuracy`](crate::Statistic::Accuracy), without the margin.
    forward;
    /// Scaled similarity to each class `[batch, classes]`; the highest is the prediction.
    logits;
}

impl OnClasses for SoftTripleLoss {
    fn scores(&self, embeddings: Tensor<2>) -> Tensor<2> {
        let cosines = self.centers.cosines_by_class(embeddings);
        let [n, classes, _] = cosines.dims();
        let weight = softmax(cosines.clone() / self.config.softness, 2);
        (weight * cosines).sum_dim(2).reshape([n, classes]) * self.config.scale
    }

    fn of_labels(&self, embeddings: Tensor<2>, labels: &[usize]) -> LossOutput {
        let margin = self.config.scale * self.config.margin;
        cross_entropy_with_own_lowered(self.scores(embeddings), margin, labels)
    }
}
