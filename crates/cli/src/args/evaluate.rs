//! What can be typed behind `lodestone evaluate`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, ValueEnum};
use lodestone_eval::{Bytes, Mode};

use super::{DeviceArgument, Shard};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lodestone evaluate runs/first
  lodestone evaluate runs/first --json > report.json
  lodestone evaluate --frozen --config datasets/flowers-102/magnet.toml --data FLOWERS --weights bvlc_googlenet.caffemodel
  lodestone evaluate runs/first --save-embeddings kept
  lodestone evaluate --embeddings kept
  lodestone evaluate --embeddings x.npy --labels y.csv
  lodestone evaluate --embeddings test.npy --gallery train.npy --bootstrap --per-query queries.csv
  lodestone evaluate --embeddings x.npy --labels y.csv --memory 500MB --depth r --clusters --verification 10000
  lodestone evaluate --embeddings test.npy --gallery train.npy --hierarchy coarse --attributes traits.csv
  lodestone evaluate --embeddings x.npy --shard 2/4 --scores part-2.json      # on one of four machines
  lodestone evaluate --embeddings x.npy --scores part-1.json,part-2.json,part-3.json,part-4.json")]
pub(crate) struct EvaluateArguments {
    /// Folder of a finished run.
    #[arg(value_name = "RUN", required_unless_present_any = ["frozen", "embeddings"])]
    pub(crate) run: Option<PathBuf>,
    /// Evaluates the pretrained trunk's features alone, untrained, as a run file describes them; behind the head that
    /// training would start from if model.head.initialise is `whitened` or `discriminant`.
    #[arg(long, requires = "config", conflicts_with = "run")]
    pub(crate) frozen: bool,
    /// The run file, for --frozen.
    #[arg(long, value_name = "FILE", conflicts_with = "run")]
    pub(crate) config: Option<PathBuf>,
    /// Overrides a key of the run file; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) overrides: Vec<String>,
    /// Folder of the data set.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    /// Published weights, a model file or a run, for --frozen; their network takes the place of the run file's.
    #[arg(long, value_name = "FILE")]
    pub(crate) weights: Option<PathBuf>,
    /// Lets tensors that the weights lack keep the values they start with, and lists them.
    #[arg(long, conflicts_with = "run")]
    pub(crate) partial: bool,
    /// Prints the report as JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Also writes report.json and report.md into this folder.
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Also writes the embeddings behind the report into this folder: --embeddings FOLDER then gives the same report, without
    /// model and images.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["frozen", "embeddings"])]
    pub(crate) save_embeddings: Option<PathBuf>,
    /// Writes over files that no evaluation made.
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) files: FilesArguments,
    #[command(flatten)]
    pub(crate) device: DeviceArgument,
}

