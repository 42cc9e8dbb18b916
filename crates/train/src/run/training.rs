//! The loop, top to bottom: refresh, pick, load, encode, loss, step, cache, evaluate, tell, save.

use std::time::Duration;

use burn::tensor::Tensor;
use lodestone_data::Split;
use lodestone_eval::Report;
use lodestone_losses::{LossConfig, OwnMean, Statistic};
use lodestone_sampling::{Batch, Classes, PlanConfig, SmallGroups};
use rand::RngExt;

use crate::config::precision::Precision;
use crate::config::run_config::RunConfig;
use crate::error::TrainError;
use crate::input::left_out::LeftOut;
use crate::input::source::Input;
use crate::judge::best::{check_watched, keep_best};
use crate::judge::judging::{Judgement, note_receipt};
use crate::judge::outcomes::{self, Line};
use crate::learn::batch_loss;
use crate::learn::batch_norm;
use crate::learn::gradients::{GroupGradients, differentiate};
use crate::learn::learner::Learner;
use crate::learn::workers;
use crate::record::batch_stats::{Look, seed_entropy};
use crate::record::observer::{Event, Observer, Phase};
use crate::record::results;
use crate::record::run_log::{StepFacts, Watch};
use crate::record::timing::{Lap, Stopwatch};
use crate::run::checkpoint::{CheckpointFolder, Parts as CheckpointParts};
use crate::run::not_finite::{last_good, not_finite};
use crate::run::pick::Picker;
use crate::run::random::{Purpose, generator};
use crate::run::refresh::{Refresher, rows_of};
use crate::run::save::{load, load_state, save};
use crate::run::setup::{Parts, Setup};
use crate::run::state::State;
use crate::run::step_start::StepStart;
use crate::run::stopping::Ending;
use crate::run::trainer::{Outcome, Trainer};
use crate::run::transfers::Transfers;

/// A transfer that takes longer than this waited for the device to finish its work.
const BUSY: Duration = Duration::from_millis(2);

/// Writes a checkpoint behind the logs of its step.
///
/// # Errors
/// If a weight is no number, which no checkpoint ever holds, or a file cannot be written.
fn save_step(
    checkpoints: &CheckpointFolder,
    learner: &Learner,
    state: &State,
    watch: &mut Watch,
    observer: &mut dyn Observer,
) -> Result<(), TrainError> {
    let step = state.step;
    if !learner.is_finite() {
        let checkpoint = last_good(checkpoints, step);
        return Err(TrainError::WeightsNotFinite { step, checkpoint });
    }
    watch.flush()?;
    let best = state.best.map(|(_, step)| step);
    checkpoints.write(step, &save(learner, state)?, best)?;
    observer.on(Event::Saved { step });
    Ok(())
}

/// Refuses batches with one image of a class where the own mean is that of a cluster's other examples. What needs no photograph to
/// be seen, [`RunConfig::validate`] and the plan have refused.
fn check_groups(config: &RunConfig, classes: &Classes, names: &[String]) -> Result<(), TrainError> {
    let short = match &config.sampler {
        PlanConfig::PerClass(plan) => plan.small_classes == SmallGroups::Short,
        PlanConfig::HardClasses(plan) => plan.small_classes == SmallGroups::Short,
        // Plans by clusters never draw one of a single member; the others are none that this loss takes.
        PlanConfig::Neighbourhood(_)
        | PlanConfig::Importance(_)
        | PlanConfig::Union(_)
        | PlanConfig::Shuffled(_)
        | PlanConfig::Balanced(_) => false,
    };
    let leaves_out = match &config.loss {
        LossConfig::Magnet(magnet) => magnet.own_mean == OwnMean::LeaveOneOut,
        _ => false,
    };
    let alone = (0..classes.len()).find(|&class| classes.members(class).len() < 2);
    match alone.filter(|_| short && leaves_out) {
        Some(class) => Err(TrainError::Setting {
            reason: format!(
                "loss.own_mean is leave_one_out, which needs two images of each cluster, but {} has one training image and \
                 sampler.small_classes is short: set it to skip",
                names[class]
            ),
        }),
        None => Ok(()),
    }
}

