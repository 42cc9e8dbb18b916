//! A cell of the ledger: one thing to run, under a name, with a key that changes with everything that decides its numbers.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use toml::{Table, Value};

use super::experiment::Experiment;
use super::loss::Loss;
use super::suite::Suite;
use crate::files::read_text;
use crate::process::root;

/// What a cell is called; the ledger has one row for each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Label {
    pub(crate) experiment: String,
    pub(crate) loss: String,
    pub(crate) setting: String,
    pub(crate) seed: u64,
}

impl Label {
    pub(crate) fn new(experiment: Experiment, loss: Loss, setting: &str, seed: u64) -> Self {
        Self {
            experiment: experiment.name().into(),
            loss: loss.name().into(),
            setting: setting.into(),
            seed,
        }
    }

    /// A cell that is a training.
    pub(crate) fn trains(self, run: Run) -> Cell {
        self.asks(run, Work::Train)
    }

    /// A cell that asks something of a trained run.
    pub(crate) fn asks(self, run: Run, work: Work) -> Cell {
        let run = run.with(&[&format!("seed={}", self.seed)]);
        Cell {
            label: self,
            run,
            work,
        }
    }
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            experiment,
            loss,
            setting,
            seed,
        } = self;
        write!(f, "{experiment} {loss}, {setting}, seed {seed}")
    }
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// A training, judged as its run file says.
    Train,
    /// How attributes concentrate in the embedding of a trained run.
    Concentration,
    /// A map of two merged classes of a trained run.
    Map,
}

/// A training: a run file of the repository and what is set on top of it.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// Relative to the workspace.
    pub(crate) file: String,
    pub(crate) sets: Vec<String>,
    /// Images that are trained on, for the forecast.
    pub(crate) images: u64,
    /// Images that go through the network to judge it, for the forecast.
    pub(crate) judged: u64,
}

impl Run {
    pub(crate) fn new(suite: &Suite, loss: Loss, images: u64, judged: u64) -> Self {
        let mut sets = suite.changes(loss);
        sets.push(format!("train.images={images}"));
        Self {
            file: suite.run_file(loss),
            sets,
            images,
            judged,
        }
    }

    pub(crate) fn with(self, sets: &[&str]) -> Self {
        self.with_owned(sets.iter().map(|&set| set.to_owned()).collect())
    }

    pub(crate) fn with_owned(mut self, sets: Vec<String>) -> Self {
        self.sets.extend(sets);
        self
    }

    /// The run file with all that is set.
    pub(super) fn resolved(&self) -> Result<Table> {
        let path = root().join(&self.file);
        let mut table: Table = read_text(&path)?
            .parse()
            .with_context(|| format!("cannot understand {}", path.display()))?;
        for set in &self.sets {
            insert(&mut table, set).with_context(|| format!("--set {set}"))?;
        }
        Ok(table)
    }
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

/// One thing to run.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) label: Label,
    pub(crate) run: Run,
    pub(crate) work: Work,
}

/// What decides numbers beside the run file.
#[derive(Clone, Debug)]
pub(crate) struct Inputs {
    /// Fingerprints of the data, the weights, and the version of the program.
    pub(crate) texts: Vec<String>,
    /// Fingerprint of the attribute labels, which only their concentration reads.
    pub(crate) attributes: String,
}

impl Cell {
    /// The same for another seed.
    pub(crate) fn with_seed(&self, seed: u64) -> Self {
        let mut cell = self.clone();
        let [from, to] = [self.label.seed, seed].map(|seed| format!("seed={seed}"));
        cell.label.seed = seed;
        for set in &mut cell.run.sets {
            *set = set.replace(&from, &to);
        }
        cell
    }

    /// Key of the training alone, which cells that ask something of it share.
    pub(crate) fn run_key(&self, inputs: &Inputs) -> Result<String> {
        let mut digest = Sha256::new();
        digest.update(toml::to_string(&self.run.resolved()?)?);
        for text in &inputs.texts {
            digest.update([0]);
            digest.update(text);
        }
        Ok(hex(&digest.finalize()))
    }

