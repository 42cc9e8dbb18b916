//! The ledger of a data set: one row for each cell that was run, as JSON that is committed.
//!
//! It is written whole after every cell, so a command that is stopped loses at most the cell it was at. A row gives way to
//! another of the same label; git keeps the earlier.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::cell::{Label, Stage};
use super::loss::Loss;
use super::set::{Set, Task};
use crate::files::{read_text, write_whole};

/// The two distances that every run is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum JudgedIn {
    /// Euclidean, of embeddings as the loss makes them: of length 1 where the loss wants it.
    Own,
    Cosine,
}

impl JudgedIn {
    pub(crate) const ALL: [Self; 2] = [Self::Own, Self::Cosine];

    /// Name of a measure in this distance.
    pub(crate) fn key(self, measure: &str) -> String {
        match self {
            Self::Own => measure.to_owned(),
            Self::Cosine => format!("{measure}.cosine"),
        }
    }

    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Cosine => "cosine",
        }
    }
}

/// What a cell gave.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Values of the report, as shares.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) measures: BTreeMap<String, f64>,
    /// What a trial is chosen by, in the better of two distances: an error, or of unseen classes 1 − MAP@R. The less the better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) held_out: Option<f64>,
    /// The better distance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) distance: Option<JudgedIn>,
    /// Why there are no numbers: the training broke down, which is a result of a setting too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<String>,
    /// Wall time of the command over all its sittings; absent if other programs took part of the processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seconds: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) peak_memory_bytes: Option<u64>,
}

/// A row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    #[serde(flatten)]
    pub(crate) label: Label,
    /// Changes with everything that decides the numbers.
    pub(crate) key: String,
    /// `lodestone train --config BASE --set ..`, the base being that of the set.
    pub(crate) sets: Vec<String>,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
    pub(crate) commit: String,
    pub(crate) machine: String,
}

impl Row {
    /// The value of a setting, `optimizer.head_rate`; the last one counts.
    pub(crate) fn setting(&self, key: &str) -> Option<&str> {
        let mut pairs = self.sets.iter().rev().filter_map(|set| set.split_once('='));
        let (_, value) = pairs.find(|(name, _)| *name == key)?;
        Some(value.trim_matches('"'))
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
    pub(crate) set: Set,
    pub(crate) rows: Vec<Row>,
}

impl Ledger {
    /// Reads the ledger of a set; one that does not exist yet is empty.
    pub(crate) fn of(set: Set) -> Result<Self> {
        Self::open(&set.folder().join("results.json"), set)
    }

