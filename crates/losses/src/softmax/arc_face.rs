//! ArcFace: Deng et al., *ArcFace: Additive Angular Margin Loss for Deep Face Recognition*, CVPR 2019; with several centres
//! a class: Deng et al., *Sub-center ArcFace*, ECCV 2020.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::cross_entropy::{cross_entropy_with_margin, target};
use crate::construct::construct;
use crate::error::{ConfigError, require};
use crate::labels::Labels;
use crate::output::LossOutput;
use crate::proxies::Prototypes;
use crate::tensors::label_mask;

/// Settings of [`ArcFaceLoss`] with one weight a class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ArcFaceLossConfig {
    /// What is added to the angle to the own class, in degrees. Default 28.6, the paper's 0.5 radians.
    pub margin_degrees: f64,
    /// What cosines are multiplied by. Default 64, as in the paper.
    pub scale: f64,
    /// Learning rate of the class weights, as a multiple of the network's. Default 1: they learn as fast as the network.
    pub learning_rate_factor: f64,
}

impl Default for ArcFaceLossConfig {
    fn default() -> Self {
        ArcFaceLossConfig {
            margin_degrees: 28.6,
            scale: 64.0,
            learning_rate_factor: 1.0,
        }
    }
}

construct! {
    ArcFaceLossConfig => ArcFaceLoss, with_parameters {
        with_margin_degrees(margin_degrees: f64),
        with_scale(scale: f64),
        with_learning_rate_factor(learning_rate_factor: f64),
    }
}

impl ArcFaceLossConfig {
    fn build(&self, embedding_size: usize, classes: usize, device: &Device) -> ArcFaceLoss {
        let weights = Prototypes::init(classes, 1, embedding_size, device);
        ArcFaceLoss {
            weights,
            margin: self.margin_degrees.to_radians(),
            scale: self.scale,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let margin = self.margin_degrees;
        require(
            (0.0..90.0).contains(&margin),
            "margin_degrees",
            margin,
            "must be 0 or more and below 90",
        )?;
        require(self.scale > 0.0, "scale", self.scale, "must be above 0")?;
        require(
            self.learning_rate_factor > 0.0,
            "learning_rate_factor",
            self.learning_rate_factor,
            "must be above 0",
        )
    }
}

/// Settings of [`ArcFaceLoss`] with several centres a class, so that noisy or varied classes need not share one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SubCenterArcFaceLossConfig {
    /// Centres per class. Default 3, as in the paper.
    pub centers_per_class: usize,
    /// What is added to the angle to the own class, in degrees. Default 28.6, the paper's 0.5 radians.
    pub margin_degrees: f64,
    /// What cosines are multiplied by. Default 64, as in the paper.
    pub scale: f64,
    /// Learning rate of the centres, as a multiple of the network's. Default 1: they learn as fast as the network.
    pub learning_rate_factor: f64,
}

impl Default for SubCenterArcFaceLossConfig {
    fn default() -> Self {
        let ArcFaceLossConfig {
            margin_degrees,
            scale,
            learning_rate_factor,
        } = ArcFaceLossConfig::default();
        SubCenterArcFaceLossConfig {
            centers_per_class: 3,
            margin_degrees,
            scale,
            learning_rate_factor,
        }
    }
}

construct! {
    SubCenterArcFaceLossConfig => ArcFaceLoss, with_parameters {
        with_centers_per_class(centers_per_class: usize),
        with_margin_degrees(margin_degrees: f64),
        with_scale(scale: f64),
        with_learning_rate_factor(learning_rate_factor: f64),
    }
}

