//! Everything that is written and said of a step: logs, event file, health.

use std::path::Path;

use lodestone_eval::Report;
use lodestone_losses::{LossReading, Statistic};
use lodestone_sampling::BatchNotes;

use crate::config::run_config::RunConfig;
use crate::error::TrainError;
use crate::record::batch_stats::BatchStats;
use crate::record::events::{Events, Value};
use crate::record::health::{HealthWatch, Pulse};
use crate::record::log::Log;
use crate::record::observer::{Event, Observer, StepReport};
use crate::record::timing::{Lap, Times};
use crate::run::refresh::Refreshed;
use crate::run::state::State;

/// Columns of `log.csv`, which a resumed run continues to the same bytes.
const COLUMNS: [&str; 19] = [
    "step",
    "epoch",
    "images",
    "loss",
    "rate_factor",
    "variance",
    "hinged_out",
    "imposter_gap",
    "active",
    "accuracy",
    "effective_sample_size",
    "clipped_weights",
    "missing_imposters",
    "embedding_norm",
    "effective_rank",
    "seed_entropy",
    "refreshes",
    "drift",
    "validation",
];

/// Columns of `times.csv`: seconds since the sitting began, and seconds of each part of the step.
const TIME_COLUMNS: [&str; 9] = [
    "step",
    "seconds",
    Lap::ALL[0].name(),
    Lap::ALL[1].name(),
    Lap::ALL[2].name(),
    Lap::ALL[3].name(),
    Lap::ALL[4].name(),
    Lap::ALL[5].name(),
    Lap::ALL[6].name(),
];

/// Columns of `refreshes.csv`.
const REFRESH_COLUMNS: [&str; 11] = [
    "step",
    "clusters",
    "moved",
    "stale_inertia",
    "inertia",
    "repaired",
    "dropped",
    "iterations",
    "drift",
    "mean_age",
    "seconds",
];

/// Steps after which what was written is handed to the operating system, for those who watch.
const FLUSH_EVERY: usize = 20;

/// What a step was.
pub(crate) struct StepFacts<'a> {
    pub(crate) epoch: u64,
    pub(crate) step_images: usize,
    pub(crate) reading: &'a LossReading,
    pub(crate) notes: BatchNotes,
    pub(crate) rate_factor: f64,
    /// The level of a magnet loss whose exponents are all 0.
    pub(crate) level: Option<f32>,
    pub(crate) stats: Option<BatchStats>,
    pub(crate) seed_entropy: Option<f64>,
    /// Drift measured before the step.
    pub(crate) drift: Option<f64>,
    /// Value of the watched metric, if the step was evaluated.
    pub(crate) validation: Option<f64>,
    pub(crate) times: Times,
    /// Transfers from the device.
    pub(crate) transfers: usize,
}

/// Logs, event file and health of a run.
pub(crate) struct RunLog {
    log: Log,
    times: Log,
    refreshes: Log,
    events: Events,
    pub(crate) health: HealthWatch,
    /// Times of all steps of this sitting.
    pub(crate) total: Times,
}

impl RunLog {
    /// Fresh files, or those of an interrupted run without what came after its checkpoint.
    ///
    /// # Errors
    /// If one cannot be made or cut.
    pub(crate) fn open(
        run: &Path,
        resumed: Option<&State>,
        observer: &dyn Observer,
    ) -> Result<Self, TrainError> {
        let (log, times) = (run.join("log.csv"), run.join("times.csv"));
        let refreshes = run.join("refreshes.csv");
        let now = observer.wall_time();
        let (log, times, refreshes, events) = match resumed {
            None => (
                Log::create(&log, &COLUMNS)?,
                Log::create(&times, &TIME_COLUMNS)?,
                Log::create(&refreshes, &REFRESH_COLUMNS)?,
                Events::create(run, now)?,
            ),
            Some(state) => (
                Log::resume(&log, &COLUMNS, state.step)?,
                Log::resume(&times, &TIME_COLUMNS, state.step)?,
                Log::resume(&refreshes, &REFRESH_COLUMNS, state.refreshes)?,
                Events::resume(run, state.step, now)?,
            ),
        };
        Ok(Self {
            log,
            times,
            refreshes,
            events,
            health: HealthWatch::default(),
            total: Times::default(),
        })
    }

    /// Writes down what a refresh before this step did and cost.
    ///
    /// # Errors
    /// If the log cannot be written.
    pub(crate) fn refreshed(
        &mut self,
        refreshed: &Refreshed,
        state: &State,
        seconds: f64,
    ) -> Result<(), TrainError> {
        let report = refreshed.report.as_ref();
        let clusters = state.index.as_ref().map(|index| index.len() as f64);
        Ok(self.refreshes.row(&[
            Some(state.step as f64),
            clusters,
            report.map(|report| report.moved as f64),
            report.map(|report| report.stale_inertia),
            report.map(|report| report.inertia),
            report.map(|report| report.repaired as f64),
            report.map(|report| report.dropped as f64),
            report.map(|report| report.iterations as f64),
            refreshed.drift,
            refreshed.mean_age,
            Some(seconds),
        ])?)
    }

