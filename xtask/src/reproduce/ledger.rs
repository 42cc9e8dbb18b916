//! The ledger of a data set: one row for each cell that was run, as JSON that is committed.
//!
//! It is written whole after every cell, so a command that is stopped loses at most the cell it was at. A row gives way to
//! another one of the same label, and to another seed of the same label that was run with another run file, other settings, data
//! or weights: what is averaged over seeds is one thing. Git keeps the earlier.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::cell::Label;
use super::experiment::Experiment;
use super::loss::Loss;
use super::options::DEVICES;
use super::runs::trial_name;
use crate::files::{read_text, write_whole};

/// What a cell gave.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Values of the report, as shares; of other work what it measured.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) measures: BTreeMap<String, f64>,
    /// Test images that the errors are counted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tested: Option<u64>,
    /// Error@1 of the loss's rule on the validation images at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) validation: Option<f64>,
    /// Why there are no numbers: the training broke down, which is a result of a setting too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<String>,
    pub(crate) images: u64,
    pub(crate) steps: u64,
    /// Wall time of the command over all its sittings, in seconds.
    pub(crate) seconds: f64,
    /// Of which for training steps, refreshes of the index included and evaluations not.
    pub(crate) training_seconds: f64,
    /// Of which for the cluster index, and how often it was built.
    pub(crate) refresh_seconds: f64,
    pub(crate) refreshes: u64,
    pub(crate) peak_memory_bytes: Option<u64>,
    /// Images seen, seconds of training and validation error on the way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) curve: Vec<[f64; 3]>,
    /// Images seen and the variance of the batch, where the loss has one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) variance: Vec<[f64; 2]>,
}

impl Outcome {
    /// Percent of the training time that went into the cluster index; absent if the training broke down.
    pub(crate) fn index_share(&self) -> Option<f64> {
        (self.failure.is_none() && self.training_seconds > 0.0)
            .then(|| 100.0 * self.refresh_seconds / self.training_seconds)
    }
}

/// A row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    #[serde(flatten)]
    pub(crate) label: Label,
    /// Changes with everything that decides the numbers.
    pub(crate) key: String,
    /// Run file and settings: `lodestone train --config FILE --set ..`.
    pub(crate) file: String,
    pub(crate) sets: Vec<String>,
    /// Of how many trials its setting is the best; absent for trials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trials: Option<usize>,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
    pub(crate) commit: String,
    pub(crate) machine: String,
}

impl Row {
    /// The kind of device that it was computed on: a row names the machine, and before it the device where that is not the
    /// machine's processor.
    pub(crate) fn device(&self) -> &str {
        let first = self.machine.split(" (").next().unwrap_or_default();
        match DEVICES.contains(&first) {
            true => first,
            false => "cpu",
        }
    }
}

#[derive(Deserialize)]
struct Content {
    set: String,
    rows: Vec<Row>,
}

/// The rows of a data set.
#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    pub(crate) set: String,
    pub(crate) rows: Vec<Row>,
}

impl Ledger {
    /// Reads the ledger of a set; one that does not exist yet is empty.
    pub(crate) fn open(path: &Path, set: &str) -> Result<Self> {
        let rows = match path.exists() {
            false => Vec::new(),
            true => {
                let content: Content = serde_json::from_str(&read_text(path)?)
                    .with_context(|| format!("{} is no ledger", path.display()))?;
                ensure!(
                    content.set == set,
                    "{} is the ledger of {}, not of {set}",
                    path.display(),
                    content.set
                );
                let mut labels = BTreeSet::new();
                for row in &content.rows {
                    ensure!(
                        labels.insert(&row.label),
                        "{} has two rows of {}: keep one",
                        path.display(),
                        row.label
                    );
                }
                content.rows
            }
        };
        Ok(Self {
            path: path.to_path_buf(),
            set: set.to_owned(),
            rows,
        })
    }

    /// The row of a label.
    pub(crate) fn row(&self, label: &Label) -> Option<&Row> {
        self.rows.iter().find(|row| &row.label == label)
    }

    /// Rows of a loss in an experiment, by setting and seed.
    pub(crate) fn of(&self, experiment: Experiment, loss: Loss) -> Vec<&Row> {
        self.with_setting(experiment, loss, None)
    }

