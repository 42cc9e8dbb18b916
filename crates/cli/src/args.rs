//! All that can be typed behind `lodestone`.

mod clusters;
mod data;
mod evaluate;
mod models;
mod runs;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use self::clusters::ClustersArguments;
pub(crate) use self::data::{DataCommand, FetchArguments, VerifyArguments};
pub(crate) use self::evaluate::{
    ConventionName, DepthName, EvaluateArguments, FilesArguments, Merge, ModeName,
};
pub(crate) use self::models::{ConvertArguments, ModelsArguments, WeightsCommand};
pub(crate) use self::runs::{ExplainArguments, PretrainArguments, RunsArguments};
use crate::device::DeviceName;

/// Deep metric learning: from labelled photographs to a space in which distance means similarity.
#[derive(Debug, Parser)]
#[command(
    name = "lodestone",
    version,
    max_term_width = 100,
    propagate_version = true
)]
pub(crate) struct Arguments {
    /// Prints errors and results only.
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Prints every step.
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Trains an embedder as a run file says.
    Train(TrainArguments),
    /// Trains the network of a run file as a classifier first, to start another loss from.
    Pretrain(PretrainArguments),
    /// Compares runs: what they reached, what they cost, and in which settings they differ.
    Runs(RunsArguments),
    /// Says what a key of a run file means.
    Explain(ExplainArguments),
    /// Evaluates a trained run on its test images, or embeddings from files.
    Evaluate(Box<EvaluateArguments>),
    /// Writes the embeddings of images.
    Embed(EmbedArguments),
    /// Shows the modes of each class: a table, and a contact sheet of photographs.
    Clusters(ClustersArguments),
    /// Lists, downloads and checks data sets.
    #[command(subcommand)]
    Data(DataCommand),
    /// Lists the networks with their size and cost, measured by walking their layers.
    Models(ModelsArguments),
    /// Looks into weight files and converts them.
    #[command(subcommand)]
    Weights(WeightsCommand),
}

/// Where the numbers are computed.
#[derive(Debug, Args)]
pub(crate) struct DeviceArgument {
    /// cpu, wgpu, vulkan or cuda, with :N for the N-th; only what was built in can be used.
    #[arg(long, default_value = "cpu", value_name = "DEVICE[:N]")]
    pub(crate) device: DeviceName,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lodestone train --config datasets/fashion-mini/magnet.toml --out runs/first
  lodestone train --config datasets/flowers-102/magnet.toml --data FLOWERS --weights bvlc_googlenet.safetensors
  lodestone train --config datasets/fashion-mini/magnet.toml --set seed=2 --set loss.gap=4
  lodestone train --resume runs/first

Ctrl-C finishes the step, saves and exits with 130; a second one exits at once.")]
pub(crate) struct TrainArguments {
    /// The run file.
    #[arg(long, value_name = "FILE", required_unless_present = "resume")]
    pub(crate) config: Option<PathBuf>,
    /// Overrides a key of the run file; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) overrides: Vec<String>,
    /// Folder of the data set; goes before data.dataset_root.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    /// Pretrained weights; goes before model.weights.
    #[arg(long, value_name = "FILE")]
    pub(crate) weights: Option<PathBuf>,
    /// Lets tensors that the weights lack keep the values they start with, and lists them.
    #[arg(long, conflicts_with = "resume")]
    pub(crate) partial: bool,
    /// Looks for broken images first, leaves them out and lists them in the report, instead of stopping at one.
    #[arg(long, conflicts_with = "resume")]
    pub(crate) skip_broken: bool,
    /// Folder of the run; runs/NAME by default, NAME made of the run file, the loss and the seed.
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Continues the run in this folder from its newest checkpoint.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "overrides", "out"])]
    pub(crate) resume: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) device: DeviceArgument,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lodestone embed runs/first photographs -o embeddings.npy
  lodestone embed runs/first/model.safetensors photographs -o embeddings.npy")]
pub(crate) struct EmbedArguments {
    /// A run folder or a model file.
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// A folder of images, or a single one; sub-folders give the labels.
    #[arg(value_name = "IMAGES")]
    pub(crate) images: PathBuf,
    /// The .npy file; paths and labels go into a .csv beside it.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Leaves out images that cannot be decoded instead of stopping.
    #[arg(long)]
    pub(crate) skip_broken: bool,
    /// Images in a batch.
    #[arg(long, default_value_t = 64, value_name = "N")]
    pub(crate) batch: usize,
    #[command(flatten)]
    pub(crate) device: DeviceArgument,
}
