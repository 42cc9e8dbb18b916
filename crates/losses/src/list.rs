//! The closed list of losses: [`LossConfig`], as a run file spells it, and [`Loss`], the one call that a training loop makes.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::construct::{Make, valid};
use crate::error::ConfigError;
use crate::labels::Labels;
use crate::magnet::*;
use crate::output::LossOutput;
use crate::pairs::*;
use crate::proxies::*;
use crate::softmax::*;
use crate::triplet::*;

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

/// What the list asks of every loss.
pub(crate) trait Listed {
    const RULE: ClassRule;

    fn of_batch(&self, embeddings: Tensor<2>, labels: &Labels<'_>) -> LossOutput;

    /// Score of each class, for losses that learn the classes.
    fn logits(&self, _: Tensor<2>) -> Option<Tensor<2>> {
        None
    }
}

/// Writes [`LossConfig`] and [`Loss`] from a table of names in files, settings, and the loss that they make.
macro_rules! losses {
    (
        losses { $($(#[$doc:meta])* $name:literal $kind:ident($config:ident => $loss:ident),)* }
        further_settings {
            $($(#[$more_doc:meta])* $more_name:literal $more:ident($more_config:ident => $of:ident($of_loss:ident)),)*
        }
    ) => {
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
        #[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
        #[serde(tag = "kind")]
        pub enum LossConfig {
            $($(#[$doc])* #[serde(rename = $name)] $kind($config),)*
            $($(#[$more_doc])* #[serde(rename = $more_name)] $more($more_config),)*
        }

        /// A loss made from a [`LossConfig`]. A burn module: losses with parameters are trained with the network.
        #[derive(Module, Debug)]
        pub enum Loss {
            $(#[doc = concat!("See [`", stringify!($loss), "`].")] $kind($loss),)*
        }

        impl LossConfig {
            /// Every `kind` that a file can name.
            pub const KINDS: [&'static str; [$($name,)* $($more_name),*].len()] =
                [$($name,)* $($more_name),*];

            /// Checks every setting.
            ///
            /// # Errors
            /// The first setting that is out of range, with its value.
            pub fn validate(&self) -> Result<(), ConfigError> {
                match self {
                    $(LossConfig::$kind(config) => config.validate(),)*
                    $(LossConfig::$more(config) => config.validate(),)*
                }
            }

            /// Makes the loss. Parameters are drawn from the device's generator: seed it first.
            ///
            /// # Errors
            /// The first setting that is out of range, with its value.
            pub fn try_init(
                &self,
                embedding_size: usize,
                classes: usize,
                device: &Device,
            ) -> Result<Loss, ConfigError> {
                Ok(match self {
                    $(LossConfig::$kind(config) => Loss::$kind(config.make(embedding_size, classes, device)?),)*
                    $(LossConfig::$more(config) => Loss::$of(config.make(embedding_size, classes, device)?),)*
                })
            }

            /// The rule by which the trained embedding is judged as a classifier.
            pub fn class_rule(&self) -> ClassRule {
                match self {
                    $(LossConfig::$kind(_) => <$loss as Listed>::RULE,)*
                    $(LossConfig::$more(_) => <$of_loss as Listed>::RULE,)*
                }
            }

            /// Learning rate of the loss's own parameters, as a multiple of the network's; 1 for losses without parameters.
            pub fn learning_rate_factor(&self) -> f64 {
                match self {
                    $(LossConfig::$kind(config) => config.learning_rate_factor(),)*
                    $(LossConfig::$more(config) => config.learning_rate_factor(),)*
                }
            }
        }

        impl Loss {
            /// Loss of a batch of embeddings `[batch, dim]`.
            ///
            /// # Panics
            /// As the loss itself: if embeddings and labels differ in length, if a label is not below the number of classes of a
            /// loss that learns them, and for magnet if all clusters share one class.
            pub fn forward<'a>(&self, embeddings: Tensor<2>, labels: impl Into<Labels<'a>>) -> LossOutput {
                let labels: Labels<'a> = labels.into();
                match self {
                    $(Loss::$kind(loss) => Listed::of_batch(loss, embeddings, &labels),)*
                }
            }

            /// Score of each class `[batch, classes]`, for losses that learn the classes; the highest is the prediction.
            pub fn logits(&self, embeddings: Tensor<2>) -> Option<Tensor<2>> {
                match self {
                    $(Loss::$kind(loss) => Listed::logits(loss, embeddings),)*
                }
            }
        }
    };
}

losses! {
    losses {
        /// ArcFace: softmax over cosines, with a margin added to the angle to the own class.
        "arc_face" ArcFace(ArcFaceLossConfig => ArcFaceLoss),
        /// Contrastive: pulls pairs of a class below one distance, pushes other pairs beyond another.
        "contrastive" Contrastive(ContrastiveLossConfig => ContrastiveLoss),
        /// CosFace: softmax over cosines, with a margin taken off the cosine of the own class.
        "cos_face" CosFace(CosFaceLossConfig => CosFaceLoss),
        /// KL pairwise: embeddings as distributions over clusters, whose divergence is small within a class.
        "kl_pairwise" KlPairwise(KlPairwiseLossConfig => KlPairwiseLoss),
        /// Magnet: pulls each example to the mean of its own cluster, away from clusters of other classes.
        "magnet" Magnet(MagnetLossConfig => MagnetLoss),
        /// Multi-Similarity: soft sums over mined positive and negative pairs of each anchor.
        "multi_similarity" MultiSimilarity(MultiSimilarityLossConfig => MultiSimilarityLoss),
        /// Normalised softmax: cross-entropy over cosines to one vector a class.
        "normalized_softmax" NormalizedSoftmax(NormalizedSoftmaxLossConfig => NormalizedSoftmaxLoss),
        /// NT-Xent: softmax cross-entropy of each positive pair among the negatives of its anchor.
        "nt_xent" NtXent(NtXentLossConfig => NtXentLoss),
        /// Proxy-Anchor: one proxy a class, which pulls the hard examples of its class most.
        "proxy_anchor" ProxyAnchor(ProxyAnchorLossConfig => ProxyAnchorLoss),
        /// Proxy-NCA: each example is drawn to the proxy of its class, away from the others.
        "proxy_nca" ProxyNca(ProxyNcaLossConfig => ProxyNcaLoss),
        /// RepMet: several learned modes a class, each a Gaussian in the embedding.
        "rep_met" RepMet(RepMetLossConfig => RepMetLoss),
        /// SoftTriple: softmax over several learned centres a class.
        "soft_triple" SoftTriple(SoftTripleLossConfig => SoftTripleLoss),
        /// Softmax: cross-entropy of a linear classifier over the embedding.
        "softmax" Softmax(SoftmaxLossConfig => SoftmaxLoss),
        /// SupCon: supervised contrastive, all positives of an anchor against all other examples.
        "sup_con" SupCon(SupConLossConfig => SupConLoss),
        /// Triplet: a positive nearer to the anchor than a negative, by a margin.
        "triplet" Triplet(TripletLossConfig => TripletLoss),
    }
    further_settings {
        /// Sub-centre ArcFace: ArcFace with several vectors a class, of which the nearest counts.
        "sub_center_arc_face" SubCenterArcFace(SubCenterArcFaceLossConfig => ArcFace(ArcFaceLoss)),
    }
}

impl LossConfig {
    /// Makes the loss. Parameters are drawn from the device's generator: seed it first.
    ///
    /// # Panics
    /// If a setting is out of range, with its name and value; see [`try_init`](Self::try_init) for settings that a user wrote.
    #[track_caller]
    pub fn init(&self, embedding_size: usize, classes: usize, device: &Device) -> Loss {
        valid("LossConfig", self.try_init(embedding_size, classes, device))
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
