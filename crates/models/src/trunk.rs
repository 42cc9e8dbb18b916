//! The convolutional part of a network: named stages from an image to pooled features.

use burn::module::Module;
use burn::tensor::Tensor;
use lodestone_kernels::global_average;

use crate::layer::{Layer, forward_chain, trace_chain};
use crate::layer_cost::LayerCost;
use crate::network::NetworkConfig;
use crate::weights::Slot;

/// A run of layers between two points at which a network may be cut.
#[derive(Module, Debug)]
pub(crate) struct Stage {
    pub(crate) name: String,
    pub(crate) layers: Vec<Layer>,
}

impl Stage {
    pub(crate) fn new(name: &str, layers: Vec<Layer>) -> Self {
        Self {
            name: name.to_owned(),
            layers,
        }
    }

    pub(crate) fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        forward_chain(&self.layers, input)
    }

    pub(crate) fn trace(
        &self,
        shape: [usize; 3],
        costs: &mut Vec<LayerCost>,
    ) -> Option<[usize; 3]> {
        trace_chain(&self.layers, shape, costs)
    }
}

/// The place of a stage in the trunk that named it, made by [`Trunk::stage`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StageId(pub(crate) usize);

/// A stage name that the network does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{network} has no stage `{name}`; its stages are: {}", stages.join(", "))]
pub struct UnknownStage {
    /// The name that was asked for.
    pub name: String,
    /// The network that was asked.
    pub network: String,
    /// All names it would have understood, in the order of the forward pass.
    pub stages: Vec<String>,
}

/// An image size that a network cannot process.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// Some window does not fit into its map.
    #[error(
        "{network} needs images of at least {minimum}x{minimum} pixels, these are {height}x{width}"
    )]
    TooSmall {
        /// The network.
        network: String,
        /// Its smallest square input.
        minimum: usize,
        /// Height of the images.
        height: usize,
        /// Width of the images.
        width: usize,
    },
    /// The number of colour channels differs.
    #[error("{network} reads {expected} colour channels, these images have {channels}")]
    Channels {
        /// The network.
        network: String,
        /// Channels of its first convolution.
        expected: usize,
        /// Channels of the images.
        channels: usize,
    },
}

/// The convolutional part of a network, up to and with the mean over the last map.
///
/// Made by [`NetworkConfig::init`]. A trunk is a list of named stages; a forward pass can be cut behind any of them, so that
/// the lower part of a network is computed once while the upper part is trained.
///
/// # Example
/// ```
/// # use burn::tensor::{Device, Tensor};
/// use lodestone_models::{ConvNetConfig, NetworkConfig};
///
/// let device = Device::flex();
/// let trunk = NetworkConfig::ConvNet(ConvNetConfig::default()).init(0, &device);
/// let images = Tensor::<4>::ones([2, 1, 28, 28], &device);
///
/// let stage = trunk.stage("block1").unwrap();
/// let maps = trunk.forward_until(images.clone(), stage);
/// assert_eq!(maps.dims(), [2, 32, 14, 14]);
///
/// // Cut or not, the features are the same numbers.
/// let whole = trunk.forward(images).into_data();
/// assert_eq!(whole, trunk.forward_from(maps, stage).into_data());
/// ```
#[derive(Module, Debug)]
pub struct Trunk {
    pub(crate) stages: Vec<Stage>,
    #[module(skip)]
    pub(crate) config: NetworkConfig,
}

impl Trunk {
    /// The description this trunk was made from.
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// Number of values in a pooled feature vector.
    pub fn feature_size(&self) -> usize {
        self.config.feature_size()
    }

    /// Names of the stages in the order of the forward pass.
    pub fn stage_names(&self) -> Vec<&str> {
        self.stages
            .iter()
            .map(|stage| stage.name.as_str())
            .collect()
    }

    /// Finds a stage by its name.
    ///
    /// # Errors
    /// If there is none of that name; the error lists all names.
    pub fn stage(&self, name: &str) -> Result<StageId, UnknownStage> {
        let found = self.stages.iter().position(|stage| stage.name == name);
        found.map(StageId).ok_or_else(|| UnknownStage {
            name: name.to_owned(),
            network: self.config.name().to_owned(),
            stages: self.stage_names().into_iter().map(str::to_owned).collect(),
        })
    }

