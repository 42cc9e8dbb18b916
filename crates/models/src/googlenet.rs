//! GoogLeNet, the first Inception network (Szegedy et al., *Going deeper with convolutions*, arXiv 1409.4842).

use burn::tensor::Device;
use lodestone_kernels::Activation;
use serde::{Deserialize, Serialize};

use crate::auxiliary::{AuxiliaryHead, GoogLeNetAuxiliaryConfig};
use crate::conv_unit::{ConvUnitConfig, Shift};
use crate::initialise::Initialiser;
use crate::layer::Layer;
use crate::local_norm::LocalNorm;
use crate::pool::MaxPool;
use crate::rescale::Rescale;
use crate::trunk::Stage;

/// Which of the networks called GoogLeNet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum GoogLeNetForm {
    /// The network of 2014 as Caffe replicated it: local response normalisation, biases, no batch normalisation.
    ///
    /// 6,998,552 parameters with a classifier over 1000 classes.
    Bvlc,
    /// The network whose weights torchvision publishes: batch normalisation, no local response normalisation, a 3×3
    /// convolution where the paper has 5×5, and 2×2 windows in the fourth pooling.
    ///
    /// 6,624,904 parameters with a classifier over 1000 classes.
    Torchvision,
    /// The paper's layers with batch normalisation: true 5×5 convolutions and 3×3 windows in every pooling.
    ///
    /// 7,005,832 parameters with a classifier over 1000 classes: two values of normalisation for each bias of `Bvlc`.
    Paper,
}

