//! What can be typed behind `lodestone data`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Lists the data sets, what each needs in its folder, and its terms of use.
    #[command(after_help = "Example:\n  lodestone data list")]
    List {
        /// Prints JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Downloads the official archives of a data set, checks their sums and unpacks them.
    Fetch(FetchArguments),
    /// Looks for what would spoil a run: wrong sums and counts, broken files, duplicates, leaks between the splits.
    #[command(visible_alias = "doctor")]
    Verify(VerifyArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "\
A download that broke off goes on where it stopped when the command is given again. ImageNet is not handed out freely: put its
archives into DIR/imagenet, and they are checked and unpacked.

Examples:
  lodestone data fetch pets --to data
  lodestone data fetch flowers --to data")]
pub(crate) struct FetchArguments {
    /// Name of the set: pets, dogs, flowers, cub, cars, sop, in-shop, imagenet, fashion or mnist.
    #[arg(value_name = "SET")]
    pub(crate) set: String,
    /// Folder that gets a folder of the set's own.
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Ends with status 0 if nothing is wrong and 1 if something is.

Examples:
  lodestone data verify data/flowers-102
  lodestone data verify photographs --json > report.json
  lodestone data doctor table.csv")]
pub(crate) struct VerifyArguments {
    /// Folder of the data set, or a table of open-metric-learning.
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// Name of the set, if its folder does not tell.
    #[arg(long, value_name = "SET")]
    pub(crate) set: Option<String>,
    /// Prints the whole report as JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}
