//! GoogLeNet, the first Inception network (Szegedy et al., *Going deeper with convolutions*, arXiv 1409.4842).

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::conv_unit::{ConvUnitConfig, Shift};
use crate::initialise::Initialiser;
use crate::layer::Layer;
use crate::local_norm::LocalNorm;
use crate::pool::MaxPool;
use crate::trunk::Stage;

/// Which of the networks called GoogLeNet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoogLeNetForm {
    /// The Caffe replication of 2014: local response normalisation, biases, true 5×5 convolutions.
    Bvlc,
}

/// Description of GoogLeNet.
///
/// Stages, the same in all forms: `conv1`, `maxpool1`, `conv2`, `conv3`, `maxpool2`, `inception3a`, `inception3b`,
/// `maxpool3`, `inception4a` to `inception4e`, `maxpool4`, `inception5a`, `inception5b`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoogLeNetConfig {
    /// Which of the networks of that name.
    pub form: GoogLeNetForm,
}

/// Widths of an inception block.
struct Widths {
    name: &'static str,
    input: usize,
    /// 1×1 branch.
    one: usize,
    /// 3×3 branch: reduction and convolution.
    three: [usize; 2],
    /// 5×5 branch: reduction and convolution.
    five: [usize; 2],
    /// Projection behind the pooling branch.
    pool: usize,
}

impl GoogLeNetConfig {
    pub(crate) fn stages(&self, seed: u64, device: &Device) -> Vec<Stage> {
        Builder {
            form: self.form,
            seed,
            device,
        }
        .stages()
    }
}

struct Builder<'a> {
    form: GoogLeNetForm,
    seed: u64,
    device: &'a Device,
}

impl Builder<'_> {
    #[rustfmt::skip]
    fn stages(&self) -> Vec<Stage> {
        let pool = || self.max_pool(3, 2, 0);
        let block = |widths: Widths| self.block(widths);
        vec![
            Stage::new("conv1", vec![self.unit("conv1/7x7_s2", [3, 64], 7, 2)]),
            Stage::new("maxpool1", vec![pool(), Layer::LocalNorm(LocalNorm {})]),
            Stage::new("conv2", vec![self.unit("conv2/3x3_reduce", [64, 64], 1, 1)]),
            Stage::new("conv3", vec![self.unit("conv2/3x3", [64, 192], 3, 1), Layer::LocalNorm(LocalNorm {})]),
            Stage::new("maxpool2", vec![pool()]),
            block(Widths { name: "3a", input: 192, one: 64, three: [96, 128], five: [16, 32], pool: 32 }),
            block(Widths { name: "3b", input: 256, one: 128, three: [128, 192], five: [32, 96], pool: 64 }),
            Stage::new("maxpool3", vec![pool()]),
            block(Widths { name: "4a", input: 480, one: 192, three: [96, 208], five: [16, 48], pool: 64 }),
            block(Widths { name: "4b", input: 512, one: 160, three: [112, 224], five: [24, 64], pool: 64 }),
            block(Widths { name: "4c", input: 512, one: 128, three: [128, 256], five: [24, 64], pool: 64 }),
            block(Widths { name: "4d", input: 512, one: 112, three: [144, 288], five: [32, 64], pool: 64 }),
            block(Widths { name: "4e", input: 528, one: 256, three: [160, 320], five: [32, 128], pool: 128 }),
            Stage::new("maxpool4", vec![pool()]),
            block(Widths { name: "5a", input: 832, one: 256, three: [160, 320], five: [32, 128], pool: 128 }),
            block(Widths { name: "5b", input: 832, one: 384, three: [192, 384], five: [48, 128], pool: 128 }),
        ]
    }

    fn block(&self, widths: Widths) -> Stage {
        let Widths {
            name,
            input,
            one,
            three,
            five,
            pool,
        } = widths;
        let unit = |part: &str, channels, kernel| {
            self.unit(&format!("inception_{name}/{part}"), channels, kernel, 1)
        };
        let branches = Layer::branches(vec![
            vec![unit("1x1", [input, one], 1)],
            vec![
                unit("3x3_reduce", [input, three[0]], 1),
                unit("3x3", three, 3),
            ],
            vec![
                unit("5x5_reduce", [input, five[0]], 1),
                unit("5x5", five, 5),
            ],
            vec![self.max_pool(3, 1, 1), unit("pool_proj", [input, pool], 1)],
        ]);
        Stage::new(&format!("inception{name}"), vec![branches])
    }

    /// A convolution that keeps the size of its input, apart from its stride.
    fn unit(&self, name: &str, channels: [usize; 2], kernel: usize, stride: usize) -> Layer {
        let config = ConvUnitConfig {
            name: name.to_owned(),
            channels,
            kernel: [kernel; 2],
            stride,
            padding: [kernel / 2; 2],
            shift: Shift::Bias(0.2),
            initialiser: Initialiser::Xavier,
        };
        Layer::Conv(config.init(self.seed, self.device))
    }

    fn max_pool(&self, size: usize, stride: usize, padding: usize) -> Layer {
        Layer::MaxPool(MaxPool {
            size,
            stride,
            padding,
            round_up: true,
        })
    }
}
