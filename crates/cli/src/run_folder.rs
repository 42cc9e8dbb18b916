//! `run.json`: what a run was started with and on, sitting by sitting, beside what it computes.

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::resources::{machine, peak_memory};

/// Name of the file in the folder of a run.
pub(crate) const FILE: &str = "run.json";

/// A run's circumstances.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct RunFolder {
    /// Fingerprint of the table of images.
    pub(crate) data: String,
    /// The first sitting, and one for each resume.
    pub(crate) sittings: Vec<Sitting>,
}

/// One start of the program.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Sitting {
    /// What was typed.
    pub(crate) command: Vec<String>,
    /// Version of the program.
    pub(crate) lodestone: String,
    /// Commit of the repository that the run was started in, with a mark if files differ from it; what `LODESTONE_COMMIT` says
    /// goes before, for machines where the program lies without its repository.
    pub(crate) commit: Option<String>,
    pub(crate) device: String,
    pub(crate) machine: String,
    /// Seconds since 1970.
    pub(crate) started: u64,
    /// The same at its end; absent while it runs and after a kill.
    pub(crate) ended: Option<u64>,
    /// How it ended.
    pub(crate) outcome: Option<String>,
    /// The most memory that it had, at its end.
    #[serde(default)]
    pub(crate) peak_memory_bytes: Option<u64>,
}

/// What a folder holds before a run is started in it.
pub(crate) struct Before {
    description: Option<Vec<u8>>,
    /// When its `run.toml` was written.
    settings: Option<SystemTime>,
}

impl Before {
    pub(crate) fn read(folder: &Path) -> Self {
        let settings = std::fs::metadata(folder.join("run.toml"));
        Self {
            description: std::fs::read(folder.join(FILE)).ok(),
            settings: settings.and_then(|file| file.modified()).ok(),
        }
    }
}

impl RunFolder {
    /// The file of a run, or an empty one if there is none or it cannot be read.
    pub(crate) fn read(folder: &Path) -> Self {
        let text = std::fs::read_to_string(folder.join(FILE)).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Notes that a sitting begins; `resumed` keeps the earlier ones.
    pub(crate) fn begin(
        folder: &Path,
        data: String,
        device: String,
        resumed: bool,
    ) -> Result<Self> {
        let mut sittings = if resumed {
            Self::read(folder).sittings
        } else {
            Vec::new()
        };
        sittings.push(Sitting {
            command: std::env::args().collect(),
            lodestone: env!("CARGO_PKG_VERSION").to_owned(),
            commit: commit(),
            device,
            machine: machine(),
            started: now(),
            ended: None,
            outcome: None,
            peak_memory_bytes: None,
        });
        let run = Self { data, sittings };
        run.write(folder)?;
        Ok(run)
    }

    /// Notes how the sitting ended.
    pub(crate) fn end(mut self, folder: &Path, outcome: &str) -> Result<()> {
        if let Some(sitting) = self.sittings.last_mut() {
            sitting.ended = Some(now());
            sitting.outcome = Some(outcome.to_owned());
            sitting.peak_memory_bytes = peak_memory();
        }
        self.write(folder)
    }

    /// Notes how a sitting failed. One that failed before it began, which leaves `run.toml` as it was `before`, is taken back: the
    /// folder then still describes the run that is in it, or is gone if there is none.
    pub(crate) fn failed(self, folder: &Path, error: &str, resumed: bool, before: &Before) {
        // What went wrong is the error; that it could not be written down as well is not.
        if resumed || Before::read(folder).settings != before.settings {
            let _ = self.end(folder, error);
            return;
        }
        match &before.description {
            Some(text) => {
                let file = folder.join(FILE);
                let _ = lodestone_files::write_whole(&file, |file| file.write_all(text));
            }
            None => {
                let _ = std::fs::remove_file(folder.join(FILE));
                let _ = std::fs::remove_dir(folder);
            }
        }
    }

    fn write(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        lodestone_files::write_whole(&folder.join(FILE), |file| writeln!(file, "{text}"))
            .context("cannot describe the run")
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |time| time.as_secs())
}

/// What `LODESTONE_COMMIT` says, otherwise the short hash of the commit that the current folder stands at; absent outside of a
/// repository or without git.
fn commit() -> Option<String> {
    if let Some(told) = std::env::var("LODESTONE_COMMIT")
        .ok()
        .filter(|told| !told.is_empty())
    {
        return Some(told);
    }
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    };
    let hash = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changes = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changes.is_empty() {
        hash
    } else {
        format!("{hash} with changes")
    })
}
