//! The networks as they were published: a trunk and a classifier.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::auxiliary::AuxiliaryHead;
use crate::auxiliary_classifiers::AuxiliaryClassifiers;
use crate::dense::Dense;
use crate::network::NetworkConfig;
use crate::trunk::Trunk;
use crate::weights::{
    self, LoadOptions, LoadReport, LoadRules, Slot, WeightFile, WeightsError, load,
};

/// Description of a [`Classifier`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierConfig {
    /// The network that turns an image into features.
    pub network: NetworkConfig,
    /// Number of classes.
    pub classes: usize,
    /// Share of the features that is set to zero in training, in `[0, 1)`; torchvision has 0.2 for GoogLeNet, 0.5 for
    /// Inception V3 and none for ResNet.
    pub dropout: f64,
    /// Classifiers below the top. The small network and ResNet have none in either case.
    pub auxiliary: Auxiliary,
}

/// Whether a network has classifiers below the top.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auxiliary {
    /// They are left out.
    Without,
    /// They are built, with this dropout before their last layer where they have any; GoogLeNet's is 0.7.
    With {
        /// In `[0, 1)`.
        dropout: f64,
    },
}

/// What a [`Classifier`] computes in training.
#[derive(Clone, Debug)]
pub struct ClassifierOutput {
    /// Pooled features `[n, feature_size]`, before dropout.
    pub features: Tensor<2>,
    /// `[n, classes]`, before softmax.
    pub logits: Tensor<2>,
    /// `[n, classes]` of each classifier below the top, the lowest first.
    pub auxiliary: Vec<Tensor<2>>,
}

impl ClassifierConfig {
    /// A classifier with parameters drawn from `seed`.
    ///
    /// # Panics
    /// If `classes` is 0 or a dropout is not in `[0, 1)`.
    pub fn init(&self, seed: u64, device: &Device) -> Classifier {
        assert!(self.classes > 0, "classes is 0, must be at least 1");
        let network = &self.network;
        let sizes = [network.feature_size(), self.classes];
        let start = network.classifier_start();
        Classifier {
            trunk: network.init(seed, device),
            auxiliary: match self.auxiliary {
                Auxiliary::Without => AuxiliaryClassifiers::none(),
                Auxiliary::With { dropout } => {
                    network.auxiliary(self.classes, dropout, seed, device)
                }
            },
            dropout: DropoutConfig::new(self.dropout).init(),
            last: Dense::new(network.classifier_name(), sizes, start, seed, device),
        }
    }
}

/// Turns images into scores of classes.
///
/// # Example
/// ```
/// # use burn::tensor::{Device, Tensor};
/// use lodestone_models::{Auxiliary, ClassifierConfig, ConvNetConfig, NetworkConfig};
///
/// let device = Device::flex();
/// let config = ClassifierConfig {
///     network: NetworkConfig::ConvNet(ConvNetConfig::default()),
///     classes: 10,
///     dropout: 0.0,
///     auxiliary: Auxiliary::Without,
/// };
/// let logits = config.init(7, &device).forward(Tensor::ones([2, 1, 28, 28], &device));
/// assert_eq!(logits.dims(), [2, 10]);
/// ```
#[derive(Module, Debug)]
pub struct Classifier {
    /// From images to features.
    pub trunk: Trunk,
    pub(crate) auxiliary: AuxiliaryClassifiers,
    dropout: Dropout,
    pub(crate) last: Dense,
}

impl Classifier {
    /// Scores before softmax; classifiers below the top do not run.
    ///
    /// # Shapes
    /// - images: `[n, channels, height, width]`
    /// - returns `[n, classes]`
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.last
            .forward(self.dropout.forward(self.trunk.forward(images)))
    }

    /// Scores of every classifier, for training with a weighted sum of their losses.
    ///
    /// # Shapes
    /// - images: `[n, channels, height, width]`
    pub fn forward_all(&self, images: Tensor<4>) -> ClassifierOutput {
        let (features, auxiliary) = self.auxiliary.along(&self.trunk, images);
        let logits = self.last.forward(self.dropout.forward(features.clone()));
        ClassifierOutput {
            features,
            logits,
            auxiliary,
        }
    }

    /// Takes over published or trained weights.
    ///
    /// Classifiers keep the values they have where the file's are over another number of classes, and auxiliary classifiers
    /// that were left out are skipped; the report says so.
    ///
    /// # Errors
    /// If the file is unreadable or damaged, or a tensor is missing, unexpected or of another shape; the error lists all of
    /// them, and no weight is changed.
    pub fn load_pretrained(
        &mut self,
        path: &Path,
        options: LoadOptions,
    ) -> Result<LoadReport, WeightsError> {
        let file = WeightFile::read(path)?;
        let network = self.trunk.config.clone();
        let replaceable: Vec<String> = [&self.last]
            .into_iter()
            .chain(self.auxiliary.heads.iter().map(AuxiliaryHead::last))
            .map(|dense| dense.name.clone())
            .collect();
        let replaceable: Vec<&str> = replaceable.iter().map(String::as_str).collect();
        let rules = LoadRules {
            network: network.name(),
            // Over another number of classes they are replaced; if they are absent, that is an error.
            resizable: &replaceable,
            absent: &[],
            optional: network.auxiliary_names(),
            options,
        };
        load(self.slots(), &file, &rules)
    }

    /// Writes all tensors under their published names, with `metadata` in the header.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_weights(
        &self,
        path: &Path,
        metadata: &BTreeMap<String, String>,
    ) -> Result<(), WeightsError> {
        let mut classifier = self.clone();
        weights::write(path, &classifier.slots(), metadata)
    }

    pub(crate) fn slots(&mut self) -> Vec<Slot<'_>> {
        let mut slots = Vec::new();
        self.trunk.slots(&mut slots);
        for head in &mut self.auxiliary.heads {
            head.slots(&mut slots);
        }
        self.last.slots(&mut slots);
        slots
    }
}
