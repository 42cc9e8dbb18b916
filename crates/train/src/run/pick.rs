//! Which batch comes next, drawn ahead where images take time to decode.

use std::path::PathBuf;

use burn::tensor::Device;
use lodestone_sampling::{Batch, Epoch, EpochReceipt, Plan};

use crate::config::run_config::RunConfig;
use crate::error::TrainError;
use crate::input::source::{Input, TrainingSource};
use crate::run::refresh::Refresher;
use crate::run::state::State;

/// Draws batches in the order of the plan and has their images brought to the device.
pub(crate) struct Picker<'a> {
    plan: &'a Plan,
    epoch: Epoch<'a>,
    /// Rows of the table that are trained on, and their labels.
    rows: &'a [usize],
    labels: &'a [usize],
    /// With gradients.
    device: &'a Device,
    config: &'a RunConfig,
    source: TrainingSource,
    /// The input of the batch that is drawn ahead, on its way to the device while the one before is worked on.
    uploaded: Option<Result<Input, TrainError>>,
    /// Where the receipts of epochs go.
    receipts: PathBuf,
    /// Receipts of epochs that are over, until they are written.
    over: Vec<EpochReceipt>,
}

impl<'a> Picker<'a> {
    /// Asks again for what had been drawn when the run was interrupted.
    pub(crate) fn new(
        plan: &'a Plan,
        (rows, labels): (&'a [usize], &'a [usize]),
        device: &'a Device,
        config: &'a RunConfig,
        receipts: PathBuf,
        source: TrainingSource,
        state: &State,
    ) -> Self {
        let mut picker = Self {
            plan,
            epoch: plan.epoch(state.next.0),
            rows,
            labels,
            device,
            config,
            source,
            uploaded: None,
            receipts,
            over: Vec::new(),
        };
        for (number, (_, batch)) in (state.batches..).zip(&state.ahead) {
            picker.source.ask(number, picker.table_rows(batch));
        }
        picker
    }

    /// Draws the next batch, and further ones as far as decoding should be ahead, but never across a step before which the
    /// index may change, and none that the run has no images left for.
    ///
    /// # Errors
    /// If a batch cannot be filled.
    pub(crate) fn fill(
        &mut self,
        state: &mut State,
        refresher: &Refresher<'_>,
    ) -> Result<(), TrainError> {
        while self.wants(state, refresher, self.source.look_ahead()) {
            if state.next.1 == self.epoch.steps() {
                let receipt = state.receipts.close(state.next.0);
                state.receipt = Some(receipt.summary());
                self.over.push(receipt);
                state.next = (state.next.0 + 1, 0);
                self.epoch = self.plan.epoch(state.next.0);
            }
            let batch = self.epoch.batch(state.next.1, state.clusters())?;
            let number = state.batches + state.ahead.len();
            if self.config.train.receipts {
                // Now, because what is to be expected is that of the index and the losses from which the batch was drawn.
                let clusters = state
                    .index
                    .as_ref()
                    .map(|index| lodestone_sampling::Clusters {
                        index,
                        losses: &state.losses,
                    });
                state
                    .receipts
                    .record(self.plan, clusters, &batch, number as u64)?;
            }
            self.source.ask(number, self.table_rows(&batch));
            state.ahead.push((state.next.0, batch));
            state.next.1 += 1;
        }
        Ok(())
    }

    /// The input of the oldest batch that was drawn, on the device; where its photographs are left out as broken, others stand in
    /// for them in the batch too.
    ///
    /// # Errors
    /// As [`TrainingSource::receive`].
    pub(crate) fn next_input(&mut self, state: &mut State) -> Result<Input, TrainError> {
        let uploaded = self.uploaded.take();
        uploaded.unwrap_or_else(|| self.receive(state))
    }

    /// Brings the input of the next batch to the device, if one is drawn.
    pub(crate) fn upload(&mut self, state: &mut State) {
        if !state.ahead.is_empty() {
            self.uploaded = Some(self.receive(state));
        }
    }

    fn receive(&mut self, state: &mut State) -> Result<Input, TrainError> {
        let batch = &mut state.ahead[0].1;
        let rows = self.table_rows(batch);
        (self.source).receive(batch, &rows, self.labels, self.device)
    }

    fn wants(&self, state: &State, refresher: &Refresher<'_>, look_ahead: usize) -> bool {
        if state.ahead.is_empty() {
            return true;
        }
        let number = state.batches + state.ahead.len();
        let step = number / self.config.train.accumulate;
        let pending: usize = state.ahead.iter().map(|(_, batch)| batch.rows.len()).sum();
        state.ahead.len() <= look_ahead
            && (step == state.step || !refresher.may_happen(step))
            && state.images + pending < self.config.train.images
    }

    /// Writes the receipts of the epochs that are over.
    ///
    /// # Errors
    /// If one cannot be written.
    pub(crate) fn tell(&mut self) -> Result<(), TrainError> {
        for receipt in std::mem::take(&mut self.over) {
            self.write(&receipt)?;
        }
        Ok(())
    }

    /// The receipt of the epoch in which the run ends.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn close(&self, state: &State) -> Result<(), TrainError> {
        self.write(&state.receipts.clone().close(state.next.0))
    }

    fn write(&self, receipt: &EpochReceipt) -> Result<(), TrainError> {
        if self.config.train.receipts {
            let folder = self.receipts.join(format!("epoch-{:04}", receipt.epoch));
            receipt.write_csv(&folder)?;
        }
        Ok(())
    }

    /// Rows of the table for a batch of places among the training rows.
    fn table_rows(&self, batch: &Batch) -> Vec<usize> {
        batch.rows.iter().map(|&place| self.rows[place]).collect()
    }
}