/// Description of GoogLeNet.
///
/// | at 3×224×224 | `bvlc` | `torchvision` | `paper` |
/// | --- | --- | --- | --- |
/// | last map | 1024×7×7 | 1024×7×7 | 1024×7×7 |
/// | features | 1024 | 1024 | 1024 |
/// | parameters without a classifier | 5,973,552 | 5,599,904 | 5,980,832 |
/// | multiply-adds, millions | 1,582 | 1,497 | 1,582 |
/// | normalisation | across channels, twice | batch | batch |
/// | "5×5" branch | 5×5 | 3×3 | 5×5 |
/// | smallest image | 31×31 | 15×15 | 31×31 |
///
/// Stages, the same in all forms: `conv1`, `maxpool1`, `conv2`, `conv3`, `maxpool2`, `inception3a`, `inception3b`,
/// `maxpool3`, `inception4a` to `inception4e`, `maxpool4`, `inception5a`, `inception5b`; with `transform_input` a stage of
/// that name comes first.
///
/// Source: Szegedy et al., *Going deeper with convolutions*, arXiv 1409.4842; `bvlc` follows BVLC's Caffe replication and its
/// weights, `torchvision` the network whose weights torchvision publishes.
///
/// All pooling rounds up. Known differences from the paper, beside those of the forms: the mean over the last map replaces a 7×7 window, so other
/// image sizes work, and auxiliary classifiers average adaptively to 4×4, as torchvision does, where the paper has 5×5
/// windows with stride 3.
///
/// # Example
/// ```
/// # use burn::tensor::{Device, Tensor};
/// use lodestone_models::{GoogLeNetConfig, GoogLeNetForm, NetworkConfig};
///
/// let device = Device::flex();
/// let network = NetworkConfig::GoogLeNet(GoogLeNetConfig::new(GoogLeNetForm::Torchvision));
/// let features = network.init(0, &device).forward(Tensor::ones([1, 3, 32, 32], &device));
/// assert_eq!(features.dims(), [1, 1024]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GoogLeNetConfig {
    /// Which of the networks of that name.
    pub form: GoogLeNetForm,
    /// Whether the network itself maps pictures from ImageNet statistics to `[-1, 1]`, as torchvision's published weights
    /// need.
    #[serde(default)]
    pub transform_input: bool,
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
    /// The form without a change of input scale.
    pub fn new(form: GoogLeNetForm) -> Self {
        Self {
            form,
            transform_input: false,
        }
    }

    pub(crate) fn stages(&self, seed: u64, device: &Device) -> Vec<Stage> {
        let mut stages = Builder {
            form: self.form,
            seed,
            device,
        }
        .stages();
        if self.transform_input {
            stages.insert(
                0,
                Stage::new("transform_input", vec![Layer::Rescale(Rescale {})]),
            );
        }
        stages
    }

    /// The two classifiers on the maps of blocks 4a and 4d, which help the lower layers to learn.
    pub(crate) fn auxiliary(
        &self,
        classes: usize,
        dropout: f64,
        seed: u64,
        device: &Device,
    ) -> Vec<AuxiliaryHead> {
        let builder = Builder {
            form: self.form,
            seed,
            device,
        };
        let heads = [
            ("inception4a", 512, "aux1", "loss1"),
            ("inception4d", 528, "aux2", "loss2"),
        ];
        heads
            .into_iter()
            .map(|(stage, input, torch, caffe)| {
                let names = match self.form {
                    GoogLeNetForm::Bvlc => {
                        ["conv", "fc", "classifier"].map(|part| format!("{caffe}/{part}"))
                    }
                    GoogLeNetForm::Torchvision | GoogLeNetForm::Paper => {
                        ["conv", "fc1", "fc2"].map(|part| format!("{torch}.{part}"))
                    }
                };
                let config = GoogLeNetAuxiliaryConfig {
                    reduce: builder.config(&names[0], [input, 128], 1, 1),
                    hidden: &names[1],
                    last: &names[2],
                    classes,
                    dropout,
                    initialiser: self.initialiser(),
                };
                config.init(stage, seed, device)
            })
            .collect()
    }

    /// How convolutions and matrix products start.
    pub(crate) fn initialiser(&self) -> Initialiser {
        match self.form {
            GoogLeNetForm::Bvlc => Initialiser::Xavier,
            GoogLeNetForm::Torchvision | GoogLeNetForm::Paper => Initialiser::TruncatedNormal(0.01),
        }
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
        let pool4 = match self.form {
            GoogLeNetForm::Bvlc | GoogLeNetForm::Paper => pool(),
            GoogLeNetForm::Torchvision => self.max_pool(2, 2, 0),
        };
        vec![
            Stage::new("conv1", vec![self.unit("conv1/7x7_s2", "conv1", [3, 64], 7, 2)]),
            self.with_local_norm("maxpool1", pool()),
            Stage::new("conv2", vec![self.unit("conv2/3x3_reduce", "conv2", [64, 64], 1, 1)]),
            self.with_local_norm("conv3", self.unit("conv2/3x3", "conv3", [64, 192], 3, 1)),
            Stage::new("maxpool2", vec![pool()]),
            self.block(Widths { name: "3a", input: 192, one: 64, three: [96, 128], five: [16, 32], pool: 32 }),
            self.block(Widths { name: "3b", input: 256, one: 128, three: [128, 192], five: [32, 96], pool: 64 }),
            Stage::new("maxpool3", vec![pool()]),
            self.block(Widths { name: "4a", input: 480, one: 192, three: [96, 208], five: [16, 48], pool: 64 }),
            self.block(Widths { name: "4b", input: 512, one: 160, three: [112, 224], five: [24, 64], pool: 64 }),
            self.block(Widths { name: "4c", input: 512, one: 128, three: [128, 256], five: [24, 64], pool: 64 }),
            self.block(Widths { name: "4d", input: 512, one: 112, three: [144, 288], five: [32, 64], pool: 64 }),
            self.block(Widths { name: "4e", input: 528, one: 256, three: [160, 320], five: [32, 128], pool: 128 }),
            Stage::new("maxpool4", vec![pool4]),
            self.block(Widths { name: "5a", input: 832, one: 256, three: [160, 320], five: [32, 128], pool: 128 }),
            self.block(Widths { name: "5b", input: 832, one: 384, three: [192, 384], five: [48, 128], pool: 128 }),
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
        let unit = |caffe: &str, torch: &str, channels, kernel| {
            let caffe = format!("inception_{name}/{caffe}");
            self.unit(
                &caffe,
                &format!("inception{name}.{torch}"),
                channels,
                kernel,
                1,
            )
        };
        // torchvision's published weights were trained with 3×3 here by mistake, and keep it.
        let kernel = match self.form {
            GoogLeNetForm::Bvlc | GoogLeNetForm::Paper => 5,
            GoogLeNetForm::Torchvision => 3,
        };
        let branches = Layer::branches(vec![
            vec![unit("1x1", "branch1", [input, one], 1)],
            vec![
                unit("3x3_reduce", "branch2.0", [input, three[0]], 1),
                unit("3x3", "branch2.1", three, 3),
            ],
            vec![
                unit("5x5_reduce", "branch3.0", [input, five[0]], 1),
                unit("5x5", "branch3.1", five, kernel),
            ],
            vec![
                self.max_pool(3, 1, 1),
                unit("pool_proj", "branch4.1", [input, pool], 1),
            ],
        ]);
        Stage::new(&format!("inception{name}"), vec![branches])
    }

    /// A convolution under the name it has in the form's weight files.
    fn unit(
        &self,
        caffe: &str,
        torch: &str,
        channels: [usize; 2],
        kernel: usize,
        stride: usize,
    ) -> Layer {
        let name = match self.form {
            GoogLeNetForm::Bvlc => caffe,
            GoogLeNetForm::Torchvision | GoogLeNetForm::Paper => torch,
        };
        Layer::Conv(
            self.config(name, channels, kernel, stride)
                .init(self.seed, self.device),
        )
    }

    /// A convolution that keeps the size of its input, apart from its stride.
    fn config(
        &self,
        name: &str,
        channels: [usize; 2],
        kernel: usize,
        stride: usize,
    ) -> ConvUnitConfig {
        ConvUnitConfig {
            name: name.to_owned(),
            norm_name: None,
            channels,
            kernel: [kernel; 2],
            stride,
            padding: [kernel / 2; 2],
            shift: match self.form {
                GoogLeNetForm::Bvlc => Shift::Bias(0.2),
                GoogLeNetForm::Torchvision | GoogLeNetForm::Paper => Shift::BatchNorm(1e-3),
            },
            activation: Activation::Relu,
            initialiser: GoogLeNetConfig::new(self.form).initialiser(),
        }
    }

    /// A stage that local response normalisation ends where the form has it.
    fn with_local_norm(&self, name: &str, layer: Layer) -> Stage {
        let layers = match self.form {
            GoogLeNetForm::Bvlc => vec![layer, Layer::LocalNorm(LocalNorm {})],
            GoogLeNetForm::Torchvision | GoogLeNetForm::Paper => vec![layer],
        };
        Stage::new(name, layers)
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
