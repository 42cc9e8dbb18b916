//! The last part of an embedder: from pooled features to the embedding.

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::batch_norm::BatchNorm;
use crate::dense::Dense;
use crate::discriminant::discriminants;
use crate::initialise::Initialiser;
use crate::layer_cost::LayerCost;
use crate::weights::Slot;
use crate::whiten::whitening;

/// The layers of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum HeadKind {
    /// No layer: the pooled features are the embedding, and `embedding_size` is their number.
    Features,
    /// One linear layer.
    Linear,
    /// One linear layer and batch normalisation, so that every coordinate has mean 0 and variance 1 in training.
    LinearNorm,
    /// A hidden layer as wide as the features, ReLU, and a linear layer.
    Mlp,
}

/// Where the last linear layer starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum HeadInitialisation {
    /// Uniform in `±1 / sqrt(features)`, torch's default.
    Uniform,
    /// Normal with variance `1 / features` and no bias: features of mean square 1 give embeddings of variance 1.
    ///
    /// For losses whose gradient shrinks as the embedding grows or shrinks, such as magnet loss. [`Head::calibrate`] makes
    /// the variance exact on given features.
    UnitVariance,
    /// The whitening of features of training images, with a ridge: uncorrelated outputs of nearly equal variance, most varied
    /// ones first.
    ///
    /// As `unit_variance` until [`Embedder::calibrate_head`](crate::Embedder::calibrate_head) sees these features.
    /// Distances then count every direction alike, and so does a gradient; no label is used.
    Whitened,
    /// Fisher's linear discriminants of features of training images and their labels, with a ridge, in the order in which they
    /// separate the classes.
    ///
    /// As `unit_variance` until [`Embedder::calibrate_head`](crate::Embedder::calibrate_head) sees these features.
    /// Distances then count the scatter within classes alike in every direction. One fewer than the classes is all that
    /// separates them: a larger embedding starts with directions that hold noise alone.
    Discriminant,
}

/// Description of a [`Head`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HeadConfig {
    /// Number of values in an embedding.
    pub embedding_size: usize,
    /// The layers.
    pub kind: HeadKind,
    /// Whether embeddings are divided by their Euclidean length.
    pub normalise: bool,
    /// Share of the features that is set to zero in training, in `[0, 1)`.
    pub dropout: f64,
    /// Where the last linear layer starts.
    pub initialise: HeadInitialisation,
}

impl HeadConfig {
    /// A linear head without dropout that starts as torch's linear layers do.
    pub fn new(embedding_size: usize) -> Self {
        Self {
            embedding_size,
            kind: HeadKind::Linear,
            normalise: false,
            dropout: 0.0,
            initialise: HeadInitialisation::Uniform,
        }
    }

    /// A head on `features` values, its last linear layer called `name` in weight files.
    ///
    /// # Panics
    /// If `embedding_size` is 0 or `dropout` is not in `[0, 1)`.
    pub(crate) fn init(&self, features: usize, name: &str, seed: u64, device: &Device) -> Head {
        let size = self.embedding_size;
        assert!(size > 0, "embedding_size is 0, must be at least 1");
        let last = match self.initialise {
            HeadInitialisation::Uniform => [Initialiser::UniformFanIn; 2],
            HeadInitialisation::UnitVariance
            | HeadInitialisation::Whitened
            | HeadInitialisation::Discriminant => {
                [Initialiser::UnitVariance, Initialiser::Constant(0.0)]
            }
        };
        let hidden = [Initialiser::KaimingNormal, Initialiser::Constant(0.0)];
        let last = match self.kind {
            HeadKind::Features => {
                assert_eq!(size, features, "embedding_size of a head without layers");
                None
            }
            HeadKind::Linear | HeadKind::LinearNorm | HeadKind::Mlp => {
                Some(Dense::new(name, [features, size], last, seed, device))
            }
        };
        Head {
            dropout: DropoutConfig::new(self.dropout).init(),
            hidden: match self.kind {
                HeadKind::Features | HeadKind::Linear | HeadKind::LinearNorm => None,
                HeadKind::Mlp => Some(Dense::new(
                    "head.hidden",
                    [features; 2],
                    hidden,
                    seed,
                    device,
                )),
            },
            last,
            norm: match self.kind {
                HeadKind::Features | HeadKind::Linear | HeadKind::Mlp => None,
                HeadKind::LinearNorm => Some(BatchNorm::new(size, 1e-5, device)),
            },
            normalise: self.normalise,
            size,
        }
    }
}

/// From pooled features to embeddings: dropout, the layers of [`HeadKind`], and the division by the length if asked for.
#[derive(Module, Debug)]
pub struct Head {
    dropout: Dropout,
    hidden: Option<Dense>,
    last: Option<Dense>,
    norm: Option<BatchNorm>,
    normalise: bool,
    size: usize,
}

