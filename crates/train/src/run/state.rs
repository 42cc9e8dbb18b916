//! What a run knows beside its weights: all that a resumed run needs to go on as if it had never stopped.

use std::collections::{BTreeMap, BTreeSet};

use lodestone_eval::Rows;
use lodestone_losses::{LossReading, Statistic};
use lodestone_sampling::{
    Batch, Classes, Clusters, FusedEmbeddings, Index, LossCache, Probe, ReceiptSummary, Receipts,
};
use serde::{Deserialize, Serialize};

use crate::config::precision::LossScale;
use crate::config::run_config::{EvaluationConfig, FrozenCache, RunConfig};
use crate::config::run_file::by_key;
use crate::error::TrainError;
use crate::learn::variance::VarianceAverage;
use crate::record::timing::Times;

/// Progress, sampler and averages of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    /// The settings that decide what is trained, as a run file.
    pub(crate) settings: String,
    /// Those that decide how it is judged on the way.
    #[serde(default)]
    pub(crate) evaluation: String,
    /// Fingerprint of the table.
    pub(crate) table: String,
    /// Steps made.
    pub(crate) step: usize,
    /// Batches trained on; several make a step where gradients are accumulated.
    pub(crate) batches: usize,
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
    /// Builds of the index so far, the first one included.
    pub(crate) refreshes: usize,
    /// How far embeddings had moved when that was last measured, and the most that was measured.
    pub(crate) drift: Option<Drift>,
    /// Rows that drift is measured on, as they were when the index was built.
    pub(crate) probe: Option<Probe>,
    /// The last embedding of each row, where the index is refreshed from them.
    pub(crate) fused: Option<FusedEmbeddings>,
    /// What the running epoch has shown.
    pub(crate) receipts: Receipts,
    /// What the last whole epoch showed.
    pub(crate) receipt: Option<ReceiptSummary>,
    /// Variance of the batches.
    pub(crate) variance: VarianceAverage,
    /// Best value of the watched metric, and its step.
    pub(crate) best: Option<(f64, usize)>,
    /// Evaluations since then.
    pub(crate) since_best: usize,
    /// What the loss is multiplied with in half precision.
    #[serde(default)]
    pub(crate) loss_scale: LossScale,
    /// Seconds of training over all sittings, counted only where they end the run.
    pub(crate) seconds: f64,
    /// Where the time of all steps went, over all sittings.
    #[serde(default)]
    pub(crate) times: Times,
}

/// The settings that decide what is trained and those that decide how it is judged, as TOML. Where things lie and how fast they are
/// read decides neither: a run may go on with its data moved. Weights are in the checkpoint themselves.
fn decisive(config: &RunConfig) -> (String, String) {
    let mut trained = config.clone();
    trained.tags.clear();
    trained.data.dataset_root = None;
    trained.data.threads = 1;
    trained.model.weights = None;
    trained.model.frozen_cache = FrozenCache::default();
    trained.evaluation = EvaluationConfig::default();
    // A run file is written as TOML too; what that cannot hold is still not taken for something else.
    let text =
        |settings: Result<String, toml::ser::Error>, debug: String| settings.unwrap_or(debug);
    (
        text(toml::to_string(&trained), format!("{trained:?}")),
        text(
            toml::to_string(&config.evaluation),
            format!("{:?}", config.evaluation),
        ),
    )
}

/// Whether two texts of settings say the same.
///
/// # Errors
/// The first key in which they differ, with both values.
fn same_settings(saved: &str, now: &str) -> Result<(), TrainError> {
    if saved == now {
        return Ok(());
    }
    let [there, here] =
        [saved, now].map(|text| by_key(&text.parse::<toml::Table>().unwrap_or_default()));
    let keys: BTreeSet<&String> = there.keys().chain(here.keys()).collect();
    let said = |of: &BTreeMap<String, String>, key| {
        of.get(key).map_or("absent", String::as_str).to_owned()
    };
    let differing = keys
        .into_iter()
        .find(|&key| there.get(key) != here.get(key));
    let difference = differing.map_or_else(String::new, |key| {
        format!(
            ": {key} is {} there, {} here",
            said(&there, key),
            said(&here, key)
        )
    });
    Err(TrainError::Resume {
        reason: format!("the checkpoint belongs to other settings{difference}"),
    })
}

