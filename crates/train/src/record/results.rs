//! What a run leaves in its folder, and what becomes of it when another run takes the folder.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::TrainError;
use crate::record::events;

/// What a run leaves at its end, or where it was best, and what is made of it.
const RESULTS: [&str; 7] = [
    "model.safetensors",
    "best.safetensors",
    "report.json",
    "report.md",
    "report.html",
    OUTCOMES,
    "cost.json",
];
/// What the next run writes anew.
const LOGS: [&str; 5] = [
    "run.toml",
    "log.csv",
    "times.csv",
    "refreshes.csv",
    events::FILE,
];
/// Folders of a run.
const FOLDERS: [&str; 2] = [CHECKPOINTS, RECEIPTS];
/// What the rules that all losses share say of each held-out photograph.
pub(crate) const OUTCOMES: &str = "outcomes.csv";
/// That of the checkpoints, which knows its own files.
pub(crate) const CHECKPOINTS: &str = "checkpoints";
/// That of what each epoch showed.
pub(crate) const RECEIPTS: &str = "receipts";

/// The first thing in the folder, if there is one, that a run which starts there would replace.
pub fn in_the_way(run: &Path) -> Option<PathBuf> {
    let names = LOGS.iter().chain(&RESULTS).chain(&FOLDERS);
    names.map(|name| run.join(name)).find(|path| path.exists())
}

/// Takes away the results of an earlier run, which would stand beside the settings of this one.
///
/// # Errors
/// If one cannot be removed.
pub(crate) fn remove(run: &Path) -> Result<(), TrainError> {
    let removed = |path: PathBuf, result: std::io::Result<()>| match result {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(TrainError::Setting {
            reason: format!(
                "cannot remove {} of an earlier run: {error}",
                path.display()
            ),
        }),
        _ => Ok(()),
    };
    for name in RESULTS {
        let path = run.join(name);
        let result = std::fs::remove_file(&path);
        removed(path, result)?;
    }
    let receipts = run.join(RECEIPTS);
    let result = std::fs::remove_dir_all(&receipts);
    removed(receipts, result)
}