impl Head {
    /// # Shapes
    /// - features: `[n, features]`
    /// - returns `[n, embedding_size]`
    pub fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        let inputs = self.hidden(self.dropout.forward(features));
        let embeddings = match &self.last {
            Some(last) => last.forward(inputs),
            None => inputs,
        };
        let embeddings = match &self.norm {
            Some(norm) => norm.forward_rows(embeddings),
            None => embeddings,
        };
        if self.normalise {
            unit_length(embeddings)
        } else {
            embeddings
        }
    }

    /// Number of values in an embedding.
    pub fn embedding_size(&self) -> usize {
        self.size
    }

    /// Scales and shifts the last linear layer so that its outputs on `features` have mean 0 in every coordinate, and
    /// variance 1 averaged over the coordinates.
    ///
    /// One row has no variance and changes nothing, and a head without layers stays as it is. Directions keep their relative variances: this is a change of scale and origin, not a whitening.
    ///
    /// # Shapes
    /// - features: `[n, features]`, as the trunk gives them for a sample of the training images
    #[must_use]
    pub fn calibrate(mut self, features: Tensor<2>) -> Self {
        let Some(last) = self.last.take() else {
            return self;
        };
        if features.dims()[0] < 2 {
            self.last = Some(last);
            return self;
        }
        let outputs = last.forward(self.hidden(features)).detach();
        let mean = outputs.clone().mean_dim(0);
        let variance = (outputs - mean.clone()).square().mean();
        // Features that are all equal have no variance to set; they keep their scale.
        let flat = variance.clone().lower_equal_scalar(f32::MIN_POSITIVE);
        let scale = variance.mask_fill(flat, 1.0).sqrt().recip();
        let Dense { weight, bias, name } = last;
        let trained = weight.is_require_grad();
        let weight = weight.map(|weight| {
            (weight.detach() * scale.clone().unsqueeze())
                .detach()
                .set_require_grad(trained)
        });
        let bias = bias.map(|bias| {
            let centred = bias.detach() - mean.reshape([-1]);
            (centred * scale).detach().set_require_grad(trained)
        });
        self.last = Some(Dense { weight, bias, name });
        self
    }

    /// Replaces the last linear layer by the whitening of its inputs on `features`, then scales as [`calibrate`](Self::calibrate).
    ///
    /// # Shapes
    /// - features: `[n, features]`, as the trunk gives them for a sample of the training images
    #[must_use]
    pub(crate) fn whiten(self, features: Tensor<2>) -> Self {
        self.start_from(features, whitening)
    }

    /// Replaces the last linear layer by the discriminants of its inputs on `features`, then scales as
    /// [`calibrate`](Self::calibrate).
    ///
    /// # Shapes
    /// - features: `[n, features]`, as the trunk gives them for a sample of the training images
    /// - labels: `[n]`, their classes
    #[must_use]
    pub(crate) fn discriminate(self, features: Tensor<2>, labels: &[usize]) -> Self {
        self.start_from(features, |values, width, size| {
            discriminants(values, width, labels, size)
        })
    }

    /// Takes weight and bias of the last layer from its inputs on `features`, their width and the embedding size; then scales.
    fn start_from(
        mut self,
        features: Tensor<2>,
        start: impl FnOnce(&[f32], usize, usize) -> (Vec<f32>, Vec<f32>),
    ) -> Self {
        let inputs = self.hidden(features.clone()).detach();
        let [rows, width] = inputs.dims();
        let Some(last) = self.last.take().filter(|_| rows >= 2) else {
            return self;
        };
        let size = self.size;
        let values: Vec<f32> = inputs.into_data().iter::<f32>().collect();
        let (weight, bias) = start(&values, width, size);
        let Dense {
            weight: old_weight,
            bias: old_bias,
            name,
        } = last;
        let weight = old_weight.map(|old| {
            let data = TensorData::new(weight, [width, size]);
            Tensor::from_data(data, &old.device()).set_require_grad(old.is_require_grad())
        });
        let bias = old_bias.map(|old| {
            let data = TensorData::new(bias, [size]);
            Tensor::from_data(data, &old.device()).set_require_grad(old.is_require_grad())
        });
        self.last = Some(Dense { weight, bias, name });
        self.calibrate(features)
    }

    fn hidden(&self, features: Tensor<2>) -> Tensor<2> {
        match &self.hidden {
            Some(hidden) => relu(hidden.forward(features)),
            None => features,
        }
    }

    pub(crate) fn costs(&self) -> Vec<LayerCost> {
        let mut costs: Vec<_> = self
            .hidden
            .iter()
            .chain(&self.last)
            .map(Dense::cost)
            .collect();
        if self.norm.is_some() {
            let size = self.embedding_size();
            costs.push(LayerCost {
                name: "head.bn".to_owned(),
                output: vec![size],
                parameters: 2 * size,
                multiply_adds: 0,
            });
        }
        costs
    }

    pub(crate) fn slots<'a>(&'a mut self, slots: &mut Vec<Slot<'a>>) {
        if let Some(hidden) = &mut self.hidden {
            hidden.slots(slots);
        }
        if let Some(last) = &mut self.last {
            last.slots(slots);
        }
        if let Some(norm) = &mut self.norm {
            norm.slots("head.bn", slots);
        }
    }
}

