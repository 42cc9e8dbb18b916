//! The closed list of networks.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::convnet::ConvNetConfig;
use crate::googlenet::{GoogLeNetConfig, GoogLeNetForm};
use crate::preprocessing::Preprocessing;
use crate::trunk::Trunk;

/// Which network turns an image into features.
///
/// In a run file: `{ architecture = "googlenet", form = "bvlc" }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "architecture")]
pub enum NetworkConfig {
    /// A small network for small images.
    #[serde(rename = "convnet")]
    ConvNet(ConvNetConfig),
    /// Inception of 2014.
    #[serde(rename = "googlenet")]
    GoogLeNet(GoogLeNetConfig),
}

impl NetworkConfig {
    /// A network with parameters drawn from `seed`.
    pub fn init(&self, seed: u64, device: &Device) -> Trunk {
        let stages = match self {
            Self::ConvNet(config) => config.stages(seed, device),
            Self::GoogLeNet(config) => config.stages(seed, device),
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
            },
        }
    }

    /// Number of values in a pooled feature vector.
    pub fn feature_size(&self) -> usize {
        match self {
            Self::ConvNet(config) => 4 * config.width,
            Self::GoogLeNet(_) => 1024,
        }
    }

    /// Colour channels of the input.
    pub fn image_channels(&self) -> usize {
        match self {
            Self::ConvNet(config) => config.image_channels,
            Self::GoogLeNet(_) => 3,
        }
    }

    /// Side of the square image the network was made for.
    pub fn usual_size(&self) -> usize {
        match self {
            Self::ConvNet(_) => 28,
            Self::GoogLeNet(_) => 224,
        }
    }

    /// Name of the classifier in the published weight files, which an embedding head takes the place of.
    pub(crate) fn classifier_name(&self) -> &'static str {
        match self {
            Self::ConvNet(_) => "fc",
            Self::GoogLeNet(config) => match config.form {
                GoogLeNetForm::Bvlc => "loss3/classifier",
            },
        }
    }

    /// Names of the auxiliary classifiers in the published weight files.
    pub(crate) fn auxiliary_names(&self) -> &'static [&'static str] {
        match self {
            Self::ConvNet(_) => &[],
            Self::GoogLeNet(config) => match config.form {
                GoogLeNetForm::Bvlc => &["loss1/", "loss2/"],
            },
        }
    }

    /// The input that the published weights were trained on; for the small network, that of Fashion-MNIST.
    pub fn preprocessing(&self) -> Preprocessing {
        match self {
            // Mean and deviation of Fashion-MNIST's training images.
            Self::ConvNet(_) => Preprocessing::grey(28, 0.2860, 0.3530),
            Self::GoogLeNet(config) => match config.form {
                GoogLeNetForm::Bvlc => Preprocessing::caffe(256, 224),
            },
        }
    }
}
