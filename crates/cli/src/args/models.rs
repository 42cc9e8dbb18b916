//! What can be typed behind `lodestone models` and `lodestone weights`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use lodestone_models::{
    GoogLeNetConfig, GoogLeNetForm, InceptionV3Config, NetworkConfig, ResNetConfig,
};

/// A network on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum NetworkName {
    /// The small network for small images
    Convnet,
    /// GoogLeNet of 2014 as Caffe has it: local response normalisation, biases
    Bvlc,
    /// GoogLeNet as torchvision has it: batch normalisation, 3×3 in the "5×5" branch
    Googlenet,
    /// GoogLeNet of the paper with batch normalisation
    Paper,
    /// Inception V3 as torchvision has it
    InceptionV3,
    /// ResNet of 18 layers as torchvision has it
    Resnet18,
    /// ResNet of 34 layers as torchvision has it
    Resnet34,
    /// ResNet of 50 layers as torchvision has it
    Resnet50,
}

impl NetworkName {
    /// The network; `transform_input` as torchvision's published weights need it.
    pub(crate) fn config(self, transform_input: bool) -> NetworkConfig {
        let googlenet = |form| {
            NetworkConfig::GoogLeNet(GoogLeNetConfig {
                form,
                transform_input: transform_input && form == GoogLeNetForm::Torchvision,
            })
        };
        match self {
            Self::Convnet => NetworkConfig::ConvNet(Default::default()),
            Self::Bvlc => googlenet(GoogLeNetForm::Bvlc),
            Self::Googlenet => googlenet(GoogLeNetForm::Torchvision),
            Self::Paper => googlenet(GoogLeNetForm::Paper),
            Self::InceptionV3 => NetworkConfig::InceptionV3(InceptionV3Config { transform_input }),
            Self::Resnet18 => NetworkConfig::ResNet18(ResNetConfig {}),
            Self::Resnet34 => NetworkConfig::ResNet34(ResNetConfig {}),
            Self::Resnet50 => NetworkConfig::ResNet50(ResNetConfig {}),
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lodestone models
  lodestone models inception_v3 --size 224")]
pub(crate) struct ModelsArguments {
    /// Lists the layers of one network instead of all networks.
    #[arg(value_name = "NETWORK")]
    pub(crate) network: Option<NetworkName>,
    /// Side of the square image, instead of each network's usual one.
    #[arg(long, value_name = "PIXELS")]
    pub(crate) size: Option<usize>,
    /// Prints JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WeightsCommand {
    /// Lists the tensors and the metadata of a .safetensors, .pth or .caffemodel file.
    #[command(after_help = "Example:\n  lodestone weights inspect googlenet-1378be20.pth")]
    Inspect {
        /// The file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Prints JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Writes a .pth, .caffemodel or .safetensors file as .safetensors: as it is, or as a model that embeds images.
    Convert(ConvertArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Without --network, names, values and types are kept as they are; of a network that its tensors' names tell, the file written says so
itself, and how an image is to be prepared.

Examples:
  lodestone weights convert googlenet-1378be20.pth googlenet.safetensors
  lodestone weights convert googlenet-1378be20.pth model.safetensors --network googlenet
  lodestone embed model.safetensors photographs -o embeddings.npy")]
pub(crate) struct ConvertArguments {
    /// The file to read.
    #[arg(value_name = "FROM")]
    pub(crate) from: PathBuf,
    /// The file to write.
    #[arg(value_name = "TO")]
    pub(crate) to: PathBuf,
    /// Writes over a file that is there.
    #[arg(long)]
    pub(crate) force: bool,
    /// The network that the weights belong to; the file written says so, and how an image is to be prepared.
    #[arg(long, value_name = "NETWORK")]
    pub(crate) network: Option<NetworkName>,
    /// Takes the classifier's scores for the embedding, instead of the pooled features below it.
    #[arg(long, requires = "network")]
    pub(crate) classifier: bool,
    /// Lets tensors that the file lacks keep the values they start with, and lists them.
    #[arg(long, requires = "network")]
    pub(crate) partial: bool,
    /// The weights expect ImageNet's normalisation as it is: torchvision's published ones of GoogLeNet and Inception V3 do not,
    /// those of a network that was trained in torchvision from random weights do, and all of ResNet.
    #[arg(long, requires = "network")]
    pub(crate) no_transform_input: bool,
    /// Side of the square image, instead of the network's usual one.
    #[arg(long, requires = "network", value_name = "PIXELS")]
    pub(crate) size: Option<usize>,
}
