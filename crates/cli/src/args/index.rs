//! What can be typed behind `lodestone index` and `lodestone search`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use lodestone_gallery::Kind;

use super::DeviceArgument;

#[derive(Debug, Subcommand)]
pub(crate) enum IndexCommand {
    /// Makes an index of photographs or of embeddings.
    Build(BuildArguments),
    /// Adds photographs or embeddings; a class that is new needs no training.
    Add(AddArguments),
    /// Takes photographs or whole classes out.
    Remove(RemoveArguments),
    /// Says what is in an index.
    #[command(after_help = "Example:\n  lodestone index info photographs.index --json")]
    Info {
        /// The index.
        #[arg(value_name = "INDEX")]
        index: PathBuf,
        /// Prints JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
An index is one .safetensors file with embeddings, paths, classes and cluster centres; of kind hnsw it has a file of usearch beside
it. Sub-folders of a folder of photographs are its classes; without any it is an index without classes, in which `search` finds
photographs and says no names.

Examples:
  lodestone index build photographs.index photographs --model googlenet-1378be20.pth
  lodestone index build photographs.index photographs --model runs/first
  lodestone index build photographs.index embeddings.npy --kind hnsw
  lodestone index build photographs.index part-1.npy part-2.npy part-3.npy")]
pub(crate) struct BuildArguments {
    /// The index to write.
    #[arg(value_name = "INDEX")]
    pub(crate) index: PathBuf,
    #[command(flatten)]
    pub(crate) source: SourceArguments,
    /// How neighbours are found.
    #[arg(long, value_name = "KIND", default_value = "exact")]
    pub(crate) kind: KindName,
    /// Cluster centres of each class, which vote for the class of a photograph.
    #[arg(long, value_name = "K", default_value_t = 3)]
    pub(crate) clusters: usize,
    /// Seed of the clusters.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Writes over an index, or another file, that is there.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lodestone index add photographs.index new-photographs --model runs/first
  lodestone index add photographs.index cup.jpg --model runs/first --class cups")]
pub(crate) struct AddArguments {
    /// The index.
    #[arg(value_name = "INDEX")]
    pub(crate) index: PathBuf,
    #[command(flatten)]
    pub(crate) source: SourceArguments,
}

/// Where rows come from.
#[derive(Debug, Args)]
pub(crate) struct SourceArguments {
    /// Folders of photographs, single ones, or files of embeddings in any form that `embed` writes, such as those of several
    /// shards.
    #[arg(value_name = "PHOTOGRAPHS|EMBEDDINGS", required = true)]
    pub(crate) sources: Vec<PathBuf>,
    /// A run folder, a model file, or published weights as they are, to embed photographs with.
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<PathBuf>,
    /// Gives all of them this class.
    #[arg(long, value_name = "NAME")]
    pub(crate) class: Option<String>,
    /// Leaves out images that cannot be decoded instead of stopping.
    #[arg(long)]
    pub(crate) skip_broken: bool,
    #[command(flatten)]
    pub(crate) device: DeviceArgument,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lodestone index remove photographs.index --class cups
  lodestone index remove photographs.index --path photographs/cups/1.jpg --path photographs/cups/2.jpg")]
pub(crate) struct RemoveArguments {
    /// The index.
    #[arg(value_name = "INDEX")]
    pub(crate) index: PathBuf,
    /// A path as it stands in the index; may be given several times.
    #[arg(
        long = "path",
        value_name = "PATH",
        required_unless_present = "classes"
    )]
    pub(crate) paths: Vec<String>,
    /// A class; may be given several times.
    #[arg(long = "class", value_name = "NAME")]
    pub(crate) classes: Vec<String>,
}

/// How neighbours are found, on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindName {
    /// All distances
    Exact,
    /// A graph, for galleries where all distances are too many; may miss some
    Hnsw,
}

impl KindName {
    /// The same for the library.
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Exact => Kind::Exact,
            Self::Hnsw => Kind::Graph,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
For each photograph: the nearest ones, the class by the votes of the nearest cluster centres (kNC), and whether it is known at all;
of an index without classes the nearest ones alone.
Without PHOTO, or with -, photographs come from standard input: the bytes of one, or paths line by line. With --json each answer is
one line. Ends with status 1 if a photograph could not be read.

Examples:
  lodestone search runs/first photographs.index unknown.jpg
  lodestone search runs/first photographs.index new/ --json > answers.jsonl
  find new -name '*.jpg' | lodestone search runs/first photographs.index -k 3
  lodestone search runs/first photographs.index - < unknown.jpg")]
pub(crate) struct SearchArguments {
    /// What the index was built with: a run folder, a model file, or published weights.
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// The index.
    #[arg(value_name = "INDEX")]
    pub(crate) index: PathBuf,
    /// Photographs, or folders of them; - for standard input.
    #[arg(value_name = "PHOTO")]
    pub(crate) photographs: Vec<PathBuf>,
    /// Photographs that an answer names.
    #[arg(long, short = 'k', value_name = "K", default_value_t = 5)]
    pub(crate) nearest: usize,
    /// Share of known ones among those not called unknown, if as many unknown as known photographs come.
    #[arg(long, value_name = "P", default_value_t = 0.95)]
    pub(crate) precision: f64,
    /// Prints an object a line instead of text.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) device: DeviceArgument,
}