/// Evaluating embedding files, from lodestone or from anywhere else.
#[derive(Debug, Args)]
#[command(next_help_heading = "Embedding files")]
pub(crate) struct FilesArguments {
    /// Embeddings [rows, dimensions] of f16, f32 or f64 in any form that `embed` writes: .npy, .npz, .safetensors, .parquet, .csv;
    /// or a folder that --save-embeddings wrote, whose report needs nothing else.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["run", "frozen", "config", "overrides", "data", "weights"])]
    pub(crate) embeddings: Option<PathBuf>,
    /// Labels of the embeddings: a .csv with a header or a .parquet, one line a row, or a .npy [default: the columns of the
    /// embeddings, the .csv beside them, or the `labels` in them]. Text stays text: 1 and 01 are two classes; a row without a label is
    /// an error. Columns besides the label: `is_query` and `is_gallery` (0 or 1) split the rows, `sequence` hides rows of
    /// the query's own sequence, `path` and `class_name` name what is listed; `split` (train, validation, test) says which rows are
    /// held out, so that the file of an embedded table is asked what its run is asked.
    #[arg(long, value_name = "FILE", requires = "embeddings")]
    pub(crate) labels: Option<PathBuf>,
    /// Embeddings of a separate gallery, such as the training rows.
    #[arg(long, value_name = "FILE", requires = "embeddings")]
    pub(crate) gallery: Option<PathBuf>,
    /// Labels of the gallery, as --labels.
    #[arg(long, value_name = "FILE", requires = "gallery")]
    pub(crate) gallery_labels: Option<PathBuf>,
    /// The column that says what is relevant; name a coarse one to score by coarse labels.
    #[arg(long, value_name = "NAME", default_value = "label")]
    pub(crate) label_column: String,
    /// Who looks for whom [default: of a run what suits its held-out photographs, or its evaluation.mode; of files train-gallery
    /// with --gallery, what suits the held-out rows if the labels have a `split`, else split if they have roles, else self].
    #[arg(long, value_name = "MODE")]
    pub(crate) mode: Option<ModeName>,
    /// Ranks by cosine instead of Euclidean distance.
    #[arg(long, requires = "embeddings")]
    pub(crate) cosine: bool,
    /// Most memory of embeddings and search together, such as 500MB or 2GB.
    #[arg(long, value_name = "SIZE", requires = "embeddings")]
    pub(crate) memory: Option<Bytes>,
    /// The k of recall@k and its relatives.
    #[arg(
        long = "k",
        value_name = "K,K,..",
        value_delimiter = ',',
        default_value = "1,2,4,8"
    )]
    pub(crate) cuts: Vec<usize>,
    /// How far rankings are followed: `full` for every metric; `r`, to the largest class, leaves out mAP and the reciprocal rank
    /// and is faster where classes are small.
    #[arg(long, value_name = "DEPTH", default_value = "full")]
    pub(crate) depth: DepthName,
    /// Searches through a graph index instead of exactly, and says its measured recall; implies --depth r.
    #[arg(long, requires = "embeddings")]
    pub(crate) approximate: bool,
    /// Candidates that the graph keeps while it looks: more find more, and take longer.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 128,
        requires = "approximate"
    )]
    pub(crate) candidates: usize,
    /// Ranks the I-th of N equal parts of the queries only, and writes their scores into the file of --scores: the long part of
    /// an evaluation, shared out.
    #[arg(long, value_name = "I/N", requires_all = ["embeddings", "scores"], conflicts_with_all = ["approximate", "out", "json"])]
    pub(crate) shard: Option<Shard>,
    /// With --shard the file to write; without it the files of all parts, which are put together instead of ranking.
    #[arg(
        long,
        value_name = "FILE,..",
        value_delimiter = ',',
        requires = "embeddings",
        conflicts_with = "approximate"
    )]
    pub(crate) scores: Vec<PathBuf>,
    /// Notes something in the report, such as the weights or the split; may be given several times.
    #[arg(long = "note", value_name = "NAME=TEXT", value_parser = pair)]
    pub(crate) notes: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) shown: ShownArguments,
    #[command(flatten)]
    pub(crate) tests: TestsArguments,
}

