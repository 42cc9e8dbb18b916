//! The batches of a step: pick, load, encode, loss, gradients, and what is remembered of each.

use std::time::Duration;

use burn::tensor::Tensor;
use lodestone_losses::LossReading;
use lodestone_sampling::Batch;
use rand::RngExt;

use crate::config::precision::Precision;
use crate::error::TrainError;
use crate::input::columns::rows_of;
use crate::input::source::Input;
use crate::learn::batch_loss;
use crate::learn::differentiate::differentiate;
use crate::learn::gradients::{Differentiated, GroupGradients};
use crate::learn::learner::Learner;
use crate::random::{Purpose, generator};
use crate::record::batch_stats::BatchStats;
use crate::record::observer::Observer;
use crate::record::timing::{Lap, Stopwatch};
use crate::run::context::Run;
use crate::run::not_finite::not_finite;
use crate::run::pick::Picker;
use crate::run::state::State;
use crate::run::step_start::StepStart;
use crate::run::transfers::Transfers;

/// A transfer that takes longer than this waited for the device to finish its work.
const BUSY: Duration = Duration::from_millis(2);

/// What the batches of a step were, beside their gradients.
pub(crate) struct Batches {
    pub(crate) readings: Vec<LossReading>,
    /// Whether all gradients are numbers.
    pub(crate) finite: bool,
    pub(crate) images: usize,
    /// Transfers from the device.
    pub(crate) transfers: usize,
    /// The last batch, and the epoch of the plan that it is of.
    pub(crate) last: Batch,
    pub(crate) epoch: u64,
    /// Of the last batch, in steps that look at the embeddings.
    pub(crate) stats: Option<BatchStats>,
}

impl Run<'_> {
    /// The batches of the next step, with the sum of their gradients.
    ///
    /// # Errors
    /// If a batch cannot be filled or loaded, or its loss is no number.
    pub(crate) fn batches(
        &self,
        learner: &Learner,
        state: &mut State,
        start: &mut StepStart,
        picker: &mut Picker<'_>,
        clock: &mut Stopwatch,
        observer: &mut dyn Observer,
    ) -> Result<(GroupGradients, Batches), TrainError> {
        let mut next = |turn| self.batch(turn, learner, state, start, picker, clock, observer);
        // There is at least one: `validate` has refused train.accumulate = 0.
        let (mut sum, mut all) = next(1)?;
        for turn in 2..=self.config.train.accumulate {
            let (gradients, batch) = next(turn)?;
            sum = sum.add(gradients, learner);
            all.readings.extend(batch.readings);
            all = Batches {
                readings: all.readings,
                finite: all.finite && batch.finite,
                images: all.images + batch.images,
                transfers: all.transfers + batch.transfers,
                ..batch
            };
        }
        Ok((sum, all))
    }

    /// One batch, the `turn`th of its step.
    fn batch(
        &self,
        turn: usize,
        learner: &Learner,
        state: &mut State,
        start: &mut StepStart,
        picker: &mut Picker<'_>,
        clock: &mut Stopwatch,
        observer: &mut dyn Observer,
    ) -> Result<(GroupGradients, Batches), TrainError> {
        let config = self.config;
        // Pick.
        picker.fill(state, &self.refresher)?;
        clock.lap(Lap::Other, observer.elapsed());
        // Load.
        let input = picker.next_input(state)?;
        clock.lap(Lap::Wait, observer.elapsed());
        let (epoch, batch) = start.take(state);
        // Encode, loss, gradients.
        let found = self.differentiate(learner, input, &batch, state, || {
            clock.lap(Lap::Forward, observer.elapsed());
        });
        clock.lap(Lap::Backward, observer.elapsed());
        // Load the next, while a device that works by itself is busy with this one; then wait for it.
        picker.upload(state);
        let loading = clock.lap(Lap::Wait, observer.elapsed());
        let look_due = (state.step + 1).is_multiple_of(config.train.look_period)
            && turn == config.train.accumulate;
        let embeddings = (look_due || state.fused.is_some()).then_some(found.embeddings);
        let norm = match config.model.precision {
            Precision::F16 => found.gradients.squared_norm(learner),
            Precision::F32 | Precision::Bf16 => None,
        };
        let mut transfers = Transfers::default();
        let host = transfers.read(&found.output, embeddings, norm);
        let reading = host.reading;
        if clock.lap(Lap::Backward, observer.elapsed()) > BUSY {
            // The device was at work all the time: nobody waited for images.
            clock.shift(Lap::Wait, Lap::Backward, loading);
        }
        if !reading.mean.is_finite() {
            let (table, step) = (&self.trainer.table, state.step);
            let (checkpoints, parts) = (&self.checkpoints, self.parts);
            return Err(not_finite(
                table,
                checkpoints,
                step,
                reading.mean,
                parts,
                &batch,
            ));
        }
        // Cache: what each example cost drives the choice of the next seeds.
        let dim = learner.embedder.embedding_size();
        let rows = (host
            .embeddings
            .as_deref()
            .map(|values| rows_of(values, dim)))
        .transpose()?;
        state.record(&batch, &reading, rows, config.sampler.reads_losses())?;
        let stats = host.embeddings.filter(|_| look_due);
        let stats = stats.map(|values| BatchStats::of(values, dim));
        clock.lap(Lap::Other, observer.elapsed());
        let batch = Batches {
            readings: vec![reading],
            finite: host.gradients_are_finite,
            images: batch.rows.len(),
            transfers: transfers.count(),
            last: batch,
            epoch,
            stats,
        };
        Ok((found.gradients, batch))
    }

    /// Embeds a batch, takes its loss and differentiates it. The device's generator, which dropout draws from, is set anew for each
    /// batch.
    fn differentiate(
        &self,
        learner: &Learner,
        input: Input,
        batch: &Batch,
        state: &State,
        forward_done: impl FnMut(),
    ) -> Differentiated {
        let (config, number) = (self.config, state.batches);
        let labels: Vec<usize> = batch.rows.iter().map(|&row| self.labels[row]).collect();
        let seeds = |part: usize| {
            let mut random = generator(config.seed, Purpose::Device, number);
            let first: u64 = random.random();
            (0..part).fold(first, |_, _| random.random())
        };
        let forward = |embeddings: Tensor<2>| {
            batch_loss::forward(&learner.loss, embeddings, batch, &labels, number, config)
        };
        differentiate(
            learner,
            input,
            &labels,
            config,
            self.device,
            &self.trainer.workers,
            seeds,
            state.loss_scale.factor(config.model.precision),
            forward,
            forward_done,
        )
    }
}
