//! The loop, top to bottom: pick, load, encode, loss, step, cache, refresh, evaluate, save.

use std::sync::Arc;

use burn::tensor::Device;
use lodestone_data::Table;
use lodestone_eval::{Report, Rows};
use lodestone_losses::{Labels, LossConfig, LossReading, Statistic, pinned_level};
use lodestone_sampling::{Batch, Classes, Index};
use rand::RngExt;

use crate::checkpoint::{CheckpointError, CheckpointFolder, Parts as CheckpointParts};
use crate::config::RunConfig;
use crate::error::TrainError;
use crate::evaluate::{Judged, Part, headline, judge};
use crate::health::{PinnedWatch, Warning};
use crate::learner::Learner;
use crate::log::Log;
use crate::observer::{Event, Observer, Phase, StepReport};
use crate::random::{Purpose, generator};
use crate::save::{load, save};
use crate::setup::{Parts, Places, Setup, needs_index};
use crate::source::EvaluationSource;
use crate::state::State;

/// Columns of `log.csv`.
const COLUMNS: [&str; 13] = [
    "step",
    "epoch",
    "images",
    "loss",
    "rate_factor",
    "seconds",
    "variance",
    "hinged_out",
    "imposter_gap",
    "active",
    "accuracy",
    "wait_share",
    "refreshes",
];

/// A run, ready to start or to be resumed.
pub struct Trainer {
    config: RunConfig,
    table: Arc<Table>,
    places: Places,
    device: Device,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Test images judged by the loss's own rule; absent if the run was stopped early or has no test images.
    pub report: Option<Report>,
    /// Steps made.
    pub steps: usize,
    /// Images seen.
    pub images: usize,
}

impl Trainer {
    /// Checks the settings; nothing is read or computed yet.
    ///
    /// `device` is a plain device; gradients are the trainer's business.
    ///
    /// # Errors
    /// The first setting that is out of range.
    pub fn new(
        config: RunConfig,
        table: Table,
        places: Places,
        device: Device,
    ) -> Result<Self, TrainError> {
        config.validate()?;
        Ok(Self {
            config,
            table: Arc::new(table),
            places,
            device,
        })
    }

    /// Trains from the start. What an earlier run left in the folder is replaced.
    ///
    /// # Errors
    /// See [`TrainError`]; checkpoints written before the error stay.
    pub fn run(&self, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
        self.train(None, observer)
    }

    /// Goes on from the newest undamaged checkpoint of the folder, or from the start if there is none yet.
    ///
    /// On the same device the result is that of the unbroken run, bit by bit.
    ///
    /// # Errors
    /// If the checkpoint belongs to other settings or other data, and as [`run`](Self::run).
    pub fn resume(&self, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
        match self.checkpoints().newest() {
            Ok((_, parts, damaged)) => {
                for reason in damaged {
                    observer.on(Event::Warning(&Warning::DamagedCheckpoint { reason }));
                }
                self.train(Some(parts), observer)
            }
            Err(CheckpointError::None { .. }) => self.train(None, observer),
            Err(error) => Err(error.into()),
        }
    }

    /// Judges the newest checkpoint of the folder on the test images, as the end of the run did.
    ///
    /// # Errors
    /// If there is no checkpoint, it belongs to other settings or other data, or the set has no test images.
    pub fn judge_finished(&self, observer: &mut dyn Observer) -> Result<Report, TrainError> {
        let config = &self.config;
        let device = self.device.clone().autodiff();
        let checkpoints = self.checkpoints();
        let (_, saved, _) = checkpoints.newest()?;
        let parts = Parts::new(&self.table, config)?;
        let classes = Classes::named(&parts.labels(&parts.train), parts.class_names().to_vec())?;
        let setup = Setup::new(config, &self.table, &parts, &device, observer)?;
        let fresh = State::fresh(config, &setup.table_fingerprint, &classes);
        let all: [&[usize]; 2] = [&parts.train, parts.test()?];
        let mut evaluation =
            setup.evaluation_source(config, &all, &self.places.cache, &device, observer)?;
        let learner = Learner::new(config, setup.embedder, setup.loss);
        let (state, learner) = load(saved, learner, &checkpoints)?;
        state.check(&fresh)?;
        self.judge(
            &learner,
            &state,
            &parts,
            &classes,
            &parts.test,
            &mut evaluation,
            observer,
        )
    }

