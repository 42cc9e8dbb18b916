//! Proxy-NCA: Movshovitz-Attias et al., *No Fuss Distance Metric Learning using Proxies*, ICCV 2017; and Teh et al.,
//! *ProxyNCA++*, ECCV 2020.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::Prototypes;
use crate::error::{ConfigError, require};
use crate::labels::Labels;
use crate::output::{LossOutput, Statistic, Statistics};
use crate::softmax::{accuracy, cross_entropy, target};
use crate::tensors::{label_mask, logsumexp};

/// Whether the own proxy is in the denominator.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ProxyNcaForm {
    /// It is not: the form of the first paper, whose loss may be negative.
    Paper,
    /// It is: a probability, the form of ProxyNCA++.
    #[default]
    PlusPlus,
}

/// Settings of [`ProxyNcaLoss`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProxyNcaLossConfig {
    /// Whether the own proxy is in the denominator. Default [`ProxyNcaForm::PlusPlus`], the later and better one.
    pub form: ProxyNcaForm,
    /// What squared distances are multiplied by. Default 9, the temperature 1/9 of ProxyNCA++; the first paper has 1.
    pub scale: f64,
    /// Learning rate of the proxies, as a multiple of the network's. Default 100, that of Proxy-Anchor; ProxyNCA++ also
    /// moves its proxies faster than the network.
    pub learning_rate_factor: f64,
}

impl Default for ProxyNcaLossConfig {
    fn default() -> Self {
        ProxyNcaLossConfig {
            form: ProxyNcaForm::PlusPlus,
            scale: 9.0,
            learning_rate_factor: 100.0,
        }
    }
}

impl ProxyNcaLossConfig {
    /// Makes the loss with fresh proxies, drawn from the device's generator: seed it first.
    pub fn init(&self, embedding_size: usize, classes: usize, device: &Device) -> ProxyNcaLoss {
        let proxies = Prototypes::init(classes, 1, embedding_size, device);
        ProxyNcaLoss {
            proxies,
            form: self.form,
            scale: self.scale,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        require(self.scale > 0.0, "scale", self.scale, "must be above 0")?;
        require(
            self.learning_rate_factor > 0.0,
            "learning_rate_factor",
            self.learning_rate_factor,
            "must be above 0",
        )
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
    form: ProxyNcaForm,
    scale: f64,
}

impl ProxyNcaLoss {
    /// Loss of a batch. Reports [`Statistic::Accuracy`].
    ///
    /// # Shapes
    /// - embeddings: `[batch, dim]`, of any length
    /// - labels: `[batch]`, each below the number of classes
    ///
    /// # Panics
    /// If the lengths differ or a label is not below the number of classes.
    pub fn forward<'a>(&self, embeddings: Tensor<2>, labels: impl Into<Labels<'a>>) -> LossOutput {
        let labels = labels.into().classes();
        let logits = self.logits(embeddings);
        match self.form {
            ProxyNcaForm::PlusPlus => cross_entropy(logits, labels),
            ProxyNcaForm::Paper => {
                let [n, classes] = logits.dims();
                let others = label_mask(labels, classes, &logits.device()).bool_not();
                let accuracy = accuracy(logits.clone(), labels);
                let denominator = logsumexp(logits.clone(), &others).reshape([n]);
                let per_example = denominator - target(logits, labels);
                LossOutput {
                    mean: per_example.clone().mean(),
                    per_example: per_example.inner(),
                    statistics: Statistics::default().with(Statistic::Accuracy, accuracy),
                }
            }
        }
    }

    /// Minus the scaled squared distance to each proxy `[batch, classes]`; the highest is the prediction.
    pub fn logits(&self, embeddings: Tensor<2>) -> Tensor<2> {
        (self.proxies.cosines(embeddings) - 1.0) * (2.0 * self.scale)
    }
}