    /// The same of one setting.
    pub(crate) fn seeds(&self, experiment: Experiment, loss: Loss, setting: &str) -> Vec<&Row> {
        self.with_setting(experiment, loss, Some(setting))
    }

    fn with_setting(&self, experiment: Experiment, loss: Loss, setting: Option<&str>) -> Vec<&Row> {
        let wanted = |row: &&Row| {
            row.label.experiment == experiment.name()
                && row.label.loss == loss.name()
                && setting.is_none_or(|setting| row.label.setting == setting)
        };
        self.rows.iter().filter(wanted).collect()
    }

    /// Number and validation error of the best of a loss's trials, the first of equal ones; absent while one is missing or if
    /// all broke down.
    pub(crate) fn best_trial(&self, loss: Loss, trials: usize) -> Option<(usize, f64)> {
        let all = self.trials(loss, trials)?.into_iter();
        all.min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)))
    }

    /// Numbers of the trials with the error of the best.
    pub(crate) fn as_good_trials(&self, loss: Loss, trials: usize) -> Vec<usize> {
        let best = self.best_trial(loss, trials).map(|(_, error)| error);
        let all = self.trials(loss, trials).unwrap_or_default().into_iter();
        all.filter(|&(_, error)| Some(error) == best)
            .map(|(number, _)| number)
            .collect()
    }

    /// Number and validation error of the first trials of a loss that did not break down; absent while one is missing.
    fn trials(&self, loss: Loss, trials: usize) -> Option<Vec<(usize, f64)>> {
        let rows = (0..trials).map(|number| {
            let label = Label::new(Experiment::Tuning, loss, &trial_name(number), 0);
            Some((number, self.row(&label)?.outcome.validation))
        });
        let rows: Vec<(usize, Option<f64>)> = rows.collect::<Option<_>>()?;
        let told = rows.into_iter();
        Some(
            told.filter_map(|(number, value)| Some((number, value?)))
                .collect(),
        )
    }

    /// Takes a row in, in place of that of the same label, and of those of its other seeds whose key is not what `key_of` says
    /// that the seed has now; and saves.
    ///
    /// # Errors
    /// Of `key_of`, and if the file cannot be written.
    pub(crate) fn record(
        &mut self,
        row: Row,
        key_of: impl Fn(u64) -> Result<String>,
    ) -> Result<()> {
        let mut kept = Vec::with_capacity(self.rows.len() + 1);
        for old in self.rows.drain(..) {
            let of_same_seed = Label {
                seed: row.label.seed,
                ..old.label.clone()
            };
            let stays = match of_same_seed == row.label {
                true => old.label != row.label && old.key == key_of(old.label.seed)?,
                false => true,
            };
            if stays {
                kept.push(old);
            }
        }
        kept.push(row);
        self.rows = kept;
        self.rows.sort_by(|a, b| a.label.cmp(&b.label));
        self.save()
    }

    /// One row a line, so that a difference between two commits is a difference between cells.
    fn save(&self) -> Result<()> {
        let rows: Vec<String> = self
            .rows
            .iter()
            .map(serde_json::to_string)
            .collect::<Result<_, _>>()?;
        let text = format!(
            "{{\"set\":\"{}\",\"rows\":[\n{}\n]}}\n",
            self.set,
            rows.join(",\n")
        );
        write_whole(&self.path, text.as_bytes())
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A ledger in memory with some rows: experiment, loss, setting, seed, outcome.
    pub(crate) fn ledger(rows: Vec<(Experiment, Loss, &str, u64, Outcome)>) -> Ledger {
        let rows = rows
            .into_iter()
            .map(|(experiment, loss, setting, seed, outcome)| Row {
                label: Label::new(experiment, loss, setting, seed),
                key: format!("{}{}{setting}{seed}", experiment.name(), loss.name()),
                file: "datasets/fashion-mini/softmax.toml".into(),
                sets: Vec::new(),
                trials: None,
                outcome,
                commit: "abc".into(),
                machine: "a machine".into(),
            });
        Ledger {
            path: PathBuf::new(),
            set: "fashion-mini".into(),
            rows: rows.collect(),
        }
    }

    /// An outcome with some measures.
    pub(crate) fn measured(measures: &[(&str, f64)]) -> Outcome {
        let pairs = measures
            .iter()
            .map(|&(name, value)| (name.to_owned(), value));
        Outcome {
            measures: pairs.collect(),
            ..Outcome::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(number: usize, validation: Option<f64>) -> (Experiment, Loss, String, u64, Outcome) {
        let outcome = Outcome {
            validation,
            ..Outcome::default()
        };
        (
            Experiment::Tuning,
            Loss::Magnet,
            trial_name(number),
            0,
            outcome,
        )
    }

    fn ledger_of(trials: &[Option<f64>]) -> Ledger {
        let rows: Vec<_> = trials
            .iter()
            .enumerate()
            .map(|(n, &value)| trial(n, value))
            .collect();
        testing::ledger(
            rows.iter()
                .map(|row| (row.0, row.1, row.2.as_str(), row.3, row.4.clone()))
                .collect(),
        )
    }

    #[test]
    fn the_best_trial_is_known_once_all_are_through_and_is_never_one_that_broke_down() {
        let ledger = ledger_of(&[Some(0.3), Some(0.2), None, Some(0.2)]);
        assert_eq!(ledger.best_trial(Loss::Magnet, 4), Some((1, 0.2)));
        assert_eq!(ledger.as_good_trials(Loss::Magnet, 4), [1, 3]);
        assert_eq!(ledger.best_trial(Loss::Magnet, 5), None);
        assert_eq!(ledger.best_trial(Loss::Softmax, 4), None);
        assert_eq!(ledger_of(&[None]).best_trial(Loss::Magnet, 1), None);
    }

    #[test]
    fn a_row_is_of_its_processor_unless_it_names_another_device_first() {
        let mut row = ledger_of(&[None]).rows.remove(0);
        let mut device = |machine: &str| {
            row.machine = machine.into();
            row.device().to_owned()
        };
        assert_eq!(device("Xeon(R) Processor (Ice Lake), 2 cores"), "cpu");
        assert_eq!(device("cuda (NVIDIA H100), Xeon, 16 cores"), "cuda");
        assert_eq!(
            device("Xeon, 2 cores, then cuda (NVIDIA H100), Xeon"),
            "cpu"
        );
    }

    #[test]
    fn seeds_of_a_superseded_setting_leave_the_ledger_with_it() {
        let folder = std::env::temp_dir().join(format!("lodestone-seeds-{}", std::process::id()));
        let mut ledger = Ledger::open(&folder.join("results.json"), "fashion-mini").unwrap();
        let row = |seed: u64, gap: &str| {
            let mut row = ledger_of(&[Some(0.25)]).rows.remove(0);
            row.label = Label::new(Experiment::Classification, Loss::Magnet, "tuned", seed);
            row.key = format!("gap {gap}, seed {seed}");
            row
        };
        let now = |gap: &'static str| move |seed| Ok(format!("gap {gap}, seed {seed}"));
        for one in [row(0, "1.0"), row(1, "1.0"), row(2, "1.0")] {
            ledger.record(one, now("1.0")).unwrap();
        }
        assert_eq!(ledger.rows.len(), 3);
        ledger.record(row(1, "2.0"), now("2.0")).unwrap();
        assert_eq!(ledger.rows, [row(1, "2.0")]);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_row_takes_the_place_of_its_label_and_the_file_reads_back() {
        let folder = std::env::temp_dir().join(format!("lodestone-ledger-{}", std::process::id()));
        let path = folder.join("results.json");
        let mut ledger = Ledger::open(&path, "fashion-mini").unwrap();
        let mut row = ledger_of(&[Some(0.25)]).rows.remove(0);
        let key_of = |_| Ok(String::new());
        ledger.record(row.clone(), key_of).unwrap();
        row.key = "other".into();
        row.outcome.curve = vec![[1.0, 0.1, 0.5]];
        ledger.record(row.clone(), key_of).unwrap();
        let again = Ledger::open(&path, "fashion-mini").unwrap();
        assert_eq!(again.rows, [row.clone()]);
        let error = Ledger::open(&path, "pets").unwrap_err().to_string();
        assert!(
            error.ends_with("is the ledger of fashion-mini, not of pets"),
            "{error}"
        );
        // As a merge of two branches may leave it.
        ledger.rows.push(row);
        ledger.save().unwrap();
        let error = Ledger::open(&path, "fashion-mini").unwrap_err().to_string();
        assert!(
            error.ends_with("has two rows of tuning magnet, trial 0, seed 0: keep one"),
            "{error}"
        );
        std::fs::remove_dir_all(folder).unwrap();
    }
}
