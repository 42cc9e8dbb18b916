//! The run file: everything that decides what a run computes.

use std::path::PathBuf;

use lodestone_data::{Augmentation, CacheConfig, Dataset, Orientation, UnseenClasses};
use lodestone_eval::Mode;
use lodestone_losses::{LossConfig, ProxyNcaForm};
use lodestone_models::{EmbedderConfig, HeadConfig, NetworkConfig, Preprocessing};
use lodestone_sampling::{IndexConfig, PlanConfig, RefreshPolicy, RefreshSource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::auxiliary::AuxiliaryConfig;
use crate::config::bounds;
use crate::config::optimizer::OptimizerConfig;
use crate::config::precision::Precision;
use crate::config::schedule::ScheduleConfig;
use crate::error::TrainError;

/// Settings of a run: the same file and the same seed give the same numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// How the result is evaluated.
    #[serde(default)]
    pub evaluation: EvaluationConfig,
}

/// Which photographs, how they are split and varied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// The data set and its protocol, such as `{ name = "flowers-102", protocol = "train" }`.
    pub set: Dataset,
    /// Where the set lies; `--data` on the command line overrides it. Embedded sets need none.
    #[serde(default)]
    pub dataset_root: Option<PathBuf>,
    /// Classes that are tested on and never trained on, such as `{ share = 0.5, seed = 0 }`, `{ first = 100 }` (the first 100
    /// classes train: the convention of the field) or `{ classes = ["..", ".."] }`. All of their images become test images; the
    /// images of other classes stay in their split. Classes that have test images alone are unseen without being named here.
    #[serde(default)]
    pub unseen: Option<UnseenClasses>,
    /// Share of each class's training images held out for choosing settings, in `[0, 1)`.
    #[serde(default)]
    pub validation: f64,
    /// Share of the training classes held out whole for choosing settings, in `[0, 1)`: settings for classes never seen are
    /// chosen on such. Not together with `validation`.
    #[serde(default)]
    pub validation_classes: f64,
    /// Trains on coarser classes and tests on the fine ones as well: hierarchy recovery.
    #[serde(default)]
    pub coarse: Option<CoarseConfig>,
    /// What the training view varies; nothing by default.
    #[serde(default)]
    pub augmentation: Augmentation,
    /// Threads that decode images.
    #[serde(default = "two")]
    pub threads: usize,
    /// Decodes everything before the first step, leaves out what is broken, and lists it in the report, instead of stopping
    /// at the first broken image; `--skip-broken` on the command line sets it.
    #[serde(default)]
    pub skip_broken: bool,
    /// Whether photographs are turned as their camera noted in EXIF; pretrained networks have seen them as stored.
    #[serde(default)]
    pub orientation: Orientation,
    /// Photographs that are kept for the next epoch, such as `{ bytes = 4_000_000_000, content = "resized" }`; nothing is
    /// kept by default.
    #[serde(default)]
    pub cache: Option<CacheConfig>,
}

fn two() -> usize {
    2
}

/// Coarser classes to train on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// Classes merged as listed, such as `merged = [["Coat", "Sandal"], ["Dress", "Sneaker"]]`.
    Listed {
        /// The names of the classes in each merged class; every class stands in one of them.
        merged: Vec<Vec<String>>,
    },
}

/// The network and what of it is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The convolutional trunk.
    pub network: NetworkConfig,
    /// From features to embeddings.
    pub head: HeadConfig,
    /// Pretrained weights; `--weights` on the command line overrides it.
    #[serde(default)]
    pub weights: Option<PathBuf>,
    /// Whether tensors that the weights lack keep the values they start with; `--partial` on the command line sets it.
    #[serde(default)]
    pub partial_weights: bool,
    /// Side of the square image in pixels, instead of the network's usual one; the resizing before the crop keeps its
    /// proportion to it.
    #[serde(default)]
    pub image_size: Option<usize>,
    /// Classifiers below the top that are trained beside the loss, such as `{ weight = 0.3 }`.
    #[serde(default)]
    pub auxiliary: Option<AuxiliaryConfig>,
    /// Keeps few maps of the forward pass and computes the others again in the backward pass: less memory, more time, the
    /// same numbers to rounding.
    #[serde(default)]
    pub gradient_checkpointing: bool,
    /// Last stage of the trunk that stays as it is. Its outputs are computed once for each image and view and cached.
    #[serde(default)]
    pub freeze_until: Option<String>,
    /// Augmented views of each training image in the cache of a frozen trunk, beside the plain and the flipped one. All views are
    /// drawn alike: of what `data.augmentation.flip_probability` says, only whether it is above 0 counts for the flipped one.
    #[serde(default)]
    pub frozen_views: usize,
    /// Where the cached outputs of a frozen trunk are kept while they are read.
    #[serde(default)]
    pub frozen_cache: FrozenCache,
    /// Whether batch normalisation learns.
    #[serde(default)]
    pub batch_norm: BatchNormUse,
    /// The type in which the trunk computes while it is trained, on devices that have it.
    #[serde(default)]
    pub precision: Precision,
    /// Scales the head so that the embeddings of the first images have variance 1 in each coordinate. A loss without a
    /// length scale, such as magnet, has a gradient that shrinks as the embedding grows.
    #[serde(default)]
    pub calibrate_head: bool,
}

