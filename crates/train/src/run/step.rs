//! The pieces of a step around its batches: the index before them; weights, evaluation and logs after them.

use lodestone_data::Split;
use lodestone_losses::Statistic;

use crate::error::TrainError;
use crate::input::source::EvaluationSource;
use crate::judge::best::keep_best;
use crate::judge::judging::{Judge, Judgement};
use crate::learn::batch_loss;
use crate::learn::batch_norm;
use crate::learn::gradients::GroupGradients;
use crate::learn::learner::Learner;
use crate::record::batch_stats::seed_entropy;
use crate::record::events::Value;
use crate::record::observer::{Event, Observer};
use crate::record::run_log::{RunLog, StepFacts};
use crate::record::timing::{Lap, Stopwatch, Times};
use crate::run::batches::Batches;
use crate::run::context::{Run, Validation};
use crate::run::refresh::Refreshed;
use crate::run::state::State;
use crate::run::stopping::Ending;

/// An index that was built before a step, and what goes into the logs with it.
pub(crate) struct Rebuilt {
    refreshed: Refreshed,
    seconds: f64,
    /// The nearest training images of a few, where no validation images show that.
    strip: Option<Value>,
}

impl Run<'_> {
    /// Has the index built anew where the policy says so, first of all before the first step.
    pub(crate) fn refresh(
        &self,
        learner: &Learner,
        state: &mut State,
        evaluation: &mut EvaluationSource,
        clock: &mut Stopwatch,
        observer: &mut dyn Observer,
    ) -> Result<Option<Rebuilt>, TrainError> {
        let refreshed = (self.refresher).before_step(state, learner, evaluation, observer)?;
        let seconds = clock.lap(Lap::Refresh, observer.elapsed()).as_secs_f64();
        let Some(mut refreshed) = refreshed else {
            return Ok(None);
        };
        let strip = match (self.config.train.valid_period, refreshed.embeddings.take()) {
            (0, Some(embeddings)) => {
                let dim = learner.embedder.embedding_size();
                Some(
                    self.judge
                        .strip_of_training(&embeddings, self.labels, dim)?,
                )
            }
            _ => None,
        };
        Ok(Some(Rebuilt {
            refreshed,
            seconds,
            strip,
        }))
    }

    /// The factor on the learning rates of a step, of which the images are counted already.
    pub(crate) fn rate_factor(&self, state: &State, batches: &Batches) -> f64 {
        let before = state.images - batches.images;
        let progress = before as f64 / self.config.train.images as f64;
        self.config.schedule.factor(state.step, progress)
    }

    /// Moves the weights along the mean of the batches' gradients, of which `gradients` is the sum.
    ///
    /// # Errors
    /// If gradients in half precision overflow however small the loss is scaled.
    pub(crate) fn step(
        &self,
        mut learner: Learner,
        gradients: GroupGradients,
        batches: &Batches,
        factor: f64,
        state: &mut State,
    ) -> Result<Learner, TrainError> {
        if batches.finite {
            let mean = gradients.mean_of(batches.readings.len(), &learner, self.device);
            learner = mean.step(learner, self.config, factor, state.step);
        }
        if !state.loss_scale.learn(batches.finite) {
            return Err(TrainError::Overflow {
                step: state.step + 1,
            });
        }
        state.step += 1;
        Ok(learner)
    }

    /// Counts the seconds of this step, which may be its last, where they end the run; returns what of the step is counted.
    pub(crate) fn count_seconds(&self, state: &mut State, clock: &Stopwatch) -> Times {
        if self.config.train.minutes > 0.0 {
            state.seconds += clock.times().total().as_secs_f64();
        }
        clock.times()
    }

    pub(crate) fn validation_is_due(&self, state: &State) -> bool {
        let period = self.config.train.valid_period;
        let over = || Ending::of(state, &self.config.train).is_some();
        period > 0 && (state.step.is_multiple_of(period) || over())
    }

    pub(crate) fn checkpoint_is_due(&self, state: &State) -> bool {
        let period = self.config.train.checkpoint_period;
        period > 0 && state.step.is_multiple_of(period)
    }

    /// Evaluates on the validation images; the best model so far is kept as a file. Returns the value of the watched metric and
    /// whether it is the best.
    pub(crate) fn validate(
        &self,
        learner: &Learner,
        state: &mut State,
        evaluation: &mut EvaluationSource,
        log: &mut RunLog,
        observer: &mut dyn Observer,
    ) -> Result<(Option<(f64, bool)>, Validation), TrainError> {
        let step = state.step;
        // Of the last weights others will ask for the embeddings: reports, clusters, indices.
        let last = Ending::of(state, &self.config.train).is_some();
        let judge = &Judge {
            cache: last.then_some(self.trainer.places.cache.as_path()),
            ..self.judge
        };
        let Judgement {
            report,
            outcomes,
            strip,
        } = judge.judge(learner, state, Split::Validation, evaluation, observer)?;
        log.judged(step, &report, observer);
        let run = &self.trainer.places.run;
        let value = keep_best(judge, run, &report, learner, state, observer)?;
        log.image(step, "neighbours/validation", strip, observer)?;
        let validation = Validation {
            step,
            report,
            outcomes,
        };
        Ok((value, validation))
    }

    /// Warns in the first step of groups that are too small for batch normalisation to learn from.
    pub(crate) fn warn_of_groups(
        &self,
        learner: &Learner,
        state: &State,
        batches: &Batches,
        log: &mut RunLog,
        observer: &mut dyn Observer,
    ) {
        if state.step == 1
            && batch_norm::learns(&learner.embedder)
            && let Some(warning) = log.health.groups(batches.last.rows.len())
        {
            observer.on(Event::Warning(&warning));
        }
    }

    /// Writes and tells what the step was; its times up to `before` are counted among the seconds of the run.
    pub(crate) fn tell(
        &self,
        (batches, rebuilt, rate_factor, validation): (Batches, Option<Rebuilt>, f64, Option<f64>),
        before: Times,
        state: &mut State,
        clock: &mut Stopwatch,
        log: &mut RunLog,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        let drift = rebuilt.as_ref().and_then(|rebuilt| rebuilt.refreshed.drift);
        if let Some(rebuilt) = rebuilt {
            log.refreshed(&rebuilt.refreshed, state, rebuilt.seconds)?;
            if let Some(strip) = rebuilt.strip {
                log.image(state.step, "neighbours/training", strip, observer)?;
            }
        }
        let look_due = state.step.is_multiple_of(self.config.train.look_period);
        let clusters = state.clusters().filter(|_| look_due);
        let seed_entropy = seed_entropy(&self.config.sampler, clusters);
        clock.lap(Lap::Other, observer.elapsed());
        let times = clock.take();
        state.times.add(&times);
        if self.config.train.minutes > 0.0 {
            state.seconds += (times.total() - before.total()).as_secs_f64();
        }
        let reading = batch_loss::join(batches.readings);
        let facts = StepFacts {
            epoch: batches.epoch,
            step_images: batches.images,
            reading: &reading,
            notes: batches.last.notes,
            rate_factor,
            level: reading.get(Statistic::CollapseLevel),
            stats: batches.stats,
            seed_entropy,
            drift,
            validation,
            times,
            transfers: batches.transfers,
        };
        log.step(facts, state, self.config, observer)?;
        clock.lap(Lap::Other, observer.elapsed());
        Ok(())
    }
}
