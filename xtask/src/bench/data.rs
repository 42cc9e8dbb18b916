//! `cargo xtask bench data FOLDER`: the loader on a folder of photographs beside torchvision's `DataLoader`, two threads each.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use super::{Comparison, Options, example, peer};

/// Files that are loaded, the first by name.
const COUNT: usize = 1200;

/// Runs both sides in turn and prints the table.
pub(super) fn data(options: &Options) -> Result<()> {
    let [folder] = &options.rest[..] else {
        anyhow::bail!("bench data needs a folder of photographs");
    };
    let folder = Path::new(folder).canonicalize()?;
    ensure!(folder.is_dir(), "{} is no folder", folder.display());
    let program = example("bench_loader")?;
    let with_files = |mut command: Command| {
        command.arg(&folder).arg(COUNT.to_string()).arg("2");
        command
    };
    let ours = || with_files(Command::new(&program));
    let theirs = options.peer.as_ref().map(|python| {
        let with_files = &with_files;
        move || with_files(peer(python, "peer_loader.py"))
    });
    let mut comparison = Comparison::default();
    let theirs = theirs.as_ref().map(|theirs| theirs as &dyn Fn() -> Command);
    comparison.alternate(options.rounds, &ours, theirs)?;
    outln!("{}", comparison.to_markdown("torchvision"))
}
