//! Softmax cross-entropy with its own linear classifier: the baseline of every comparison.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::module::linear;
use burn::tensor::{Device, Tensor};

use crate::construct::settings;
use crate::error::above_zero;
use crate::on_classes::{OnClasses, on_classes};
use crate::tensors::widen;

settings! {
    /// Settings of [`SoftmaxLoss`].
    pub struct SoftmaxLossConfig => SoftmaxLoss, with_parameters {
        /// Learning rate of the classifier, as a multiple of the network's. Default 1: it learns as fast as the network.
        pub learning_rate_factor: f64 = 1.0, with_learning_rate_factor, above_zero;
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

on_classes! {
    SoftmaxLoss, "`[batch, dim]`";
    /// Loss of a batch. Reports [`Statistic::Accuracy`](crate::Statistic::Accuracy).
    forward;
    /// Score of each class `[batch, classes]`; the highest is the prediction.
    logits;
}

impl OnClasses for SoftmaxLoss {
    fn scores(&self, embeddings: Tensor<2>) -> Tensor<2> {
        let x = widen(embeddings);
        let dtype = x.dtype();
        let weight = self.classifier.weight.val().cast(dtype);
        let bias = self.classifier.bias.as_ref();
        linear(x, weight, bias.map(|bias| bias.val().cast(dtype)))
    }
}
