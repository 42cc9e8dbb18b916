//! A model that is ready to embed photographs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use burn::tensor::Device;
use lodestone_data::{Broken, Loader, LoaderConfig, Preprocessing, Table, image_from_bytes};
use lodestone_models::{InferenceEmbedder, Model};
use sha2::{Digest, Sha256};

use crate::commands::embed_rows::{Embedded, embed_rows};
use crate::device::DeviceName;
use crate::progress::Progress;

/// A model, what it wants photographs to be like, and where it computes.
pub(crate) struct Opened {
    model: Model,
    embedder: InferenceEmbedder,
    preprocessing: Preprocessing,
    device: Device,
    /// The first half of the SHA-256 of its file.
    pub(crate) checksum: String,
}

impl Opened {
    /// Reads a model file, or that of a run folder.
    pub(crate) fn read(path: &Path, device: &DeviceName) -> Result<Self> {
        let device = device.open()?;
        let file = model_file(path);
        let model = Model::read(&file, &device)?;
        let preprocessing = model.description.preprocessing.clone();
        model.embedder.trunk.check_input(preprocessing.shape())?;
        Ok(Self {
            embedder: model.embedder.for_inference(),
            checksum: checksum(&file)?,
            preprocessing,
            device,
            model,
        })
    }

    /// Number of values of an embedding.
    pub(crate) fn size(&self) -> usize {
        self.model.embedder.embedding_size()
    }

    /// Embeds rows of a table, `batch` at a time; broken ones are left out or end it.
    pub(crate) fn embed(
        &self,
        table: &Arc<Table>,
        rows: &[usize],
        batch: usize,
        broken: Broken,
        progress: &mut Progress,
    ) -> Result<Embedded> {
        ensure!(batch > 0, "--batch is 0, must be at least 1");
        let config = LoaderConfig {
            broken,
            ..LoaderConfig::default()
        };
        let loader = Loader::new(Arc::clone(table), self.preprocessing.clone(), config)?;
        embed_rows(
            &self.model.embedder,
            &loader,
            rows,
            batch,
            &self.device,
            progress,
        )
    }

    /// Embeds the bytes of one photograph; `name` is what messages call it.
    pub(crate) fn embed_bytes(&self, bytes: &[u8], name: &Path) -> Result<Vec<f32>> {
        let image = image_from_bytes(bytes, name, &self.preprocessing)?;
        let embedding = self.embedder.forward(image.into_tensor(&self.device));
        let data = embedding.into_data().convert::<f32>();
        Ok(data.try_into_vec::<f32>()?)
    }
}

/// The checksum of a model file or of that of a run folder, which tells what an index was made with.
pub(crate) fn checksum_of(model: &Path) -> Result<String> {
    checksum(&model_file(model))
}

fn checksum(file: &Path) -> Result<String> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(short_hex(&Sha256::digest(bytes)))
}

/// The first 16 bytes of a digest, which tell any two things apart.
pub(crate) fn short_hex(digest: &[u8]) -> String {
    let bytes = digest.iter().take(16);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// A run folder stands for the model it ended with.
pub(crate) fn model_file(model: &Path) -> PathBuf {
    if model.is_dir() {
        model.join("model.safetensors")
    } else {
        model.to_path_buf()
    }
}
