//! Proxy-Anchor loss: Kim et al., *Proxy Anchor Loss for Deep Metric Learning*, CVPR 2020.

use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use super::Prototypes;
use crate::construct::settings;
use crate::error::{above_zero, finite};
use crate::on_classes::{OnClasses, on_classes};
use crate::output::{LossOutput, Statistic, Statistics};
use crate::softmax::accuracy;
use crate::tensors::{label_mask, log1p_sumexp};

settings! {
    /// Settings of [`ProxyAnchorLoss`].
    pub struct ProxyAnchorLossConfig => ProxyAnchorLoss, with_parameters {
        /// Margin δ, in cosine similarity. Default 0.1, as in the paper.
        pub margin: f64 = 0.1, with_margin, finite;
        /// Sharpness α. Default 32, as in the paper.
        pub alpha: f64 = 32.0, with_alpha, above_zero;
        /// Learning rate of the proxies, as a multiple of the network's. Default 100, as in the paper.
        pub learning_rate_factor: f64 = 100.0, with_learning_rate_factor, above_zero;
    }
}

impl ProxyAnchorLossConfig {
    fn build(&self, embedding_size: usize, classes: usize, device: &Device) -> ProxyAnchorLoss {
        ProxyAnchorLoss {
            proxies: Prototypes::init(classes, 1, embedding_size, device),
            config: self.clone(),
        }
    }
}

/// Proxy-Anchor loss: each proxy is the anchor of the whole batch, on cosine similarities `s`.
///
/// ```text
/// L = mean_{classes c in the batch} log(1 + Σ_{i of c} exp(-alpha (s_ic - margin)))
///   + mean_{all classes c}          log(1 + Σ_{i not of c} exp(alpha (s_ic + margin)))
/// ```
///
/// The terms belong to proxies, so the mean is not the mean of the examples: per example this reports its hinges alone,
/// `alpha max(0, margin - s_iy)` plus the mean over other classes of `alpha max(0, s_ic + margin)`. In nats. Half
/// precision is widened to f32 first.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use lodestone_losses::ProxyAnchorLossConfig;
///
/// let device = Device::flex();
/// let loss = ProxyAnchorLossConfig::default().init(2, 3, &device);
/// let output = loss.forward(Tensor::from_data([[0.5, -1.0], [2.0, 0.0]], &device), &[0, 2]).read();
/// assert!(output.mean > 0.0);
/// ```
///
/// Source: Kim et al., *Proxy Anchor Loss for Deep Metric Learning*, CVPR 2020.
#[derive(Module, Debug)]
pub struct ProxyAnchorLoss {
    pub(crate) proxies: Prototypes,
    #[module(skip)]
    config: ProxyAnchorLossConfig,
}

on_classes! {
    ProxyAnchorLoss, "`[batch, dim]`, of any length";
    /// Loss of a batch. Reports [`Statistic::Accuracy`](crate::Statistic::Accuracy).
    forward;
    /// Cosine similarity to each proxy `[batch, classes]`; the highest is the prediction.
    logits;
}

impl OnClasses for ProxyAnchorLoss {
    fn scores(&self, embeddings: Tensor<2>) -> Tensor<2> {
        self.proxies.cosines(embeddings)
    }

    fn of_labels(&self, embeddings: Tensor<2>, labels: &[usize]) -> LossOutput {
        let ProxyAnchorLossConfig { margin, alpha, .. } = self.config;
        let similarity = self.scores(embeddings);
        let accuracy = accuracy(similarity.clone(), labels);
        let [n, classes] = similarity.dims();
        let own = label_mask(labels, classes, &similarity.device());
        let too_far = (similarity.clone().neg() + margin) * alpha;
        let too_near = (similarity + margin) * alpha;

        let hinge = |excess: Tensor<2>| relu(excess.inner());
        let others = (classes as f64 - 1.0).max(1.0);
        let per_example = hinge(too_far.clone())
            .mask_fill(own.clone().bool_not(), 0.0)
            .sum_dim(1)
            + hinge(too_near.clone())
                .mask_fill(own.clone(), 0.0)
                .sum_dim(1)
                / others;

        // A row per proxy.
        let own = own.transpose();
        let mut present = labels.to_vec();
        present.sort_unstable();
        present.dedup();
        let pull = log1p_sumexp(too_far.transpose(), &own).sum() / present.len() as f64;
        let push = log1p_sumexp(too_near.transpose(), &own.bool_not()).sum() / classes as f64;
        LossOutput {
            mean: pull + push,
            per_example: per_example.reshape([n]),
            statistics: Statistics::default().with(Statistic::Accuracy, accuracy),
        }
    }
}