/// What the report of embedding files shows of the ranking.
#[derive(Debug, Args)]
#[command(next_help_heading = "Numbers of embedding files")]
pub(crate) struct ShownArguments {
    /// Shows every ranking metric at every k.
    #[arg(long, requires = "embeddings")]
    pub(crate) all_metrics: bool,
    /// Adds the numbers as other libraries count them, under their suffix.
    #[arg(
        long,
        value_name = "NAME,..",
        value_delimiter = ',',
        requires = "embeddings"
    )]
    pub(crate) convention: Vec<ConventionName>,
    /// Adds each metric with lone queries, which have nothing to find, as misses.
    #[arg(long, requires = "embeddings")]
    pub(crate) lone_as_miss: bool,
    /// Adds the mean of each class.
    #[arg(long, requires = "embeddings")]
    pub(crate) per_class: bool,
    /// Writes a CSV with a line for each query: rank of the first hit, average precision, nearest wrong row; of a run or with --frozen
    /// whether the nearest neighbour and the nearest class mean are right, and MAP@R, as in the run's outcomes.csv.
    #[arg(long, value_name = "FILE")]
    pub(crate) per_query: Option<PathBuf>,
    /// Adds 95 % intervals over queries from this many resamples.
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "1000", requires = "embeddings")]
    pub(crate) bootstrap: Option<usize>,
    /// Seed of resamples, K-means, sampled pairs and random merging.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) seed: u64,
    /// Training rows that vote in soft kNN.
    #[arg(long, value_name = "K", default_value_t = 128)]
    pub(crate) neighbours: usize,
    /// Adds soft kNN and nearest neighbour inside one set, the own row left out: a diagnostic.
    #[arg(long, requires = "embeddings")]
    pub(crate) loo: bool,
    /// Adds which class is taken for which, by soft kNN.
    #[arg(long, requires = "embeddings")]
    pub(crate) confusion: bool,
    /// Leaves out the shape of the embedding cloud and with it the warning of a collapse.
    #[arg(long, requires = "embeddings")]
    pub(crate) no_diagnostics: bool,
}

/// Further tests of embedding files.
#[derive(Debug, Args)]
#[command(next_help_heading = "Further tests of embedding files")]
pub(crate) struct TestsArguments {
    /// Adds NMI, AMI and purity of K-means clusters of the queries [default K: as many as classes].
    #[arg(long, value_name = "K", num_args = 0..=1, default_missing_value = "0", requires = "embeddings")]
    pub(crate) clusters: Option<usize>,
    /// Starts of K-means, of which the best is kept.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "clusters")]
    pub(crate) cluster_restarts: usize,
    /// Most passes of one start.
    #[arg(long, value_name = "N", default_value_t = 100, requires = "clusters")]
    pub(crate) cluster_passes: usize,
    /// Scores the clusters in this column of --labels instead of looking for some.
    #[arg(
        long,
        value_name = "COLUMN",
        conflicts_with = "clusters",
        requires = "embeddings"
    )]
    pub(crate) given_clusters: Option<String>,
    /// Adds verification (ROC, FNMR@FMR) on up to this many sampled pairs of either kind.
    #[arg(long, value_name = "N", requires = "embeddings")]
    pub(crate) verification: Option<usize>,
    /// The pairs to verify: a .csv with the columns `a` and `b` (0-based rows of --embeddings) and, for --precision, `part`
    /// (validation or test).
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "verification",
        requires = "embeddings"
    )]
    pub(crate) pairs: Option<PathBuf>,
    /// False match rates at which the false non-match rate is given.
    #[arg(
        long,
        value_name = "F,F,..",
        value_delimiter = ',',
        default_value = "0.001,0.01,0.1"
    )]
    pub(crate) fmr: Vec<f64>,
    /// Chooses a threshold for this precision on validation pairs (half of the sampled ones) and tries it on the others.
    #[arg(long, value_name = "P")]
    pub(crate) precision: Option<f64>,
    /// Adds hierarchy recovery: fine classes of --label-column, coarse ones of this column, which all labels have.
    #[arg(long, value_name = "COLUMN", requires = "embeddings")]
    pub(crate) hierarchy: Option<String>,
    /// Adds hierarchy recovery with merged classes: `random:GROUPS` as data.coarse with the same --seed, or `mixed:GROUPS`,
    /// which mixes the classes of --hierarchy.
    #[arg(long, value_name = "KIND:GROUPS", requires = "embeddings")]
    pub(crate) merge: Option<Merge>,
    /// Adds attribute concentration: a .csv with one column an attribute and one line a row of --embeddings, 1 for present, -1
    /// for absent, 0 for ambiguous; a column `path` is passed over.
    #[arg(long, value_name = "FILE", requires = "embeddings")]
    pub(crate) attributes: Option<PathBuf>,
    /// Neighbourhood sizes of attribute concentration.
    #[arg(
        long,
        value_name = "N,N,..",
        value_delimiter = ',',
        default_value = "1,2,4,8,16,32,64,128",
        requires = "attributes"
    )]
    pub(crate) neighbourhoods: Vec<usize>,
    /// Adds kNC and the nearest centre: a .npy of cluster centres, with the classes of the centres in the .csv beside it.
    #[arg(long, value_name = "FILE", requires_all = ["embeddings", "variance"])]
    pub(crate) centres: Option<PathBuf>,
    /// The variance of kNC, in the unit of squared distances.
    #[arg(long, value_name = "V", requires = "centres")]
    pub(crate) variance: Option<f64>,
    /// L: centres that vote in kNC.
    #[arg(long, value_name = "L", default_value_t = 128, requires = "centres")]
    pub(crate) nearest_clusters: usize,
    /// Adds argmax: a .npy of class scores [rows, classes]; column c stands for the label c.
    #[arg(long, value_name = "FILE", requires = "embeddings")]
    pub(crate) logits: Option<PathBuf>,
}

