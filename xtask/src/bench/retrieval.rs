//! Retrieval metrics of 30 000 rows in 5 650 classes, beside pytorch-metric-learning over faiss on the same arrays.

use std::process::Command;

use anyhow::{Context, Result};

use super::{Comparison, Options, example, peer};
use crate::process::{run, target};

/// Rows, classes and dimensions.
const SIZE: [&str; 3] = ["30000", "5650", "512"];

/// Runs the bench.
pub(crate) fn retrieval(options: &Options) -> Result<()> {
    let program = example("bench_retrieval")?;
    let folder = target().join("bench-retrieval");
    let stem = folder.join(SIZE.join("x"));
    let stem = stem.to_str().context("the build folder is not Unicode")?;
    run(Command::new(&program).args(["make", stem]).args(SIZE))?;
    let ours = || {
        let mut command = Command::new(&program);
        command.arg(stem);
        command
    };
    let theirs = options.peer.as_deref().map(|python| {
        move || {
            let mut command = peer(python, "peer_retrieval.py");
            command.arg(stem);
            command
        }
    });
    let mut comparison = Comparison::default();
    comparison.alternate(
        options.rounds,
        &ours,
        theirs.as_ref().map(|theirs| theirs as &dyn Fn() -> Command),
    )?;
    std::fs::remove_dir_all(&folder)
        .with_context(|| format!("cannot remove {}", folder.display()))?;
    outln!(
        "{} rows in {} classes, {} dimensions, each row against all the others:\n",
        SIZE[0],
        SIZE[1],
        SIZE[2]
    )?;
    outln!("{}", comparison.to_markdown("PML + faiss"))
}