impl SubCenterArcFaceLossConfig {
    fn build(&self, embedding_size: usize, classes: usize, device: &Device) -> ArcFaceLoss {
        let weights = Prototypes::init(classes, self.centers_per_class, embedding_size, device);
        ArcFaceLoss {
            weights,
            margin: self.margin_degrees.to_radians(),
            scale: self.scale,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        require(
            self.centers_per_class > 0,
            "centers_per_class",
            self.centers_per_class,
            "must be above 0",
        )?;
        let &Self {
            margin_degrees,
            scale,
            learning_rate_factor,
            ..
        } = self;
        ArcFaceLossConfig {
            margin_degrees,
            scale,
            learning_rate_factor,
        }
        .validate()
    }
}

/// ArcFace: cross-entropy of cosines, with a margin `m` on the **angle** to the own class.
///
/// With `t` the angle to the nearest centre of a class:
///
/// ```text
/// L = cross-entropy of scale · (cos(t_ic + m) if c = y_i, else cos(t_ic))
/// ```
///
/// In nats. Beyond `π - m`, where `cos(t + m)` would grow again, the own class has `cos(t) - m sin(m)`, with `m` in radians.
/// Half precision is widened to f32 first.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use lodestone_losses::{ArcFaceLossConfig, SubCenterArcFaceLossConfig};
///
/// let device = Device::flex();
/// let embeddings = Tensor::<2>::from_data([[0.5, -1.0], [2.0, 0.0]], &device);
/// let plain = ArcFaceLossConfig::default().init(2, 3, &device);
/// assert!(plain.forward(embeddings.clone(), &[0, 2]).read().mean > 0.0);
/// let with_centres = SubCenterArcFaceLossConfig::default().init(2, 3, &device);
/// assert!(with_centres.forward(embeddings, &[0, 2]).read().mean > 0.0);
/// ```
///
/// Source: Deng et al., *ArcFace: Additive Angular Margin Loss for Deep Face Recognition*, CVPR 2019; several centres: Deng et
/// al., *Sub-center ArcFace*, ECCV 2020.
#[derive(Module, Debug)]
pub struct ArcFaceLoss {
    pub(crate) weights: Prototypes,
    margin: f64,
    scale: f64,
}

impl ArcFaceLoss {
    /// Loss of a batch. Reports [`Statistic::Accuracy`](crate::Statistic::Accuracy), without the margin.
    ///
    /// # Shapes
    /// - embeddings: `[batch, dim]`, of any length
    /// - labels: `[batch]`, each below the number of classes
    ///
    /// # Panics
    /// If the lengths differ or a label is not below the number of classes.
    pub fn forward<'a>(&self, embeddings: Tensor<2>, labels: impl Into<Labels<'a>>) -> LossOutput {
        let labels: Labels<'a> = labels.into();
        let labels = labels.classes();
        let cosines = self.cosines(embeddings);
        let [n, classes] = cosines.dims();
        let own = label_mask(labels, classes, &cosines.device());
        let turned = self
            .turned_away(target(cosines.clone(), labels))
            .reshape([n, 1])
            .expand([n, classes]);
        let with_margin = cosines.clone().mask_where(own, turned);
        cross_entropy_with_margin(with_margin * self.scale, cosines, labels)
    }

    /// Scaled cosine to each class's nearest centre `[batch, classes]`, without margin; the highest is the prediction.
    pub fn logits(&self, embeddings: Tensor<2>) -> Tensor<2> {
        self.cosines(embeddings) * self.scale
    }

    fn cosines(&self, embeddings: Tensor<2>) -> Tensor<2> {
        let cosines = self.weights.cosines_by_class(embeddings);
        let [n, classes, _] = cosines.dims();
        cosines.max_dim(2).reshape([n, classes])
    }

    /// Cosine after the margin, from the cosine before.
    fn turned_away(&self, cosine: Tensor<1>) -> Tensor<1> {
        let (sine_of_margin, cosine_of_margin) = self.margin.sin_cos();
        // (1 - c)(1 + c) keeps the digits of 1 - c² near 1; below the floor the angle is 0 within f32, and its sine has no
        // usable slope.
        let squared_sine = (cosine.clone().neg() + 1.0) * (cosine.clone() + 1.0);
        let sine = squared_sine.clamp_min(1e-12).sqrt();
        let turned = cosine.clone() * cosine_of_margin - sine * sine_of_margin;
        let beyond = cosine.clone().inner().lower_scalar(-cosine_of_margin);
        turned.mask_where(beyond, cosine - self.margin * sine_of_margin)
    }
}
