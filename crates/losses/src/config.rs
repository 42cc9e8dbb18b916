//! The choice of a loss and its settings, as a run file spells it.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::error::ConfigError;
use crate::loss::Loss;
use crate::magnet::MagnetLossConfig;
use crate::softmax::SoftmaxLossConfig;
use crate::triplet::TripletLossConfig;

/// Which loss, with its settings. In a file the field `kind` names it, missing settings take their defaults, and
/// unknown ones are errors.
///
/// # Example
/// ```
/// use lodestone_losses::LossConfig;
///
/// let config: LossConfig = serde_json::from_str(r#"{ "kind": "magnet", "gap": 7.18 }"#).unwrap();
/// config.validate().unwrap();
/// assert!(!config.wants_unit_length());
/// assert!(serde_json::from_str::<LossConfig>(r#"{ "kind": "magnet", "gapp": 7.18 }"#).is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LossConfig {
    /// Magnet loss.
    Magnet(MagnetLossConfig),
    /// Softmax cross-entropy.
    Softmax(SoftmaxLossConfig),
    /// Triplet loss.
    Triplet(TripletLossConfig),
}

/// How embeddings trained with a loss are evaluated as a classifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassRule {
    /// The class with the highest of [`Loss::logits`].
    HighestScore,
    /// Soft vote of the nearest training examples.
    NearestNeighbours,
    /// Soft vote of the nearest cluster centres of the training set.
    NearestClusters,
}

impl LossConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// The first setting that is out of range, with its value.
    pub fn validate(&self) -> Result<(), ConfigError> {
        match self {
            LossConfig::Magnet(config) => config.validate(),
            LossConfig::Softmax(config) => config.validate(),
            LossConfig::Triplet(config) => config.validate(),
        }
    }

    /// Makes the loss. Parameters are drawn from the device's generator: seed it first.
    pub fn init(&self, embedding_size: usize, classes: usize, device: &Device) -> Loss {
        match self {
            LossConfig::Magnet(config) => Loss::Magnet(config.init()),
            LossConfig::Softmax(config) => Loss::Softmax(config.init(embedding_size, classes, device)),
            LossConfig::Triplet(config) => Loss::Triplet(config.init()),
        }
    }

    /// Whether the embedder should end with unit-length rows. Magnet has a length scale of its own and must not; a linear
    /// classifier needs none.
    pub fn wants_unit_length(&self) -> bool {
        match self {
            LossConfig::Magnet(_) | LossConfig::Softmax(_) => false,
            LossConfig::Triplet(_) => true,
        }
    }

    /// Whether batches must come as neighbourhoods of clusters, see [`Labels::with_clusters`](crate::Labels::with_clusters).
    pub fn wants_clusters(&self) -> bool {
        matches!(self, LossConfig::Magnet(_))
    }

    /// The rule by which the trained embedding is judged as a classifier.
    pub fn class_rule(&self) -> ClassRule {
        match self {
            LossConfig::Magnet(_) => ClassRule::NearestClusters,
            LossConfig::Softmax(_) => ClassRule::HighestScore,
            LossConfig::Triplet(_) => ClassRule::NearestNeighbours,
        }
    }

    /// Learning rate of the loss's own parameters, as a multiple of the network's.
    pub fn learning_rate_factor(&self) -> f64 {
        match self {
            LossConfig::Softmax(config) => config.learning_rate_factor,
            LossConfig::Magnet(_) | LossConfig::Triplet(_) => 1.0,
        }
    }
}
