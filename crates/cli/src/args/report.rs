//! What can be typed behind `lodestone report` and `lodestone serve`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lodestone_eval::Bytes;
use lodestone_sampling::ClusterCount;

use super::DeviceArgument;
use super::clusters::cluster_count;

#[derive(Debug, Args)]
#[command(after_help = "\
The page holds everything: photographs, script, numbers. It opens without a network and can be sent to others.

Examples:
  lodestone report runs/first
  lodestone report embeddings.npy -o page.html
  lodestone report photographs --model googlenet-1378be20.pth
  lodestone report embeddings.npy --labels labels.csv --map pca --pictures 50000")]
pub(crate) struct ReportArguments {
    #[command(flatten)]
    pub(crate) page: PageArguments,
    /// The page; report.html in the run folder by default, or the name of the embeddings or of the photographs with .html.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Writes over a file that is there and is no such page.
    #[arg(long)]
    pub(crate) force: bool,
}

/// What a page is made of.
#[derive(Debug, Args)]
pub(crate) struct PageArguments {
    /// Folder of a finished run, embeddings of any program in a form that `embed` writes, such as a .npy with labels in the .csv
    /// beside it, or with --model a folder of photographs.
    #[arg(value_name = "RUN|EMBEDDINGS|PHOTOGRAPHS")]
    pub(crate) source: PathBuf,
    /// Labels of the embeddings: a .csv with the column `label` or `class_name`, and `path` for the photographs.
    #[arg(long, value_name = "FILE")]
    pub(crate) labels: Option<PathBuf>,
    /// The model, if not the one that the run ended with: a run folder, a model file, or published weights.
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<PathBuf>,
    /// Folder of the data set; overrides the run file's.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    /// How the map is drawn.
    #[arg(long, value_name = "HOW", default_value = "neighbours")]
    pub(crate) map: LayoutName,
    /// Most photographs on the map; evenly taken if there are more.
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    pub(crate) points: usize,
    /// Most photographs that the page shows under the mouse; 10000 take about 10 MB.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    pub(crate) pictures: usize,
    /// Clusters in each class of an embedding file, or auto; those of a run are as its run file says.
    #[arg(long, value_name = "N|auto", value_parser = cluster_count, default_value = "3")]
    pub(crate) clusters: ClusterCount,
    /// Seed of the map, and of the clusters of an embedding file.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) device: DeviceArgument,
}

/// How a map is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LayoutName {
    /// Neighbours together, others apart
    Neighbours,
    /// The two directions of largest variance
    Pca,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Shows the page of `report` with a field for photographs, which are looked up and not kept. Only this machine can reach it unless
--address says otherwise; nothing can be changed through it and no file of the machine read but what the page shows.

Examples:
  lodestone serve runs/first
  lodestone serve photographs --model googlenet-1378be20.pth
  lodestone serve embeddings.npy --model runs/first --port 9000")]
pub(crate) struct ServeArguments {
    #[command(flatten)]
    pub(crate) page: PageArguments,
    /// The address to listen on; 0.0.0.0 lets other machines in.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) address: IpAddr,
    /// The port; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 8017)]
    pub(crate) port: u16,
    /// Largest photograph that is taken.
    #[arg(long, value_name = "SIZE", default_value = "20MB")]
    pub(crate) largest: Bytes,
    /// Photographs that an answer names.
    #[arg(long, short = 'k', value_name = "K", default_value_t = 8)]
    pub(crate) nearest: usize,
    /// Share of known ones among those not called unknown, if as many unknown as known photographs come.
    #[arg(long, value_name = "P", default_value_t = 0.95)]
    pub(crate) precision: f64,
}
