//! Classifiers below the top of the network, trained beside the loss.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::{Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

/// Training with auxiliary classifiers: cross-entropy on the batch's labels is added to the loss for each of them.
///
/// They send gradient into the lower layers of a deep network that is trained from random weights (Szegedy et al. 2014), and are
/// left out of the model file.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuxiliaryConfig {
    /// Weight of each classifier's cross-entropy beside the loss; the paper of GoogLeNet has 0.3.
    #[serde(default = "weight")]
    pub weight: f64,
    /// Dropout before the last layer of GoogLeNet's auxiliary classifiers, in `[0, 1)`.
    #[serde(default = "dropout")]
    pub dropout: f64,
}

fn weight() -> f64 {
    0.3
}

fn dropout() -> f64 {
    0.7
}

impl AuxiliaryConfig {
    /// # Errors
    /// A sentence that names the key, its value and what it must be.
    pub(crate) fn validate(&self) -> Result<(), String> {
        if !(self.weight > 0.0 && self.weight.is_finite()) {
            return Err(format!(
                "model.auxiliary.weight is {}, must be above 0",
                self.weight
            ));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(format!(
                "model.auxiliary.dropout is {}, must be in [0, 1)",
                self.dropout
            ));
        }
        Ok(())
    }

    /// `mean` plus the weighted cross-entropy of each classifier's scores `[n, classes]`.
    pub(crate) fn add_to(
        &self,
        mean: Tensor<1>,
        scores: &[Tensor<2>],
        labels: &[usize],
    ) -> Tensor<1> {
        scores.iter().fold(mean, |sum, scores| {
            let device = scores.device();
            let labels: Vec<i64> = labels.iter().map(|&label| label as i64).collect();
            let labels = TensorData::new(labels, [scores.dims()[0]]);
            let labels = Tensor::<1, Int>::from_data(labels, &device);
            let cross_entropy = CrossEntropyLossConfig::new()
                .init(&device)
                .forward(scores.clone(), labels);
            sum + cross_entropy * self.weight
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn each_classifier_adds_its_weighted_cross_entropy() {
        let device = Device::flex();
        let config = AuxiliaryConfig {
            weight: 0.5,
            dropout: 0.0,
        };
        let zero = Tensor::from_data([1.0], &device);
        // Equal scores of 4 classes: ln 4. Scores ln 3 against 0, 0, 0 for the right class: ln 2.
        let even = Tensor::zeros([2, 4], &device);
        let ln_3 = 3f32.ln();
        let sure = Tensor::from_data([[ln_3, 0.0, 0.0, 0.0], [0.0, ln_3, 0.0, 0.0]], &device);
        let got: f32 = config.add_to(zero, &[even, sure], &[0, 1]).into_scalar();
        let want = 1.0 + 0.5 * (4f32.ln() + 2f32.ln());
        assert!((got - want).abs() < 1e-6, "{got} is not {want}");
    }
}
