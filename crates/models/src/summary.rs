//! Size and cost of a network, found by walking its layers.

use crate::classifier::Classifier;
use crate::embedder::Embedder;
use crate::layer_cost::LayerCost;
use crate::trunk::{InputError, Trunk};

/// Size and cost of a network for one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Name of the network, with its form where there are several.
    pub name: String,
    /// Channels, height and width of the image.
    pub input: [usize; 3],
    /// Channels, height and width of the last map.
    pub last_map: [usize; 3],
    /// Every layer with parameters, in the order of the forward pass.
    pub layers: Vec<LayerCost>,
}

impl Summary {
    /// Trainable values.
    pub fn parameters(&self) -> usize {
        self.layers.iter().map(|layer| layer.parameters).sum()
    }

    /// Multiplications with an addition in convolutions and matrix products.
    pub fn multiply_adds(&self) -> usize {
        self.layers.iter().map(|layer| layer.multiply_adds).sum()
    }
}

impl Trunk {
    /// Size and cost for one square image of `size` pixels a side.
    ///
    /// # Errors
    /// If the network cannot process that size.
    pub fn summary(&self, size: usize) -> Result<Summary, InputError> {
        let input = [self.config.image_channels(), size, size];
        let mut layers = Vec::new();
        let last_map = self
            .trace(input, &mut layers)
            .ok_or_else(|| self.too_small(size, size))?;
        Ok(Summary {
            name: self.config.name().to_owned(),
            input,
            last_map,
            layers,
        })
    }
}

impl Embedder {
    /// Size and cost for one square image of `size` pixels a side, head included.
    ///
    /// # Errors
    /// If the network cannot process that size.
    pub fn summary(&self, size: usize) -> Result<Summary, InputError> {
        let mut summary = self.trunk.summary(size)?;
        summary.layers.extend(self.head.costs());
        Ok(summary)
    }
}

impl Classifier {
    /// Size and cost for one square image of `size` pixels a side, auxiliary classifiers included.
    ///
    /// # Errors
    /// If the network, or an auxiliary classifier, cannot process that size.
    pub fn summary(&self, size: usize) -> Result<Summary, InputError> {
        let mut summary = self.trunk.summary(size)?;
        self.auxiliary
            .trace(&self.trunk, summary.input, &mut summary.layers)?;
        summary.layers.push(self.last.cost());
        Ok(summary)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor};

    use crate::{
        Auxiliary, ClassifierConfig, ConvNetConfig, GoogLeNetConfig, GoogLeNetForm,
        InceptionV3Config, NetworkConfig, ResNetConfig,
    };

    /// Parameters are those that the authors of the weights state; multiply-adds are torchvision's `_ops`, in millions.
    #[test]
    fn sizes_are_those_of_the_published_networks() {
        let googlenet = |form| NetworkConfig::GoogLeNet(GoogLeNetConfig::new(form));
        let inception = || NetworkConfig::InceptionV3(InceptionV3Config::default());
        let (with, without) = (Auxiliary::With { dropout: 0.0 }, Auxiliary::Without);
        check(googlenet(GoogLeNetForm::Bvlc), without, 6_998_552, 1_583);
        check(
            googlenet(GoogLeNetForm::Torchvision),
            without,
            6_624_904,
            1_498,
        );
        check(
            googlenet(GoogLeNetForm::Torchvision),
            with,
            13_004_888,
            1_507,
        );
        check(googlenet(GoogLeNetForm::Paper), without, 7_005_832, 1_583);
        check(inception(), with, 27_161_264, 5_719);
        check(inception(), without, 23_834_568, 5_713);
        let config = ResNetConfig {};
        check(NetworkConfig::ResNet18(config), without, 11_689_512, 1_814);
        check(NetworkConfig::ResNet34(config), without, 21_797_672, 3_664);
        check(NetworkConfig::ResNet50(config), without, 25_557_032, 4_089);
        check(
            NetworkConfig::ConvNet(ConvNetConfig::default()),
            with,
            221_896,
            8,
        );
    }

    fn check(network: NetworkConfig, auxiliary: Auxiliary, parameters: usize, millions: usize) {
        let config = ClassifierConfig {
            network,
            classes: 1000,
            dropout: 0.0,
            auxiliary,
        };
        let summary = config
            .init(0, &Device::flex())
            .summary(config.network.usual_size())
            .unwrap();
        let rounded = (summary.multiply_adds() + 500_000) / 1_000_000;
        let name = (&summary.name, auxiliary);
        assert_eq!(
            (name, summary.parameters(), rounded),
            (name, parameters, millions)
        );
    }

    /// The tables in the documentation of each network, which `lodestone models` prints as well.
    #[test]
    fn documented_sizes_are_the_measured_ones() {
        let documented = [
            (92_896, 7, [128, 7, 7]),
            (5_973_552, 1_582, [1024, 7, 7]),
            (5_599_904, 1_497, [1024, 7, 7]),
            (5_980_832, 1_582, [1024, 7, 7]),
            (11_176_512, 1_814, [512, 7, 7]),
            (21_284_672, 3_663, [512, 7, 7]),
            (21_785_568, 5_711, [2048, 8, 8]),
            (23_508_032, 4_087, [2048, 7, 7]),
        ];
        for (network, (parameters, millions, last_map)) in
            NetworkConfig::all().iter().zip(documented)
        {
            let trunk = network.init(0, &Device::flex());
            let summary = trunk.summary(network.usual_size()).unwrap();
            let rounded = (summary.multiply_adds() + 500_000) / 1_000_000;
            let got = (summary.parameters(), rounded);
            assert_eq!(got, (parameters, millions), "{}", network.name());
            assert_eq!(summary.last_map, last_map, "{}", network.name());
        }
    }

    #[test]
    fn an_image_too_small_for_an_auxiliary_classifier_is_named_with_its_minimum() {
        let network = NetworkConfig::InceptionV3(InceptionV3Config::default());
        let device = Device::flex();
        let trunk = network.init(0, &device);
        let auxiliary = network.auxiliary(10, 0.0, 0, &device);
        let error = auxiliary.check_input(&trunk, [3, 224, 224]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "an auxiliary classifier of Inception V3 needs images of at least 299x299 pixels, these are 224x224"
        );
    }

    #[test]
    fn the_smallest_image_passes_every_window() {
        let device = Device::flex();
        let smallest: Vec<usize> = NetworkConfig::all()
            .iter()
            .map(|network| {
                let trunk = network.init(0, &device);
                let (channels, size) = (network.image_channels(), trunk.minimum_size());
                let image = Tensor::<4>::ones([1, channels, size, size], &device);
                assert_eq!(trunk.forward(image).dims(), [1, network.feature_size()]);
                size
            })
            .collect();
        // torchvision states 15 for its GoogLeNet, 75 for Inception V3 and 1 for ResNet.
        assert_eq!(smallest, [4, 31, 15, 31, 1, 1, 75, 1]);
    }
}
