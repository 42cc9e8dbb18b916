//! The choice of a loss and its settings, as a run file spells it.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::error::ConfigError;
use crate::loss::Loss;
use crate::magnet::MagnetLossConfig;
use crate::pairs::{
    ContrastiveLossConfig, KlPairwiseLossConfig, MultiSimilarityLossConfig, NtXentLossConfig,
    SupConLossConfig,
};
use crate::proxies::{
    ProxyAnchorLossConfig, ProxyNcaLossConfig, RepMetLossConfig, SoftTripleLossConfig,
};
use crate::softmax::{
    ArcFaceLossConfig, CosFaceLossConfig, NormalizedSoftmaxLossConfig, SoftmaxLossConfig,
    SubCenterArcFaceLossConfig,
};
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LossConfig {
    /// ArcFace: softmax over cosines, with a margin added to the angle to the own class.
    ArcFace(ArcFaceLossConfig),
    /// Contrastive: pulls pairs of a class below one distance, pushes other pairs beyond another.
    Contrastive(ContrastiveLossConfig),
    /// CosFace: softmax over cosines, with a margin taken off the cosine of the own class.
    CosFace(CosFaceLossConfig),
    /// KL pairwise: embeddings as distributions over clusters, whose divergence is small within a class.
    KlPairwise(KlPairwiseLossConfig),
    /// Magnet: pulls each example to the mean of its own cluster, away from clusters of other classes.
    Magnet(MagnetLossConfig),
    /// Multi-Similarity: soft sums over mined positive and negative pairs of each anchor.
    MultiSimilarity(MultiSimilarityLossConfig),
    /// Normalised softmax: cross-entropy over cosines to one vector a class.
    NormalizedSoftmax(NormalizedSoftmaxLossConfig),
    /// NT-Xent: softmax cross-entropy of each positive pair among the negatives of its anchor.
    NtXent(NtXentLossConfig),
    /// Proxy-Anchor: one proxy a class, which pulls the hard examples of its class most.
    ProxyAnchor(ProxyAnchorLossConfig),
    /// Proxy-NCA: each example is drawn to the proxy of its class, away from the others.
    ProxyNca(ProxyNcaLossConfig),
    /// RepMet: several learned modes a class, each a Gaussian in the embedding.
    RepMet(RepMetLossConfig),
    /// SoftTriple: softmax over several learned centres a class.
    SoftTriple(SoftTripleLossConfig),
    /// Softmax: cross-entropy of a linear classifier over the embedding.
    Softmax(SoftmaxLossConfig),
    /// Sub-centre ArcFace: ArcFace with several vectors a class, of which the nearest counts.
    SubCenterArcFace(SubCenterArcFaceLossConfig),
    /// SupCon: supervised contrastive, all positives of an anchor against all other examples.
    SupCon(SupConLossConfig),
    /// Triplet: a positive nearer to the anchor than a negative, by a margin.
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
    /// Every `kind` that a file can name, in alphabetical order.
    pub const KINDS: [&'static str; 16] = [
        "arc_face",
        "contrastive",
        "cos_face",
        "kl_pairwise",
        "magnet",
        "multi_similarity",
        "normalized_softmax",
        "nt_xent",
        "proxy_anchor",
        "proxy_nca",
        "rep_met",
        "soft_triple",
        "softmax",
        "sub_center_arc_face",
        "sup_con",
        "triplet",
    ];

    /// Checks every setting.
    ///
    /// # Errors
    /// The first setting that is out of range, with its value.
    pub fn validate(&self) -> Result<(), ConfigError> {
        match self {
            LossConfig::ArcFace(config) => config.validate(),
            LossConfig::Contrastive(config) => config.validate(),
            LossConfig::CosFace(config) => config.validate(),
            LossConfig::KlPairwise(config) => config.validate(),
            LossConfig::Magnet(config) => config.validate(),
            LossConfig::MultiSimilarity(config) => config.validate(),
            LossConfig::NormalizedSoftmax(config) => config.validate(),
            LossConfig::NtXent(config) => config.validate(),
            LossConfig::ProxyAnchor(config) => config.validate(),
            LossConfig::ProxyNca(config) => config.validate(),
            LossConfig::RepMet(config) => config.validate(),
            LossConfig::SoftTriple(config) => config.validate(),
            LossConfig::Softmax(config) => config.validate(),
            LossConfig::SubCenterArcFace(config) => config.validate(),
            LossConfig::SupCon(config) => config.validate(),
            LossConfig::Triplet(config) => config.validate(),
        }
    }

    /// Makes the loss. Parameters are drawn from the device's generator: seed it first.
    pub fn init(&self, embedding_size: usize, classes: usize, device: &Device) -> Loss {
        let (size, on) = (embedding_size, device);
        match self {
            LossConfig::ArcFace(config) => Loss::ArcFace(config.init(size, classes, on)),
            LossConfig::Contrastive(config) => Loss::Contrastive(config.init()),
            LossConfig::CosFace(config) => Loss::CosFace(config.init(size, classes, on)),
            LossConfig::KlPairwise(config) => Loss::KlPairwise(config.init()),
            LossConfig::Magnet(config) => Loss::Magnet(config.init()),
            LossConfig::MultiSimilarity(config) => Loss::MultiSimilarity(config.init()),
            LossConfig::NormalizedSoftmax(config) => {
                Loss::NormalizedSoftmax(config.init(size, classes, on))
            }
            LossConfig::NtXent(config) => Loss::NtXent(config.init()),
            LossConfig::ProxyAnchor(config) => Loss::ProxyAnchor(config.init(size, classes, on)),
            LossConfig::ProxyNca(config) => Loss::ProxyNca(config.init(size, classes, on)),
            LossConfig::RepMet(config) => Loss::RepMet(config.init(size, classes, on)),
            LossConfig::SoftTriple(config) => Loss::SoftTriple(config.init(size, classes, on)),
            LossConfig::Softmax(config) => Loss::Softmax(config.init(size, classes, on)),
            LossConfig::SubCenterArcFace(config) => Loss::ArcFace(config.init(size, classes, on)),
            LossConfig::SupCon(config) => Loss::SupCon(config.init()),
            LossConfig::Triplet(config) => Loss::Triplet(config.init()),
        }
    }

    /// Whether the embedder should end with unit-length rows. Magnet has a length scale of its own and must not; a linear
    /// classifier and a distribution over clusters need their logits free.
    pub fn wants_unit_length(&self) -> bool {
        !matches!(
            self,
            LossConfig::Magnet(_) | LossConfig::Softmax(_) | LossConfig::KlPairwise(_)
        )
    }

    /// Whether batches must come as neighbourhoods of clusters, see [`Labels::with_clusters`](crate::Labels::with_clusters).
    pub fn wants_clusters(&self) -> bool {
        matches!(self, LossConfig::Magnet(_))
    }

    /// The rule by which the trained embedding is judged as a classifier.
    pub fn class_rule(&self) -> ClassRule {
        match self {
            LossConfig::Magnet(_) => ClassRule::NearestClusters,
            LossConfig::ArcFace(_)
            | LossConfig::CosFace(_)
            | LossConfig::NormalizedSoftmax(_)
            | LossConfig::ProxyAnchor(_)
            | LossConfig::ProxyNca(_)
            | LossConfig::RepMet(_)
            | LossConfig::SoftTriple(_)
            | LossConfig::Softmax(_)
            | LossConfig::SubCenterArcFace(_) => ClassRule::HighestScore,
            LossConfig::Contrastive(_)
            | LossConfig::KlPairwise(_)
            | LossConfig::MultiSimilarity(_)
            | LossConfig::NtXent(_)
            | LossConfig::SupCon(_)
            | LossConfig::Triplet(_) => ClassRule::NearestNeighbours,
        }
    }

    /// Learning rate of the loss's own parameters, as a multiple of the network's; 1 for losses without parameters.
    pub fn learning_rate_factor(&self) -> f64 {
        match self {
            LossConfig::ArcFace(config) => config.learning_rate_factor,
            LossConfig::CosFace(config) => config.learning_rate_factor,
            LossConfig::NormalizedSoftmax(config) => config.learning_rate_factor,
            LossConfig::ProxyAnchor(config) => config.learning_rate_factor,
            LossConfig::ProxyNca(config) => config.learning_rate_factor,
            LossConfig::RepMet(config) => config.learning_rate_factor,
            LossConfig::SoftTriple(config) => config.learning_rate_factor,
            LossConfig::Softmax(config) => config.learning_rate_factor,
            LossConfig::SubCenterArcFace(config) => config.learning_rate_factor,
            LossConfig::Contrastive(_)
            | LossConfig::KlPairwise(_)
            | LossConfig::Magnet(_)
            | LossConfig::MultiSimilarity(_)
            | LossConfig::NtXent(_)
            | LossConfig::SupCon(_)
            | LossConfig::Triplet(_) => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_from_its_name_alone_and_survives_a_round_trip() {
        for kind in LossConfig::KINDS {
            let config: LossConfig =
                serde_json::from_value(serde_json::json!({ "kind": kind })).unwrap();
            config.validate().unwrap();
            let spelled = serde_json::to_string(&config).unwrap();
            assert_eq!(
                serde_json::from_str::<LossConfig>(&spelled).unwrap(),
                config
            );
            let unknown = serde_json::json!({ "kind": kind, "no_such_setting": 1 });
            let error = serde_json::from_value::<LossConfig>(unknown)
                .unwrap_err()
                .to_string();
            assert!(error.contains("no_such_setting"), "{kind}: {error}");
        }
    }

    #[test]
    fn a_setting_out_of_range_is_named_with_its_value() {
        let config: LossConfig =
            serde_json::from_str(r#"{ "kind": "magnet", "gap": -0.1 }"#).unwrap();
        assert_eq!(
            config.validate().unwrap_err().to_string(),
            "gap is -0.1, must be a number, 0 or more"
        );
        let config: LossConfig =
            serde_json::from_str(r#"{ "kind": "magnet", "temperature": 0.0 }"#).unwrap();
        assert_eq!(
            config.validate().unwrap_err().to_string(),
            "temperature is 0, must be a number above 0"
        );
        let config: LossConfig = serde_json::from_str(
            r#"{ "kind": "triplet", "mining": { "kind": "semi_hard", "margin": 0.0 } }"#,
        )
        .unwrap();
        assert_eq!(
            config.validate().unwrap_err().to_string(),
            "mining.margin is 0, must be a number above 0"
        );
    }
}
