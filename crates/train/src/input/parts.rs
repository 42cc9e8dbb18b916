//! The rows of a table by their use: what is trained on, what chooses settings, what is only tested on.

use lodestone_data::{Roles, Split, Table};
use lodestone_eval::{Mode, Protocol};

use crate::config::run_config::{CoarseConfig, EvaluationConfig, RunConfig};
use crate::error::TrainError;
use crate::input::columns::{Columns, Photograph};

/// Rows of a table by their use, with the labels that the loss sees.
///
/// A class is trained on if one of its rows is. Labels number those classes first, from 0 without gaps, and the others after
/// them, so that heads, samplers and the cluster index know the trained ones alone.
#[derive(Clone, Debug)]
pub struct Parts {
    table: Table,
    /// Rows that are trained on.
    pub train: Vec<usize>,
    /// Rows that choose settings.
    pub validation: Vec<usize>,
    /// Rows that are only ever evaluated.
    pub test: Vec<usize>,
    coarse: bool,
    /// Whether each class of the table has a training row.
    seen: Vec<bool>,
    /// The number of each class that the loss sees: trained ones first.
    numbers: Vec<usize>,
    /// Names by that number.
    names: Vec<String>,
    trained: usize,
    /// Test rows of the classes that validation holds out, which are judged nowhere.
    left_out: usize,
}

impl Parts {
    /// Splits a table as the run file says: whole classes are set aside first, then validation rows are taken out of the training
    /// rows; test rows of trained classes stay as they are.
    ///
    /// # Errors
    /// If there is nothing to train on, a side would be empty, or the coarser classes that are asked for do not exist.
    pub fn new(table: &Table, config: &RunConfig) -> Result<Self, TrainError> {
        let wrong = |reason: String| Err(TrainError::Setting { reason });
        let mut table = table.clone();
        if let Some(unseen) = &config.data.unseen {
            table.set_unseen(unseen)?;
        }
        if config.data.validation_classes > 0.0 {
            table.hold_out_classes(config.data.validation_classes, config.seed)?;
        }
        if config.data.validation > 0.0 {
            table.hold_out(config.data.validation, config.seed)?;
        }
        match &config.data.coarse {
            Some(CoarseConfig::Random { groups, seed }) => table.merge_classes(*groups, *seed)?,
            Some(CoarseConfig::Listed { merged }) => table.merge_listed(merged)?,
            Some(CoarseConfig::Given) if table.coarse_names.is_empty() => {
                return wrong(format!(
                    "data.coarse is given, but {} has no coarser classes",
                    table.name
                ));
            }
            Some(CoarseConfig::Given) | None => {}
        }
        let train = table.split(Split::Train);
        if train.is_empty() {
            return wrong(format!("{} has no training images", table.name));
        }
        if config.train.valid_period > 0 && table.split(Split::Validation).is_empty() {
            return wrong(format!(
                "train.valid_period is {}, but data.validation is 0, so is data.validation_classes, and {} has no validation \
                 images of its own: there is nothing to evaluate on, and test images are never looked at during training",
                config.train.valid_period, table.name
            ));
        }
        let having = |rows: &[usize]| {
            let mut has = vec![false; table.classes()];
            rows.iter()
                .for_each(|&row| has[table.rows[row].label] = true);
            has
        };
        let (seen, validation) = (having(&train), table.split(Split::Validation));
        // Settings were chosen on these classes, so they are neither trained on nor unseen.
        let chosen_on = match config.data.validation_classes > 0.0 {
            true => having(&validation),
            false => vec![false; table.classes()],
        };
        let mut test = table.split(Split::Test);
        let all = test.len();
        test.retain(|&row| !chosen_on[table.rows[row].label]);
        check_roles(&table, &test, config.evaluation.mode)?;

        let coarse = config.data.coarse.is_some();
        let names = if coarse {
            &table.coarse_names
        } else {
            &table.class_names
        };
        let mut trains = vec![false; names.len()];
        for &row in &train {
            let row = &table.rows[row];
            let class = if coarse { row.coarse } else { Some(row.label) };
            if let Some(class) = class {
                trains[class] = true;
            }
        }
        let (first, after): (Vec<usize>, Vec<usize>) =
            (0..names.len()).partition(|&class| trains[class]);
        let trained = first.len();
        let order: Vec<usize> = first.into_iter().chain(after).collect();
        let mut numbers = vec![0; names.len()];
        for (number, &class) in order.iter().enumerate() {
            numbers[class] = number;
        }
        Ok(Self {
            names: order.iter().map(|&class| names[class].clone()).collect(),
            left_out: all - test.len(),
            train,
            validation,
            test,
            coarse,
            seen,
            numbers,
            trained,
            table,
        })
    }

