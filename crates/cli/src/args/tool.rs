//! What can be typed behind `lodestone cache`, `devices`, `completions` and `man`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clap_complete::Shell;

#[derive(Debug, Args)]
#[command(after_help = "\
The cache lies in $XDG_CACHE_HOME/lodestone or ~/.cache/lodestone and holds nothing that cannot be computed again. LODESTONE_CACHE_LIMIT
says how large it may become, 10GB by default; at the end of each command what was not used for the longest time goes.

Examples:
  lodestone cache
  lodestone cache --clear
  lodestone cache --clear maps
  LODESTONE_CACHE_LIMIT=50GB lodestone train --config run.toml")]
pub(crate) struct CacheArguments {
    /// Removes all that lodestone keeps there, or one kind of it.
    #[arg(long, value_name = "KIND", num_args = 0..=1, default_missing_value = "all")]
    pub(crate) clear: Option<Cleared>,
    /// Prints JSON instead of a table.
    #[arg(long, conflicts_with = "clear")]
    pub(crate) json: bool,
}

/// What is removed from the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Cleared {
    /// Everything
    All,
    /// Outputs of frozen stages
    Maps,
    /// Embeddings of photographs
    Embeddings,
    /// Names of the files below folders
    Listings,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lodestone devices
  lodestone devices --json")]
pub(crate) struct DevicesArguments {
    /// Prints JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lodestone completions bash > ~/.local/share/bash-completion/completions/lodestone
  lodestone completions zsh > ~/.zfunc/_lodestone
  lodestone completions fish > ~/.config/fish/completions/lodestone.fish")]
pub(crate) struct CompletionsArguments {
    /// The shell.
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lodestone man --out ~/.local/share/man/man1
  man lodestone-search")]
pub(crate) struct ManArguments {
    /// Folder that gets a page for the program and for each command.
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) out: PathBuf,
}
