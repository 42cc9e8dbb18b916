//! ResNet, networks of residual blocks (He et al., *Deep residual learning for image recognition*, arXiv 1512.03385).

use burn::tensor::Device;
use lodestone_kernels::Activation;
use serde::{Deserialize, Serialize};

use crate::conv_unit::{ConvUnit, ConvUnitConfig, Shift};
use crate::initialise::Initialiser;
use crate::layer::Layer;
use crate::network::NetworkConfig;
use crate::pool::MaxPool;
use crate::residual::Residual;
use crate::trunk::Stage;
use crate::weights::WeightFile;

/// Description of a ResNet, as torchvision publishes weights for it; the number of layers is in the name of the architecture.
///
/// | at 3×224×224 | `resnet18` | `resnet34` | `resnet50` |
/// | --- | --- | --- | --- |
/// | last map | 512×7×7 | 512×7×7 | 2048×7×7 |
/// | features | 512 | 512 | 2048 |
/// | parameters without a classifier | 11,176,512 | 21,284,672 | 23,508,032 |
/// | multiply-adds, millions | 1,814 | 3,663 | 4,087 |
/// | blocks of `layer1` to `layer4` | 2, 2, 2, 2 | 3, 4, 6, 3 | 3, 4, 6, 3 |
/// | convolutions of a block | 3×3, 3×3 | 3×3, 3×3 | 1×1, 3×3, 1×1 |
/// | smallest image | 1×1 | 1×1 | 1×1 |
///
/// Stages: `conv1`, `maxpool`, `layer1`, `layer2`, `layer3`, `layer4`.
///
/// Source: He et al., *Deep residual learning for image recognition*, arXiv 1512.03385.
///
/// Known differences from the paper, all of them torchvision's: a block of `resnet50` halves the maps in its 3×3 convolution
/// and not in the 1×1 before it, which some call version 1.5; where channels or size change the shortcut is a 1×1
/// convolution, option B of the paper.
///
/// The pictures of torchvision's published weights have a shorter side of 256 pixels before the centre of 224 is cut; only
/// those of `resnet50-11ad3fa6.pth` (`IMAGENET1K_V2`) have 232.
///
/// # Example
/// ```
/// # use burn::tensor::{Device, Tensor};
/// use lodestone_models::{NetworkConfig, ResNetConfig};
///
/// let device = Device::flex();
/// let trunk = NetworkConfig::ResNet18(ResNetConfig {}).init(0, &device);
/// let stage = trunk.stage("layer3").unwrap();
/// let maps = trunk.forward_until(Tensor::ones([1, 3, 32, 32], &device), stage);
/// assert_eq!(maps.dims(), [1, 256, 2, 2]);
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct ResNetConfig {}

/// Number of layers that the paper counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    Eighteen,
    ThirtyFour,
    Fifty,
}

impl Depth {
    /// Blocks of each of the four layers.
    fn blocks(self) -> [usize; 4] {
        match self {
            Self::Eighteen => [2, 2, 2, 2],
            Self::ThirtyFour | Self::Fifty => [3, 4, 6, 3],
        }
    }

    /// Output channels of a block over those of its 3×3 convolutions.
    fn expansion(self) -> usize {
        match self {
            Self::Eighteen | Self::ThirtyFour => 1,
            Self::Fifty => 4,
        }
    }

    /// Number of values in a pooled feature vector.
    pub(crate) fn feature_size(self) -> usize {
        512 * self.expansion()
    }

    pub(crate) fn stages(self, seed: u64, device: &Device) -> Vec<Stage> {
        Builder {
            depth: self,
            seed,
            device,
        }
        .stages()
    }
}

/// The ResNet whose published names and shapes the tensors of a file have; none if they are of another network, or of a ResNet of
/// another depth or width.
pub(crate) fn of_weights(file: &WeightFile) -> Option<NetworkConfig> {
    let block = |layer: usize, block: usize| format!("layer{layer}.{block}.conv1.weight");
    let blocks = [1, 2, 3, 4].map(|layer| {
        let present = |&index: &usize| file.tensors.contains_key(&block(layer, index));
        (0..).take_while(present).count()
    });
    let first = file.tensors.get(&block(1, 0))?;
    let bottleneck = file.tensors.contains_key("layer1.0.conv3.weight");
    let (network, kernel) = match (blocks, bottleneck) {
        ([2, 2, 2, 2], false) => (NetworkConfig::ResNet18(ResNetConfig {}), 3),
        ([3, 4, 6, 3], false) => (NetworkConfig::ResNet34(ResNetConfig {}), 3),
        ([3, 4, 6, 3], true) => (NetworkConfig::ResNet50(ResNetConfig {}), 1),
        _ => return None,
    };
    // Wide ones and those with groups have 128 channels here.
    (first.shape == [64, 64, kernel, kernel]).then_some(network)
}

struct Builder<'a> {
    depth: Depth,
    seed: u64,
    device: &'a Device,
}