/// Rows divided by their Euclidean length; a row of zeros stays one, and its gradient stays finite.
fn unit_length(rows: Tensor<2>) -> Tensor<2> {
    let squared = rows.clone().square().sum_dim(1).clamp_min(1e-24);
    rows / squared.sqrt()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;

    fn head(kind: HeadKind, normalise: bool) -> Head {
        let config = HeadConfig {
            kind,
            normalise,
            initialise: HeadInitialisation::UnitVariance,
            ..HeadConfig::new(8)
        };
        config.init(64, "fc", 5, &Device::flex())
    }

    /// Features as ReLU and a mean leave them: positive, of any scale.
    fn features() -> Tensor<2> {
        Tensor::random([100, 64], Distribution::Uniform(0.0, 30.0), &Device::flex())
    }

    #[test]
    fn normalised_embeddings_have_length_one() {
        for kind in [HeadKind::Linear, HeadKind::LinearNorm, HeadKind::Mlp] {
            let embeddings = head(kind, true).forward(features());
            assert_eq!(embeddings.dims(), [100, 8]);
            for squared in embeddings.square().sum_dim(1).into_data().iter::<f32>() {
                assert!((squared - 1.0).abs() < 1e-5, "{kind:?}: {squared}");
            }
        }
    }

    #[test]
    fn a_head_without_layers_gives_the_features() {
        let config = HeadConfig {
            kind: HeadKind::Features,
            ..HeadConfig::new(64)
        };
        let mut head = config.init(64, "fc", 5, &Device::flex());
        let features = features();
        let same = head.forward(features.clone()).into_data();
        assert_eq!(same, features.clone().into_data());
        head = head.calibrate(features);
        let mut slots = Vec::new();
        head.slots(&mut slots);
        assert!(slots.is_empty() && head.costs().is_empty());
    }

    #[test]
    fn an_embedding_of_zeros_has_a_finite_gradient() {
        let device = Device::flex().autodiff();
        let rows = Tensor::<2>::zeros([1, 3], &device).require_grad();
        let gradients = unit_length(rows.clone()).sum().backward();
        let gradient = rows.grad(&gradients).unwrap().into_data();
        assert!(gradient.iter::<f32>().all(f32::is_finite));
    }

    #[test]
    fn a_calibrated_head_gives_mean_zero_and_variance_one() {
        for kind in [HeadKind::Linear, HeadKind::Mlp] {
            let outputs = head(kind, false).calibrate(features()).forward(features());
            // The sample is another one: 100 rows leave the mean off by a tenth of a deviation.
            let mean = outputs.clone().mean_dim(0).abs().max().into_scalar::<f32>();
            let variance = outputs.square().mean().into_scalar::<f32>();
            assert!(mean < 0.5, "{kind:?}: {mean}");
            assert!((variance - 1.0).abs() < 0.3, "{kind:?}: {variance}");
        }
    }

    #[test]
    fn a_whitened_head_gives_uncorrelated_outputs_of_variance_one_on_average() {
        let features = features();
        let outputs = head(HeadKind::Linear, false)
            .whiten(features.clone())
            .forward(features);
        let mean = outputs.clone().mean_dim(0).abs().max().into_scalar::<f32>();
        let variance = outputs.clone().square().mean().into_scalar::<f32>();
        assert!(
            mean < 1e-4 && (variance - 1.0).abs() < 1e-4,
            "{mean} {variance}"
        );
        let products = outputs.clone().transpose().matmul(outputs) / 100.0;
        for (at, product) in products.into_data().iter::<f32>().enumerate() {
            let (row, column) = (at / 8, at % 8);
            assert!(
                row == column || product.abs() < 1e-3,
                "{row} {column}: {product}"
            );
        }
    }

    #[test]
    fn a_head_of_discriminants_has_the_class_in_its_first_outputs() {
        // The class is a small step in the sum of all features, each with noise of its own.
        let labels: Vec<usize> = (0..100).map(|row| row % 2).collect();
        let steps: Vec<f32> = labels.iter().map(|&class| class as f32).collect();
        let steps = Tensor::<1>::from_floats(steps.as_slice(), &Device::flex());
        let features = features() + steps.reshape([100, 1]);
        let outputs = head(HeadKind::Linear, false)
            .discriminate(features.clone(), &labels)
            .forward(features);
        let halves = outputs.reshape([50, 2, 8]).mean_dim(0);
        let apart = halves.clone().slice([0..1, 1..2]) - halves.slice([0..1, 0..1]);
        let apart: Vec<f32> = apart.into_data().iter::<f32>().map(f32::abs).collect();
        assert!(
            apart[1..].iter().all(|other| *other < 1e-3 * apart[0]),
            "{apart:?}"
        );
    }

    #[test]
    fn calibration_is_exact_on_its_own_sample() {
        let features = features();
        let outputs = head(HeadKind::Linear, false)
            .calibrate(features.clone())
            .forward(features);
        let mean = outputs.clone().mean_dim(0).abs().max().into_scalar::<f32>();
        let variance = outputs.square().mean().into_scalar::<f32>();
        assert!(
            mean < 1e-4 && (variance - 1.0).abs() < 1e-4,
            "{mean} {variance}"
        );
    }
}
