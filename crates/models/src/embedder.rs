//! A trunk and a head: from images to points whose distance means similarity.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::auxiliary_classifiers::AuxiliaryClassifiers;
use crate::head::{Head, HeadConfig, HeadInitialisation, HeadKind};
use crate::network::NetworkConfig;
use crate::trunk::{StageId, Trunk};
use crate::weights::{LoadOptions, LoadReport, LoadRules, Slot, WeightFile, WeightsError, load};

/// Description of an [`Embedder`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbedderConfig {
    /// The network that turns an image into features.
    pub network: NetworkConfig,
    /// The layers that turn features into an embedding.
    pub head: HeadConfig,
}

impl EmbedderConfig {
    /// An embedder with parameters drawn from `seed`.
    ///
    /// # Panics
    /// If [`validate`](Self::validate) refuses a setting.
    pub fn init(&self, seed: u64, device: &Device) -> Embedder {
        let trunk = self.network.init(seed, device);
        let name = self.network.classifier_name();
        let head = self.head.init(trunk.feature_size(), name, seed, device);
        Embedder {
            trunk,
            head,
            config: self.clone(),
        }
    }
}

/// Turns images into embeddings.
///
/// Dropout and batch normalisation act as in training on an autodiff device and as in use otherwise: call
/// [`Module::valid`] for embeddings that do not depend on their batch.
///
/// # Example
/// ```
/// # use burn::tensor::{Device, Tensor};
/// use lodestone_models::{ConvNetConfig, EmbedderConfig, HeadConfig, NetworkConfig};
///
/// let device = Device::flex();
/// let config = EmbedderConfig {
///     network: NetworkConfig::ConvNet(ConvNetConfig::default()),
///     head: HeadConfig { normalise: true, ..HeadConfig::new(16) },
/// };
/// let embedder = config.init(7, &device);
/// let embeddings = embedder.forward(Tensor::ones([2, 1, 28, 28], &device));
/// assert_eq!(embeddings.dims(), [2, 16]);
/// ```
#[derive(Module, Debug)]
pub struct Embedder {
    /// From images to features.
    pub trunk: Trunk,
    /// From features to embeddings.
    pub head: Head,
    #[module(skip)]
    config: EmbedderConfig,
}

impl Embedder {
    /// The description this embedder was made from.
    pub fn config(&self) -> &EmbedderConfig {
        &self.config
    }

    /// Number of values in an embedding.
    pub fn embedding_size(&self) -> usize {
        self.head.embedding_size()
    }

    /// Every tensor under its published name, trunk first: with the [description](Self::config) all that decides an embedding.
    pub fn values(&self) -> Vec<(String, Vec<f32>)> {
        // Places are handed out for writing; reading takes a copy, whose tensors share their memory with the original.
        let mut copy = self.clone();
        let slots = copy.slots();
        slots
            .iter()
            .map(|slot| (slot.name.clone(), slot.values()))
            .collect()
    }

