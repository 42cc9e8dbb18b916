//! `run.json`: what a run was started with and on, sitting by sitting, and what it has cost so far.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use lodestone_train::{Event, Observer, in_the_way};
use serde::{Deserialize, Serialize};

use crate::progress::Progress;
use crate::resources::{machine, now, peak_memory};
use crate::shell::quoted;

/// Rows with the reason why they are left out.
pub(crate) type LeftOut = Vec<(usize, String)>;

/// Name of the file in the folder of a run.
const FILE: &str = "run.json";

/// A run's circumstances.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct RunFolder {
    /// Fingerprint of the table of images.
    pub(crate) data: String,
    /// What was broken at its beginning and left out, by the rows of the whole table; absent where nothing was to be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) left_out: Option<LeftOut>,
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
    /// Seconds up to its end or, while it runs and after a kill, up to its newest checkpoint: what came after that is done again,
    /// and counted then.
    #[serde(default)]
    pub(crate) seconds: Option<f64>,
    /// The most memory that it had until then.
    #[serde(default)]
    pub(crate) peak_memory_bytes: Option<u64>,
}

impl Sitting {
    /// What it took; a version before this one wrote down no more than when it began and ended.
    fn seconds(&self) -> f64 {
        let known = || Some(self.ended?.saturating_sub(self.started) as f64);
        self.seconds.or_else(known).unwrap_or(0.0)
    }
}

impl RunFolder {
    /// The file of a run, or an empty one if there is none or it cannot be read.
    pub(crate) fn read(folder: &Path) -> Self {
        let text = std::fs::read_to_string(folder.join(FILE)).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// The same with a sitting that begins now; `resumed` keeps the earlier ones. Nothing is written yet.
    pub(crate) fn begin(
        folder: &Path,
        data: String,
        left_out: Option<LeftOut>,
        device: String,
        resumed: bool,
    ) -> Self {
        let mut run = match resumed {
            true => Self::read(folder),
            false => Self::default(),
        };
        run.data = data;
        run.left_out = left_out;
        run.sittings.push(Sitting {
            command: std::env::args().collect(),
            lodestone: env!("CARGO_PKG_VERSION").to_owned(),
            commit: commit(),
            device,
            machine: machine(),
            started: now(),
            ended: None,
            outcome: None,
            seconds: None,
            peak_memory_bytes: None,
        });
        run
    }

    /// How the last sitting ended; absent if it did not say, because it runs or was killed.
    pub(crate) fn outcome(&self) -> Option<&str> {
        self.sittings.last()?.outcome.as_deref()
    }

    /// Seconds of all sittings together.
    pub(crate) fn seconds(&self) -> f64 {
        self.sittings.iter().map(Sitting::seconds).sum()
    }

    /// The most memory that a sitting had.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        let sittings = self.sittings.iter();
        sittings
            .filter_map(|sitting| sitting.peak_memory_bytes)
            .max()
    }

    /// Time and memory in words, for one of several sittings or the only one; absent where nothing is known.
    pub(crate) fn cost(&self) -> Option<String> {
        let sittings = match self.sittings.len() {
            0 => return None,
            1 => String::new(),
            several => format!(" in {several} sittings"),
        };
        let memory = self.peak_memory().map_or_else(String::new, |bytes| {
            format!(", at most {:.0} MB of memory", bytes as f64 / 1e6)
        });
        Some(format!("{:.0} s{sittings}{memory}", self.seconds()))
    }

    fn write(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        lodestone_files::write_whole(&folder.join(FILE), |file| writeln!(file, "{text}"))
            .context("cannot describe the run")
    }
}

/// Refuses to start a run in a folder that holds one, or something that a run would replace.
///
/// # Errors
/// What is there, and what can be done.
pub(crate) fn check_free(folder: &Path) -> Result<()> {
    let Some(found) = in_the_way(folder) else {
        return Ok(());
    };
    ensure!(
        folder.join("run.toml").exists(),
        "{} is in the way of a run: name another folder with --out, or replace it with --force",
        found.display()
    );
    let state = match RunFolder::read(folder).outcome() {
        Some(known @ ("finished" | "interrupted")) => known.to_owned(),
        Some(_) => "failed".to_owned(),
        None => "not ended".to_owned(),
    };
    bail!(
        "{} holds a run ({state}): go on with `lodestone train --resume {}`, start over with --force, or name another folder with \
         --out",
        folder.display(),
        quoted(folder)
    )
}

