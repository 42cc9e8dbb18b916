//! A model as a file: weights under their published names, and beside them all that is needed to embed a picture.

use lodestone_files::Preprocessing;
use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::embedder::{Embedder, EmbedderConfig};
use crate::head::{HeadConfig, HeadKind};
use crate::network::NetworkConfig;
use crate::weights::{self, LoadOptions, WeightFile, WeightsError};

/// What a weight file says about its model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelDescription {
    /// The network and its head.
    pub embedder: EmbedderConfig,
    /// How a picture becomes the network's input.
    pub preprocessing: Preprocessing,
    /// How embeddings are to be compared.
    pub distance: Comparison,
    /// Names of the classes it was trained on, in the order of their labels.
    pub class_names: Vec<String>,
}

/// How embeddings are to be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// By the length of their difference.
    Euclidean,
    /// By their angle.
    Cosine,
}

/// An embedder and its description, which together are one file.
///
/// # Example
/// ```
/// # use burn::tensor::{Device, Tensor};
/// use lodestone_models::{
///     ConvNetConfig, Comparison, EmbedderConfig, HeadConfig, Model, ModelDescription, NetworkConfig, Preprocessing,
/// };
///
/// let device = Device::flex();
/// let description = ModelDescription {
///     embedder: EmbedderConfig {
///         network: NetworkConfig::ConvNet(ConvNetConfig::default()),
///         head: HeadConfig::new(16),
///     },
///     preprocessing: Preprocessing::grey(28, 0.286, 0.353),
///     distance: Comparison::Euclidean,
///     class_names: vec!["boot".to_owned(), "shirt".to_owned()],
/// };
/// let embedder = description.embedder.init(7, &device);
/// let model = Model { embedder, description };
///
/// let folder = tempfile::tempdir().unwrap();
/// let path = folder.path().join("model.safetensors");
/// model.write(&path).unwrap();
///
/// let again = Model::read(&path, &device).unwrap();
/// assert_eq!(again.description, model.description);
/// let images = Tensor::<4>::ones([1, 1, 28, 28], &device);
/// assert_eq!(
///     again.embedder.forward(images.clone()).into_data(),
///     model.embedder.forward(images).into_data(),
/// );
/// ```
#[derive(Clone, Debug)]
pub struct Model {
    /// The network with its weights.
    pub embedder: Embedder,
    /// Everything else.
    pub description: ModelDescription,
}

impl Model {
    /// Reads a file that [`write`](Self::write) made, or published weights as they are, which
    /// [`ModelDescription::of_weights`] tells by the names of their tensors.
    ///
    /// # Errors
    /// If the file cannot be read, has no description and is of no network that is known by its tensors, or its tensors are not
    /// those of its network.
    pub fn read(path: &Path, device: &Device) -> Result<Self, WeightsError> {
        Self::from_file(&WeightFile::read(path)?, device)
    }

    /// A model from the tensors and metadata of a file in memory.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn from_file(file: &WeightFile, device: &Device) -> Result<Self, WeightsError> {
        let described = ModelDescription::is_in(file);
        let description = match described {
            true => ModelDescription::from_metadata(file)?,
            false => ModelDescription::of_weights(file)?,
        };
        let mut embedder = description.embedder.init(0, device);
        match described {
            true => embedder.load_exactly(file)?,
            false => embedder.load_pretrained_file(file, LoadOptions::default())?,
        };
        Ok(Self {
            embedder,
            description,
        })
    }

    /// Writes the file whole, or leaves what was there.
    ///
    /// torchvision's networks take it by `load_state_dict` when their class count is the embedding size and their auxiliary
    /// heads are left out: a linear head has the name of their classifier.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), WeightsError> {
        let mut embedder = self.embedder.clone();
        weights::write(path, &embedder.slots(), &self.description.to_metadata())
    }
}

impl ModelDescription {
    /// A network without a head: its pooled features, divided by their length, so that distances rank as the cosine does, of
    /// images prepared as for its published weights.
    pub fn of_features(network: NetworkConfig) -> Self {
        let head = HeadConfig {
            kind: HeadKind::Features,
            normalise: true,
            ..HeadConfig::new(network.feature_size())
        };
        Self {
            preprocessing: network.preprocessing(),
            embedder: EmbedderConfig { network, head },
            distance: Comparison::Cosine,
            class_names: Vec::new(),
        }
    }

    /// What published weights are as a model: the [features](Self::of_features) of the network that
    /// [`NetworkConfig::of_weights`] reads off the names of the tensors.
    ///
    /// # Errors
    /// If the tensors are of no network that is known by their names.
    pub fn of_weights(file: &WeightFile) -> Result<Self, WeightsError> {
        NetworkConfig::of_weights(file).map(Self::of_features)
    }

    /// Whether the metadata of a file begin to describe a model.
    pub fn is_in(file: &WeightFile) -> bool {
        let mut keys = file.metadata.keys();
        keys.any(|key| key.starts_with("embedder.") || key.starts_with("preprocessing."))
    }

    /// One line of text for each setting, `preprocessing.crop` = `224`, as `.safetensors` can hold it and a person can
    /// read it.
    pub fn to_metadata(&self) -> BTreeMap<String, String> {
        let mut lines = BTreeMap::new();
        // Structs, numbers and text only: there is nothing in a description that JSON cannot hold.
        if let Ok(value) = serde_json::to_value(self) {
            flatten("", &value, &mut lines);
        }
        // Other readers of the format look for this key to learn whose tensor layout it is.
        lines.insert("format".to_owned(), "pt".to_owned());
        lines
    }

    /// The description in a file's metadata.
    ///
    /// # Errors
    /// If a setting is missing, unknown or has a value it cannot have; the error names it.
    pub fn from_metadata(file: &WeightFile) -> Result<Self, WeightsError> {
        let mut root = Map::new();
        for (key, text) in file.metadata.iter().filter(|(key, _)| *key != "format") {
            let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str()));
            insert(&mut root, key, value);
        }
        let error = |reason| WeightsError::Description {
            path: file.path.clone(),
            reason,
        };
        let description: Self = serde_json::from_value(Value::Object(root))
            .map_err(|wrong| error(wrong.to_string()))?;
        description
            .embedder
            .validate()
            .map_err(|wrong| error(wrong.to_string()))?;
        Ok(description)
    }
}

fn flatten(path: &str, value: &Value, lines: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let separator = if path.is_empty() { "" } else { "." };
                flatten(&format!("{path}{separator}{name}"), field, lines);
            }
        }
        Value::String(text) => {
            lines.insert(path.to_owned(), text.clone());
        }
        other => {
            lines.insert(path.to_owned(), other.to_string());
        }
    }
}

fn insert(fields: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            fields.insert(path.to_owned(), value);
        }
        Some((name, rest)) => {
            let inner = fields
                .entry(name)
                .or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}
