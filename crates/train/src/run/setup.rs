//! From a run file to the parts of a run: rows, labels, network, loss, and where their inputs come from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Device;
use lodestone_data::{Broken, Loader, LoaderConfig, Table};
use lodestone_losses::{ClassRule, Loss};
use lodestone_models::{AuxiliaryClassifiers, Embedder, HeadInitialisation, LoadOptions, StageId};
use rand::RngExt;

use crate::config::run_config::{BatchNormUse, FrozenCache, RunConfig};
use crate::error::TrainError;
use crate::input::frozen::FrozenSource;
use crate::input::parts::Parts;
use crate::input::source::{EvaluationSource, TrainingSource, frozen_training};
use crate::learn::batch_norm;
use crate::learn::learner::Learner;
use crate::random::{Purpose, generator};
use crate::record::observer::{Event, Observer};

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
        let loader_config = LoaderConfig {
            threads: config.data.threads,
            cache: config.data.cache.clone(),
            broken: match config.data.skip_broken {
                true => Broken::Skip,
                false => Broken::Fail,
            },
            ..LoaderConfig::default()
        };
        let loader = Loader::new(Arc::clone(table), config.preprocessing(), loader_config)?;
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
            .try_init(embedder.embedding_size(), parts.trained(), device)
            .map_err(|error| TrainError::Setting {
                reason: format!("loss: {error}"),
            })?;
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
