//! From a run file to the parts of a run: rows, labels, network, loss, and where their inputs come from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Device;
use lodestone_data::{Broken, Loader, LoaderConfig, Roles, Split, Table};
use lodestone_eval::{Mode, Protocol};
use lodestone_losses::{ClassRule, Loss};
use lodestone_models::{AuxiliaryClassifiers, Embedder, HeadInitialisation, LoadOptions, StageId};
use rand::RngExt;

use crate::config::run_config::{
    BatchNormUse, CoarseConfig, EvaluationConfig, FrozenCache, RunConfig,
};
use crate::error::TrainError;
use crate::input::frozen::FrozenSource;
use crate::input::preprocess::loader_preprocessing;
use crate::input::source::{EvaluationSource, TrainingSource, frozen_training};
use crate::judge::evaluate::Part;
use crate::judge::saved_embeddings::Photograph;
use crate::learn::batch_norm;
use crate::learn::learner::Learner;
use crate::record::observer::{Event, Observer};
use crate::run::random::{Purpose, generator};

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

/// What a table says of some rows, beside their embeddings.
pub(crate) struct Columns {
    pub(crate) labels: Vec<usize>,
    pub(crate) fine: Option<Vec<usize>>,
    pub(crate) sequences: Option<Vec<usize>>,
}

impl Columns {
    /// With the embeddings of the rows, `[n, dim]`.
    pub(crate) fn part<'a>(&'a self, embeddings: &'a [f32]) -> Part<'a> {
        Part {
            embeddings,
            labels: &self.labels,
            fine: self.fine.as_deref(),
            sequences: self.sequences.as_deref(),
        }
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

/// Where a run reads and writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Folder of the run.
    pub run: PathBuf,
    /// Folder that runs share, for what can be computed again.
    pub cache: PathBuf,
}

/// The network at its start and what feeds it.
pub(crate) struct Setup {
    pub(crate) embedder: Embedder,
    pub(crate) auxiliary: AuxiliaryClassifiers,
    pub(crate) loss: Loss,
    pub(crate) loader: Loader,
    pub(crate) stage: Option<StageId>,
    pub(crate) table_fingerprint: String,
}

impl Setup {
    /// Builds network and loss from the seed, with pretrained weights and the frozen part set.
    pub(crate) fn new(
        config: &RunConfig,
        table: &Arc<Table>,
        parts: &Parts,
        device: &Device,
        observer: &mut dyn Observer,
    ) -> Result<Self, TrainError> {
        let precision = config.model.precision;
        if !device.supports_dtype(precision.dtype()) {
            let name = precision.name();
            let reason = format!(
                "model.precision is {name}, in which this device does not compute: use f32"
            );
            return Err(TrainError::Setting { reason });
        }
        let preprocessing = loader_preprocessing(&config.preprocessing())?;
        let loader_config = LoaderConfig {
            threads: config.data.threads,
            cache: config.data.cache.clone(),
            broken: match config.data.skip_broken {
                true => Broken::Skip,
                false => Broken::Fail,
            },
            ..LoaderConfig::default()
        };
        let loader = Loader::new(Arc::clone(table), preprocessing, loader_config)?;
        let mut embedder = config.model.embedder().init(config.seed, device);
        let image = loader.preprocessing().shape();
        embedder.trunk.check_input(image)?;
        let mut auxiliary = auxiliary(config, parts.trained(), device)?;
        auxiliary.check_input(&embedder.trunk, image)?;
        if let Some(path) = &config.model.weights {
            let options = LoadOptions {
                partial: config.model.partial_weights,
            };
            let report = embedder.load_pretrained_with(path, &mut auxiliary, options)?;
            observer.on(Event::Note(&format!("{}: {report}", path.display())));
        }
        let stage = match &config.model.freeze_until {
            Some(name) => Some(embedder.trunk.stage(name)?),
            None => None,
        };
        if let Some(stage) = stage {
            embedder = embedder.freeze_until(stage);
        }
        if config.model.batch_norm == BatchNormUse::Frozen {
            embedder = batch_norm::freeze(embedder);
            auxiliary = batch_norm::freeze(auxiliary);
        }
        if config.train.part_size > 0
            && (batch_norm::learns(&embedder) || batch_norm::learns(&auxiliary))
        {
            let reason = format!(
                "train.part_size is {}, but the network normalises by the statistics of a batch, and those of a part are \
                 others: set model.batch_norm = \"frozen\"",
                config.train.part_size
            );
            return Err(TrainError::Setting { reason });
        }
        device.seed(generator(config.seed, Purpose::Parameters, 0).random());
        let loss = config
            .loss
            .init(embedder.embedding_size(), parts.trained(), device);
        let table_fingerprint = table.fingerprint()?;
        Ok(Self {
            embedder,
            auxiliary,
            loss,
            loader,
            stage,
            table_fingerprint,
        })
    }

