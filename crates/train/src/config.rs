//! The run file: everything that decides what a run computes.

use std::path::PathBuf;

use lodestone_data::{Augmentation, Dataset};
use lodestone_losses::LossConfig;
use lodestone_models::{EmbedderConfig, HeadConfig, NetworkConfig};
use lodestone_sampling::{IndexConfig, PlanConfig};
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::optimizer::OptimizerConfig;
use crate::schedule::ScheduleConfig;

/// Settings of a run: the same file and the same seed give the same numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Seed of every random draw: weights, batches, augmentation, dropout, K-means.
    #[serde(default)]
    pub seed: u64,
    /// Words to find the run by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Which photographs, how they are split and varied.
    pub data: DataConfig,
    /// The network and what of it is trained.
    pub model: ModelConfig,
    /// What is minimised.
    pub loss: LossConfig,
    /// Which images enter a batch.
    pub sampler: PlanConfig,
    /// The cluster index that the neighbourhood sampler and the kNC rule read.
    #[serde(default)]
    pub index: IndexConfig,
    /// The update rule and its rates.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// How the rates move.
    #[serde(default)]
    pub schedule: ScheduleConfig,
    /// How long, and what is kept.
    pub train: TrainConfig,
    /// How the result is judged.
    #[serde(default)]
    pub evaluation: EvaluationConfig,
}

/// Which photographs, how they are split and varied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// The data set and its protocol, such as `{ name = "flowers-102", protocol = "train" }`.
    pub set: Dataset,
    /// Where the set lies; `--data` on the command line goes before it. Embedded sets need none.
    #[serde(default)]
    pub dataset_root: Option<PathBuf>,
    /// Share of each class's training images held out for choosing settings, in `[0, 1)`.
    #[serde(default)]
    pub validation: f64,
    /// Trains on coarser classes and tests on the fine ones as well: hierarchy recovery.
    #[serde(default)]
    pub coarse: Option<CoarseConfig>,
    /// What the training view varies; nothing by default.
    #[serde(default)]
    pub augmentation: Augmentation,
    /// Threads that decode images.
    #[serde(default = "two")]
    pub threads: usize,
}

fn two() -> usize {
    2
}

/// Coarser classes to train on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum CoarseConfig {
    /// Those that the data set comes with, such as cat and dog.
    Given,
    /// Classes merged at random, the paper's scheme of that name.
    Random {
        /// Number of merged classes.
        groups: usize,
        /// Seed of the shuffle, kept apart from the run's so that several runs can share one merging.
        #[serde(default)]
        seed: u64,
    },
}

/// The network and what of it is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The convolutional trunk.
    pub network: NetworkConfig,
    /// From features to embeddings.
    pub head: HeadConfig,
    /// Pretrained weights; `--weights` on the command line goes before it.
    #[serde(default)]
    pub weights: Option<PathBuf>,
    /// Last stage of the trunk that stays as it is. Its outputs are computed once for each image and view and cached.
    #[serde(default)]
    pub freeze_until: Option<String>,
    /// Augmented views of each training image in the cache of a frozen trunk, beside the plain and the flipped one.
    #[serde(default)]
    pub frozen_views: usize,
    /// Scales the head so that the embeddings of the first images have variance 1 in each coordinate. A loss without a
    /// length scale, such as magnet, has a gradient that shrinks as the embedding grows.
    #[serde(default)]
    pub calibrate_head: bool,
}

impl ModelConfig {
    /// The embedder's part.
    pub fn embedder(&self) -> EmbedderConfig {
        EmbedderConfig {
            network: self.network.clone(),
            head: self.head.clone(),
        }
    }
}

/// How long, and what is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Images that go through the optimiser; the run takes as many whole steps as fit.
    pub images: usize,
    /// Steps between two refreshes of the cluster index; 0 for one an epoch of the plan.
    #[serde(default)]
    pub refresh_period: usize,
    /// Steps between two evaluations on the validation part; 0 for none.
    #[serde(default)]
    pub valid_period: usize,
    /// Steps between two checkpoints; 0 for one at the end only.
    #[serde(default)]
    pub checkpoint_period: usize,
    /// Checkpoints that are kept.
    #[serde(default = "two")]
    pub keep_checkpoints: usize,
}

/// How the result is judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluationConfig {
    /// Images in a batch that needs no gradient.
    pub bs_val: usize,
    /// L of the kNC rule: centres that vote.
    pub nearest_clusters: usize,
    /// Training images that vote in the soft kNN rule.
    pub nearest_neighbours: usize,
    /// The k of recall@k.
    pub recall_at: Vec<usize>,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self {
            bs_val: 64,
            nearest_clusters: 128,
            nearest_neighbours: 128,
            recall_at: vec![1, 2, 4, 8],
        }
    }
}

impl RunConfig {
    /// Checks every setting once, before anything is read or computed.
    ///
    /// # Errors
    /// A sentence that names the key, its value and what it must be.
    pub fn validate(&self) -> Result<(), TrainError> {
        let wrong = |reason: String| Err(TrainError::Setting { reason });
        if !(0.0..1.0).contains(&self.data.validation) {
            return wrong(format!(
                "data.validation is {}, must be in [0, 1)",
                self.data.validation
            ));
        }
        if self.data.threads == 0 {
            return wrong("data.threads is 0, must be at least 1".into());
        }
        if self.model.head.embedding_size == 0 {
            return wrong("model.head.embedding_size is 0, must be at least 1".into());
        }
        if !(0.0..1.0).contains(&self.model.head.dropout) {
            return wrong(format!(
                "model.head.dropout is {}, must be in [0, 1)",
                self.model.head.dropout
            ));
        }
        if self.model.frozen_views > 0 && self.model.freeze_until.is_none() {
            return wrong(format!(
                "model.frozen_views is {}, which needs model.freeze_until",
                self.model.frozen_views
            ));
        }
        if let PlanConfig::Importance(_) | PlanConfig::Union(_) = self.sampler {
            return wrong(format!(
                "sampler.kind is {}, whose weighted neighbourhoods this loop does not train; neighbourhood is the paper's",
                self.sampler.name()
            ));
        }
        if self.loss.wants_clusters() && matches!(self.sampler, PlanConfig::Shuffled(_)) {
            return wrong(format!(
                "sampler.kind is {}, which may draw batches of one class or of single examples; this loss needs clusters",
                self.sampler.name()
            ));
        }
        if self.evaluation.bs_val == 0 {
            return wrong("evaluation.bs_val is 0, must be at least 1".into());
        }
        for (key, value) in [
            ("nearest_clusters", self.evaluation.nearest_clusters),
            ("nearest_neighbours", self.evaluation.nearest_neighbours),
        ] {
            if value == 0 {
                return wrong(format!("evaluation.{key} is 0, must be at least 1"));
            }
        }
        if self.train.valid_period > 0 && self.data.validation == 0.0 {
            return wrong(format!(
                "train.valid_period is {}, but data.validation is 0: there is nothing to evaluate on, and test images are \
                 never looked at during training",
                self.train.valid_period
            ));
        }
        self.loss.validate().map_err(|error| TrainError::Setting {
            reason: format!("loss: {error}"),
        })?;
        self.optimizer.validate().or_else(wrong)?;
        self.schedule.validate().or_else(wrong)
    }
}
