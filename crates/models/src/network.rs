//! The closed list of networks.

use burn::tensor::Device;
use lodestone_files::Preprocessing;
use serde::{Deserialize, Serialize};

use crate::auxiliary_classifiers::AuxiliaryClassifiers;
use crate::convnet::ConvNetConfig;
use crate::googlenet::{GoogLeNetConfig, GoogLeNetForm};
use crate::inception_v3::{self, InceptionV3Config};
use crate::initialise::Initialiser;
use crate::resnet::{self, Depth, ResNetConfig};
use crate::trunk::Trunk;
use crate::weights::{WeightFile, WeightsError};

/// Which network turns an image into features.
///
/// In a run file: `{ architecture = "googlenet", form = "bvlc" }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(tag = "architecture")]
pub enum NetworkConfig {
    /// A small network for small images.
    #[serde(rename = "convnet")]
    ConvNet(ConvNetConfig),
    /// The first Inception network.
    #[serde(rename = "googlenet")]
    GoogLeNet(GoogLeNetConfig),
    /// The third Inception network.
    #[serde(rename = "inception_v3")]
    InceptionV3(InceptionV3Config),
    /// The residual network of 18 layers.
    #[serde(rename = "resnet18")]
    ResNet18(ResNetConfig),
    /// The residual network of 34 layers.
    #[serde(rename = "resnet34")]
    ResNet34(ResNetConfig),
    /// The residual network of 50 layers.
    #[serde(rename = "resnet50")]
    ResNet50(ResNetConfig),
}

impl NetworkConfig {
    /// Every network in its usual setting, the smallest first.
    pub fn all() -> Vec<Self> {
        let googlenet = |form| Self::GoogLeNet(GoogLeNetConfig::new(form));
        vec![
            Self::ConvNet(ConvNetConfig::default()),
            googlenet(GoogLeNetForm::Bvlc),
            googlenet(GoogLeNetForm::Torchvision),
            googlenet(GoogLeNetForm::Paper),
            Self::ResNet18(ResNetConfig {}),
            Self::ResNet34(ResNetConfig {}),
            Self::InceptionV3(InceptionV3Config::default()),
            Self::ResNet50(ResNetConfig {}),
        ]
    }

    /// The network whose published names the tensors of a file have: GoogLeNet of the BVLC or of torchvision, Inception V3,
    /// ResNet-18, 34 or 50.
    ///
    /// # Errors
    /// If they are of another network, or of a ResNet of another depth or width.
    pub fn of_weights(file: &WeightFile) -> Result<Self, WeightsError> {
        let has = |start: &str| file.tensors.keys().any(|name| name.starts_with(start));
        if has("conv1/7x7_s2") {
            return Ok(GoogLeNetConfig::new(GoogLeNetForm::Bvlc).into());
        }
        // torchvision's published weights of these two expect its change of the input.
        let transform_input = true;
        if has("inception3a.") {
            let form = GoogLeNetForm::Torchvision;
            return Ok(Self::GoogLeNet(GoogLeNetConfig {
                form,
                transform_input,
            }));
        }
        if has("Mixed_5b.") {
            return Ok(Self::InceptionV3(InceptionV3Config { transform_input }));
        }
        resnet::of_weights(file).ok_or_else(|| WeightsError::UnknownNetwork {
            path: file.path.clone(),
            tensors: file.tensors.len(),
            first: file.tensors.keys().next().cloned().unwrap_or_default(),
        })
    }

    /// A network with parameters drawn from `seed`.
    pub fn init(&self, seed: u64, device: &Device) -> Trunk {
        let stages = match self {
            Self::ConvNet(config) => config.stages(seed, device),
            Self::GoogLeNet(config) => config.stages(seed, device),
            Self::InceptionV3(config) => config.stages(seed, device),
            Self::ResNet18(_) => Depth::Eighteen.stages(seed, device),
            Self::ResNet34(_) => Depth::ThirtyFour.stages(seed, device),
            Self::ResNet50(_) => Depth::Fifty.stages(seed, device),
        };
        Trunk {
            stages,
            config: self.clone(),
        }
    }