impl FilesArguments {
    /// Whether more is asked than who looks for whom: of a run or with --frozen beside --per-query, of embeddings beside which they
    /// are. Of a run or of a folder of kept embeddings nothing more can be: clap lets it pass, as it takes what is required and
    /// excluded at once for not required.
    pub(crate) fn asks(&self) -> bool {
        #[derive(Parser)]
        struct Alone {
            #[command(flatten)]
            arguments: EvaluateArguments,
        }
        let mut typed: Vec<OsString> = match &self.embeddings {
            None => ["evaluate", "run"].map(OsString::from).to_vec(),
            Some(file) => vec!["evaluate".into(), "--embeddings".into(), file.into()],
        };
        if let Some(mode) = self.mode {
            typed.extend(["--mode".into(), mode.mode().name().into()]);
        }
        if let (None, Some(file)) = (&self.embeddings, &self.shown.per_query) {
            typed.extend(["--per-query".into(), file.into()]);
        }
        let alone = Alone::parse_from(typed).arguments.files;
        format!("{alone:?}") != format!("{self:?}")
    }
}

/// Who looks for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeName {
    /// Each row among all the others.
    #[value(name = "self")]
    Alone,
    /// Queries and gallery of one set.
    Split,
    /// Test rows among training rows.
    TrainGallery,
}

impl ModeName {
    /// What it means to an evaluation.
    pub(crate) fn mode(self) -> Mode {
        match self {
            Self::Alone => Mode::LeaveOneOut,
            Self::Split => Mode::Split,
            Self::TrainGallery => Mode::TrainGallery,
        }
    }
}

/// How far rankings are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DepthName {
    /// To the last relevant row.
    Full,
    /// To the largest R and the largest k.
    R,
}

/// How other libraries count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConventionName {
    /// pytorch-metric-learning.
    Pml,
    /// open-metric-learning.
    Oml,
    /// scikit-learn.
    Sklearn,
}

/// Coarse classes made by merging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Merge {
    /// Fine classes dealt at random.
    Random {
        /// Number of merged classes.
        groups: usize,
    },
    /// Fine classes of each given class dealt to different groups.
    Mixed {
        /// Number of merged classes.
        groups: usize,
    },
}

impl std::str::FromStr for Merge {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, groups) = text
            .split_once(':')
            .ok_or("write random:GROUPS or mixed:GROUPS")?;
        let groups = groups
            .parse()
            .map_err(|_| format!("`{groups}` is not a number of groups"))?;
        match kind {
            "random" => Ok(Self::Random { groups }),
            "mixed" => Ok(Self::Mixed { groups }),
            other => Err(format!("`{other}` is neither random nor mixed")),
        }
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=TEXT")?;
    Ok((name.to_owned(), value.to_owned()))
}