    fn open(path: &Path, set: Set) -> Result<Self> {
        let rows = match path.exists() {
            false => Vec::new(),
            true => {
                let content: Content = serde_json::from_str(&read_text(path)?)
                    .with_context(|| format!("{} is no ledger", path.display()))?;
                ensure!(
                    content.set == set.name(),
                    "{} is the ledger of {}, not of {}",
                    path.display(),
                    content.set,
                    set.name()
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
            set,
            rows,
        })
    }

    /// The row of a label.
    pub(crate) fn row(&self, label: &Label) -> Option<&Row> {
        self.rows.iter().find(|row| &row.label == label)
    }

    /// Rows of a loss at a stage, by setting and seed.
    pub(crate) fn at(&self, task: Task, loss: Loss, stage: Stage) -> Vec<&Row> {
        let wanted = |row: &&Row| {
            let label = &row.label;
            (
                label.task == task.name(),
                label.loss == loss.name(),
                label.stage,
            ) == (true, true, stage)
        };
        self.rows.iter().filter(wanted).collect()
    }

    /// Rows of a stage that have a number, the best first and of equal ones the earlier; absent while there are fewer than `count`
    /// rows.
    pub(crate) fn ranked(
        &self,
        task: Task,
        loss: Loss,
        stage: Stage,
        count: usize,
    ) -> Option<Vec<&Row>> {
        let rows = self.at(task, loss, stage);
        if rows.len() < count || count == 0 {
            return None;
        }
        let told = rows.into_iter();
        let mut told: Vec<(f64, &Row)> = told
            .filter_map(|row| Some((row.outcome.held_out?, row)))
            .collect();
        told.sort_by(|a, b| a.0.total_cmp(&b.0));
        Some(told.into_iter().map(|(_, row)| row).collect())
    }

    /// Takes a row in, in place of that of the same label, and saves. Rows of later stages that are of a setting no longer chosen
    /// stay until [`prune`](Self::prune).
    pub(crate) fn record(&mut self, row: Row) -> Result<()> {
        self.rows.retain(|old| old.label != row.label);
        self.rows.push(row);
        self.rows.sort_by(|a, b| a.label.cmp(&b.label));
        self.save()
    }

    /// Takes out the rows of a task that are none of its cells: of settings that an earlier search had chosen.
    pub(crate) fn prune(
        &mut self,
        task: Task,
        losses: &[Loss],
        labels: &BTreeSet<Label>,
    ) -> Result<()> {
        let before = self.rows.len();
        self.rows.retain(|row| {
            let of_these = row.label.task == task.name()
                && losses.iter().any(|loss| loss.name() == row.label.loss)
                && row.label.stage != Stage::ImageSize;
            !of_these || labels.contains(&row.label)
        });
        match before == self.rows.len() {
            true => Ok(()),
            false => self.save(),
        }
    }

    /// One row a line, so that a difference between two commits is a difference between cells.
    fn save(&self) -> Result<()> {
        let rows = self.rows.iter().map(serde_json::to_string);
        let rows: Vec<String> = rows.collect::<Result<_, _>>()?;
        let text = format!(
            "{{\"set\":\"{}\",\"rows\":[\n{}\n]}}\n",
            self.set.name(),
            rows.join(",\n")
        );
        write_whole(&self.path, text.as_bytes())
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A ledger in memory.
    pub(crate) fn ledger(rows: Vec<Row>) -> Ledger {
        Ledger {
            path: PathBuf::new(),
            set: Set::FashionMini,
            rows,
        }
    }

    /// A row of the closed task that was chosen by `held_out`, or broke down.
    pub(crate) fn row(
        loss: Loss,
        stage: Stage,
        setting: &str,
        seed: u64,
        held_out: Option<f64>,
    ) -> Row {
        let label = Label::new(Task::Closed, loss, stage, setting, seed);
        Row {
            key: label.to_string(),
            label,
            sets: Vec::new(),
            outcome: Outcome {
                held_out,
                ..Outcome::default()
            },
            commit: "abc".into(),
            machine: "a machine".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::row;
    use super::*;

    #[test]
    fn a_row_takes_the_place_of_its_label_and_the_file_reads_back() {
        let folder = std::env::temp_dir().join(format!("lodestone-ledger-{}", std::process::id()));
        let path = folder.join("results.json");
        let mut ledger = Ledger::open(&path, Set::FashionMini).unwrap();
        let mut one = row(Loss::Magnet, Stage::Quarter, "point 0", 0, Some(0.25));
        ledger.record(one.clone()).unwrap();
        one.key = "other".into();
        one.outcome.distance = Some(JudgedIn::Cosine);
        ledger.record(one.clone()).unwrap();
        let again = Ledger::open(&path, Set::FashionMini).unwrap();
        assert_eq!(again.rows, [one.clone()]);
        let error = Ledger::open(&path, Set::StanfordDogs)
            .unwrap_err()
            .to_string();
        assert!(
            error.ends_with("is the ledger of fashion-mini, not of stanford-dogs"),
            "{error}"
        );
        // As a merge of two branches may leave it.
        ledger.rows.push(one);
        ledger.save().unwrap();
        let error = Ledger::open(&path, Set::FashionMini)
            .unwrap_err()
            .to_string();
        assert!(error.ends_with("a quarter, seed 0: keep one"), "{error}");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_last_of_two_settings_counts() {
        let mut one = row(Loss::Magnet, Stage::Test, "point 0", 0, None);
        one.sets = vec![
            "model.head.initialise=\"whitened\"".into(),
            "train.images=3".into(),
            "train.images=4".into(),
        ];
        assert_eq!(one.setting("model.head.initialise"), Some("whitened"));
        assert_eq!(one.setting("train.images"), Some("4"));
        assert_eq!(one.setting("train"), None);
    }
}
