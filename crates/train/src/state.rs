//! What a run knows beside its weights: all that a resumed run needs to go on as if it had never stopped.

use lodestone_eval::Rows;
use lodestone_losses::{LossReading, Statistic};
use lodestone_sampling::{Batch, Classes, Clusters, Index, LossCache};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::RunConfig;
use crate::error::TrainError;
use crate::observer::{Event, Observer};
use crate::variance::VarianceAverage;

/// Progress, sampler and averages of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    /// Fingerprint of the resolved settings.
    pub(crate) settings: String,
    /// Fingerprint of the table.
    pub(crate) table: String,
    /// Steps made.
    pub(crate) step: usize,
    /// Images seen.
    pub(crate) images: usize,
    /// Where the next batch is drawn: epoch of the plan and step in it.
    pub(crate) next: (u64, usize),
    /// Batches drawn but not trained on, oldest first, with their epoch.
    pub(crate) ahead: Vec<(u64, Batch)>,
    /// The cluster index, once it is built.
    pub(crate) index: Option<Index>,
    /// Last known loss of each training image.
    pub(crate) losses: LossCache,
    /// Refreshes of the index so far.
    pub(crate) refreshes: usize,
    /// Step before which the index was last built.
    pub(crate) refreshed_at: Option<usize>,
    /// Variance of the batches.
    pub(crate) variance: VarianceAverage,
    /// Best value of the watched metric, and its step.
    pub(crate) best: Option<(f64, usize)>,
    /// Length of the log.
    pub(crate) log_bytes: u64,
}

impl State {
    /// Before the first step.
    pub(crate) fn fresh(config: &RunConfig, table: &str, classes: &Classes) -> Self {
        // Debug prints every setting with all its digits, so equal text means equal settings.
        let settings = Sha256::digest(format!("{config:?}"));
        Self {
            settings: settings.iter().map(|byte| format!("{byte:02x}")).collect(),
            table: table.to_owned(),
            step: 0,
            images: 0,
            next: (0, 0),
            ahead: Vec::new(),
            index: None,
            losses: LossCache::new(classes),
            refreshes: 0,
            refreshed_at: None,
            variance: VarianceAverage::default(),
            best: None,
            log_bytes: 0,
        }
    }

    /// Refuses to continue a run of other settings or other data.
    ///
    /// # Errors
    /// What differs.
    pub(crate) fn check(&self, fresh: &Self) -> Result<(), TrainError> {
        let differs = |what: &str, saved: &str, now: &str| {
            let (saved, now) = (&saved[..saved.len().min(12)], &now[..now.len().min(12)]);
            let reason =
                format!("the checkpoint belongs to other {what}: {saved} there, {now} here");
            Err(TrainError::Resume { reason })
        };
        if self.settings != fresh.settings {
            return differs("settings", &self.settings, &fresh.settings);
        }
        if self.table != fresh.table {
            return differs("data", &self.table, &fresh.table);
        }
        Ok(())
    }

    /// What the neighbourhood sampler looks at.
    pub(crate) fn clusters(&self) -> Option<Clusters<'_>> {
        self.index.as_ref().map(|index| Clusters {
            index,
            losses: &self.losses,
        })
    }

    /// Builds the index anew from embeddings `[n, dim]` of all training images.
    ///
    /// # Errors
    /// If an embedding is not finite.
    pub(crate) fn refresh(
        &mut self,
        embeddings: &[f32],
        dim: usize,
        classes: &Classes,
        config: &RunConfig,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        let rows = Rows::new(embeddings, dim).map_err(|error| TrainError::Setting {
            reason: error.to_string(),
        })?;
        let report = match &mut self.index {
            Some(index) => Some(index.refresh(rows)?),
            None => {
                self.index = Some(Index::build(rows, classes, &config.index, config.seed)?);
                None
            }
        };
        let clusters = self.index.as_ref().map_or(0, Index::len);
        observer.on(Event::Refreshed {
            step: self.step,
            clusters,
            report: report.as_ref(),
        });
        self.refreshes += 1;
        self.refreshed_at = Some(self.step);
        Ok(())
    }

    /// Stores what the step's loss said of each example.
    ///
    /// # Errors
    /// If a loss is not one that a cache can hold.
    pub(crate) fn record(
        &mut self,
        batch: &Batch,
        reading: &LossReading,
    ) -> Result<(), TrainError> {
        if let Some(index) = &self.index {
            self.losses
                .record(index, &batch.rows, &reading.per_example, self.step as u64)?;
        }
        if let Some(variance) = reading.get(Statistic::Variance) {
            self.variance.push(f64::from(variance));
        }
        Ok(())
    }

    /// CBOR, which keeps every bit of a number.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // Writing plain data into memory cannot fail.
        let _ = ciborium::into_writer(self, &mut bytes);
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// A sentence, if another version wrote it.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        ciborium::from_reader(bytes).map_err(|error| format!("its state cannot be read: {error}"))
    }
}