    /// Writes an image of a step.
    ///
    /// # Errors
    /// If the event file cannot be written.
    pub(crate) fn image(
        &mut self,
        step: usize,
        tag: &str,
        image: Value,
        observer: &dyn Observer,
    ) -> Result<(), TrainError> {
        Ok(self
            .events
            .write(step, observer.wall_time(), &[(tag.to_owned(), image)])?)
    }

    /// Tells of a finished step: rows of the logs, an event, warnings, the observer.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub(crate) fn step(
        &mut self,
        facts: StepFacts<'_>,
        state: &State,
        config: &RunConfig,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        self.total.add(&facts.times);
        let statistic = |name| facts.reading.get(name).map(f64::from);
        let stats = facts.stats.as_ref();
        let weighted = facts.notes.effective_share > 0.0;
        self.log.row(&[
            Some(state.step as f64),
            Some(facts.epoch as f64),
            Some(state.images as f64),
            Some(f64::from(facts.reading.mean)),
            Some(facts.rate_factor),
            statistic(Statistic::Variance),
            statistic(Statistic::HingedOut),
            statistic(Statistic::ImposterGap),
            statistic(Statistic::Active),
            statistic(Statistic::Accuracy),
            statistic(Statistic::EffectiveSampleSize),
            weighted.then_some(f64::from(u8::from(facts.notes.clipped))),
            Some(facts.notes.missing_imposters as f64),
            stats.map(|stats| stats.norm),
            stats.map(|stats| stats.effective_rank),
            facts.seed_entropy,
            Some(state.refreshes as f64),
            facts.drift,
            facts.validation,
        ])?;
        let now = observer.elapsed().as_secs_f64();
        let mut row = vec![Some(state.step as f64), Some(now)];
        row.extend(Lap::ALL.map(|lap| Some(facts.times.get(lap).as_secs_f64())));
        self.times.row(&row)?;
        self.events.write(
            state.step,
            observer.wall_time(),
            &self.values(&facts, config),
        )?;
        if state.step.is_multiple_of(FLUSH_EVERY) {
            self.flush()?;
        }

        let pulse = Pulse {
            step: state.step,
            loss: facts.reading.mean,
            level: facts.level,
            effective_rank: stats.map(|stats| stats.effective_rank),
            wait_share: facts.times.share(Lap::Wait),
        };
        for warning in self.health.push(&pulse) {
            observer.on(Event::Warning(&warning));
        }
        let left = config.train.images.saturating_sub(state.images);
        observer.on(Event::Step(&StepReport {
            step: state.step,
            steps: state.step + left.div_ceil(facts.step_images.max(1)),
            epoch: facts.epoch as usize,
            loss: facts.reading.mean,
            rate_factor: facts.rate_factor,
            images: state.images,
            step_images: facts.step_images,
            statistics: facts
                .reading
                .statistics
                .iter()
                .map(|(name, value)| (name.name(), *value))
                .collect(),
            transfers: facts.transfers,
            times: facts.times,
            total: self.total,
            health: self.health.now().to_vec(),
        }));
        Ok(())
    }

    /// Takes what an evaluation found, for the health of the run.
    pub(crate) fn judged(&mut self, step: usize, report: &Report, observer: &mut dyn Observer) {
        let found = report.diagnostics.as_ref();
        if let Some(warning) = found.and_then(|found| self.health.judged(step, found)) {
            observer.on(Event::Warning(&warning));
        }
    }

    /// What TensorBoard shows of the step.
    fn values(&self, facts: &StepFacts<'_>, config: &RunConfig) -> Vec<(String, Value)> {
        let mut values = Vec::new();
        let mut scalar = |tag: &str, value: Option<f64>| {
            let value = value.map(|value| (tag.to_owned(), Value::Scalar(value as f32)));
            values.extend(value);
        };
        scalar("loss", Some(f64::from(facts.reading.mean)));
        let rates = config.rates(facts.rate_factor);
        for (group, rate) in ["trunk", "head", "loss"].into_iter().zip(rates) {
            scalar(&format!("rate/{group}"), Some(rate));
        }
        for (statistic, value) in &facts.reading.statistics {
            let tag = format!("batch/{}", statistic.name());
            scalar(&tag, Some(f64::from(*value)));
        }
        scalar("sampling/seed_entropy", facts.seed_entropy);
        scalar("sampling/drift", facts.drift);
        scalar("validation", facts.validation);
        scalar("time/wait_share", Some(facts.times.share(Lap::Wait)));
        scalar("time/refresh_share", Some(self.total.share(Lap::Refresh)));
        let seconds = facts.times.total().as_secs_f64();
        scalar(
            "time/images_per_second",
            (seconds > 0.0).then(|| facts.step_images as f64 / seconds),
        );
        if let Some(stats) = &facts.stats {
            scalar("embedding/norm", Some(stats.norm));
            scalar("embedding/effective_rank", Some(stats.effective_rank));
            values.push((
                "embedding/values".into(),
                Value::Histogram(stats.values.clone()),
            ));
            values.push((
                "loss_of_each_example".into(),
                Value::Histogram(facts.reading.per_example.clone()),
            ));
        }
        values
    }

    /// Hands everything to the disk: a checkpoint that is written next has all its rows there.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub(crate) fn flush(&mut self) -> Result<(), TrainError> {
        self.log.flush()?;
        self.times.flush()?;
        self.refreshes.flush()?;
        Ok(self.events.flush()?)
    }
}
