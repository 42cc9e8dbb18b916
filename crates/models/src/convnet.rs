//! A small network for small images, quick enough to train on a processor in seconds.

use burn::tensor::Device;
use lodestone_kernels::Activation;
use serde::{Deserialize, Serialize};

use crate::conv_unit::{ConvUnitConfig, Shift};
use crate::initialise::Initialiser;
use crate::layer::Layer;
use crate::pool::MaxPool;
use crate::trunk::Stage;

/// Description of a small network: three blocks of 3×3 convolution, batch normalisation and ReLU, the width doubling from
/// block to block, the first two followed by 2×2 max pooling.
///
/// | at 1×28×28, width 32 | |
/// | --- | --- |
/// | maps | 32×14×14, 64×7×7, 128×7×7 |
/// | features | 128 |
/// | parameters | 92,896 |
/// | multiply-adds | 7.5 million |
/// | smallest image | 4×4 |
///
/// Stages: `block1`, `block2`, `block3`.
///
/// Source: this library; there is no paper to differ from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ConvNetConfig {
    /// Colour channels of the images: 1 for grey, 3 for colour.
    pub image_channels: usize,
    /// Maps of the first block.
    pub width: usize,
}

impl Default for ConvNetConfig {
    /// Grey images, 32 maps.
    fn default() -> Self {
        Self {
            image_channels: 1,
            width: 32,
        }
    }
}

impl ConvNetConfig {
    pub(crate) fn stages(&self, seed: u64, device: &Device) -> Vec<Stage> {
        let unit = |name: &str, channels| {
            let config = ConvUnitConfig {
                name: name.to_owned(),
                norm_name: None,
                channels,
                kernel: [3, 3],
                stride: 1,
                padding: [1, 1],
                shift: Shift::BatchNorm(1e-5),
                activation: Activation::Relu,
                initialiser: Initialiser::KaimingNormal,
            };
            Layer::Conv(config.init(seed, device))
        };
        let halve = || {
            Layer::MaxPool(MaxPool {
                size: 2,
                stride: 2,
                padding: 0,
                round_up: false,
            })
        };
        let width = self.width;
        vec![
            Stage::new(
                "block1",
                vec![unit("block1", [self.image_channels, width]), halve()],
            ),
            Stage::new("block2", vec![unit("block2", [width, 2 * width]), halve()]),
            Stage::new("block3", vec![unit("block3", [2 * width, 4 * width])]),
        ]
    }
}