impl Builder<'_> {
    fn stages(&self) -> Vec<Stage> {
        let conv1 = self.unit("conv1", "bn1", [3, 64], 7, 2, Activation::Relu);
        let pool = MaxPool {
            size: 3,
            stride: 2,
            padding: 1,
            round_up: false,
        };
        let mut stages = vec![
            Stage::new("conv1", vec![Layer::Conv(conv1)]),
            Stage::new("maxpool", vec![Layer::MaxPool(pool)]),
        ];
        let mut input = 64;
        let widths = [64, 128, 256, 512];
        for (index, (blocks, width)) in self.depth.blocks().into_iter().zip(widths).enumerate() {
            let name = format!("layer{}", index + 1);
            let layers = (0..blocks).map(|block| {
                // The first block of a layer halves, but that of the first: the pooling before it has.
                let stride = if index > 0 && block == 0 { 2 } else { 1 };
                let residual = self.block(&format!("{name}.{block}"), input, width, stride);
                input = width * self.depth.expansion();
                Layer::Residual(residual)
            });
            stages.push(Stage::new(&name, layers.collect()));
        }
        stages
    }

    fn block(&self, name: &str, input: usize, width: usize, stride: usize) -> Residual {
        let output = width * self.depth.expansion();
        let unit = |place: usize, channels, kernel, stride, activation| {
            let [conv, norm] = ["conv", "bn"].map(|kind| format!("{name}.{kind}{place}"));
            self.unit(&conv, &norm, channels, kernel, stride, activation)
        };
        let (relu, none) = (Activation::Relu, Activation::None);
        let (first, last) = match self.depth {
            Depth::Eighteen | Depth::ThirtyFour => (
                vec![unit(1, [input, width], 3, stride, relu)],
                unit(2, [width, width], 3, 1, none),
            ),
            Depth::Fifty => (
                vec![
                    unit(1, [input, width], 1, 1, relu),
                    unit(2, [width, width], 3, stride, relu),
                ],
                unit(3, [width, output], 1, 1, none),
            ),
        };
        let shortcut = (stride != 1 || input != output).then(|| {
            let [conv, norm] = ["0", "1"].map(|part| format!("{name}.downsample.{part}"));
            self.unit(&conv, &norm, [input, output], 1, stride, none)
        });
        Residual {
            first,
            last,
            shortcut,
        }
    }

    /// A convolution that keeps the size of its input, apart from its stride.
    fn unit(
        &self,
        name: &str,
        norm: &str,
        channels: [usize; 2],
        kernel: usize,
        stride: usize,
        activation: Activation,
    ) -> ConvUnit {
        let config = ConvUnitConfig {
            name: name.to_owned(),
            norm_name: Some(norm.to_owned()),
            channels,
            kernel: [kernel; 2],
            stride,
            padding: [kernel / 2; 2],
            shift: Shift::BatchNorm(1e-5),
            activation,
            initialiser: Initialiser::KaimingFanOut,
        };
        config.init(self.seed, self.device)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use super::of_weights;
    use crate::{
        Auxiliary, ClassifierConfig, FileDtype, FileTensor, NetworkConfig, ResNetConfig, WeightFile,
    };

    /// Names and shapes of a network with a classifier, without values.
    fn file(network: &NetworkConfig) -> WeightFile {
        let config = ClassifierConfig {
            network: network.clone(),
            classes: 1000,
            dropout: 0.0,
            auxiliary: Auxiliary::Without,
        };
        let mut classifier = config.init(0, &burn::tensor::Device::flex());
        let tensors = classifier.slots().into_iter().map(|slot| {
            let shape = slot.shape();
            let tensor = FileTensor {
                dtype: FileDtype::F32,
                shape,
                bytes: Vec::new(),
            };
            (slot.name, tensor)
        });
        WeightFile {
            path: PathBuf::from("weights.pth"),
            tensors: tensors.collect(),
            metadata: BTreeMap::new(),
        }
    }

    #[test]
    fn the_network_is_read_off_names_and_shapes() {
        let config = ResNetConfig {};
        for network in [
            NetworkConfig::ResNet18(config),
            NetworkConfig::ResNet34(config),
            NetworkConfig::ResNet50(config),
        ] {
            let mut file = file(&network);
            assert_eq!(of_weights(&file), Some(network.clone()));
            // A deeper one.
            let one = file.tensors["layer3.1.conv1.weight"].clone();
            let next = (0..).find(|i| {
                !file
                    .tensors
                    .contains_key(&format!("layer3.{i}.conv1.weight"))
            });
            let next = format!("layer3.{}.conv1.weight", next.unwrap());
            file.tensors.insert(next.clone(), one);
            assert_eq!(of_weights(&file), None);
            // A wider one.
            file.tensors.remove(&next);
            let first = file.tensors.get_mut("layer1.0.conv1.weight").unwrap();
            first.shape[0] = 128;
            assert_eq!(of_weights(&file), None);
        }
        let other = file(&NetworkConfig::ConvNet(Default::default()));
        assert_eq!(of_weights(&other), None);
    }
}