    /// Name of the network, with its form where there are several.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ConvNet(_) => "ConvNet",
            Self::GoogLeNet(config) => match config.form {
                GoogLeNetForm::Bvlc => "GoogLeNet (bvlc)",
                GoogLeNetForm::Torchvision => "GoogLeNet (torchvision)",
                GoogLeNetForm::Paper => "GoogLeNet (paper)",
            },
            Self::InceptionV3(_) => "Inception V3",
            Self::ResNet18(_) => "ResNet-18",
            Self::ResNet34(_) => "ResNet-34",
            Self::ResNet50(_) => "ResNet-50",
        }
    }

    /// Where the network comes from.
    pub fn source(&self) -> &'static str {
        match self {
            Self::ConvNet(_) => "this library",
            Self::GoogLeNet(config) => match config.form {
                GoogLeNetForm::Bvlc => "arXiv 1409.4842, as BVLC's Caffe replication",
                GoogLeNetForm::Torchvision => "arXiv 1409.4842, as torchvision's googlenet",
                GoogLeNetForm::Paper => "arXiv 1409.4842, with batch normalisation",
            },
            Self::InceptionV3(_) => "arXiv 1512.00567, as torchvision's inception_v3",
            Self::ResNet18(_) => "arXiv 1512.03385, as torchvision's resnet18",
            Self::ResNet34(_) => "arXiv 1512.03385, as torchvision's resnet34",
            Self::ResNet50(_) => "arXiv 1512.03385, as torchvision's resnet50",
        }
    }

    /// In what the network is known to differ from the paper it comes from.
    pub fn differences(&self) -> &'static str {
        match self {
            Self::ConvNet(_) => "there is no paper",
            Self::GoogLeNet(config) => match config.form {
                GoogLeNetForm::Bvlc => {
                    "the mean over the last map replaces a 7×7 window; auxiliary classifiers average adaptively to 4×4"
                }
                GoogLeNetForm::Torchvision => {
                    "batch normalisation instead of local response normalisation and biases; 3×3 where the paper has 5×5; 2×2 \
                     windows in the fourth pooling; the mean over the last map replaces a 7×7 window; auxiliary classifiers \
                     average adaptively to 4×4"
                }
                GoogLeNetForm::Paper => {
                    "batch normalisation instead of local response normalisation and biases; the mean over the last map \
                     replaces a 7×7 window; auxiliary classifiers average adaptively to 4×4"
                }
            },
            Self::InceptionV3(_) => {
                "5×5 convolutions remain in the first three blocks; the reduction of Mixed_6a is narrower; the mean over the \
                 last map replaces an 8×8 window"
            }
            Self::ResNet18(_) | Self::ResNet34(_) => {
                "1×1 convolutions as shortcuts where channels or size change, option B of the paper"
            }
            Self::ResNet50(_) => {
                "the 3×3 convolution of a block halves the maps where the paper has the 1×1 before it; 1×1 convolutions as \
                 shortcuts where channels or size change, option B of the paper"
            }
        }
    }

    /// Number of values in a pooled feature vector.
    pub fn feature_size(&self) -> usize {
        match self {
            Self::ConvNet(config) => 4 * config.width,
            Self::GoogLeNet(_) => 1024,
            Self::InceptionV3(_) => 2048,
            Self::ResNet18(_) => Depth::Eighteen.feature_size(),
            Self::ResNet34(_) => Depth::ThirtyFour.feature_size(),
            Self::ResNet50(_) => Depth::Fifty.feature_size(),
        }
    }

    /// Colour channels of the input.
    pub fn image_channels(&self) -> usize {
        match self {
            Self::ConvNet(config) => config.image_channels,
            Self::GoogLeNet(_) | Self::InceptionV3(_) => 3,
            Self::ResNet18(_) | Self::ResNet34(_) | Self::ResNet50(_) => 3,
        }
    }

    /// Side of the square image the network was made for.
    pub fn usual_size(&self) -> usize {
        match self {
            Self::ConvNet(_) => 28,
            Self::GoogLeNet(_) => 224,
            Self::InceptionV3(_) => 299,
            Self::ResNet18(_) | Self::ResNet34(_) | Self::ResNet50(_) => 224,
        }
    }

    /// The input that the published weights were trained on; for the small network, that of Fashion-MNIST.
    pub fn preprocessing(&self) -> Preprocessing {
        match self {
            // In colour as every photograph; in grey by mean and deviation of Fashion-MNIST's training images.
            Self::ConvNet(config) if config.image_channels == 3 => Preprocessing::imagenet(28, 28),
            Self::ConvNet(_) => Preprocessing::grey(28, 0.2860, 0.3530),
            Self::GoogLeNet(config) => match config.form {
                GoogLeNetForm::Bvlc => Preprocessing::caffe(256, 224),
                GoogLeNetForm::Torchvision | GoogLeNetForm::Paper => {
                    Preprocessing::imagenet(256, 224)
                }
            },
            Self::InceptionV3(_) => Preprocessing::imagenet(342, 299),
            Self::ResNet18(_) | Self::ResNet34(_) | Self::ResNet50(_) => {
                Preprocessing::imagenet(256, 224)
            }
        }
    }

    /// Name of the classifier in the published weight files, which an embedding head takes the place of.
    pub fn classifier_name(&self) -> &'static str {
        match self {
            Self::ConvNet(_) | Self::InceptionV3(_) => "fc",
            Self::ResNet18(_) | Self::ResNet34(_) | Self::ResNet50(_) => "fc",
            Self::GoogLeNet(config) => match config.form {
                GoogLeNetForm::Bvlc => "loss3/classifier",
                GoogLeNetForm::Torchvision | GoogLeNetForm::Paper => "fc",
            },
        }
    }

    /// How weight and bias of a classifier start.
    pub(crate) fn classifier_start(&self) -> [Initialiser; 2] {
        let weight = match self {
            Self::ConvNet(_) => Initialiser::UniformFanIn,
            Self::GoogLeNet(config) => config.initialiser(),
            Self::InceptionV3(_) => inception_v3::INITIALISER,
            Self::ResNet18(_) | Self::ResNet34(_) | Self::ResNet50(_) => Initialiser::UniformFanIn,
        };
        [weight, Initialiser::UniformFanIn]
    }

    /// The network's classifiers below the top, with this dropout before their last layer where they have any.
    ///
    /// # Panics
    /// If `classes` is 0 or `dropout` is not in `[0, 1)`.
    pub fn auxiliary(
        &self,
        classes: usize,
        dropout: f64,
        seed: u64,
        device: &Device,
    ) -> AuxiliaryClassifiers {
        assert!(classes > 0, "classes is 0, must be at least 1");
        let heads = match self {
            Self::ConvNet(_) => Vec::new(),
            Self::GoogLeNet(config) => config.auxiliary(classes, dropout, seed, device),
            Self::InceptionV3(config) => vec![config.auxiliary(classes, seed, device)],
            Self::ResNet18(_) | Self::ResNet34(_) | Self::ResNet50(_) => Vec::new(),
        };
        AuxiliaryClassifiers { heads }
    }

    /// Beginnings of the names of auxiliary classifiers in the published weight files.
    pub(crate) fn auxiliary_names(&self) -> &'static [&'static str] {
        match self {
            Self::ConvNet(_) => &[],
            Self::GoogLeNet(config) => match config.form {
                GoogLeNetForm::Bvlc => &["loss1/", "loss2/"],
                GoogLeNetForm::Torchvision | GoogLeNetForm::Paper => &["aux1", "aux2"],
            },
            Self::InceptionV3(_) => &["AuxLogits"],
            Self::ResNet18(_) | Self::ResNet34(_) | Self::ResNet50(_) => &[],
        }
    }
}

impl From<ConvNetConfig> for NetworkConfig {
    fn from(config: ConvNetConfig) -> Self {
        Self::ConvNet(config)
    }
}

impl From<GoogLeNetConfig> for NetworkConfig {
    fn from(config: GoogLeNetConfig) -> Self {
        Self::GoogLeNet(config)
    }
}

impl From<InceptionV3Config> for NetworkConfig {
    fn from(config: InceptionV3Config) -> Self {
        Self::InceptionV3(config)
    }
}
