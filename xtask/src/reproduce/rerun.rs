//! Running finished cells again over several commands: what `--rerun` has been through is remembered beside the run folders.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::cell::Label;
use crate::files::{read_json, write_whole};

/// Name of the file, which is there while a rerun is not through.
const FILE: &str = "rerun.json";

/// How far a rerun is. A command without `--rerun` runs nothing again, and leaves one that was begun as it is.
#[derive(Debug, Default)]
pub(super) struct Rerun {
    /// Absent if nothing is run again.
    path: Option<PathBuf>,
    state: State,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// Names of the experiments whose finished cells are run again.
    experiments: BTreeSet<String>,
    done: BTreeSet<Label>,
    /// Keys of the runs behind these, which cells that ask something of the same run go on with.
    runs: BTreeSet<String>,
    /// The cell that it is at: a folder of its run was made by this rerun.
    begun: Option<Label>,
}

impl Rerun {
    /// Goes on with the rerun of these experiments that `folder` remembers, or begins one; no experiments, no rerun.
    pub(super) fn open(folder: &Path, experiments: &[&str]) -> Result<Self> {
        if experiments.is_empty() {
            return Ok(Self::default());
        }
        let path = folder.join(FILE);
        let experiments: BTreeSet<String> = experiments.iter().map(|&name| name.into()).collect();
        let known: Option<State> = path.exists().then(|| read_json(&path)).transpose()?;
        let state = match known {
            Some(known) if known.experiments == experiments => {
                println!(
                    "going on with a rerun that has been through {} cells\n",
                    known.done.len()
                );
                known
            }
            _ => State {
                experiments,
                ..State::default()
            },
        };
        Ok(Self {
            path: Some(path),
            state,
        })
    }

    /// Whether a finished cell has to be run again.
    pub(super) fn wants(&self, label: &Label) -> bool {
        self.state.experiments.contains(&label.experiment) && !self.state.done.contains(label)
    }

    /// Whether it has been through a cell.
    pub(super) fn has_run(&self, label: &Label) -> bool {
        self.state.done.contains(label)
    }

    /// Whether what lies in the folder of a cell's run is of an earlier campaign and has to go.
    pub(super) fn is_stale(&self, label: &Label, run: &str) -> bool {
        let own = self.state.begun.as_ref() == Some(label) || self.state.runs.contains(run);
        self.wants(label) && !own
    }

    /// Notes that a cell is begun, after what was stale of it is gone: from here on its folder is this rerun's.
    pub(super) fn begin(&mut self, label: &Label) -> Result<()> {
        self.state.begun = Some(label.clone());
        self.save()
    }

    /// Notes that a cell is through.
    pub(super) fn finish(&mut self, label: Label, run: String) -> Result<()> {
        self.state.begun = None;
        self.state.done.insert(label);
        self.state.runs.insert(run);
        self.save()
    }

    /// Forgets the rerun, which is through.
    pub(super) fn close(self) -> Result<()> {
        match self.path {
            Some(path) if path.exists() => {
                fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    fn save(&self) -> Result<()> {
        match &self.path {
            None => Ok(()),
            Some(path) => write_whole(path, &serde_json::to_vec(&self.state)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::experiment::Experiment;
    use super::super::loss::Loss;
    use super::*;

    #[test]
    fn a_rerun_that_was_stopped_goes_on_where_it_was() {
        let folder = std::env::temp_dir().join(format!("lodestone-rerun-{}", std::process::id()));
        let label = |seed| Label::new(Experiment::Classification, Loss::Magnet, "tuned", seed);
        let mut rerun = Rerun::open(&folder, &["e1"]).unwrap();
        assert!(rerun.is_stale(&label(0), "a"));
        rerun.begin(&label(0)).unwrap();
        rerun.finish(label(0), "a".into()).unwrap();
        // Killed while it takes away what an earlier campaign left, it asks again.
        assert!(rerun.is_stale(&label(1), "b"));
        assert!(
            Rerun::open(&folder, &["e1"])
                .unwrap()
                .is_stale(&label(1), "b")
        );
        rerun.begin(&label(1)).unwrap();
        let again = Rerun::open(&folder, &["e1"]).unwrap();
        assert!(again.has_run(&label(0)) && !again.wants(&label(0)));
        assert!(!again.has_run(&label(1)) && again.wants(&label(1)));
        // Its own half of seed 1 is not thrown away, what another campaign left of seed 2 is.
        assert!(!again.is_stale(&label(1), "b"));
        assert!(again.is_stale(&label(2), "c"));
        // What is asked of seed 0's run goes on with the run.
        assert!(!again.is_stale(&label(3), "a"));
        let trial = Label::new(Experiment::Tuning, Loss::Magnet, "trial 0", 0);
        assert!(!again.wants(&trial));
        again.close().unwrap();
        assert!(Rerun::open(&folder, &["e1"]).unwrap().wants(&label(0)));
        assert!(!Rerun::open(&folder, &[]).unwrap().wants(&label(0)));
        fs::remove_dir_all(folder).unwrap();
    }
}
