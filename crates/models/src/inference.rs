//! An embedder for use alone: batch normalisation folded into the convolutions, no gradient graph.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::conv_unit::ConvUnit;
use crate::embedder::Embedder;

/// An [`Embedder`] that can no longer be trained or written, and is faster for it.
///
/// With running mean `m`, running variance `v` and the normalisation's own weight `g` and bias `b`, a convolution followed
/// by its normalisation is one convolution: weights times `g / sqrt(v + epsilon)`, bias `b - m g / sqrt(v + epsilon)`.
/// Outputs agree to rounding.
///
/// # Example
/// ```
/// # use burn::tensor::{Device, Tensor};
/// # use lodestone_models::{ConvNetConfig, EmbedderConfig, HeadConfig, NetworkConfig};
/// let device = Device::flex();
/// let network = NetworkConfig::ConvNet(ConvNetConfig::default());
/// let embedder = EmbedderConfig { network, head: HeadConfig::new(16) }.init(7, &device);
/// let embeddings = embedder.for_inference().forward(Tensor::ones([2, 1, 28, 28], &device));
/// assert_eq!(embeddings.dims(), [2, 16]);
/// ```
#[derive(Clone, Debug)]
pub struct InferenceEmbedder {
    folded: Embedder,
}

impl Embedder {
    /// A copy for use alone.
    pub fn for_inference(&self) -> InferenceEmbedder {
        let mut folded = self.valid();
        for layer in folded
            .trunk
            .stages
            .iter_mut()
            .flat_map(|stage| &mut stage.layers)
        {
            layer.for_each_unit(&mut ConvUnit::fold);
        }
        InferenceEmbedder { folded }
    }
}

impl InferenceEmbedder {
    /// As [`Embedder::forward`], on a device without autodiff.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.folded.forward(images)
    }

    /// As [`Embedder::features`], on a device without autodiff.
    pub fn features(&self, images: Tensor<4>) -> Tensor<2> {
        self.folded.features(images)
    }

    /// Number of values in an embedding.
    pub fn embedding_size(&self) -> usize {
        self.folded.embedding_size()
    }
}

impl ConvUnit {
    /// Takes the normalisation into weights and bias.
    fn fold(&mut self) {
        let Some(norm) = self.norm.take() else { return };
        let [scale, shift] = norm.fixed();
        let weight = self.weight.val() * scale.reshape([-1, 1, 1, 1]);
        self.weight = Param::initialized(self.weight.id, weight);
        self.bias = Some(Param::from_tensor(shift));
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::tensor::{Device, Distribution, Tensor};

    use crate::{ConvNetConfig, EmbedderConfig, GoogLeNetConfig, GoogLeNetForm, HeadConfig};

    #[test]
    fn folding_changes_nothing_but_rounding() {
        let device = Device::flex().autodiff();
        let googlenet = GoogLeNetConfig::new(GoogLeNetForm::Torchvision);
        for (network, side) in [
            (ConvNetConfig::default().into(), 28),
            (googlenet.into(), 32),
        ] {
            let config = EmbedderConfig {
                network,
                head: HeadConfig::new(16),
            };
            let embedder = config.init(3, &device);
            let channels = config.network.image_channels();
            let images = Tensor::random([4, channels, side, side], Distribution::Default, &device);
            // A training pass moves the running statistics away from 0 and 1.
            embedder.forward(images.clone());
            let images = images.without_autodiff();
            let want = embedder.valid().forward(images.clone()).into_data();
            let got = embedder.for_inference().forward(images).into_data();
            let largest = want.iter::<f32>().map(f32::abs).fold(0.0, f32::max);
            for (got, want) in got.iter::<f32>().zip(want.iter::<f32>()) {
                assert!((got - want).abs() <= 1e-4 * largest, "{got} is not {want}");
            }
        }
    }
}