    /// Rows of a part.
    pub fn rows(&self, split: Split) -> &[usize] {
        match split {
            Split::Train => &self.train,
            Split::Validation => &self.validation,
            Split::Test => &self.test,
        }
    }

    /// The part that says what a finished run is worth: the test images, or where there are none those of validation.
    pub fn held_out(&self) -> Option<Split> {
        let parts = [Split::Test, Split::Validation];
        parts.into_iter().find(|&part| !self.rows(part).is_empty())
    }

    /// As [`held_out`](Self::held_out), where one is needed.
    ///
    /// # Errors
    /// If every image is a training image.
    pub(crate) fn require_held_out(&self) -> Result<Split, TrainError> {
        self.held_out().ok_or_else(|| TrainError::Setting {
            reason: format!(
                "{} has neither test nor validation images, and what was trained on says nothing: hold some out with \
                 data.validation, before training",
                self.table.name
            ),
        })
    }

    /// The labels that the loss sees, for some rows of the table; classes that are not trained on have numbers from
    /// [`trained`](Self::trained) on.
    pub fn labels(&self, rows: &[usize]) -> Vec<usize> {
        let coarse = if self.coarse {
            self.table.coarse_labels(rows)
        } else {
            None
        };
        let mut labels = coarse.unwrap_or_else(|| self.table.labels(rows));
        labels
            .iter_mut()
            .for_each(|label| *label = self.numbers[*label]);
        labels
    }

    /// The fine labels of some rows, if training sees coarser ones.
    pub fn fine_labels(&self, rows: &[usize]) -> Option<Vec<usize>> {
        self.coarse.then(|| self.table.labels(rows))
    }

    /// Names of the classes by the numbers of [`labels`](Self::labels): those that are trained on, then the others.
    pub fn class_names(&self) -> &[String] {
        &self.names
    }

    /// Names of the classes that are trained on.
    pub fn training_class_names(&self) -> &[String] {
        &self.names[..self.trained]
    }

    /// Number of classes that are trained on.
    pub fn trained(&self) -> usize {
        self.trained
    }

    /// Whether the class of each of some rows is trained on, the fine one where training sees coarser ones.
    pub fn seen(&self, rows: &[usize]) -> Vec<bool> {
        let seen = |&row: &usize| self.seen[self.table.rows[row].label];
        rows.iter().map(seen).collect()
    }

    /// Query and gallery marks of some rows, if all of them have some.
    pub fn roles(&self, rows: &[usize]) -> Option<Vec<Roles>> {
        let roles = rows.iter().map(|&row| self.table.rows[row].roles);
        roles
            .collect::<Option<Vec<_>>>()
            .filter(|roles| !roles.is_empty())
    }

    /// The sequence of each of some rows, a number of its own where a row has none; absent if no row of the table has one.
    pub fn sequences(&self, rows: &[usize]) -> Option<Vec<usize>> {
        let known = self.table.rows.iter().filter_map(|row| row.sequence);
        let next = known.max()? + 1;
        let sequence = |&row: &usize| self.table.rows[row].sequence.unwrap_or(next + row);
        Some(rows.iter().map(sequence).collect())
    }

