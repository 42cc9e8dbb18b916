//! What can be typed behind `lodestone runs`, `explain` and `pretrain`.

use std::path::PathBuf;

use clap::Args;

use super::DeviceArgument;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lodestone runs runs/softmax runs/triplet runs/magnet
  lodestone runs runs
  lodestone runs runs/a runs/b --json")]
pub(crate) struct RunsArguments {
    /// Folders of runs, or folders that hold such folders.
    #[arg(value_name = "DIR", required = true)]
    pub(crate) folders: Vec<PathBuf>,
    /// Prints JSON instead of tables.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lodestone explain train.refresh
  lodestone explain loss
  lodestone explain loss.mining --config run.toml
  lodestone explain")]
pub(crate) struct ExplainArguments {
    /// A key of a run file by its path, such as optimizer.clip_norm; all keys, if there is none.
    #[arg(value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// A run file: says what the key is there, and what that means.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Trains the network of a run file as a classifier, with the run file's data, augmentation and optimiser and a constant rate.
The paper starts magnet from three epochs of this on ImageNet.

Example:
  lodestone pretrain --config datasets/flowers-102/magnet.toml --data FLOWERS --epochs 3 --out runs/warm
  lodestone train --config datasets/flowers-102/magnet.toml --data FLOWERS --weights runs/warm/model.safetensors")]
pub(crate) struct PretrainArguments {
    /// The run file whose network is to be started.
    #[arg(long, value_name = "FILE", required_unless_present = "resume")]
    pub(crate) config: Option<PathBuf>,
    /// Overrides a key of the run file; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) overrides: Vec<String>,
    /// Passes over the training images.
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub(crate) epochs: usize,
    /// Images in a batch.
    #[arg(long, default_value_t = 64, value_name = "N")]
    pub(crate) batch: usize,
    /// Folder of the data set; overrides data.dataset_root.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    /// Weights to start from; overrides model.weights.
    #[arg(long, value_name = "FILE")]
    pub(crate) weights: Option<PathBuf>,
    /// Folder of the run; by default runs/NAME, NAME made of the data set, the run file, the seed, and a mark of --set, --weights,
    /// --epochs and --batch.
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Puts the run in the place of another in its folder, whose results go when this one has made its first step.
    #[arg(long, conflicts_with = "resume")]
    pub(crate) force: bool,
    /// Continues the run in this folder from its newest checkpoint.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "overrides", "epochs", "batch", "weights", "out"])]
    pub(crate) resume: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) device: DeviceArgument,
}
