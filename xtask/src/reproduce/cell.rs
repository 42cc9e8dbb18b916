//! A cell of the ledger: one training, under a name, with a key that changes with everything that decides its numbers.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use toml::{Table, Value};

use super::loss::Loss;
use super::set::Task;
use crate::files::read_text;
use crate::process::root;

/// How far a setting has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stage {
    /// Softmax with photographs of some size, on held-out photographs.
    ImageSize,
    /// A quarter of the length, on held-out images.
    Quarter,
    /// The whole length, on held-out images.
    Full,
    /// On test images.
    Test,
}

/// What a cell is called; the ledger has one row for each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Label {
    pub(crate) task: String,
    pub(crate) loss: String,
    pub(crate) stage: Stage,
    /// `point 3` of the search, or what is set.
    pub(crate) setting: String,
    pub(crate) seed: u64,
}

impl Label {
    pub(crate) fn new(task: Task, loss: Loss, stage: Stage, setting: &str, seed: u64) -> Self {
        Self {
            task: task.name().into(),
            loss: loss.name().into(),
            stage,
            setting: setting.into(),
            seed,
        }
    }
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stage = match self.stage {
            Stage::ImageSize => "held-out",
            Stage::Quarter => "a quarter",
            Stage::Full => "in full",
            Stage::Test => "test",
        };
        let Self {
            task,
            loss,
            setting,
            seed,
            ..
        } = self;
        write!(f, "{task} {loss}, {setting}, {stage}, seed {seed}")
    }
}

/// One thing to run: the base of a set with what is set on top of it.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) label: Label,
    /// Relative to the workspace.
    pub(crate) base: String,
    pub(crate) sets: Vec<String>,
    /// Images that are trained on, for the forecast.
    pub(crate) images: u64,
}

impl Cell {
    /// The run file with all that is set.
    pub(crate) fn resolved(&self) -> Result<Table> {
        resolved(&self.base, &self.sets)
    }

    /// The same numbers come out wherever the key is the same: to the last bit on one kind of processor, up to roundings on
    /// others. `inputs` are fingerprints of data and weights, and the version of the program.
    pub(crate) fn key(&self, inputs: &[String]) -> Result<String> {
        let mut digest = Sha256::new();
        digest.update(toml::to_string(&self.resolved()?)?);
        for text in inputs {
            digest.update([0]);
            digest.update(text);
        }
        Ok(hex(&digest.finalize()[..8]))
    }
}

/// A run file with settings on top.
pub(crate) fn resolved(file: &str, sets: &[String]) -> Result<Table> {
    let path = root().join(file);
    let mut table: Table = read_text(&path)?
        .parse()
        .with_context(|| format!("cannot understand {}", path.display()))?;
    for set in sets {
        insert(&mut table, set).with_context(|| format!("--set {set}"))?;
    }
    Ok(table)
}

/// Sets `a.b=value` as the binary does.
fn insert(table: &mut Table, set: &str) -> Result<()> {
    let (path, text) = set.split_once('=').context("no =")?;
    let mut document: Table = format!("value = {text}").parse()?;
    let value = document.remove("value").context("no value")?;
    let (folders, last) = path.rsplit_once('.').unwrap_or(("", path));
    let mut inner = table;
    for name in folders.split('.').filter(|name| !name.is_empty()) {
        let below = inner
            .entry(name)
            .or_insert_with(|| Value::Table(Table::new()));
        inner = below
            .as_table_mut()
            .with_context(|| format!("{name} is no table"))?;
    }
    inner.insert(last.to_owned(), value);
    Ok(())
}

/// Settings that keep batches within the classes that there are: at most as many clusters or classes as can be had, and more
/// images of each instead (48 of 24 classes become 45 of 15).
///
/// A neighbourhood holds a seed and clusters of other classes: with K clusters a class at most `K (classes - 1) + 1`.
pub(crate) fn fit(base: &str, mut sets: Vec<String>, classes: usize) -> Result<Vec<String>> {
    let table = resolved(base, &sets)?;
    let number = |section: &str, key: &str| -> Option<usize> {
        let value = table.get(section)?.get(key)?.as_integer()?;
        usize::try_from(value).ok()
    };
    let clusters = number("index", "clusters_per_class").unwrap_or(1);
    let neighbourhood = clusters * (classes - 1) + 1;
    for (many, each, most) in [
        ("clusters_per_batch", "examples_per_cluster", neighbourhood),
        (
            "clusters_per_neighbourhood",
            "examples_per_cluster",
            neighbourhood,
        ),
        ("classes_per_batch", "images_per_class", classes),
    ] {
        let found = number("sampler", many).zip(number("sampler", each));
        if let Some((count, images)) = found.filter(|(count, _)| *count > most) {
            sets.push(format!("sampler.{many}={most}"));
            sets.push(format!("sampler.{each}={}", count * images / most));
        }
    }
    Ok(sets)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reproduce::set::Set;

    fn cell(sets: &[&str]) -> Cell {
        Cell {
            label: Label::new(Task::Closed, Loss::Magnet, Stage::Test, "point 0", 0),
            base: Set::FashionMini.base(),
            sets: sets.iter().map(|&set| set.to_owned()).collect(),
            images: 0,
        }
    }

    #[test]
    fn a_key_follows_the_resolved_run_file_and_not_how_it_is_spelled() {
        let inputs = ["data".to_owned()];
        let key = |sets: &[&str]| cell(sets).key(&inputs).unwrap();
        let plain = key(&["loss={kind=\"magnet\",gap=1.0}"]);
        assert_eq!(key(&["loss={kind=\"magnet\"}", "loss.gap=1.00"]), plain);
        assert_ne!(key(&["loss={kind=\"magnet\",gap=2.0}"]), plain);
        assert_ne!(key(&["loss={kind=\"magnet\",gap=1.0}", "seed=1"]), plain);
        let other = ["other data".to_owned()];
        let sets = ["loss={kind=\"magnet\",gap=1.0}"];
        assert_ne!(cell(&sets).key(&other).unwrap(), plain);
    }

    #[test]
    fn a_setting_that_cannot_be_set_is_named() {
        let error = format!("{:#}", cell(&["seed.x=1"]).resolved().unwrap_err());
        assert_eq!(error, "--set seed.x=1: seed is no table");
    }

    #[test]
    fn a_batch_of_more_clusters_than_there_are_gets_more_images_of_each() {
        let fitted = |sets: &[&str], classes| {
            let before = sets.iter().map(|&set| set.to_owned()).collect();
            let after = fit(&Set::FashionMini.base(), before, classes).unwrap();
            after[sets.len()..].to_vec()
        };
        let wide = [
            "index.clusters_per_class=2",
            "sampler={kind=\"neighbourhood\",clusters_per_batch=12,examples_per_cluster=4}",
        ];
        assert_eq!(
            fitted(&wide, 5),
            [
                "sampler.clusters_per_batch=9",
                "sampler.examples_per_cluster=5"
            ]
        );
        assert!(fitted(&wide, 10).is_empty());
        let classes = ["sampler={kind=\"per-class\",classes_per_batch=24,images_per_class=2}"];
        assert_eq!(
            fitted(&classes, 15),
            ["sampler.classes_per_batch=15", "sampler.images_per_class=3"]
        );
    }
}