/// Keeps `run.json` while a run is watched: written when the folder becomes the run's, and with each checkpoint.
pub(crate) struct Recorder<'a> {
    progress: &'a mut Progress,
    folder: PathBuf,
    run: RunFolder,
    start: Duration,
    began: bool,
    /// The file could not be written.
    failed: Option<anyhow::Error>,
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(progress: &'a mut Progress, folder: &Path, run: RunFolder) -> Self {
        Self {
            start: progress.elapsed(),
            progress,
            folder: folder.to_path_buf(),
            run,
            began: false,
            failed: None,
        }
    }

    /// Notes how the sitting ended, if it has begun at all, and gives the run back.
    ///
    /// # Errors
    /// If that, or what was to be noted before, cannot be written.
    pub(crate) fn end(mut self, outcome: &str) -> Result<RunFolder> {
        self.count();
        if let Some(sitting) = self.run.sittings.last_mut() {
            sitting.ended = Some(now());
            sitting.outcome = Some(outcome.to_owned());
        }
        self.keep();
        match self.failed {
            Some(error) => Err(error),
            None => Ok(self.run),
        }
    }

    /// What the sitting has cost so far.
    fn count(&mut self) {
        let seconds = (self.progress.elapsed() - self.start).as_secs_f64();
        if let Some(sitting) = self.run.sittings.last_mut() {
            sitting.seconds = Some(seconds);
            sitting.peak_memory_bytes = peak_memory();
        }
    }

    fn keep(&mut self) {
        if self.began
            && let Err(error) = self.run.write(&self.folder)
        {
            self.failed.get_or_insert(error);
        }
    }
}

impl Observer for Recorder<'_> {
    fn elapsed(&self) -> Duration {
        self.progress.elapsed()
    }

    fn wall_time(&self) -> Duration {
        self.progress.wall_time()
    }

    fn stop_requested(&self) -> bool {
        self.progress.stop_requested()
    }

    fn on(&mut self, event: Event<'_>) {
        match event {
            Event::Begun => {
                self.began = true;
                self.keep();
            }
            Event::Saved { .. } => {
                self.count();
                self.keep();
            }
            _ => {}
        }
        self.progress.on(event);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_costs_what_its_sittings_cost() {
        let text = r#"{"data":"abc","sittings":[
            {"command":[],"lodestone":"0.1.0","commit":null,"device":"cpu","machine":"m","started":10,"ended":241,
             "outcome":"interrupted","peak_memory_bytes":9},
            {"command":[],"lodestone":"0.1.0","commit":null,"device":"cpu","machine":"m","started":300,"ended":null,
             "outcome":null,"seconds":2.5,"peak_memory_bytes":12},
            {"command":[],"lodestone":"0.1.0","commit":null,"device":"cpu","machine":"m","started":400,"ended":405,
             "outcome":"finished","seconds":4.5,"peak_memory_bytes":7}]}"#;
        let run: RunFolder = serde_json::from_str(text).unwrap();
        assert_eq!((run.seconds(), run.peak_memory()), (238.0, Some(12)));
        assert_eq!(
            run.cost().unwrap(),
            "238 s in 3 sittings, at most 0 MB of memory"
        );
        assert_eq!(run.outcome(), Some("finished"));
    }

    #[test]
    fn a_folder_is_free_unless_a_run_would_replace_something_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            lodestone_files::write_whole(&folder.path().join(name), |_| Ok(())).unwrap();
        };
        assert!(check_free(&folder.path().join("new")).is_ok());
        write("notes.txt");
        write("run.json");
        assert!(check_free(folder.path()).is_ok());
        write("model.safetensors");
        let error = check_free(folder.path()).unwrap_err().to_string();
        assert!(error.contains("model.safetensors is in the way"), "{error}");
        write("run.toml");
        let error = check_free(folder.path()).unwrap_err().to_string();
        for part in ["holds a run (not ended)", "--resume", "--force", "--out"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
