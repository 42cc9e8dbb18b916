//! Proxy-NCA: Movshovitz-Attias et al., *No Fuss Distance Metric Learning using Proxies*, ICCV 2017; and Teh et al.,
//! *ProxyNCA++*, ECCV 2020.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::Prototypes;
use crate::construct::settings;
use crate::error::above_zero;
use crate::on_classes::{OnClasses, on_classes};
use crate::output::LossOutput;
use crate::softmax::{accuracy, cross_entropy, of_examples, target};
use crate::tensors::{label_mask, logsumexp};

/// Whether the own proxy is in the denominator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProxyNcaForm {
    /// It is not: the form of the first paper, whose loss may be negative.
    Paper,
    /// It is: a probability, the form of ProxyNCA++.
    #[default]
    PlusPlus,
}

settings! {
    /// Settings of [`ProxyNcaLoss`].
    pub struct ProxyNcaLossConfig => ProxyNcaLoss, with_parameters {
        /// Whether the own proxy is in the denominator. Default [`ProxyNcaForm::PlusPlus`], the later and better one.
        pub form: ProxyNcaForm = ProxyNcaForm::PlusPlus, with_form;
        /// What squared distances are multiplied by. Default 9, the temperature 1/9 of ProxyNCA++; the first paper has 1.
        pub scale: f64 = 9.0, with_scale, above_zero;
        /// Learning rate of the proxies, as a multiple of the network's. Default 100, that of Proxy-Anchor; ProxyNCA++ also
        /// moves its proxies faster than the network.
        pub learning_rate_factor: f64 = 100.0, with_learning_rate_factor, above_zero;
    }
}

impl ProxyNcaLossConfig {
    fn build(&self, embedding_size: usize, classes: usize, device: &Device) -> ProxyNcaLoss {
        ProxyNcaLoss {
            proxies: Prototypes::init(classes, 1, embedding_size, device),
            config: self.clone(),
        }
    }
}

/// Proxy-NCA: one learned proxy a class, neighbourhood components analysis against the proxies.
///
/// With `d_ic` the squared distance of embedding and proxy, both of unit length, times the scale:
///
/// ```text
/// L = mean_i( d_iy + logsumexp_c(-d_ic) )       c over all proxies (++), or all but the own (paper)
/// ```
///
/// In nats. Half precision is widened to f32 first.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use lodestone_losses::ProxyNcaLossConfig;
///
/// let device = Device::flex();
/// let loss = ProxyNcaLossConfig::default().init(2, 3, &device);
/// let output = loss.forward(Tensor::from_data([[0.5, -1.0], [2.0, 0.0]], &device), &[0, 2]).read();
/// assert!(output.mean > 0.0);
/// ```
///
/// Source: Movshovitz-Attias et al., *No Fuss Distance Metric Learning using Proxies*, ICCV 2017; Teh et al., *ProxyNCA++*, ECCV
/// 2020.
#[derive(Module, Debug)]
pub struct ProxyNcaLoss {
    pub(crate) proxies: Prototypes,
    #[module(skip)]
    config: ProxyNcaLossConfig,
}

on_classes! {
    ProxyNcaLoss, "`[batch, dim]`, of any length";
    /// Loss of a batch. Reports [`Statistic::Accuracy`](crate::Statistic::Accuracy).
    forward;
    /// Minus the scaled squared distance to each proxy `[batch, classes]`; the highest is the prediction.
    logits;
}

impl OnClasses for ProxyNcaLoss {
    fn scores(&self, embeddings: Tensor<2>) -> Tensor<2> {
        (self.proxies.cosines(embeddings) - 1.0) * (2.0 * self.config.scale)
    }

    fn of_labels(&self, embeddings: Tensor<2>, labels: &[usize]) -> LossOutput {
        let logits = self.scores(embeddings);
        match self.config.form {
            ProxyNcaForm::PlusPlus => cross_entropy(logits, labels),
            ProxyNcaForm::Paper => {
                let [n, classes] = logits.dims();
                let others = label_mask(labels, classes, &logits.device()).bool_not();
                let accuracy = accuracy(logits.clone(), labels);
                let denominator = logsumexp(logits.clone(), &others).reshape([n]);
                of_examples(denominator - target(logits, labels), accuracy)
            }
        }
    }
}