    /// Starts the head from features of training images, in their evaluation view, as the run file says.
    pub(crate) fn calibrate_head(
        &mut self,
        (rows, labels): (&[usize], &[usize]),
        evaluation: &mut EvaluationSource,
        device: &Device,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        // A scale needs few images; what depends on the classes needs several of each.
        let enough = match self.embedder.config().head.initialise {
            HeadInitialisation::Discriminant => 8192,
            _ => 512,
        };
        // Spread over the table, so that every class has a say where rows are sorted by class.
        let stride = (rows.len() / enough).max(1);
        let labels: Vec<usize> = labels.iter().step_by(stride).copied().collect();
        let sample: Vec<usize> = rows.iter().step_by(stride).copied().collect();
        let plain = self.embedder.valid();
        let phase = crate::record::observer::Phase::Evaluation;
        let found =
            evaluation.collect(&sample, phase, &device.clone().inner(), observer, |input| {
                input.features(&plain)
            })?;
        let labels = found.of(&labels);
        let size = found.values.len() / labels.len();
        let features = burn::tensor::TensorData::new(found.values, [labels.len(), size]);
        let features = burn::tensor::Tensor::<2>::from_data(features, device);
        self.embedder = self.embedder.clone().calibrate_head(features, &labels);
        Ok(())
    }

    /// What is trained, before the first step.
    pub(crate) fn learner(&self, config: &RunConfig) -> Learner {
        Learner::new(
            config,
            self.embedder.clone(),
            self.auxiliary.clone(),
            self.loss.clone(),
        )
    }

    /// Where evaluation views come from, with the frozen part's outputs cached for the given parts of the table.
    pub(crate) fn evaluation_source(
        &self,
        config: &RunConfig,
        parts: &[&[usize]],
        cache: &Path,
        device: &Device,
        observer: &mut dyn Observer,
    ) -> Result<EvaluationSource, TrainError> {
        let batch = config.evaluation.bs_val;
        match self.stage {
            None => Ok(EvaluationSource::images(self.loader.clone(), batch)),
            Some(stage) => {
                let embedder = self.embedder.valid();
                let device = device.clone().inner();
                let source =
                    self.frozen_source(&embedder, stage, batch, &device, config.model.frozen_cache);
                EvaluationSource::frozen(&source, parts, cache, observer)
            }
        }
    }

    /// Where training views come from; the first batch that is asked for has the number `first`.
    pub(crate) fn training_source(
        &self,
        config: &RunConfig,
        rows: &[usize],
        first: usize,
        cache: &Path,
        device: &Device,
        observer: &mut dyn Observer,
    ) -> Result<TrainingSource, TrainError> {
        match self.stage {
            None => Ok(TrainingSource::images(&self.loader, config, first)),
            Some(stage) => {
                let embedder = self.embedder.valid();
                let device = device.clone().inner();
                let source = self.frozen_source(
                    &embedder,
                    stage,
                    config.evaluation.bs_val,
                    &device,
                    config.model.frozen_cache,
                );
                let source = FrozenSource { rows, ..source };
                frozen_training(&source, config, cache, observer)
            }
        }
    }

    fn frozen_source<'a>(
        &'a self,
        embedder: &'a Embedder,
        stage: StageId,
        batch: usize,
        device: &'a Device,
        cache: FrozenCache,
    ) -> FrozenSource<'a> {
        FrozenSource {
            embedder,
            stage,
            loader: &self.loader,
            table: &self.table_fingerprint,
            rows: &[],
            views: &[],
            batch,
            device,
            cache,
        }
    }
}

/// The classifiers below the top that the run file asks for.
fn auxiliary(
    config: &RunConfig,
    classes: usize,
    device: &Device,
) -> Result<AuxiliaryClassifiers, TrainError> {
    let Some(wanted) = &config.model.auxiliary else {
        return Ok(AuxiliaryClassifiers::none());
    };
    let network = &config.model.network;
    let auxiliary = network.auxiliary(classes, wanted.dropout, config.seed, device);
    if auxiliary.is_empty() {
        let reason = format!(
            "model.auxiliary is set, but {} has no auxiliary classifiers",
            network.name()
        );
        return Err(TrainError::Setting { reason });
    }
    Ok(auxiliary)
}

/// Whether the run needs a cluster index: to draw its batches, or to be judged.
pub(crate) fn needs_index(config: &RunConfig) -> bool {
    config.sampler.needs_index() || config.loss.class_rule() == ClassRule::NearestClusters
}
