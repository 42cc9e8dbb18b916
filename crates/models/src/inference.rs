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
    use std::time::Instant;

    use burn::module::Module;
    use burn::tensor::{Device, Distribution, Tensor};
    use lodestone_kernels::global_average;

    use crate::{
        ConvNetConfig, Embedder, EmbedderConfig, GoogLeNetConfig, GoogLeNetForm, HeadConfig,
        InceptionV3Config, NetworkConfig, ResNetConfig,
    };

    /// Features with normalisation in a pass of its own.
    fn features_apart(embedder: &Embedder, images: Tensor<4>) -> Tensor<2> {
        let layers = embedder.trunk.stages.iter().flat_map(|stage| &stage.layers);
        global_average(layers.fold(images, |maps, layer| layer.forward_apart(maps)))
    }

    fn networks() -> [NetworkConfig; 5] {
        [
            ConvNetConfig::default().into(),
            GoogLeNetConfig::new(GoogLeNetForm::Torchvision).into(),
            InceptionV3Config::default().into(),
            NetworkConfig::ResNet18(ResNetConfig {}),
            NetworkConfig::ResNet50(ResNetConfig {}),
        ]
    }

    #[test]
    fn folding_changes_nothing_but_rounding() {
        let device = Device::flex().autodiff();
        for (network, side) in networks().into_iter().zip([28, 64, 96, 64, 64]) {
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
            let plain = embedder.valid();
            let want = features_apart(&plain, images.clone()).into_data();
            let largest = want.iter::<f32>().map(f32::abs).fold(0.0, f32::max);
            let folded = embedder.for_inference();
            for got in [plain.features(images.clone()), folded.features(images)] {
                for (got, want) in got.into_data().iter::<f32>().zip(want.iter::<f32>()) {
                    assert!(
                        (got - want).abs() <= 1e-4 * largest,
                        "{}: {got} is not {want}",
                        config.network.name()
                    );
                }
            }
        }
    }

    #[test]
    #[ignore = "a measurement of half a minute: run it alone"]
    #[allow(clippy::print_stdout, reason = "a measurement prints")]
    fn measure_what_folding_saves() {
        let device = Device::flex();
        for (network, images) in [
            (networks()[1].clone(), 32),
            (networks()[1].clone(), 1),
            (networks()[2].clone(), 8),
            (networks()[2].clone(), 1),
        ] {
            let (side, head) = (network.usual_size(), HeadConfig::new(16));
            let embedder = EmbedderConfig { network, head }.init(0, &device);
            let folded = embedder.for_inference();
            let batch = Tensor::random([images, 3, side, side], Distribution::Default, &device);
            let time = |run: &dyn Fn(Tensor<4>) -> Tensor<2>| {
                let start = Instant::now();
                drop(run(batch.clone()).into_data());
                1e3 * start.elapsed().as_secs_f64()
            };
            let mut rounds: Vec<[f64; 3]> = (0..8)
                .map(|_| {
                    [
                        time(&|batch| features_apart(&embedder, batch)),
                        time(&|batch| embedder.features(batch)),
                        time(&|batch| folded.features(batch)),
                    ]
                })
                .skip(1)
                .collect();
            let median = |rounds: &mut Vec<[f64; 3]>, i: usize| {
                rounds.sort_by(|a, b| a[i].total_cmp(&b[i]));
                rounds[rounds.len() / 2][i]
            };
            let [apart, each, once] = [0, 1, 2].map(|i| median(&mut rounds, i));
            println!(
                "{} {images}x{side}: apart {apart:.1} ms, folded for each batch {each:.1} ms, folded once {once:.1} ms",
                embedder.config().network.name()
            );
        }
    }
}