/// How far embeddings have moved since the index was built, in standard deviations of the index.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Drift {
    pub(crate) last: f64,
    pub(crate) largest: f64,
}

impl State {
    /// Before the first step.
    pub(crate) fn fresh(config: &RunConfig, table: &str, classes: &Classes) -> Self {
        let (settings, evaluation) = decisive(config);
        Self {
            settings,
            evaluation,
            table: table.to_owned(),
            step: 0,
            batches: 0,
            images: 0,
            next: (0, 0),
            ahead: Vec::new(),
            index: None,
            losses: LossCache::new(classes),
            refreshes: 0,
            drift: None,
            probe: None,
            fused: None,
            receipts: Receipts::new(classes),
            receipt: None,
            variance: VarianceAverage::default(),
            best: None,
            since_best: 0,
            loss_scale: LossScale::default(),
            seconds: 0.0,
            times: Times::default(),
        }
    }

    /// Refuses to continue a run of other settings or other data.
    ///
    /// # Errors
    /// What differs, with both values.
    pub(crate) fn check(&self, fresh: &Self) -> Result<(), TrainError> {
        self.check_trained(fresh)?;
        same_settings(&self.evaluation, &fresh.evaluation)
    }

    /// Refuses to judge a run of other settings or other data; how it is judged may be asked anew.
    ///
    /// # Errors
    /// What differs, with both values.
    pub(crate) fn check_trained(&self, fresh: &Self) -> Result<(), TrainError> {
        same_settings(&self.settings, &fresh.settings)?;
        if self.table == fresh.table {
            return Ok(());
        }
        let [saved, now] = [&self.table, &fresh.table].map(|table| &table[..table.len().min(12)]);
        Err(TrainError::Resume {
            reason: format!("the checkpoint belongs to other data: {saved} there, {now} here"),
        })
    }

    /// What the neighbourhood sampler looks at.
    pub(crate) fn clusters(&self) -> Option<Clusters<'_>> {
        self.index.as_ref().map(|index| Clusters {
            index,
            losses: &self.losses,
        })
    }

    /// Stores what the loss said of each example of a batch, and how it was embedded where the index will be built from that.
    ///
    /// # Errors
    /// If a loss or an embedding is not one that can be kept.
    pub(crate) fn record(
        &mut self,
        batch: &Batch,
        reading: &LossReading,
        embeddings: Option<Rows<'_>>,
        reads_losses: bool,
    ) -> Result<(), TrainError> {
        let step = self.step as u64;
        if let Some(index) = self.index.as_ref().filter(|_| reads_losses) {
            self.losses
                .record(index, &batch.rows, &reading.per_example, step)?;
        }
        if let (Some(fused), Some(embeddings)) = (&mut self.fused, embeddings) {
            fused.record(&batch.rows, embeddings, step)?;
        }
        if let Some(variance) = reading.get(Statistic::Variance) {
            self.variance.push(f64::from(variance));
        }
        self.batches += 1;
        self.images += batch.rows.len();
        Ok(())
    }

    /// What the last whole epoch showed, or the running one where none is over.
    pub(crate) fn last_receipt(&self) -> ReceiptSummary {
        let running = || self.receipts.clone().close(self.next.0).summary();
        self.receipt.clone().unwrap_or_else(running)
    }

    /// Keeps a measured drift.
    pub(crate) fn drifted(&mut self, drift: f64) {
        let largest = self.drift.map_or(drift, |known| known.largest.max(drift));
        self.drift = Some(Drift {
            last: drift,
            largest,
        });
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