    /// Labels, fine labels and sequences of some rows.
    pub(crate) fn columns(&self, rows: &[usize]) -> Columns {
        Columns {
            labels: self.labels(rows),
            fine: self.fine_labels(rows),
            sequences: self.sequences(rows),
        }
    }

    /// What files of embeddings call some rows.
    pub(crate) fn photographs(&self, rows: &[usize]) -> Vec<Photograph> {
        let labels = self.labels(rows);
        let named = rows.iter().zip(labels).map(|(&row, label)| Photograph {
            path: self.table.describe(row).to_string_lossy().into_owned(),
            class_name: self.names[label].clone(),
            split: self.table.rows[row].split,
        });
        named.collect()
    }

    /// How the images of a part are judged: as `evaluation.mode` says, or as suits them.
    pub fn protocol(&self, part: Split, config: &EvaluationConfig) -> Protocol {
        let rows = self.rows(part);
        match config.mode {
            Some(mode) => Protocol::All(mode),
            None => Protocol::suiting(&self.seen(rows), self.roles(rows).is_some()),
        }
    }

    /// What of the table is trained on, what is judged as never seen and what is left out, in one sentence; nothing if every class
    /// is trained on.
    pub fn sentence(&self) -> Option<String> {
        let mut present = vec![false; self.seen.len()];
        self.table
            .rows
            .iter()
            .for_each(|row| present[row.label] = true);
        let unseen = |rows: &[usize]| {
            let mut classes = self.table.labels(rows);
            classes.retain(|&class| !self.seen[class]);
            classes.sort_unstable();
            classes.dedup();
            classes
        };
        let trained = self.seen.iter().filter(|&&seen| seen).count();
        let mut parts = Vec::new();
        for (what, classes) in [
            ("held out to choose settings", unseen(&self.validation)),
            ("only tested on", unseen(&self.test)),
            (
                "without a photograph",
                (0..present.len())
                    .filter(|&class| !present[class])
                    .collect(),
            ),
        ] {
            if !classes.is_empty() {
                let names = classes
                    .iter()
                    .map(|&class| self.table.class_names[class].as_str());
                parts.push(format!("{} {what} ({})", classes.len(), few(names)));
            }
        }
        if self.left_out > 0 {
            let count = self.left_out;
            parts.push(format!(
                "{count} test images of classes that choose settings left out"
            ));
        }
        (!parts.is_empty()).then(|| {
            format!(
                "of {} classes {trained} train; {}",
                self.seen.len(),
                parts.join("; ")
            )
        })
    }
}

/// The first names of a list, and that there are more.
fn few<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 3;
    let more = if names.len() > SHOWN { ", .." } else { "" };
    format!("{}{more}", names.take(SHOWN).collect::<Vec<_>>().join(", "))
}

/// Test rows that have roles need some of each, and the mode that goes by roles needs test rows that have some.
fn check_roles(table: &Table, test: &[usize], mode: Option<Mode>) -> Result<(), TrainError> {
    let roles: Vec<Roles> = test
        .iter()
        .filter_map(|&row| table.rows[row].roles)
        .collect();
    if roles.is_empty() {
        return match mode {
            Some(Mode::Split) => Err(TrainError::Setting {
                reason: format!(
                    "evaluation.mode is split, but {} has no marks of query and gallery: a table with the columns is_query and \
                     is_gallery says them",
                    table.name
                ),
            }),
            _ => Ok(()),
        };
    }
    let missing = match (
        roles.iter().any(|role| role.query),
        roles.iter().any(|role| role.gallery),
    ) {
        (true, true) => return Ok(()),
        (false, _) => "is_query",
        (true, false) => "is_gallery",
    };
    Err(TrainError::Setting {
        reason: format!(
            "{}: none of the {} test rows has {missing} set, so nobody looks for anything: mark some",
            table.name,
            roles.len()
        ),
    })
}
