//! What can be typed behind `lodestone devices`, `completions` and `man`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

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
