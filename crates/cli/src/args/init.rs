//! What can be typed behind `lodestone init`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lodestone_train::Goal;

#[derive(Debug, Args)]
#[command(after_help = "\
Looks at a folder of photographs (a folder for each class), a table, or one of the known sets, says what it found, and writes a
run file with every setting and what it means. `lodestone train FOLDER` does the same and trains at once.

Examples:
  lodestone init photographs
  lodestone init photographs --weights bvlc_googlenet.caffemodel -o pets.toml
  lodestone init table.csv --loss magnet
  lodestone init photographs --unseen 0.2                    # judged on classes that are not trained on
  lodestone train --config run.toml")]
pub(crate) struct InitArguments {
    /// The folder or table.
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
    /// The run file to write.
    #[arg(long, short, value_name = "FILE", default_value = "run.toml")]
    pub(crate) out: PathBuf,
    /// Writes over a run file that is there.
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) wishes: WishesArguments,
}

/// What only the user knows.
#[derive(Debug, Args)]
pub(crate) struct WishesArguments {
    /// What is minimised, where there is no run file [default: magnet with --weights, triplet without].
    #[arg(long, value_name = "LOSS")]
    pub(crate) loss: Option<GoalName>,
    /// Pretrained weights; override model.weights. Without a run file they choose the network.
    #[arg(long, value_name = "FILE")]
    pub(crate) weights: Option<PathBuf>,
    /// Sets this share of the classes aside, at random: they are never trained on, and the run is judged on them. A fifth of the
    /// classes that are left chooses the best step. Of a folder or a table; a run file has data.unseen.
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub(crate) unseen: Option<f64>,
}

/// A loss on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GoalName {
    /// A classifier whose features are the embedding
    Softmax,
    /// Photographs of a class nearer to each other than to others
    Triplet,
    /// Clusters within each class
    Magnet,
    /// A representative of each class
    ProxyAnchor,
}

impl GoalName {
    /// What it means for a suggestion.
    pub(crate) fn goal(self) -> Goal {
        match self {
            Self::Softmax => Goal::Softmax,
            Self::Triplet => Goal::Triplet,
            Self::Magnet => Goal::Magnet,
            Self::ProxyAnchor => Goal::ProxyAnchor,
        }
    }
}
