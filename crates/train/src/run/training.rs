//! The loop, top to bottom: refresh, pick, load, encode, loss, step, cache, evaluate, tell, save.

use std::path::Path;

use burn::tensor::Device;
use lodestone_data::Split;

use crate::error::TrainError;
use crate::input::left_out::LeftOut;
use crate::input::parts::Parts;
use crate::input::source::EvaluationSource;
use crate::judge::best::check_watched;
use crate::learn::learner::Learner;
use crate::learn::workers;
use crate::record::observer::{Event, Observer, Phase};
use crate::record::results;
use crate::record::run_log::RunLog;
use crate::record::timing::{Lap, Stopwatch};
use crate::run::begin::{checked_plan, resume, training_classes};
use crate::run::checkpoint::Saved;
use crate::run::context::{Ended, Run, Validation};
use crate::run::finish::{at_step, finish};
use crate::run::pick::Picker;
use crate::run::refresh::Refresher;
use crate::run::save::save_step;
use crate::run::setup::Setup;
use crate::run::state::State;
use crate::run::step_start::StepStart;
use crate::run::stopping::Ending;
use crate::run::trainer::{Outcome, Trainer};

impl Trainer {
    /// Trains from the start, or from what a checkpoint has `saved`.
    pub(crate) fn train(
        &self,
        saved: Option<Saved>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, TrainError> {
        let (config, cache) = (&self.config, &self.places.cache);
        let device = self.device.clone().autodiff();
        let checkpoints = self.checkpoints();

        // Rows, network, and where its inputs come from.
        let parts = Parts::new(&self.table, config)?;
        let classes = training_classes(&parts, observer)?;
        let plan = checked_plan(config, &parts, &classes)?;
        // A run that goes on has its network from the checkpoint, what is frozen of it too.
        let start = match saved {
            None => config.clone(),
            Some(_) => config.without_weights(),
        };
        let mut setup = Setup::new(&start, &self.table, &parts, &device, observer)?;
        let fresh = State::fresh(config, &setup.table_fingerprint, &classes);
        let resumed = match saved {
            None => None,
            Some(saved) => Some(resume(saved, &fresh, &mut setup, config, &checkpoints)?),
        };
        workers::check(self.workers.len(), config, &setup.embedder)?;
        check_watched(config, &parts)?;
        let held_out = match config.evaluation.test {
            true => parts.held_out(),
            false => (!parts.validation.is_empty()).then_some(Split::Validation),
        };
        let mut evaluation = self.evaluation(&setup, &parts, held_out, cache, &device, observer)?;
        if config.model.calibrate_head && resumed.is_none() {
            let rows = (&parts.train[..], classes.labels());
            setup.calibrate_head(rows, &mut evaluation, &device, observer)?;
        }
        let (state, learner, log) = match resumed {
            None => (fresh, setup.learner(config), None),
            Some((state, learner)) => {
                let log = self.reopen_folder(&state, observer)?;
                (state, learner, Some(log))
            }
        };
        let (rows, first) = (&parts.train[..], state.batches);
        let source = setup.training_source(config, rows, first, cache, &device, observer)?;
        let receipts = self.places.run.join(results::RECEIPTS);
        let mut picker = Picker::new(
            &plan,
            (rows, classes.labels()),
            &device,
            config,
            receipts,
            source,
            &state,
        );
        let run = Run {
            config,
            trainer: self,
            device: &device,
            parts: &parts,
            labels: classes.labels(),
            loader: &setup.loader,
            refresher: Refresher::new(config, &parts.train, &classes, &self.device, &plan),
            judge: self.judge_of(&parts, &classes, &setup.loader),
            checkpoints,
        };
        let mut left_out = LeftOut::default();
        let sources = (&mut picker, &mut evaluation);
        let ended = run.steps((state, learner, log), sources, &mut left_out, observer)?;
        let outcome = Outcome::of(&ended.state, ended.stopped);
        if ended.stopped {
            observer.on(Event::Note(&ended.log.health.line()));
            return Ok(outcome);
        }
        // The trained model, and what it is worth on images that were held out.
        picker.close(&ended.state)?;
        let report = finish(
            &run,
            ended,
            held_out,
            &mut evaluation,
            &mut left_out,
            observer,
        )?;
        Ok(Outcome { report, ..outcome })
    }

    /// Evaluation views, with the frozen part's outputs cached for all rows that will be asked for.
    fn evaluation(
        &self,
        setup: &Setup,
        parts: &Parts,
        held_out: Option<Split>,
        cache: &Path,
        device: &Device,
        observer: &mut dyn Observer,
    ) -> Result<EvaluationSource, TrainError> {
        let test: &[usize] = match held_out {
            Some(Split::Test) => &parts.test,
            _ => &[],
        };
        let all: [&[usize]; 3] = [&parts.train, &parts.validation, test];
        setup.evaluation_source(&self.config, &all, cache, device, observer)
    }
}

impl Run<'_> {
    /// Makes steps until the run is over, the observer stops it, or a photograph cannot be read any more for want of which it
    /// cannot go on.
    fn steps(
        &self,
        (mut state, mut learner, mut log): (State, Learner, Option<RunLog>),
        (picker, evaluation): (&mut Picker<'_>, &mut EvaluationSource),
        left_out: &mut LeftOut,
        observer: &mut dyn Observer,
    ) -> Result<Ended, TrainError> {
        let mut clock = Stopwatch::start(observer.elapsed());
        let mut latest: Option<Validation> = None;
        // Whether the observer stopped the run, and the photograph that cannot be read any more, for want of which it cannot go on.
        let (mut stopped, mut broken) = (false, None);
        observer.on(Event::PhaseStarted {
            phase: Phase::Training,
            total: self.config.train.images,
        });
        while broken.is_none() && !stopped && Ending::of(&state, &self.config.train).is_none() {
            // The index is built anew where the policy says so; then one batch, or several whose gradients are averaged.
            let mut start = StepStart::of(&state, &self.refresher);
            let rebuilt = self.refresh(&learner, &mut state, evaluation, &mut clock, observer);
            let made = rebuilt.and_then(|rebuilt| {
                let (to, with) = (&mut state, &mut start);
                let made = self.batches(&learner, to, with, picker, &mut clock, observer)?;
                Ok((rebuilt, made))
            });
            let (rebuilt, (gradients, batches)) = match made {
                Err(error) if error.is_of_photographs() => {
                    start.restore(&mut state);
                    broken = Some(error);
                    break;
                }
                made => made?,
            };
            // Step.
            let factor = self.rate_factor(&state, &batches);
            learner = self.step(learner, gradients, &batches, factor, &mut state)?;
            let log = match &mut log {
                Some(log) => log,
                empty => empty.insert(self.trainer.take_folder(observer)?),
            };
            clock.lap(Lap::Update, observer.elapsed());
            // Evaluate on the validation images, where that is due.
            let before = self.count_seconds(&mut state, &clock);
            let mut validated = None;
            if self.validation_is_due(&state) {
                match self.validate(&learner, &mut state, evaluation, log, observer) {
                    // The step is made: it is told and saved before the run ends.
                    Err(error) if error.is_of_photographs() => broken = Some(error),
                    found => {
                        let (value, validation) = found?;
                        (validated, latest) = (value, Some(validation));
                    }
                }
                clock.lap(Lap::Keep, observer.elapsed());
            }
            // Tell.
            picker.tell()?;
            left_out.tell(self.loader, observer);
            self.warn_of_groups(&learner, &state, &batches, log, observer);
            let value = validated.map(|(value, _)| value);
            let done = (batches, rebuilt, factor, value);
            self.tell(done, before, &mut state, &mut clock, log, observer)?;
            // Save.
            let over = Ending::of(&state, &self.config.train).is_some();
            let stop = observer.stop_requested();
            let best = validated.is_some_and(|(_, best)| best);
            if over || stop || best || broken.is_some() || self.checkpoint_is_due(&state) {
                save_step(&self.checkpoints, &learner, &state, log, observer)?;
            }
            clock.lap(Lap::Keep, observer.elapsed());
            stopped = stop && !over && broken.is_none();
        }
        observer.on(Event::PhaseEnded {
            phase: Phase::Training,
        });
        let log = match (log, broken) {
            (Some(log), None) => log,
            (None, None) => self.trainer.take_folder(observer)?,
            // No step was made, so nothing is lost.
            (None, Some(error)) => return Err(error),
            (Some(mut log), Some(error)) => {
                if !self.checkpoints.steps()?.contains(&state.step) {
                    picker.tell()?;
                    save_step(&self.checkpoints, &learner, &state, &mut log, observer)?;
                }
                return Err(at_step(state.step, error));
            }
        };
        Ok(Ended {
            state,
            learner,
            log,
            latest,
            stopped,
        })
    }
}
