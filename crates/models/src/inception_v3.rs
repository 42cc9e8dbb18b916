//! Inception V3 (Szegedy et al., *Rethinking the Inception architecture for computer vision*, arXiv 1512.00567).

use burn::tensor::Device;
use lodestone_kernels::Activation;
use serde::{Deserialize, Serialize};

use crate::auxiliary::{AuxiliaryHead, InceptionV3AuxiliaryConfig};
use crate::conv_unit::{ConvUnitConfig, Shift};
use crate::initialise::Initialiser;
use crate::layer::Layer;
use crate::pool::{AveragePool, MaxPool};
use crate::rescale::Rescale;
use crate::trunk::Stage;

/// How convolutions and matrix products start.
pub(crate) const INITIALISER: Initialiser = Initialiser::TruncatedNormal(0.1);

/// Description of Inception V3, as torchvision publishes weights for it.
///
/// | at 3×299×299 | |
/// | --- | --- |
/// | last map | 2048×8×8 |
/// | features | 2048 |
/// | parameters without a classifier | 21,785,568 |
/// | parameters with classifier and auxiliary classifier over 1000 classes | 27,161,264 |
/// | multiply-adds, millions | 5,711 |
/// | smallest image | 75×75; the auxiliary classifier needs about 299 |
///
/// Stages: `Conv2d_1a_3x3`, `Conv2d_2a_3x3`, `Conv2d_2b_3x3`, `maxpool1`, `Conv2d_3b_1x1`, `Conv2d_4a_3x3`, `maxpool2`,
/// `Mixed_5b` to `Mixed_5d`, `Mixed_6a` to `Mixed_6e`, `Mixed_7a` to `Mixed_7c`; with `transform_input` a stage of that name
/// comes first.
///
/// Source: Szegedy et al., *Rethinking the Inception architecture for computer vision*, arXiv 1512.00567.
///
/// Known differences from the paper, which torchvision took over from TensorFlow: 5×5 convolutions remain in the first
/// three blocks, the reduction of `Mixed_6a` is narrower, and the mean over the last map replaces an 8×8 window, so other
/// image sizes work.
///
/// # Example
/// ```
/// # use burn::tensor::{Device, Tensor};
/// use lodestone_models::{InceptionV3Config, NetworkConfig};
///
/// let device = Device::flex();
/// let trunk = NetworkConfig::InceptionV3(InceptionV3Config::default()).init(0, &device);
/// assert!(trunk.check_input([3, 299, 299]).is_ok());
/// let error = trunk.check_input([3, 64, 64]).unwrap_err();
/// assert!(error.to_string().contains("at least 75x75 pixels, these are 64x64"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct InceptionV3Config {
    /// Whether the network itself maps pictures from ImageNet statistics to `[-1, 1]`, as torchvision's published weights
    /// need.
    #[serde(default)]
    pub transform_input: bool,
}

impl InceptionV3Config {
    pub(crate) fn stages(&self, seed: u64, device: &Device) -> Vec<Stage> {
        let mut stages = Builder { seed, device }.stages();
        if self.transform_input {
            stages.insert(
                0,
                Stage::new("transform_input", vec![Layer::Rescale(Rescale {})]),
            );
        }
        stages
    }

    /// The classifier on the maps of the last 17×17 block.
    pub(crate) fn auxiliary(&self, classes: usize, seed: u64, device: &Device) -> AuxiliaryHead {
        let config = InceptionV3AuxiliaryConfig {
            conv0: unit("AuxLogits.conv0", [768, 128], [1, 1], 1, [0, 0]),
            // torchvision asks for 0.01 here on a module that its initialisation does not look at; 0.1 is what it gets.
            conv1: unit("AuxLogits.conv1", [128, 768], [5, 5], 1, [0, 0]),
            last: "AuxLogits.fc",
            classes,
            initialiser: Initialiser::TruncatedNormal(0.001),
        };
        config.init("Mixed_6e", seed, device)
    }
}

