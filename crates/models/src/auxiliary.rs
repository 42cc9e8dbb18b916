//! Classifiers on maps below the top, which send gradient into the lower layers while a network is trained from random weights.

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::activation::relu;
use burn::tensor::{DType, Device, Tensor};
use lodestone_kernels::global_average;

use crate::conv_unit::{ConvUnit, ConvUnitConfig};
use crate::dense::Dense;
use crate::initialise::Initialiser;
use crate::layer_cost::LayerCost;
use crate::pool::{AveragePool, adaptive_average};
use crate::weights::Slot;

/// Side of the map that GoogLeNet's auxiliary classifiers average to.
const GOOGLENET_SIDE: usize = 4;

/// A classifier on the maps behind a stage.
#[derive(Module, Debug)]
pub(crate) struct AuxiliaryHead {
    /// Name of the stage whose maps it reads.
    pub(crate) stage: String,
    layers: AuxiliaryLayers,
    last: Dense,
}

#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a network has at most two of them"
)]
enum AuxiliaryLayers {
    GoogLeNet(GoogLeNetLayers),
    InceptionV3(InceptionV3Layers),
}

#[derive(Module, Debug)]
struct GoogLeNetLayers {
    reduce: ConvUnit,
    hidden: Dense,
    dropout: Dropout,
}

#[derive(Module, Debug)]
struct InceptionV3Layers {
    pool: AveragePool,
    conv0: ConvUnit,
    conv1: ConvUnit,
}

/// GoogLeNet's: mean to 4×4, 1×1 convolution, a hidden layer of 1024, dropout, classes.
pub(crate) struct GoogLeNetAuxiliaryConfig<'a> {
    pub(crate) reduce: ConvUnitConfig,
    pub(crate) hidden: &'a str,
    pub(crate) last: &'a str,
    pub(crate) classes: usize,
    pub(crate) dropout: f64,
    pub(crate) initialiser: Initialiser,
}

impl GoogLeNetAuxiliaryConfig<'_> {
    pub(crate) fn init(&self, stage: &str, seed: u64, device: &Device) -> AuxiliaryHead {
        let start = [self.initialiser, Initialiser::UniformFanIn];
        let flat = self.reduce.channels[1] * GOOGLENET_SIDE * GOOGLENET_SIDE;
        let layers = GoogLeNetLayers {
            reduce: self.reduce.init(seed, device),
            hidden: Dense::new(self.hidden, [flat, 1024], start, seed, device),
            dropout: DropoutConfig::new(self.dropout).init(),
        };
        AuxiliaryHead {
            stage: stage.to_owned(),
            layers: AuxiliaryLayers::GoogLeNet(layers),
            last: Dense::new(self.last, [1024, self.classes], start, seed, device),
        }
    }
}

/// Inception V3's: 5×5 mean with stride 3, 1×1 and 5×5 convolutions, mean over what is left, classes.
pub(crate) struct InceptionV3AuxiliaryConfig<'a> {
    pub(crate) conv0: ConvUnitConfig,
    pub(crate) conv1: ConvUnitConfig,
    pub(crate) last: &'a str,
    pub(crate) classes: usize,
    pub(crate) initialiser: Initialiser,
}

impl InceptionV3AuxiliaryConfig<'_> {
    pub(crate) fn init(&self, stage: &str, seed: u64, device: &Device) -> AuxiliaryHead {
        let start = [self.initialiser, Initialiser::UniformFanIn];
        let layers = InceptionV3Layers {
            pool: AveragePool {
                size: 5,
                stride: 3,
                padding: 0,
            },
            conv0: self.conv0.init(seed, device),
            conv1: self.conv1.init(seed, device),
        };
        let sizes = [self.conv1.channels[1], self.classes];
        AuxiliaryHead {
            stage: stage.to_owned(),
            layers: AuxiliaryLayers::InceptionV3(layers),
            last: Dense::new(self.last, sizes, start, seed, device),
        }
    }
}

impl AuxiliaryHead {
    /// Logits `[n, classes]` from the maps `[n, maps, h, w]` of its stage.
    pub(crate) fn forward(&self, maps: Tensor<4>) -> Tensor<2> {
        self.last.forward(match &self.layers {
            AuxiliaryLayers::GoogLeNet(layers) => {
                let small = adaptive_average(maps, GOOGLENET_SIDE);
                // The layers behind are small and stay in f32 whatever the maps are.
                let flat = layers.reduce.forward(small).flatten(1, 3).cast(DType::F32);
                layers.dropout.forward(relu(layers.hidden.forward(flat)))
            }
            AuxiliaryLayers::InceptionV3(layers) => {
                let small = layers.pool.forward(maps);
                global_average(layers.conv1.forward(layers.conv0.forward(small)))
            }
        })
    }

    /// Costs for maps of `[maps, height, width]`; none if they are too small.
    pub(crate) fn trace(&self, shape: [usize; 3], costs: &mut Vec<LayerCost>) -> Option<()> {
        match &self.layers {
            AuxiliaryLayers::GoogLeNet(layers) => {
                let side = GOOGLENET_SIDE;
                layers.reduce.trace([shape[0], side, side], costs)?;
                costs.push(layers.hidden.cost());
            }
            AuxiliaryLayers::InceptionV3(layers) => {
                let reduced = layers.conv0.trace(layers.pool.trace(shape)?, costs)?;
                layers.conv1.trace(reduced, costs)?;
            }
        }
        costs.push(self.last.cost());
        Some(())
    }

    /// The layer over the classes.
    pub(crate) fn last(&self) -> &Dense {
        &self.last
    }

    pub(crate) fn slots<'a>(&'a mut self, slots: &mut Vec<Slot<'a>>) {
        match &mut self.layers {
            AuxiliaryLayers::GoogLeNet(layers) => {
                layers.reduce.slots(slots);
                layers.hidden.slots(slots);
            }
            AuxiliaryLayers::InceptionV3(layers) => {
                layers.conv0.slots(slots);
                layers.conv1.slots(slots);
            }
        }
        self.last.slots(slots);
    }
}