    /// Pooled features of images.
    ///
    /// # Shapes
    /// - images: `[n, channels, height, width]`, prepared as the network's weights expect
    /// - returns `[n, feature_size]`
    ///
    /// # Panics
    /// If [`check_input`](Self::check_input) refuses the images' size.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        global_average(self.run(0..self.stages.len(), images))
    }

    /// Maps behind `stage`, which is included.
    ///
    /// # Shapes
    /// - images: `[n, channels, height, width]`
    /// - returns `[n, maps, h, w]`
    pub fn forward_until(&self, images: Tensor<4>, stage: StageId) -> Tensor<4> {
        self.run(0..stage.0 + 1, images)
    }

    /// Pooled features from the maps behind `stage`: the rest of the network.
    ///
    /// # Shapes
    /// - maps: `[n, maps, h, w]`, as [`forward_until`](Self::forward_until) returns them
    /// - returns `[n, feature_size]`
    pub fn forward_from(&self, maps: Tensor<4>, stage: StageId) -> Tensor<2> {
        global_average(self.run(stage.0 + 1..self.stages.len(), maps))
    }

    /// The same trunk with the stages up to `stage`, which is included, taken out of training: their parameters require no
    /// gradient and their batch normalisation uses and keeps its running statistics.
    #[must_use]
    pub fn freeze_until(mut self, stage: StageId) -> Self {
        let upper = self.stages.split_off(stage.0 + 1);
        self.stages = self.stages.into_iter().map(Stage::freeze).collect();
        self.stages.extend(upper);
        self
    }

    /// Names and values of all weights and running statistics up to `stage`, which is included, in the order of the
    /// forward pass.
    ///
    /// Equal lists make equal maps behind the stage, so a sum over them names what was computed from it.
    pub fn values_until(&self, stage: StageId) -> Vec<(String, Vec<f32>)> {
        // Places are handed out for writing; reading takes a copy, whose tensors share their memory with the original.
        let mut copy = self.clone();
        copy.stages.truncate(stage.0 + 1);
        let mut slots = Vec::new();
        copy.slots(&mut slots);
        slots
            .iter()
            .map(|slot| (slot.name.clone(), slot.values()))
            .collect()
    }

    /// Whether images of `[channels, height, width]` can be processed.
    ///
    /// # Errors
    /// If a window of some layer would not fit, or the colour channels differ.
    pub fn check_input(&self, [channels, height, width]: [usize; 3]) -> Result<(), InputError> {
        let expected = self.config.image_channels();
        if channels != expected {
            let network = self.config.name().to_owned();
            return Err(InputError::Channels {
                network,
                expected,
                channels,
            });
        }
        match self.trace([channels, height, width], &mut Vec::new()) {
            Some(_) => Ok(()),
            None => Err(self.too_small(height, width)),
        }
    }

    pub(crate) fn too_small(&self, height: usize, width: usize) -> InputError {
        InputError::TooSmall {
            network: self.config.name().to_owned(),
            minimum: self.minimum_size(),
            height,
            width,
        }
    }

    /// Side of the smallest square image that every window fits into, found by walking the layers.
    pub fn minimum_size(&self) -> usize {
        let channels = self.config.image_channels();
        let fits = |side: &usize| {
            self.trace([channels, *side, *side], &mut Vec::new())
                .is_some()
        };
        // Every network here accepts its usual input, so the search ends.
        (1..=self.config.usual_size())
            .find(fits)
            .unwrap_or(self.config.usual_size())
    }

    /// Shape of the last map and the cost of every layer for one image.
    pub(crate) fn trace(
        &self,
        shape: [usize; 3],
        costs: &mut Vec<LayerCost>,
    ) -> Option<[usize; 3]> {
        self.stages
            .iter()
            .try_fold(shape, |shape, stage| stage.trace(shape, costs))
    }

    /// Shape of the maps behind `stage` for images of `[channels, height, width]`, none if the images are too small.
    pub fn map_shape(&self, image: [usize; 3], stage: StageId) -> Option<[usize; 3]> {
        let stages = &self.stages[..=stage.0];
        let costs = &mut Vec::new();
        stages
            .iter()
            .try_fold(image, |shape, stage| stage.trace(shape, costs))
    }

    fn run(&self, stages: std::ops::Range<usize>, input: Tensor<4>) -> Tensor<4> {
        self.stages[stages]
            .iter()
            .fold(input, |maps, stage| stage.forward(maps))
    }

    pub(crate) fn slots<'a>(&'a mut self, slots: &mut Vec<Slot<'a>>) {
        for layer in self.stages.iter_mut().flat_map(|stage| &mut stage.layers) {
            layer.slots(slots);
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::{ConvNetConfig, GoogLeNetConfig, GoogLeNetForm};

    #[test]
    fn frozen_stages_have_no_gradient_and_keep_their_statistics() {
        let device = Device::flex().autodiff();
        let mut trunk = NetworkConfig::from(ConvNetConfig::default()).init(1, &device);
        let stage = trunk.stage("block2").unwrap();
        trunk = trunk.freeze_until(stage);
        let images = Tensor::ones([2, 1, 28, 28], &device);
        let gradients = trunk.forward(images).sum().backward();
        let mut slots = Vec::new();
        trunk.slots(&mut slots);
        for slot in slots {
            let free = slot.name.starts_with("block3");
            if !slot.name.contains("running") {
                assert_eq!(slot.gradient(&gradients).is_some(), free, "{}", slot.name);
            } else if slot.name.ends_with("running_mean") {
                let moved = slot.values().iter().any(|&mean| mean != 0.0);
                assert_eq!(moved, free, "{}", slot.name);
            }
        }
    }

    #[test]
    fn the_same_images_give_the_same_bits_every_time() {
        let device = Device::flex();
        let config = GoogLeNetConfig::new(GoogLeNetForm::Bvlc);
        let trunk = NetworkConfig::from(config).init(1, &device);
        let stage = trunk.stage("maxpool4").unwrap();
        let pixels: Vec<f32> = (0..3 * 224 * 224)
            .map(|i| ((i * 7919) % 509) as f32 - 254.0)
            .collect();
        let images = TensorData::new(pixels, [1, 3, 224, 224]);
        let maps = || {
            trunk
                .forward_until(Tensor::from_data(images.clone(), &device), stage)
                .into_data()
        };
        let first = maps();
        for pass in 1..8 {
            assert!(maps() == first, "pass {pass} differs from the first");
        }
    }

    #[test]
    fn values_until_a_stage_hold_what_the_stage_needs_and_no_more() {
        let trunk = NetworkConfig::from(ConvNetConfig::default()).init(1, &Device::flex());
        let names = |stage: &str| -> Vec<String> {
            let values = trunk.values_until(trunk.stage(stage).unwrap());
            values.into_iter().map(|(name, _)| name).collect()
        };
        assert!(
            names("block1")
                .iter()
                .all(|name| name.starts_with("block1"))
        );
        assert!(!names("block1").is_empty());
        assert_eq!(names("block2")[..names("block1").len()], names("block1"));
        let first = trunk.values_until(trunk.stage("block1").unwrap());
        let other = NetworkConfig::from(ConvNetConfig::default()).init(2, &Device::flex());
        assert_ne!(first, other.values_until(other.stage("block1").unwrap()));
    }

    #[test]
    fn an_unknown_stage_is_answered_with_all_names() {
        let config = GoogLeNetConfig::new(GoogLeNetForm::Bvlc);
        let trunk = NetworkConfig::from(config).init(1, &Device::flex());
        assert_eq!(
            trunk.stage("inception4f").unwrap_err().to_string(),
            "GoogLeNet (bvlc) has no stage `inception4f`; its stages are: conv1, maxpool1, conv2, conv3, maxpool2, \
             inception3a, inception3b, maxpool3, inception4a, inception4b, inception4c, inception4d, inception4e, \
             maxpool4, inception5a, inception5b"
        );
    }

    #[test]
    fn images_of_the_wrong_form_are_refused_with_both_sizes() {
        let config = GoogLeNetConfig::new(GoogLeNetForm::Torchvision);
        let trunk = NetworkConfig::from(config).init(1, &Device::flex());
        let check = |image, message: &str| {
            assert_eq!(trunk.check_input(image).unwrap_err().to_string(), message);
        };
        check(
            [3, 14, 200],
            "GoogLeNet (torchvision) needs images of at least 15x15 pixels, these are 14x200",
        );
        check(
            [1, 28, 28],
            "GoogLeNet (torchvision) reads 3 colour channels, these images have 1",
        );
    }
}