/// Where the cached outputs of a frozen trunk are kept while they are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FrozenCache {
    /// In the file, from which each batch is read: the operating system keeps what there is room for.
    #[default]
    // As run files and checkpoints call it since files were mapped into memory.
    #[serde(rename = "mapped")]
    File,
    /// In memory, read once.
    Memory,
}

/// Whether batch normalisation learns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BatchNormUse {
    /// Statistics of the batch in training, running ones otherwise; scale and shift are trained.
    #[default]
    Learning,
    /// Running statistics throughout, scale and shift as they are: for pretrained weights and small batches.
    Frozen,
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

/// How long, what is averaged, and what is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Images to train on in all, counted once for each time they are seen; the last step is a whole batch.
    pub images: usize,
    /// Minutes of training, those before a resume included, after which the run ends early; 0 for no bound. The schedule
    /// follows the images, so a run that is cut short this way ends before its rates have fallen.
    #[serde(default)]
    pub minutes: f64,
    /// Batches whose gradients are averaged before the optimiser moves. Each batch has pairs, clusters and a variance of
    /// its own, so four batches of 32 are not one of 128: three quarters of the pairs are missing. `part_size` gives the
    /// gradient of the large batch.
    #[serde(default = "one")]
    pub accumulate: usize,
    /// Images that go through the network at once; 0 for the whole batch. The loss still sees the whole batch: embeddings
    /// are computed part by part, the loss is differentiated by them, and a second pass carries that into the weights
    /// (Gao et al., *Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup*, RepL4NLP 2021). Exact, for
    /// one more forward pass; needs `model.batch_norm = "frozen"` where the network has batch normalisation.
    #[serde(default)]
    pub part_size: usize,
    /// Decay of an exponential moving average of all weights, such as 0.999; 0 for none. Evaluations, the report and the
    /// model files then take the averaged weights.
    #[serde(default)]
    pub average_decay: f64,
    /// When the cluster index is built anew.
    #[serde(default = "each_epoch")]
    pub refresh: RefreshPolicy,
    /// Where the embeddings of a refreshed index come from. How far those of `fused` are from fresh ones is measured at each
    /// refresh and logged as drift.
    #[serde(default)]
    pub refresh_source: RefreshSource,
    /// Steps between two evaluations on the validation part; 0 for none.
    #[serde(default)]
    pub valid_period: usize,
    /// The metric that is watched on the validation part, a name from the report; if absent error@1 of the loss's rule, or
    /// `map_at_r` where the validation classes are not trained on. `unseen.map_at_r` is that of a part. Errors are to fall, everything else to rise. Weights of the best value are kept.
    #[serde(default)]
    pub watch: Option<String>,
    /// Evaluations without a better value after which the run ends as if its images were through; 0 for never.
    #[serde(default)]
    pub patience: usize,
    /// Steps between two checkpoints; 0 for one at the end only.
    #[serde(default)]
    pub checkpoint_period: usize,
    /// Checkpoints that are kept, beside that of the best validation value.
    #[serde(default = "two")]
    pub keep_checkpoints: usize,
    /// Steps between two measurements of the embeddings of a batch: norm, effective rank and histograms in the logs.
    #[serde(default = "ten")]
    pub look_period: usize,
    /// Writes after each epoch of the plan how often every class, cluster and image was seen, and how often that was to be
    /// expected.
    #[serde(default = "yes")]
    pub receipts: bool,
}

fn one() -> usize {
    1
}

fn ten() -> usize {
    10
}

fn yes() -> bool {
    true
}

fn each_epoch() -> RefreshPolicy {
    RefreshPolicy::Epochs { every: 1 }
}

