//! All auxiliary classifiers of a network, as one module that is trained beside it.

use burn::module::Module;
use burn::tensor::Tensor;
use lodestone_kernels::global_average;

use crate::auxiliary::AuxiliaryHead;
use crate::layer_cost::LayerCost;
use crate::trunk::{InputError, Trunk};

/// Classifiers on maps below the top of a trunk, made by [`NetworkConfig::auxiliary`](crate::NetworkConfig::auxiliary).
///
/// They exist for training: their loss sends gradient into the lower layers. A model file leaves them out, and in use they
/// do not run.
///
/// | network | maps of | layers | image for training |
/// | --- | --- | --- | --- |
/// | GoogLeNet, each form | `inception4a` and `inception4d` | mean to 4×4, 1×1 convolution, 1024 hidden, dropout, classes | any |
/// | Inception V3 | `Mixed_6e` | 5×5 mean, 1×1 and 5×5 convolution, mean, classes | about 299×299 |
/// | ConvNet, ResNet | none | | |
///
/// Their losses count 0.3 in the paper of GoogLeNet and 0.4 in torchvision's recipe for Inception V3.
///
/// # Example
/// ```
/// # use burn::tensor::{Device, Tensor};
/// use lodestone_models::{EmbedderConfig, GoogLeNetConfig, GoogLeNetForm, HeadConfig, NetworkConfig};
///
/// let device = Device::flex();
/// let network: NetworkConfig = GoogLeNetConfig::new(GoogLeNetForm::Torchvision).into();
/// let auxiliary = network.auxiliary(10, 0.7, 0, &device);
/// let embedder = EmbedderConfig { network, head: HeadConfig::new(16) }.init(0, &device);
///
/// let (embeddings, scores) = embedder.forward_with(Tensor::ones([2, 3, 32, 32], &device), &auxiliary);
/// assert_eq!(embeddings.dims(), [2, 16]);
/// assert_eq!([scores[0].dims(), scores[1].dims()], [[2, 10], [2, 10]]);
/// ```
#[derive(Module, Debug)]
pub struct AuxiliaryClassifiers {
    pub(crate) heads: Vec<AuxiliaryHead>,
}

impl AuxiliaryClassifiers {
    /// A network without them.
    pub fn none() -> Self {
        Self { heads: Vec::new() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Pooled features of a trunk, and the scores `[n, classes]` of each classifier on the way, the lowest first.
    pub(crate) fn along(&self, trunk: &Trunk, images: Tensor<4>) -> (Tensor<2>, Vec<Tensor<2>>) {
        let mut heads = self.heads.iter().peekable();
        let mut scores = Vec::new();
        let maps = trunk.stages.iter().fold(images, |maps, stage| {
            let maps = stage.forward(maps);
            if let Some(head) = heads.next_if(|head| head.stage == stage.name) {
                scores.push(head.forward(maps.clone()));
            }
            maps
        });
        (global_average(maps), scores)
    }

    /// Whether images of `[channels, height, width]` leave maps that every classifier can read.
    ///
    /// # Errors
    /// If a window of one of them would not fit; the error names the smallest square image.
    pub fn check_input(&self, trunk: &Trunk, image: [usize; 3]) -> Result<(), InputError> {
        trunk.check_input(image)?;
        self.trace(trunk, image, &mut Vec::new())
    }

    /// Cost of every layer with parameters, for one image.
    pub(crate) fn trace(
        &self,
        trunk: &Trunk,
        image: [usize; 3],
        costs: &mut Vec<LayerCost>,
    ) -> Result<(), InputError> {
        let mut fits = |image: [usize; 3]| {
            self.heads.iter().all(|head| {
                let stage = trunk.stage(&head.stage).ok();
                let maps = stage.and_then(|stage| trunk.map_shape(image, stage));
                maps.and_then(|maps| head.trace(maps, costs)).is_some()
            })
        };
        if fits(image) {
            return Ok(());
        }
        let [channels, height, width] = image;
        let usual = trunk.config().usual_size();
        let minimum = (1..usual).find(|&side| fits([channels, side, side]));
        Err(InputError::TooSmall {
            network: format!("an auxiliary classifier of {}", trunk.config().name()),
            minimum: minimum.unwrap_or(usual),
            height,
            width,
        })
    }
}