impl Trainer {
    /// Makes the folder that of this run, whose first step is made: what an earlier run left goes, settings and logs come.
    fn take_folder(&self, observer: &mut dyn Observer) -> Result<Watch, TrainError> {
        let run = &self.places.run;
        self.checkpoints().clear()?;
        results::remove(run)?;
        let text = toml::to_string(&self.config).unwrap_or_default();
        lodestone_files::write_whole(&run.join("run.toml"), |file| {
            file.write_all(text.as_bytes())
        })?;
        let watch = Watch::open(run, None, observer)?;
        observer.on(Event::Begun);
        Ok(watch)
    }

    /// Trains from the start, or from what a checkpoint has `saved`.
    pub(crate) fn train(
        &self,
        saved: Option<CheckpointParts>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, TrainError> {
        let config = &self.config;
        let device = self.device.clone().autodiff();
        let (run, cache) = (&self.places.run, &self.places.cache);
        let checkpoints = self.checkpoints();

        // Rows, network, and where its inputs come from.
        let parts = Parts::new(&self.table, config)?;
        let labels = parts.labels(&parts.train);
        let classes = Classes::named(&labels, parts.training_class_names().to_vec())?;
        if let Some(sentence) = parts.sentence() {
            observer.on(Event::Note(&sentence));
        }
        if let [name] = parts.training_class_names() {
            return Err(TrainError::Setting {
                reason: format!("all training images are of one class, {name}: a loss needs two"),
            });
        }
        let plan = config.sampler.init(&classes, config.seed)?;
        check_groups(config, &classes, parts.class_names())?;
        if config.sampler.needs_index() {
            config.index.check(&classes)?;
            plan.check_settings(&config.index)?;
        }
        // A run that goes on has its network from the checkpoint, what is frozen of it too.
        let start = match saved {
            None => config.clone(),
            Some(_) => config.without_weights(),
        };
        let mut setup = Setup::new(&start, &self.table, &parts, &device, observer)?;
        let fresh = State::fresh(config, &setup.table_fingerprint, &classes);
        let saved = match saved {
            None => None,
            Some(mut saved) => {
                let state = load_state(&mut saved, &checkpoints)?;
                state.check(&fresh)?;
                let learner = load(saved, setup.learner(config), config, &checkpoints)?;
                setup.embedder = learner.embedder.clone();
                Some((state, learner))
            }
        };
        workers::check(self.workers.len(), config, &setup.embedder)?;
        check_watched(config, &parts)?;
        let held_out = match config.evaluation.test {
            true => parts.held_out(),
            false => (!parts.validation.is_empty()).then_some(Split::Validation),
        };
        let test: &[usize] = match held_out {
            Some(Split::Test) => &parts.test,
            _ => &[],
        };
        let all: [&[usize]; 3] = [&parts.train, &parts.validation, test];
        let mut evaluation = setup.evaluation_source(config, &all, cache, &device, observer)?;
        if config.model.calibrate_head && saved.is_none() {
            setup.calibrate_head((&parts.train, &labels), &mut evaluation, &device, observer)?;
        }
        let (mut state, mut learner, mut watch) = match saved {
            None => (fresh, setup.learner(config), None),
            Some((state, learner)) => {
                checkpoints.sweep();
                let watch = Watch::open(run, Some(&state), observer)?;
                observer.on(Event::Begun);
                (state, learner, Some(watch))
            }
        };
        let mut source = setup.training_source(
            config,
            &parts.train,
            state.batches,
            cache,
            &device,
            observer,
        )?;
        let refresher = Refresher::new(config, &parts.train, &classes, &self.device, &plan);
        let mut picker = Picker::new(
            &plan,
            &parts.train,
            config,
            run.join(results::RECEIPTS),
            &state,
        );
        picker.repeat(&state, &mut source);
        let judge = self.judge_of(&parts, &classes, &setup.loader);
        let dim = learner.embedder.embedding_size();
        let mut clock = Stopwatch::start(observer.elapsed());
        let mut transfers = Transfers::default();
        // The input of the batch that is drawn ahead, on its way to the device while the one before is worked on.
        let mut uploaded: Option<Result<Input, TrainError>> = None;
        let mut stopped = false;
        // A photograph that cannot be read any more, for want of which the run cannot go on.
        let mut broken: Option<TrainError> = None;
        let mut left_out = LeftOut::default();
        // The latest report on the validation images with the outcomes behind it, and its step.
        let mut latest: Option<(usize, Report, Vec<Line>)> = None;
        observer.on(Event::PhaseStarted {
            phase: Phase::Training,
            total: config.train.images,
        });

        'steps: while Ending::of(&state, &config.train).is_none() {
            let progress = state.images as f64 / config.train.images as f64;
            let look_due = (state.step + 1).is_multiple_of(config.train.look_period);

            // Refresh: the index is built anew, first of all, and then when the policy says so.
            let mut start = StepStart::of(&state, &refresher);
            let refreshed = refresher.before_step(&mut state, &learner, &mut evaluation, observer);
            let mut refreshed = match refreshed {
                Err(error) if error.is_of_photographs() => {
                    start.restore(&mut state);
                    broken = Some(error);
                    break 'steps;
                }
                other => other?,
            };
            let refresh_seconds = clock.lap(Lap::Refresh, observer.elapsed()).as_secs_f64();
            let embeddings = refreshed.as_mut().and_then(|found| found.embeddings.take());
            let strip = match (config.train.valid_period, embeddings) {
                (0, Some(embeddings)) => {
                    Some(judge.strip_of_training(&embeddings, &labels, dim)?)
                }
                _ => None,
            };

            // One batch, or several whose gradients are averaged.
            let mut gradients: Option<GroupGradients> = None;
            let mut readings = Vec::with_capacity(config.train.accumulate);
            let mut last: Option<(u64, Batch, Option<Look>)> = None;
            let images_before = state.images;
            let mut finite = true;
            for turn in 1..=config.train.accumulate {
                // Pick.
                picker.fill(&mut state, &refresher, &mut source)?;
                clock.lap(Lap::Other, observer.elapsed());

                // Load.
                let input = match uploaded.take() {
                    Some(input) => input,
                    None => picker.receive(&mut state, &mut source, &labels, &device),
                };
                let input = match input {
                    Err(error) if error.is_of_photographs() => {
                        start.restore(&mut state);
                        broken = Some(error);
                        break 'steps;
                    }
                    other => other?,
                };
                clock.lap(Lap::Wait, observer.elapsed());
                let (epoch, batch) = start.take(&mut state);
                let batch_labels: Vec<usize> = batch.rows.iter().map(|&row| labels[row]).collect();

                // Encode, loss, gradients. The device's generator, which dropout draws from, is set anew for each batch.
                let number = state.batches;
                let seeds = |part: usize| {
                    let mut random = generator(config.seed, Purpose::Device, number);
                    let first: u64 = random.random();
                    (0..part).fold(first, |_, _| random.random())
                };
                let forward = |embeddings: Tensor<2>| {
                    let loss = &learner.loss;
                    batch_loss::forward(loss, embeddings, &batch, &batch_labels, number, config)
                };
                let found = differentiate(
                    &learner,
                    input,
                    &batch_labels,
                    config,
                    &device,
                    &self.workers,
                    seeds,
                    state.loss_scale.factor(config.model.precision),
                    forward,
                    || {
                        clock.lap(Lap::Forward, observer.elapsed());
                    },
                );
                clock.lap(Lap::Backward, observer.elapsed());

                // Load the next, while a device that works by itself is busy with this one; then wait for it.
                if !state.ahead.is_empty() {
                    uploaded = Some(picker.receive(&mut state, &mut source, &labels, &device));
                }
                let loading = clock.lap(Lap::Wait, observer.elapsed());
                let look_at = look_due && turn == config.train.accumulate;
                let embeddings = (look_at || state.fused.is_some()).then_some(found.embeddings);
                let norm = match config.model.precision {
                    Precision::F16 => found.gradients.squared_norm(&learner),
                    Precision::F32 | Precision::Bf16 => None,
                };
                let fetched = transfers.fetch(&found.output, embeddings, norm);
                let reading = fetched.reading;
                finite &= fetched.gradients_are_finite;
                if clock.lap(Lap::Backward, observer.elapsed()) > BUSY {
                    // The device was at work all the time: nobody waited for images.
                    clock.shift(Lap::Wait, Lap::Backward, loading);
                }
                if !reading.mean.is_finite() {
                    return Err(not_finite(
                        &self.table,
                        &checkpoints,
                        state.step,
                        reading.mean,
                        &parts,
                        &batch,
                    ));
                }
                gradients = Some(match gradients {
                    None => found.gradients,
                    Some(sum) => sum.add(found.gradients, &learner),
                });
                clock.lap(Lap::Update, observer.elapsed());

                // Cache: what each example cost drives the choice of the next seeds.
                let host = fetched.embeddings;
                let rows = host.as_deref().map(|host| rows_of(host, dim)).transpose()?;
                state.record(&batch, &reading, rows, config.sampler.reads_losses())?;
                readings.push(reading);
                let look = host.filter(|_| look_at).map(|host| Look::at(host, dim));
                last = Some((epoch, batch, look));
            }
            let (Some(gradients), Some((epoch, batch, look))) = (gradients, last) else {
                // There is at least one batch: `validate` has refused train.accumulate = 0.
                break;
            };
            clock.lap(Lap::Other, observer.elapsed());

            // Step.
            let factor = config.schedule.factor(state.step, progress);
            if finite {
                let mean = gradients.mean_of(readings.len(), &learner, &device);
                learner = learner.step(mean, config, factor, state.step);
            }
            if !state.loss_scale.learn(finite) {
                return Err(TrainError::Overflow {
                    step: state.step + 1,
                });
            }
            state.step += 1;
            let watch = match &mut watch {
                Some(watch) => watch,
                empty => empty.insert(self.take_folder(observer)?),
            };
            clock.lap(Lap::Update, observer.elapsed());

            // Evaluate on the validation part; the best so far is kept as a model file and a checkpoint.
            if config.train.minutes > 0.0 {
                // This step's, which may be its last.
                state.seconds += clock.times().total().as_secs_f64();
            }
            let over = Ending::of(&state, &config.train).is_some();
            let before = clock.times();
            let period = config.train.valid_period;
            let mut validated = None;
            if period > 0 && (state.step.is_multiple_of(period) || over) {
                let part = Split::Validation;
                match judge.judge(&learner, &state, part, &mut evaluation, observer) {
                    // The step is made: it is told and saved before the run ends.
                    Err(error) if error.is_of_photographs() => broken = Some(error),
                    judgement => {
                        let Judgement {
                            report,
                            outcomes,
                            strip,
                        } = judgement?;
                        watch.judged(state.step, &report, observer);
                        validated =
                            keep_best(&judge, run, &report, &learner, &mut state, observer)?;
                        watch.image(state.step, "neighbours/validation", strip, observer)?;
                        latest = Some((state.step, report, outcomes));
                    }
                }
                clock.lap(Lap::Keep, observer.elapsed());
            }

            // Tell.
            picker.tell()?;
            left_out.tell(&setup.loader, observer);
            if let Some(refreshed) = &refreshed {
                watch.refreshed(refreshed, &state, refresh_seconds)?;
            }
            if let Some(strip) = strip {
                watch.image(state.step, "neighbours/training", strip, observer)?;
            }
            let clusters = state.clusters().filter(|_| look_due);
            let seed_entropy = seed_entropy(&config.sampler, clusters);
            clock.lap(Lap::Other, observer.elapsed());
            let times = clock.take();
            state.times.add(&times);
            if config.train.minutes > 0.0 {
                state.seconds += (times.total() - before.total()).as_secs_f64();
            }
            if state.step == 1
                && batch_norm::learns(&learner.embedder)
                && let Some(warning) = watch.health.groups(batch.rows.len())
            {
                observer.on(Event::Warning(&warning));
            }
            let reading = batch_loss::join(readings);
            let facts = StepFacts {
                epoch,
                step_images: state.images - images_before,
                reading: &reading,
                notes: batch.notes,
                rate_factor: factor,
                level: reading.get(Statistic::CollapseLevel),
                look,
                seed_entropy,
                drift: refreshed.and_then(|refreshed| refreshed.drift),
                validation: validated.map(|(value, _)| value),
                times,
                transfers: transfers.take(),
            };
            watch.step(facts, &state, config, observer)?;
            clock.lap(Lap::Other, observer.elapsed());

            // Save.
            let over = Ending::of(&state, &config.train).is_some();
            let stop = observer.stop_requested();
            let best = validated.is_some_and(|(_, best)| best);
            let period = config.train.checkpoint_period;
            let due = period > 0 && state.step.is_multiple_of(period);
            if over || stop || best || due || broken.is_some() {
                save_step(&checkpoints, &learner, &state, watch, observer)?;
            }
            clock.lap(Lap::Keep, observer.elapsed());
            if broken.is_some() {
                break;
            }
            if stop && !over {
                stopped = true;
                break;
            }
        }
        observer.on(Event::PhaseEnded {
            phase: Phase::Training,
        });
        let stopped_at = |step: usize, error: TrainError| match error.is_of_photographs() {
            true => TrainError::Photograph {
                step,
                source: Box::new(error),
            },
            false => error,
        };
        let mut watch = match (watch, broken) {
            (Some(watch), None) => watch,
            (None, None) => self.take_folder(observer)?,
            // No step was made, so nothing is lost.
            (None, Some(error)) => return Err(error),
            (Some(mut watch), Some(error)) => {
                if !checkpoints.steps()?.contains(&state.step) {
                    picker.tell()?;
                    save_step(&checkpoints, &learner, &state, &mut watch, observer)?;
                }
                return Err(stopped_at(state.step, error));
            }
        };
        let mut outcome = Outcome {
            report: None,
            steps: state.step,
            images: state.images,
            stopped,
            times: state.times,
        };
        if stopped {
            observer.on(Event::Note(&watch.health.line()));
            return Ok(outcome);
        }
        if let Some(ending) = Ending::of(&state, &config.train).filter(|&end| end != Ending::Images)
        {
            let step = state.step;
            observer.on(Event::Note(&format!("ended after step {step}: {ending}")));
        }

        // The trained model, and what it is worth on images that were held out.
        picker.close(&state)?;
        let model = learner.model(config, &parts);
        model.write(&run.join("model.safetensors"))?;
        if let Some(part) = held_out {
            let (mut report, outcomes) = match latest {
                // It was judged a moment ago.
                Some((step, report, outcomes))
                    if part == Split::Validation && step == state.step =>
                {
                    (report, outcomes)
                }
                _ => {
                    let judgement = judge
                        .judge(&learner, &state, part, &mut evaluation, observer)
                        .map_err(|error| stopped_at(state.step, error))?;
                    let tag = format!("neighbours/{}", part.name());
                    watch.image(state.step + 1, &tag, judgement.strip, observer)?;
                    watch.judged(state.step, &judgement.report, observer);
                    (judgement.report, judgement.outcomes)
                }
            };
            if config.train.receipts {
                note_receipt(&mut report, &state.last_receipt());
            }
            left_out.tell(&setup.loader, observer);
            report.warnings.extend(left_out.notices());
            report.write_json(&run.join("report.json"))?;
            let text = report.to_markdown();
            lodestone_files::write_whole(&run.join("report.md"), |file| {
                file.write_all(text.as_bytes())
            })?;
            outcomes::write(&run.join(results::OUTCOMES), &outcomes)?;
            outcome.report = Some(report);
        }
        observer.on(Event::Note(&watch.health.line()));
        watch.flush()?;
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::small_config;

    #[test]
    fn a_class_of_one_image_is_refused_where_the_own_mean_leaves_one_out() {
        let names = ["Coat", "Bag"].map(String::from);
        let classes = Classes::named(&[0, 0, 0, 1], names.to_vec()).unwrap();
        let checked = |loss: &str, kind: &str, small: &str| {
            let config = small_config(&[
                &format!("loss={{kind=\"magnet\",own_mean=\"{loss}\"}}"),
                &format!("sampler={{kind=\"{kind}\",small_classes=\"{small}\"}}"),
            ]);
            check_groups(&config, &classes, &names).map_err(|error| error.to_string())
        };
        for kind in ["per-class", "hard-classes"] {
            let error = checked("leave_one_out", kind, "short").unwrap_err();
            for part in [
                "loss.own_mean is leave_one_out",
                "Bag has one",
                "small_classes is short",
            ] {
                assert!(error.contains(part), "{error}");
            }
            // Copies of the image, or no batch with it.
            for (loss, small) in [
                ("leave_one_out", "replace"),
                ("leave_one_out", "skip"),
                ("plain", "short"),
            ] {
                assert_eq!(checked(loss, kind, small), Ok(()));
            }
        }
    }
}