    /// Key of the cell: the same numbers come out wherever it is the same, to the last bit on one device and up to roundings on
    /// others. A row names its machine.
    pub(crate) fn key(&self, inputs: &Inputs) -> Result<String> {
        let run = self.run_key(inputs)?;
        Ok(match self.work {
            Work::Train => run,
            Work::Concentration => {
                let asked = format!("{run} {:?} {}", self.work, inputs.attributes);
                hex(&Sha256::digest(asked))
            }
            Work::Map => hex(&Sha256::digest(format!("{run} {:?}", self.work))),
        })
    }
}

/// The first 16 digits: 64 bits tell a few thousand cells apart.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(sets: &[&str], seed: u64) -> Cell {
        let run = Run {
            file: "datasets/fashion-mini/magnet.toml".into(),
            sets: sets.iter().map(|&set| set.to_owned()).collect(),
            images: 0,
            judged: 0,
        };
        Label::new(Experiment::Classification, Loss::Magnet, "tuned", seed).trains(run)
    }

    fn inputs(texts: &[&str]) -> Inputs {
        Inputs {
            texts: texts.iter().map(|&text| text.to_owned()).collect(),
            attributes: "none".into(),
        }
    }

    #[test]
    fn a_key_follows_the_resolved_run_file_and_not_how_it_is_spelled() {
        let inputs = inputs(&["data"]);
        let key = |cell: &Cell| cell.key(&inputs).unwrap();
        let plain = key(&cell(&[], 0));
        // The run file has the gap 1.0 already.
        assert_eq!(key(&cell(&["loss.gap=1.0"], 0)), plain);
        assert_eq!(key(&cell(&["loss.gap=2.0", "loss.gap=1.00"], 0)), plain);
        assert_ne!(key(&cell(&["loss.gap=2.0"], 0)), plain);
        assert_ne!(key(&cell(&[], 1)), plain);
        assert_ne!(
            cell(&[], 0).key(&self::inputs(&["other data"])).unwrap(),
            plain
        );
    }

    #[test]
    fn another_seed_changes_a_cell_as_if_it_had_been_made_with_it() {
        let inputs = inputs(&["data"]);
        let merged = |seed: u64| {
            let groups = format!("data.coarse={{kind=\"random\",groups=2,seed={seed}}}");
            cell(&[&groups], seed)
        };
        let key = |cell: &Cell| cell.key(&inputs).unwrap();
        assert_eq!(key(&merged(0).with_seed(2)), key(&merged(2)));
        assert_ne!(key(&merged(0)), key(&merged(2)));
    }

    #[test]
    fn what_is_asked_of_a_run_has_a_key_of_its_own() {
        let train = cell(&[], 0);
        let asks = |work| Cell {
            work,
            ..train.clone()
        };
        let map = asks(Work::Map);
        let (inputs, mut labelled) = (inputs(&[]), inputs(&[]));
        labelled.attributes = "other labels".into();
        assert_eq!(map.run_key(&inputs).unwrap(), train.key(&inputs).unwrap());
        assert_ne!(map.key(&inputs).unwrap(), train.key(&inputs).unwrap());
        // Attribute labels decide what is counted in an embedding and nothing of the training.
        let keys = |cell: &Cell| [&inputs, &labelled].map(|inputs| cell.key(inputs).unwrap());
        let of_train = keys(&train);
        assert_eq!(of_train[0], of_train[1]);
        let of_share = keys(&asks(Work::Concentration));
        assert_ne!(of_share[0], of_share[1]);
    }

    #[test]
    fn a_setting_that_cannot_be_set_is_named() {
        let error = cell(&["seed.x=1"], 0).run_key(&inputs(&[]));
        let error = format!("{:#}", error.unwrap_err());
        assert_eq!(error, "--set seed.x=1: seed is no table");
    }
}