fn unit(
    name: &str,
    channels: [usize; 2],
    kernel: [usize; 2],
    stride: usize,
    padding: [usize; 2],
) -> ConvUnitConfig {
    ConvUnitConfig {
        name: name.to_owned(),
        norm_name: None,
        channels,
        kernel,
        stride,
        padding,
        shift: Shift::BatchNorm(1e-3),
        activation: Activation::Relu,
        initialiser: INITIALISER,
    }
}

struct Builder<'a> {
    seed: u64,
    device: &'a Device,
}

/// Makes the convolutions of one block from their names, each with the size of its kernel.
struct Block<'a> {
    builder: &'a Builder<'a>,
    name: &'a str,
}

impl Builder<'_> {
    fn stages(&self) -> Vec<Stage> {
        vec![
            self.conv("Conv2d_1a_3x3", [3, 32], 3, 2, 0),
            self.conv("Conv2d_2a_3x3", [32, 32], 3, 1, 0),
            self.conv("Conv2d_2b_3x3", [32, 64], 3, 1, 1),
            Stage::new("maxpool1", vec![reduce_pool()]),
            self.conv("Conv2d_3b_1x1", [64, 80], 1, 1, 0),
            self.conv("Conv2d_4a_3x3", [80, 192], 3, 1, 0),
            Stage::new("maxpool2", vec![reduce_pool()]),
            self.block("Mixed_5b", |block| block.five(192, 32)),
            self.block("Mixed_5c", |block| block.five(256, 64)),
            self.block("Mixed_5d", |block| block.five(288, 64)),
            self.block("Mixed_6a", |block| block.reduce_to_six(288)),
            self.block("Mixed_6b", |block| block.six(768, 128)),
            self.block("Mixed_6c", |block| block.six(768, 160)),
            self.block("Mixed_6d", |block| block.six(768, 160)),
            self.block("Mixed_6e", |block| block.six(768, 192)),
            self.block("Mixed_7a", |block| block.reduce_to_seven(768)),
            self.block("Mixed_7b", |block| block.seven(1280)),
            self.block("Mixed_7c", |block| block.seven(2048)),
        ]
    }

    fn conv(
        &self,
        name: &str,
        channels: [usize; 2],
        kernel: usize,
        stride: usize,
        padding: usize,
    ) -> Stage {
        let config = unit(name, channels, [kernel; 2], stride, [padding; 2]);
        Stage::new(name, vec![Layer::Conv(config.init(self.seed, self.device))])
    }

    fn block(&self, name: &str, chains: impl Fn(&Block<'_>) -> Vec<Vec<Layer>>) -> Stage {
        Stage::new(
            name,
            vec![Layer::branches(chains(&Block {
                builder: self,
                name,
            }))],
        )
    }
}