    /// # Shapes
    /// - images: `[n, channels, height, width]`, prepared as the network's weights expect
    /// - returns `[n, embedding_size]`
    ///
    /// # Panics
    /// If [`Trunk::check_input`] refuses the images' size.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.head.forward(self.trunk.forward(images))
    }

    /// Embeddings, and the scores `[n, classes]` of each classifier below the top, the lowest first: for training with a
    /// weighted sum of their losses.
    ///
    /// # Shapes
    /// - images: `[n, channels, height, width]`
    /// - returns `[n, embedding_size]`, and `[n, classes]` for each classifier
    ///
    /// # Panics
    /// If [`AuxiliaryClassifiers::check_input`] refuses the images' size.
    pub fn forward_with(
        &self,
        images: Tensor<4>,
        auxiliary: &AuxiliaryClassifiers,
    ) -> (Tensor<2>, Vec<Tensor<2>>) {
        let (features, scores) = auxiliary.along(&self.trunk, images);
        (self.head.forward(features), scores)
    }

    /// Pooled output of the trunk, before the head.
    ///
    /// # Shapes
    /// - images: `[n, channels, height, width]`
    /// - returns `[n, feature_size]`
    pub fn features(&self, images: Tensor<4>) -> Tensor<2> {
        self.trunk.forward(images)
    }

    /// Embeddings from the maps behind a stage of the trunk, as [`Trunk::forward_until`] returns them.
    ///
    /// # Shapes
    /// - maps: `[n, maps, h, w]`
    /// - returns `[n, embedding_size]`
    pub fn forward_from(&self, maps: Tensor<4>, stage: StageId) -> Tensor<2> {
        self.head.forward(self.trunk.forward_from(maps, stage))
    }

    /// The same embedder with the trunk's stages up to `stage`, which is included, taken out of training.
    ///
    /// See [`Trunk::freeze_until`].
    #[must_use]
    pub fn freeze_until(self, stage: StageId) -> Self {
        Self {
            trunk: self.trunk.freeze_until(stage),
            ..self
        }
    }

    /// Fits the start of the head to features of the training images: their discriminants, whitened or scaled to unit
    /// variance, as [`HeadConfig::initialise`] says.
    ///
    /// # Shapes
    /// - features: `[n, feature_size]`, as [`features`](Self::features) gives them for a sample of the training images
    /// - labels: `[n]`, their classes; only discriminants ask for them
    ///
    /// # Panics
    /// If there are not as many labels as features.
    #[must_use]
    pub fn calibrate_head(mut self, features: Tensor<2>, labels: &[usize]) -> Self {
        self.head = match self.config.head.initialise {
            HeadInitialisation::Uniform | HeadInitialisation::UnitVariance => {
                self.head.calibrate(features)
            }
            HeadInitialisation::Whitened => self.head.whiten(features),
            HeadInitialisation::Discriminant => self.head.discriminate(features, labels),
        };
        self
    }

    /// Takes over published or trained weights.
    ///
    /// The trunk's tensors must all be there. The head keeps the values it has where the file has no such tensor or one of
    /// another shape, as a classifier over other classes is; the report says so. Auxiliary classifiers are skipped, and so is
    /// the file's classifier where the head has no layers.
    ///
    /// # Errors
    /// If the file is unreadable or damaged, or a tensor of the trunk is missing, unexpected or of another shape; the error
    /// lists all of them, and no weight is changed.
    pub fn load_pretrained(
        &mut self,
        path: &Path,
        options: LoadOptions,
    ) -> Result<LoadReport, WeightsError> {
        self.load_pretrained_with(path, &mut AuxiliaryClassifiers::none(), options)
    }

    /// The same, with auxiliary classifiers that take over theirs where the file has them, but for a last layer over another
    /// number of classes.
    ///
    /// # Errors
    /// As [`load_pretrained`](Self::load_pretrained); no weight of `auxiliary` is changed either.
    pub fn load_pretrained_with(
        &mut self,
        path: &Path,
        auxiliary: &mut AuxiliaryClassifiers,
        options: LoadOptions,
    ) -> Result<LoadReport, WeightsError> {
        let file = WeightFile::read(path)?;
        self.take_over(&file, auxiliary, options)
    }

    /// [`load_pretrained`](Self::load_pretrained) from a file in memory.
    ///
    /// # Errors
    /// As there.
    pub fn load_pretrained_file(
        &mut self,
        file: &WeightFile,
        options: LoadOptions,
    ) -> Result<LoadReport, WeightsError> {
        self.take_over(file, &mut AuxiliaryClassifiers::none(), options)
    }

    fn take_over(
        &mut self,
        file: &WeightFile,
        auxiliary: &mut AuxiliaryClassifiers,
        options: LoadOptions,
    ) -> Result<LoadReport, WeightsError> {
        let network = self.config.network.clone();
        let head = [network.classifier_name(), "head.hidden", "head.bn"];
        let last: Vec<String> = auxiliary
            .heads
            .iter()
            .map(|head| head.last().name.clone())
            .collect();
        let mut resizable = head.to_vec();
        resizable.extend(last.iter().map(String::as_str));
        let mut absent = head.to_vec();
        absent.extend(network.auxiliary_names());
        let mut optional = network.auxiliary_names().to_vec();
        if self.config.head.kind == HeadKind::Features {
            optional.push(network.classifier_name());
        }
        let rules = LoadRules {
            network: network.name(),
            resizable: &resizable,
            absent: &absent,
            optional: &optional,
            options,
        };
        let mut slots = self.slots();
        for head in &mut auxiliary.heads {
            head.slots(&mut slots);
        }
        load(slots, file, &rules)
    }

    /// Takes over the weights of an embedder of the same description, head included. Beside a head without layers the file may
    /// have the classifiers of the published weights.
    pub(crate) fn load_exactly(&mut self, file: &WeightFile) -> Result<LoadReport, WeightsError> {
        let network = self.config.network.clone();
        let mut optional = Vec::new();
        if self.config.head.kind == HeadKind::Features {
            optional.extend(network.auxiliary_names());
            optional.push(network.classifier_name());
        }
        let rules = LoadRules {
            network: network.name(),
            resizable: &[],
            absent: &[],
            optional: &optional,
            options: LoadOptions::default(),
        };
        load(self.slots(), file, &rules)
    }

    pub(crate) fn slots(&mut self) -> Vec<Slot<'_>> {
        let mut slots = Vec::new();
        self.trunk.slots(&mut slots);
        self.head.slots(&mut slots);
        slots
    }
}
