//! All that can be typed behind `lodestone`.

mod clusters;
mod data;
mod embed;
mod evaluate;
mod index;
mod init;
mod merge;
mod models;
mod report;
mod runs;
mod serve_device;
mod tool;

use std::path::PathBuf;
use std::sync::LazyLock;

use clap::{ArgGroup, Args, Parser, Subcommand};

pub(crate) use self::clusters::ClustersArguments;
pub(crate) use self::data::{DataCommand, FetchArguments, VerifyArguments};
pub(crate) use self::embed::{EmbedArguments, Shard};
pub(crate) use self::evaluate::{
    ConventionName, DepthName, EvaluateArguments, FilesArguments, Merge,
};
pub(crate) use self::index::{
    AddArguments, BuildArguments, IndexCommand, KindName, RemoveArguments, SearchArguments,
    SourceArguments,
};
pub(crate) use self::init::{GoalName, InitArguments, WishesArguments};
pub(crate) use self::merge::MergeArguments;
pub(crate) use self::models::{ConvertArguments, ModelsArguments, WeightsCommand};
pub(crate) use self::report::{LayoutName, PageArguments, ReportArguments, ServeArguments};
pub(crate) use self::runs::{ExplainArguments, PretrainArguments, RunsArguments};
pub(crate) use self::serve_device::ServeDeviceArguments;
pub(crate) use self::tool::{
    CacheArguments, Cleared, CompletionsArguments, DevicesArguments, ManArguments,
};
use crate::device::{DeviceName, built_in};

/// What `--version` prints: the version, and what was built in.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let features = [
        ("approximate", cfg!(feature = "approximate")),
        ("remote", cfg!(feature = "remote")),
    ];
    let on: Vec<&str> = features
        .into_iter()
        .filter_map(|(name, on)| on.then_some(name))
        .collect();
    let further = match on.is_empty() {
        true => "none".to_owned(),
        false => on.join(", "),
    };
    format!(
        "{} (devices: {}; further features: {further})",
        env!("CARGO_PKG_VERSION"),
        built_in().join(", ")
    )
});

/// Deep metric learning: from labelled photographs to a space in which distance means similarity.
#[derive(Debug, Parser)]
#[command(
    name = "lodestone",
    version = VERSION.as_str(),
    max_term_width = 100,
    propagate_version = true,
    after_help = "\
A first walk, from a folder of photographs with a sub-folder for each class:
  lodestone train photographs --out runs/first
  lodestone report runs/first
  lodestone index build photographs.index photographs --model runs/first
  lodestone search runs/first photographs.index another.jpg"
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
    /// Looks at a folder of photographs and writes a run file that suits it.
    Init(InitArguments),
    /// Trains an embedder, as a run file says or as suits a folder.
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
    /// Puts embeddings of several shards into one file.
    Merge(MergeArguments),
    /// Makes and changes an index of photographs.
    #[command(subcommand)]
    Index(IndexCommand),
    /// Says what photographs are most like, and whether they are known.
    Search(SearchArguments),
    /// Writes a run or embeddings as one page for a browser: map, best and worst, numbers.
    Report(ReportArguments),
    /// Shows that page with a field to look up photographs, on this machine only.
    Serve(ServeArguments),
    /// Lets another machine compute on a device of this one.
    ServeDevice(ServeDeviceArguments),
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
    /// Lists the devices that this binary can compute on, with a small test of their speed.
    Devices(DevicesArguments),
    /// Says what is kept between commands, and clears it.
    Cache(CacheArguments),
    /// Prints the completions of a shell.
    Completions(CompletionsArguments),
    /// Writes the pages for `man`.
    Man(ManArguments),
}

impl Command {
    /// Whether it keeps something in the user's cache.
    pub(crate) fn uses_cache(&self) -> bool {
        matches!(
            self,
            Self::Train(_)
                | Self::Pretrain(_)
                | Self::Evaluate(_)
                | Self::Embed(_)
                | Self::Index(_)
                | Self::Search(_)
                | Self::Report(_)
                | Self::Serve(_)
                | Self::Clusters(_)
                | Self::Data(_)
        )
    }

    /// Whether it goes on when nobody reads what it prints: what it does is worth more.
    pub(crate) fn outlives_its_reader(&self) -> bool {
        matches!(
            self,
            Self::Train(_) | Self::Pretrain(_) | Self::Serve(_) | Self::ServeDevice(_)
        )
    }
}

/// Where the numbers are computed.
#[derive(Debug, Args)]
pub(crate) struct DeviceArgument {
    /// cpu, wgpu, vulkan or cuda, with :N for the N-th, or remote:ws://HOST:PORT for that of a serve-device; only what was
    /// built in can be used.
    #[arg(long, default_value = "cpu", value_name = "DEVICE[:N]")]
    pub(crate) device: DeviceName,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lodestone train photographs --out runs/first
  lodestone train --config datasets/fashion-mini/magnet.toml --out runs/first
  lodestone train --config datasets/flowers-102/magnet.toml --data FLOWERS --weights bvlc_googlenet.caffemodel
  lodestone train --config datasets/fashion-mini/magnet.toml --set seed=2 --set loss.gap=4
  lodestone train --resume runs/first

Ctrl-C finishes the step, saves and exits with 130; a second one exits at once.",
    // Each of them says by itself what it does not go with.
    group = ArgGroup::new("what").args(["folder", "config", "resume"]).required(true).multiple(true)
)]
pub(crate) struct TrainArguments {
    /// A folder of photographs or a table, to train on with settings that suit it; in place of a run file.
    #[arg(value_name = "FOLDER", conflicts_with_all = ["config", "data", "resume"])]
    pub(crate) folder: Option<PathBuf>,
    /// The run file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Overrides a key of the run file; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) overrides: Vec<String>,
    /// Folder of the data set; overrides data.dataset_root.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) wishes: WishesArguments,
    /// Lets tensors that the weights lack keep the values they start with, and lists them.
    #[arg(long, conflicts_with = "resume")]
    pub(crate) partial: bool,
    /// Looks for broken images first, leaves them out and lists them in the report, instead of stopping at one.
    #[arg(long, conflicts_with = "resume")]
    pub(crate) skip_broken: bool,
    /// Folder of the run; by default runs/NAME, NAME made of the data set, the run file, the seed, and a mark of what --set, --loss and
    /// their like change.
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Puts the run in the place of another in its folder, whose results go when this one has made its first step.
    #[arg(long, conflicts_with = "resume")]
    pub(crate) force: bool,
    /// Continues the run in this folder from its newest checkpoint.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "overrides", "out", "loss", "weights", "unseen"])]
    pub(crate) resume: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) device: DeviceArgument,
    /// Further devices that share each batch with that of --device, each an equal part; the gradient stays that of the whole batch.
    #[arg(long, value_name = "DEVICE,..", value_delimiter = ',')]
    pub(crate) workers: Vec<DeviceName>,
}