    /// Judges the pooled features of the trunk as it starts, without head and training: what pretrained weights are worth.
    ///
    /// # Errors
    /// If the set has no test images, and as [`run`](Self::run).
    pub fn judge_features(&self, observer: &mut dyn Observer) -> Result<Report, TrainError> {
        let config = &self.config;
        let device = self.device.clone().autodiff();
        let parts = Parts::new(&self.table, config)?;
        let setup = Setup::new(config, &self.table, &parts, &device, observer)?;
        let all: [&[usize]; 2] = [&parts.train, parts.test()?];
        let mut evaluation =
            setup.evaluation_source(config, &all, &self.places.cache, &device, observer)?;
        let learner = Learner::new(config, setup.embedder, setup.loss);
        let mut features = |rows: &[usize], observer: &mut dyn Observer| {
            learner.features(
                rows,
                Phase::Evaluation,
                &mut evaluation,
                &self.device,
                observer,
            )
        };
        let gallery = features(&parts.train, observer)?;
        let queries = features(&parts.test, observer)?;
        let judged = Judged {
            rule: None,
            dim: gallery.len() / parts.train.len(),
            gallery: Part {
                embeddings: &gallery,
                labels: &parts.labels(&parts.train),
                fine: None,
            },
            queries: Part {
                embeddings: &queries,
                labels: &parts.labels(&parts.test),
                fine: None,
            },
            logits: None,
            clusters: None,
        };
        let mut report = judge(&judged, &config.evaluation)?;
        report.note("data", &self.table.name);
        report.note("loss", "none: frozen features");
        report.warnings.extend(self.table.notices.iter().cloned());
        Ok(report)
    }

    fn checkpoints(&self) -> CheckpointFolder {
        CheckpointFolder::new(
            self.places.run.join("checkpoints"),
            self.config.train.keep_checkpoints,
        )
    }