impl Block<'_> {
    /// 35×35 maps: 1×1, 5×5, two 3×3, and pooling.
    fn five(&self, input: usize, pool: usize) -> Vec<Vec<Layer>> {
        vec![
            vec![self.same("branch1x1", [input, 64], [1, 1])],
            vec![
                self.same("branch5x5_1", [input, 48], [1, 1]),
                self.same("branch5x5_2", [48, 64], [5, 5]),
            ],
            vec![
                self.same("branch3x3dbl_1", [input, 64], [1, 1]),
                self.same("branch3x3dbl_2", [64, 96], [3, 3]),
                self.same("branch3x3dbl_3", [96, 96], [3, 3]),
            ],
            vec![same_pool(), self.same("branch_pool", [input, pool], [1, 1])],
        ]
    }

    /// From 35×35 to 17×17 maps.
    fn reduce_to_six(&self, input: usize) -> Vec<Vec<Layer>> {
        vec![
            vec![self.halve("branch3x3", [input, 384])],
            vec![
                self.same("branch3x3dbl_1", [input, 64], [1, 1]),
                self.same("branch3x3dbl_2", [64, 96], [3, 3]),
                self.halve("branch3x3dbl_3", [96, 96]),
            ],
            vec![reduce_pool()],
        ]
    }

    /// 17×17 maps: 1×1, and 7×7 once and twice as rows and columns.
    fn six(&self, input: usize, width: usize) -> Vec<Vec<Layer>> {
        vec![
            vec![self.same("branch1x1", [input, 192], [1, 1])],
            vec![
                self.same("branch7x7_1", [input, width], [1, 1]),
                self.same("branch7x7_2", [width, width], [1, 7]),
                self.same("branch7x7_3", [width, 192], [7, 1]),
            ],
            vec![
                self.same("branch7x7dbl_1", [input, width], [1, 1]),
                self.same("branch7x7dbl_2", [width, width], [7, 1]),
                self.same("branch7x7dbl_3", [width, width], [1, 7]),
                self.same("branch7x7dbl_4", [width, width], [7, 1]),
                self.same("branch7x7dbl_5", [width, 192], [1, 7]),
            ],
            vec![same_pool(), self.same("branch_pool", [input, 192], [1, 1])],
        ]
    }

    /// From 17×17 to 8×8 maps.
    fn reduce_to_seven(&self, input: usize) -> Vec<Vec<Layer>> {
        vec![
            vec![
                self.same("branch3x3_1", [input, 192], [1, 1]),
                self.halve("branch3x3_2", [192, 320]),
            ],
            vec![
                self.same("branch7x7x3_1", [input, 192], [1, 1]),
                self.same("branch7x7x3_2", [192, 192], [1, 7]),
                self.same("branch7x7x3_3", [192, 192], [7, 1]),
                self.halve("branch7x7x3_4", [192, 192]),
            ],
            vec![reduce_pool()],
        ]
    }

    /// 8×8 maps: 1×1, and 3×3 once and twice, the last as a row beside a column.
    fn seven(&self, input: usize) -> Vec<Vec<Layer>> {
        let row_and_column = |row: &str, column: &str| {
            let row = self.same(row, [384, 384], [1, 3]);
            Layer::branches(vec![vec![row], vec![self.same(column, [384, 384], [3, 1])]])
        };
        vec![
            vec![self.same("branch1x1", [input, 320], [1, 1])],
            vec![
                self.same("branch3x3_1", [input, 384], [1, 1]),
                row_and_column("branch3x3_2a", "branch3x3_2b"),
            ],
            vec![
                self.same("branch3x3dbl_1", [input, 448], [1, 1]),
                self.same("branch3x3dbl_2", [448, 384], [3, 3]),
                row_and_column("branch3x3dbl_3a", "branch3x3dbl_3b"),
            ],
            vec![same_pool(), self.same("branch_pool", [input, 192], [1, 1])],
        ]
    }

    /// A convolution that keeps the size of its input.
    fn same(&self, part: &str, channels: [usize; 2], kernel: [usize; 2]) -> Layer {
        self.conv(part, channels, kernel, 1, kernel.map(|size| size / 2))
    }

    /// A 3×3 convolution with stride 2 and without padding.
    fn halve(&self, part: &str, channels: [usize; 2]) -> Layer {
        self.conv(part, channels, [3, 3], 2, [0, 0])
    }

    fn conv(
        &self,
        part: &str,
        channels: [usize; 2],
        kernel: [usize; 2],
        stride: usize,
        padding: [usize; 2],
    ) -> Layer {
        let name = format!("{}.{part}", self.name);
        let Builder { seed, device } = self.builder;
        Layer::Conv(unit(&name, channels, kernel, stride, padding).init(*seed, device))
    }
}

/// The pooling that keeps the size of its input.
fn same_pool() -> Layer {
    Layer::AveragePool(AveragePool {
        size: 3,
        stride: 1,
        padding: 1,
    })
}

/// The pooling that halves.
fn reduce_pool() -> Layer {
    Layer::MaxPool(MaxPool {
        size: 3,
        stride: 2,
        padding: 0,
        round_up: false,
    })
}