/// How the result is evaluated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluationConfig {
    /// Images in a batch that needs no gradient.
    pub bs_val: usize,
    /// L of the kNC rule: centres that vote.
    pub nearest_clusters: usize,
    /// Training images that vote in the soft kNN rule.
    pub nearest_neighbours: usize,
    /// What the variance is multiplied by in the votes of kNC and of soft kNN, above 0. 1 is the rule as published: the
    /// variance of training, and that of the training images within their classes.
    ///
    /// With a smaller factor the nearest ones count more. Choose it on validation images.
    pub vote_variance: f64,
    /// The k of recall@k.
    pub recall_at: Vec<usize>,
    /// Who looks for whom: `self` (each held-out image among the others), `split` (as the table marks queries and gallery) or
    /// `train-gallery` (held-out images among training images). If absent: `split` where the table marks rows, else
    /// `train-gallery` for classes that were trained on and `self` for others.
    pub mode: Option<Mode>,
    /// Whether the test images are evaluated at the end. Set it to `false` in runs that only choose settings: the report is
    /// then on the validation images, and there is no test error to look at.
    pub test: bool,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self {
            bs_val: 64,
            nearest_clusters: 128,
            nearest_neighbours: 128,
            vote_variance: 1.0,
            recall_at: vec![1, 2, 4, 8],
            mode: None,
            test: true,
        }
    }
}

impl RunConfig {
    /// The same network without the file that it starts from, for a run whose weights are in a checkpoint.
    pub(crate) fn without_weights(&self) -> Self {
        let mut config = self.clone();
        config.model.weights = None;
        config
    }

    /// How a picture becomes the network's input; the model file of the run carries the same.
    pub fn preprocessing(&self) -> Preprocessing {
        let usual = self.model.network.preprocessing();
        let usual = match self.model.image_size {
            Some(side) => usual.with_crop(side),
            None => usual,
        };
        Preprocessing {
            orientation: self.data.orientation,
            ..usual
        }
    }

    /// Learning rates of trunk, head and loss when the schedule stands at `factor`.
    pub(crate) fn rates(&self, factor: f64) -> [f64; 3] {
        let own = self.optimizer.loss_rate * self.loss.learning_rate_factor();
        [self.optimizer.trunk_rate, self.optimizer.head_rate, own].map(|rate| rate * factor)
    }