    fn train(
        &self,
        saved: Option<CheckpointParts>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, TrainError> {
        let config = &self.config;
        let device = self.device.clone().autodiff();
        let cache = &self.places.cache;
        let checkpoints = self.checkpoints();

        // Rows, network, and where its inputs come from.
        let parts = Parts::new(&self.table, config)?;
        let labels = parts.labels(&parts.train);
        let classes = Classes::named(&labels, parts.class_names().to_vec())?;
        let plan = config.sampler.init(&classes, config.seed)?;
        let mut setup = Setup::new(config, &self.table, &parts, &device, observer)?;
        let all: [&[usize]; 3] = [&parts.train, &parts.validation, &parts.test];
        let mut evaluation = setup.evaluation_source(config, &all, cache, &device, observer)?;
        if config.model.calibrate_head && saved.is_none() {
            setup.calibrate_head(&parts.train, &mut evaluation, &device, observer)?;
        }
        let mut learner = Learner::new(config, setup.embedder.clone(), setup.loss.clone());
        let mut state = State::fresh(config, &setup.table_fingerprint, &classes);
        let log_path = self.places.run.join("log.csv");
        let mut log = match saved {
            None => {
                let text = toml::to_string(config).unwrap_or_default();
                lodestone_files::write_whole(&self.places.run.join("run.toml"), |file| {
                    file.write_all(text.as_bytes())
                })?;
                Log::create(&log_path, &COLUMNS)?
            }
            Some(saved) => {
                let fresh = state;
                (state, learner) = load(saved, learner, &checkpoints)?;
                state.check(&fresh)?;
                Log::resume(&log_path, &COLUMNS, state.log_bytes)?
            }
        };
        let mut source =
            setup.training_source(config, &parts.train, state.step, cache, &device, observer)?;
        for (step, (_, batch)) in (state.step..).zip(&state.ahead) {
            source.ask(step, table_rows(&parts.train, batch));
        }

        let refreshes = needs_index(config) && config.sampler.needs_index();
        let epoch_steps = plan.epoch(0).steps();
        let refresh_period = match config.train.refresh_period {
            0 => epoch_steps,
            period => period,
        };
        let refresh_due = |step: usize| refreshes && step.is_multiple_of(refresh_period);
        let look_ahead = source.look_ahead();
        let mut pinned = PinnedWatch::default();
        let mut epoch = plan.epoch(state.next.0);
        let mut stopped = false;
        observer.on(Event::PhaseStarted {
            phase: Phase::Training,
            total: config.train.images,
        });

        while state.images < config.train.images {
            let begin = observer.elapsed();

            // Refresh: the index is built anew from evaluation views of all training images.
            if refresh_due(state.step) && state.refreshed_at != Some(state.step) {
                let embeddings = learner.embed(
                    &parts.train,
                    Phase::Refresh,
                    &mut evaluation,
                    &self.device,
                    observer,
                )?;
                state.refresh(
                    &embeddings,
                    learner.embedder.embedding_size(),
                    &classes,
                    config,
                    observer,
                )?;
            }

            // Pick: the batch of this step, and of the next where images are decoded ahead. A batch is never drawn
            // across a refresh, so that it cannot hold members of a cluster that is no more.
            while state.ahead.len() <= look_ahead
                && (state.ahead.is_empty() || !refresh_due(state.step + state.ahead.len()))
            {
                if state.next.1 == epoch.steps() {
                    state.next = (state.next.0 + 1, 0);
                    epoch = plan.epoch(state.next.0);
                }
                let batch = epoch.batch(state.next.1, state.clusters())?;
                source.ask(
                    state.step + state.ahead.len(),
                    table_rows(&parts.train, &batch),
                );
                state.ahead.push((state.next.0, batch));
                state.next.1 += 1;
            }

            // Load.
            let (epoch_number, batch) = state.ahead.remove(0);
            let waiting = observer.elapsed();
            let input = source.receive(&device)?;
            let waited = observer.elapsed() - waiting;

            // Encode. The device's generator, which dropout draws from, is set anew for each step.
            device.seed(generator(config.seed, Purpose::Device, state.step).random());
            let embeddings = input.embed(&learner.embedder);

            // Loss.
            let batch_labels: Vec<usize> = batch.rows.iter().map(|&row| labels[row]).collect();
            let mut batch_with = Labels::new(&batch_labels).with_draw(state.step as u64);
            if !batch.clusters.is_empty() {
                batch_with = batch_with.with_clusters(&batch.clusters, &batch.cluster_classes);
            }
            let output = learner.loss.forward(embeddings, &batch_with);
            let reading = output.read();
            if !reading.mean.is_finite() {
                return Err(self.not_finite(
                    state.step + 1,
                    reading.mean,
                    &parts,
                    &batch,
                    &checkpoints,
                ));
            }

            // Step.
            let progress = state.images as f64 / config.train.images as f64;
            let factor = config.schedule.factor(state.step, progress);
            learner = learner.step(output.mean, config, factor);

            // Cache: what each example cost drives the choice of the next seeds.
            state.record(&batch, &reading)?;
            state.step += 1;
            state.images += batch.rows.len();

            // Tell.
            let seconds = observer.elapsed();
            let wait_share = waited.as_secs_f64() / (seconds - begin).as_secs_f64().max(1e-9);
            log.row(&row(
                &state,
                epoch_number,
                &reading,
                factor,
                seconds.as_secs_f64(),
                wait_share,
            ))?;
            if let Some(level) = pinned_at(config, &batch)
                && let Some(warning) = pinned.push(state.step, reading.mean, level)
            {
                observer.on(Event::Warning(&warning));
            }
            observer.on(Event::Step(StepReport {
                step: state.step,
                steps: state.step
                    + (config.train.images.saturating_sub(state.images))
                        .div_ceil(batch.rows.len().max(1)),
                epoch: epoch_number as usize,
                loss: reading.mean,
                rate_factor: factor,
                images: state.images,
                statistics: reading
                    .statistics
                    .iter()
                    .map(|(name, value)| (name.name(), *value))
                    .collect(),
                wait_share,
            }));

            // Evaluate on the validation part; the best so far is kept as a model file.
            let last = state.images >= config.train.images;
            if config.train.valid_period > 0
                && (state.step.is_multiple_of(config.train.valid_period) || last)
            {
                let report = self.judge(
                    &learner,
                    &state,
                    &parts,
                    &classes,
                    &parts.validation,
                    &mut evaluation,
                    observer,
                )?;
                self.keep_best(&report, &learner, &mut state, &parts, observer)?;
            }

            // Save.
            let stop = observer.stop_requested();
            let period = config.train.checkpoint_period;
            if last || stop || (period > 0 && state.step.is_multiple_of(period)) {
                state.log_bytes = log.flush()?;
                checkpoints.write(state.step, &save(&learner, &state)?)?;
            }
            if stop && !last {
                stopped = true;
                break;
            }
        }
        observer.on(Event::PhaseEnded {
            phase: Phase::Training,
        });
        if stopped {
            observer.on(Event::Note(&format!(
                "stopped after step {}; go on with --resume",
                state.step
            )));
            return Ok(Outcome {
                report: None,
                steps: state.step,
                images: state.images,
            });
        }
        self.finish(
            &learner,
            &state,
            &parts,
            &classes,
            &mut evaluation,
            observer,
        )
    }

    /// Writes the trained model and judges it on the test images.
    fn finish(
        &self,
        learner: &Learner,
        state: &State,
        parts: &Parts,
        classes: &Classes,
        evaluation: &mut EvaluationSource,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, TrainError> {
        let run = &self.places.run;
        learner.model(parts).write(&run.join("model.safetensors"))?;
        let report = if parts.test.is_empty() {
            None
        } else {
            let report = self.judge(
                learner,
                state,
                parts,
                classes,
                &parts.test,
                evaluation,
                observer,
            )?;
            report.write_json(&run.join("report.json"))?;
            let text = report.to_markdown();
            lodestone_files::write_whole(&run.join("report.md"), |file| {
                file.write_all(text.as_bytes())
            })?;
            Some(report)
        };
        Ok(Outcome {
            report,
            steps: state.step,
            images: state.images,
        })
    }

    /// Embeds training and held-out images and computes the report.
    fn judge(
        &self,
        learner: &Learner,
        state: &State,
        parts: &Parts,
        classes: &Classes,
        rows: &[usize],
        evaluation: &mut EvaluationSource,
        observer: &mut dyn Observer,
    ) -> Result<Report, TrainError> {
        let config = &self.config;
        let dim = learner.embedder.embedding_size();
        let gallery = learner.embed(
            &parts.train,
            Phase::Evaluation,
            evaluation,
            &self.device,
            observer,
        )?;
        let queries = learner.embed(rows, Phase::Evaluation, evaluation, &self.device, observer)?;
        let logits = learner.logits(&queries, dim, &self.device);
        let number_of_classes = parts.class_names().len();
        let logits = match &logits {
            Some(logits) => Some(rows_of(logits, number_of_classes)?),
            None => None,
        };
        // The rule of the nearest clusters reads the clusters of the finished embedding, not those of the last refresh.
        let index = match state.variance.get() {
            Some(variance) if needs_index(config) => {
                let points = rows_of(&gallery, dim)?;
                Some((
                    Index::build(points, classes, &config.index, config.seed)?,
                    variance,
                ))
            }
            _ => None,
        };
        let (gallery_labels, query_labels) = (parts.labels(&parts.train), parts.labels(rows));
        let (gallery_fine, query_fine) = (parts.fine_labels(&parts.train), parts.fine_labels(rows));
        let judged = Judged {
            rule: Some(config.loss.class_rule()),
            dim,
            gallery: Part {
                embeddings: &gallery,
                labels: &gallery_labels,
                fine: gallery_fine.as_deref(),
            },
            queries: Part {
                embeddings: &queries,
                labels: &query_labels,
                fine: query_fine.as_deref(),
            },
            logits,
            clusters: index.as_ref().map(|(index, variance)| (index, *variance)),
        };
        let mut report = judge(&judged, &config.evaluation)?;
        report.note("data", &self.table.name);
        report.note("seed", config.seed);
        report.note("loss", loss_name(config));
        report.note("rule", headline(judged.rule));
        report.note("step", state.step);
        report.note("images_seen", state.images);
        if let Some(weights) = &config.model.weights {
            report.note(
                "weights",
                weights.file_name().unwrap_or_default().to_string_lossy(),
            );
        }
        report.warnings.extend(self.table.notices.iter().cloned());
        Ok(report)
    }

    fn keep_best(
        &self,
        report: &Report,
        learner: &Learner,
        state: &mut State,
        parts: &Parts,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        let metric = headline(Some(self.config.loss.class_rule()));
        let Some(value) = report
            .measures
            .get(&metric)
            .and_then(|measure| measure.value)
        else {
            return Ok(());
        };
        let best = state.best.is_none_or(|(best, _)| value < best);
        if best {
            state.best = Some((value, state.step));
            learner
                .model(parts)
                .write(&self.places.run.join("best.safetensors"))?;
        }
        observer.on(Event::Validated {
            step: state.step,
            metric: &metric,
            value,
            best,
        });
        Ok(())
    }

    fn not_finite(
        &self,
        step: usize,
        loss: f32,
        parts: &Parts,
        batch: &Batch,
        checkpoints: &CheckpointFolder,
    ) -> TrainError {
        let names: Vec<String> = table_rows(&parts.train, batch)
            .iter()
            .take(3)
            .map(|&row| self.table.describe(row).display().to_string())
            .collect();
        let more = batch.rows.len().saturating_sub(names.len());
        let checkpoint = match checkpoints
            .steps()
            .ok()
            .and_then(|steps| steps.last().copied())
        {
            Some(step) => format!("the last good checkpoint is that of step {step}"),
            None => "there is no checkpoint yet".into(),
        };
        TrainError::NotFinite {
            step,
            loss,
            rows: format!("{} and {more} more", names.join(", ")),
            checkpoint,
        }
    }
}

/// Name of the loss in reports.
pub(crate) fn loss_name(config: &RunConfig) -> String {
    // A tagged enum always has its tag.
    let value = serde_json::to_value(&config.loss).unwrap_or_default();
    value["kind"].as_str().unwrap_or_default().to_owned()
}

fn rows_of(values: &[f32], dim: usize) -> Result<Rows<'_>, TrainError> {
    Rows::new(values, dim).map_err(|error| TrainError::Setting {
        reason: error.to_string(),
    })
}

/// Rows of the table for a batch of positions among the training rows.
fn table_rows(train: &[usize], batch: &Batch) -> Vec<usize> {
    batch.rows.iter().map(|&position| train[position]).collect()
}

/// The level at which the magnet loss stands when all its exponents are about 0.
fn pinned_at(config: &RunConfig, batch: &Batch) -> Option<f32> {
    match &config.loss {
        LossConfig::Magnet(magnet) if batch.cluster_classes.len() > 1 => {
            Some(pinned_level(magnet.gap, batch.cluster_classes.len()) as f32)
        }
        _ => None,
    }
}

fn row(
    state: &State,
    epoch: u64,
    reading: &LossReading,
    factor: f64,
    seconds: f64,
    wait_share: f64,
) -> [Option<f64>; COLUMNS.len()] {
    let statistic = |name| reading.get(name).map(f64::from);
    [
        Some(state.step as f64),
        Some(epoch as f64),
        Some(state.images as f64),
        Some(f64::from(reading.mean)),
        Some(factor),
        Some(seconds),
        statistic(Statistic::Variance),
        statistic(Statistic::HingedOut),
        statistic(Statistic::ImposterGap),
        statistic(Statistic::Active),
        statistic(Statistic::Accuracy),
        Some(wait_share),
        Some(state.refreshes as f64),
    ]
}
