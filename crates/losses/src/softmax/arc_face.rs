//! ArcFace: Deng et al., *ArcFace: Additive Angular Margin Loss for Deep Face Recognition*, CVPR 2019; with several centres
//! a class: Deng et al., *Sub-center ArcFace*, ECCV 2020.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::cross_entropy::{cross_entropy_with_margin, target};
use crate::construct::settings;
use crate::error::{ConfigError, above_zero, require};
use crate::on_classes::{OnClasses, on_classes};
use crate::output::LossOutput;
use crate::proxies::Prototypes;
use crate::tensors::label_mask;

/// Checks the margin, which must not turn past a right angle.
fn acute(field: &'static str, degrees: f64) -> Result<(), ConfigError> {
    let holds = (0.0..90.0).contains(&degrees);
    require(holds, field, degrees, "must be 0 or more and below 90")
}

settings! {
    /// Settings of [`ArcFaceLoss`] with one weight a class.
    pub struct ArcFaceLossConfig => ArcFaceLoss, with_parameters {
        /// What is added to the angle to the own class, in degrees. Default 28.6, the paper's 0.5 radians.
        pub margin_degrees: f64 = 28.6, with_margin_degrees, acute;
        /// What cosines are multiplied by. Default 64, as in the paper.
        pub scale: f64 = 64.0, with_scale, above_zero;
        /// Learning rate of the class weights, as a multiple of the network's. Default 1: they learn as fast as the network.
        pub learning_rate_factor: f64 = 1.0, with_learning_rate_factor, above_zero;
    }
}

impl ArcFaceLossConfig {
    fn build(&self, embedding_size: usize, classes: usize, device: &Device) -> ArcFaceLoss {
        let one = SubCenterArcFaceLossConfig {
            centers_per_class: 1,
            margin_degrees: self.margin_degrees,
            scale: self.scale,
            learning_rate_factor: self.learning_rate_factor,
        };
        one.build(embedding_size, classes, device)
    }
}

settings! {
    /// Settings of [`ArcFaceLoss`] with several centres a class, so that noisy or varied classes need not share one.
    pub struct SubCenterArcFaceLossConfig => ArcFaceLoss, with_parameters {
        /// Centres per class. Default 3, as in the paper.
        pub centers_per_class: usize = 3, with_centers_per_class, above_zero;
        /// What is added to the angle to the own class, in degrees. Default 28.6, the paper's 0.5 radians.
        pub margin_degrees: f64 = 28.6, with_margin_degrees, acute;
        /// What cosines are multiplied by. Default 64, as in the paper.
        pub scale: f64 = 64.0, with_scale, above_zero;
        /// Learning rate of the centres, as a multiple of the network's. Default 1: they learn as fast as the network.
        pub learning_rate_factor: f64 = 1.0, with_learning_rate_factor, above_zero;
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

on_classes! {
    ArcFaceLoss, "`[batch, dim]`, of any length";
    /// Loss of a batch. Reports [`Statistic::Accuracy`](crate::Statistic::Accuracy), without the margin.
    forward;
    /// Scaled cosine to each class's nearest centre `[batch, classes]`, without margin; the highest is the prediction.
    logits;
}

impl OnClasses for ArcFaceLoss {
    fn scores(&self, embeddings: Tensor<2>) -> Tensor<2> {
        self.cosines(embeddings) * self.scale
    }

    fn of_labels(&self, embeddings: Tensor<2>, labels: &[usize]) -> LossOutput {
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
}

impl ArcFaceLoss {
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