    /// Checks every setting once, before anything is read or computed.
    ///
    /// # Errors
    /// A sentence that names the key, its value and what it must be.
    pub fn validate(&self) -> Result<(), TrainError> {
        let wrong = |reason: String| Err(TrainError::Setting { reason });
        bounds::check(self).or_else(wrong)?;
        if !(0.0..1.0).contains(&self.data.validation) {
            return wrong(format!(
                "data.validation is {}, must be in [0, 1)",
                self.data.validation
            ));
        }
        if !(0.0..1.0).contains(&self.data.validation_classes) {
            return wrong(format!(
                "data.validation_classes is {}, must be in [0, 1)",
                self.data.validation_classes
            ));
        }
        if self.data.validation > 0.0 && self.data.validation_classes > 0.0 {
            return wrong(format!(
                "data.validation is {} and data.validation_classes is {}: settings are chosen on images of trained classes or on \
                 classes held out, so one of them must be 0",
                self.data.validation, self.data.validation_classes
            ));
        }
        if self.data.threads == 0 {
            return wrong("data.threads is 0, must be at least 1".into());
        }
        if let Err(error) = self.data.augmentation.validate() {
            return wrong(format!("data.{error}"));
        }
        if let Err(error) = self.model.embedder().validate() {
            return wrong(format!("model.{error}"));
        }
        if self.model.image_size == Some(0) {
            return wrong("model.image_size is 0, must be at least 1".into());
        }
        if let Some(auxiliary) = &self.model.auxiliary {
            auxiliary.validate().or_else(wrong)?;
            if let Some(stage) = &self.model.freeze_until {
                return wrong(format!(
                    "model.auxiliary is set and model.freeze_until is {stage}: auxiliary classifiers train the lower layers, \
                     which are frozen"
                ));
            }
        }
        if self.model.frozen_views > 0 && self.model.freeze_until.is_none() {
            return wrong(format!(
                "model.frozen_views is {}, which needs model.freeze_until",
                self.model.frozen_views
            ));
        }
        if let PlanConfig::Importance(_) | PlanConfig::Union(_) = self.sampler
            && !matches!(self.loss, LossConfig::Magnet(_))
        {
            return wrong(format!(
                "sampler.kind is {}, whose weights only the magnet loss reads",
                self.sampler.name()
            ));
        }
        if let LossConfig::Magnet(magnet) = &self.loss
            && magnet.detach_variance
            && matches!(
                self.sampler,
                PlanConfig::Importance(_) | PlanConfig::Union(_)
            )
        {
            return wrong(format!(
                "loss.detach_variance is true, which the weighted magnet loss of sampler.kind = \"{}\" does not support",
                self.sampler.name()
            ));
        }
        if let LossConfig::ProxyNca(loss) = &self.loss
            && loss.form == ProxyNcaForm::Paper
            && self.sampler.reads_losses()
        {
            return wrong(format!(
                "loss.form is paper, whose values may be negative, and sampler.kind is {}, which draws in proportion to them",
                self.sampler.name()
            ));
        }
        if self.loss.wants_clusters() {
            let groups = match &self.sampler {
                PlanConfig::Shuffled(_) | PlanConfig::Balanced(_) => {
                    return wrong(format!(
                        "sampler.kind is {}, which may draw batches of one class or of single examples; this loss needs clusters",
                        self.sampler.name()
                    ));
                }
                PlanConfig::PerClass(plan) => Some([plan.classes_per_batch, plan.images_per_class]),
                PlanConfig::HardClasses(plan) => {
                    Some([plan.classes_per_batch, plan.images_per_class])
                }
                PlanConfig::Neighbourhood(_) | PlanConfig::Importance(_) | PlanConfig::Union(_) => {
                    None
                }
            };
            let fields = ["classes_per_batch", "images_per_class"];
            let few = fields.into_iter().zip(groups.into_iter().flatten());
            if let Some((field, count)) = few.into_iter().find(|&(_, count)| count < 2) {
                return wrong(format!(
                    "sampler.{field} is {count}, must be at least 2: this loss needs imposters, and a spread in each class"
                ));
            }
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
        if self.evaluation.recall_at.contains(&0) {
            return wrong("evaluation.recall_at holds 0, must be at least 1".into());
        }
        let factor = self.evaluation.vote_variance;
        if !(factor > 0.0 && factor.is_finite()) {
            return wrong(format!(
                "evaluation.vote_variance is {factor}, must be a number above 0"
            ));
        }
        self.train.validate().or_else(wrong)?;
        if self.train.refresh_source == RefreshSource::Fused && !self.sampler.needs_index() {
            return wrong(format!(
                "train.refresh_source is fused, but sampler.kind is {}, which has no index",
                self.sampler.name()
            ));
        }
        self.loss.validate().map_err(|error| TrainError::Setting {
            reason: format!("loss: {error}"),
        })?;
        self.optimizer.validate().or_else(wrong)?;
        self.schedule.validate().or_else(wrong)
    }
}

impl TrainConfig {
    fn validate(&self) -> Result<(), String> {
        let counts = [
            ("images", self.images),
            ("accumulate", self.accumulate),
            ("look_period", self.look_period),
        ];
        if let Some((key, _)) = counts.iter().find(|(_, value)| *value == 0) {
            return Err(format!("train.{key} is 0, must be at least 1"));
        }
        if !(self.minutes >= 0.0 && self.minutes.is_finite()) {
            return Err(format!(
                "train.minutes is {}, must be at least 0",
                self.minutes
            ));
        }
        if !(0.0..1.0).contains(&self.average_decay) {
            return Err(format!(
                "train.average_decay is {}, must be in [0, 1)",
                self.average_decay
            ));
        }
        if let (Some(watch), 0) = (&self.watch, self.valid_period) {
            return Err(format!(
                "train.watch is {watch}, which needs train.valid_period"
            ));
        }
        if self.patience > 0 && self.valid_period == 0 {
            return Err(format!(
                "train.patience is {}, which needs train.valid_period",
                self.patience
            ));
        }
        self.refresh
            .validate()
            .map_err(|error| format!("train.refresh: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::run_file;

    #[test]
    fn every_run_file_of_the_repository_is_understood() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut read = 0;
        for set in root.join("datasets").read_dir().unwrap() {
            for file in set.unwrap().path().read_dir().into_iter().flatten() {
                let file = file.unwrap().path();
                if file.extension().is_some_and(|ending| ending == "toml") {
                    let config: Result<RunConfig, _> = run_file::read(&file, &[]);
                    assert!(config.is_ok(), "{}: {config:?}", file.display());
                    read += 1;
                }
            }
        }
        assert!(read >= 9, "{read}");
    }
}
