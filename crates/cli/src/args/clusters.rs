//! What can be typed behind `lodestone clusters`.

use std::path::PathBuf;

use clap::Args;
use lodestone_sampling::{Auto, ClusterCount};

use super::DeviceArgument;

#[derive(Debug, Args)]
#[command(after_help = "\
The clusters of a run are those of its finished embedding, found as its run file says; the kNC rule of its report votes by them.

Examples:
  lodestone clusters runs/first
  lodestone clusters runs/pets --class beagle --class pug --clusters auto
  lodestone clusters runs/first --json > clusters.json
  lodestone clusters embeddings.npy --clusters 3 --sheet modes.png
  lodestone clusters photographs --model googlenet-1378be20.pth --clusters auto")]
pub(crate) struct ClustersArguments {
    /// Folder of a finished run, a .npy that `embed` wrote, with its .csv beside it, or with --model a folder of photographs.
    #[arg(value_name = "RUN|EMBEDDINGS|PHOTOGRAPHS")]
    pub(crate) source: PathBuf,
    /// The model, if not the one that the run ended with: a run folder, a model file, or published weights.
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<PathBuf>,
    /// Clusters in each class, or auto to let the data decide; the run file's own by default.
    #[arg(long, value_name = "N|auto", value_parser = cluster_count)]
    pub(crate) clusters: Option<ClusterCount>,
    /// A class to show, all by default; may be given several times.
    #[arg(long = "class", value_name = "NAME")]
    pub(crate) classes: Vec<String>,
    /// Images shown of each cluster, those nearest to its centre.
    #[arg(long, default_value_t = 8, value_name = "N")]
    pub(crate) exemplars: usize,
    /// The contact sheet; clusters.png in the run folder by default, or the name of the .npy or of the photographs with .png.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) sheet: Option<PathBuf>,
    /// Writes over a file that is there and is no such sheet.
    #[arg(long)]
    pub(crate) force: bool,
    /// Folder of the data set; overrides the run file's.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    /// Prints JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) device: DeviceArgument,
}

pub(super) fn cluster_count(text: &str) -> Result<ClusterCount, String> {
    match text {
        "auto" => Ok(ClusterCount::Auto(Auto::Auto)),
        number => number
            .parse()
            .map(ClusterCount::Fixed)
            .map_err(|_| "expected a number of clusters or auto".to_owned()),
    }
}
