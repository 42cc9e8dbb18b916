//! A model that is ready to embed photographs: that of a run, a model file, or published weights as they are.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Error, Result, anyhow, ensure};
use burn::tensor::Device;
use lodestone_data::{
    Broken, Loader, LoaderConfig, Preprocessing, Row, Split, Table, image_from_bytes,
};
use lodestone_models::{InferenceEmbedder, Model, WeightFile, WeightsError};
use lodestone_train::{Embedded, EmbeddingCache, Pass};
use sha2::{Digest, Sha256};

use crate::commands::embed_rows::embed_rows;
use crate::commands::user_cache;
use crate::device::DeviceName;
use crate::progress::Progress;

/// Images whose embeddings are kept together, while others are still to be made.
const PART: usize = 4096;

/// A model, what it wants photographs to be like, and where it computes.
pub(crate) struct Opened {
    model: Model,
    embedder: InferenceEmbedder,
    preprocessing: Preprocessing,
    device: Device,
    /// The first half of the SHA-256 of its file.
    pub(crate) checksum: String,
    /// What it has embedded before; nothing where the user has no folder for caches.
    kept: OnceLock<Option<EmbeddingCache>>,
}

impl Opened {
    /// Reads a model file, that of a run folder, or published weights, whose pooled features are the embeddings.
    pub(crate) fn read(path: &Path, device: &DeviceName) -> Result<Self> {
        let device = device.open()?;
        let file = model_file(path);
        let weights = weight_file(path)?;
        let model =
            Model::from_file(&weights, &device).map_err(|error| explained(error, &weights))?;
        drop(weights);
        let preprocessing = model.description.preprocessing.clone();
        model.embedder.trunk.check_input(preprocessing.shape())?;
        Ok(Self {
            embedder: model.embedder.for_inference(),
            checksum: checksum(&file)?,
            preprocessing,
            device,
            model,
            kept: OnceLock::new(),
        })
    }

    /// Number of values of an embedding.
    pub(crate) fn size(&self) -> usize {
        self.model.embedder.embedding_size()
    }

    /// Where its embeddings are kept. Its name takes a look at every weight, so it is made when it is asked for.
    fn kept(&self) -> Option<&EmbeddingCache> {
        let open = |folder: PathBuf| {
            let (embedder, preprocessing) = (&self.model.embedder, &self.preprocessing);
            EmbeddingCache::new(
                &folder,
                embedder,
                preprocessing,
                &self.device,
                Pass::Inference,
            )
        };
        self.kept.get_or_init(|| user_cache().map(open)).as_ref()
    }

    /// Embeds rows of a table, `batch` at a time; broken ones are left out or end it. What this model has embedded before is taken
    /// from the user's cache, and what it embeds now goes there.
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
        let mut make = |rows: &[usize]| {
            embed_rows(&self.embedder, &loader, rows, batch, &self.device, progress)
        };
        match self.kept() {
            Some(kept) => kept.embed(table, rows, PART, make),
            None => make(rows),
        }
    }

    /// What this model has embedded before of some files.
    pub(crate) fn recall(&self, files: &[&Path]) -> BTreeMap<PathBuf, Vec<f32>> {
        let Some(kept) = self.kept() else {
            return BTreeMap::new();
        };
        let (table, rows) = table_of_files(files);
        let again = |row: usize| {
            let file = table.describe(row);
            let bytes = std::fs::read(&file).unwrap_or_default();
            // One that cannot be embedded agrees with nothing, and is told of when its turn comes.
            Ok::<_, Infallible>(self.embed_bytes(&bytes, &file).unwrap_or_default())
        };
        let Ok(found) = kept.find(&table, &rows, again);
        let found = files.iter().zip(found);
        found
            .filter_map(|(file, values)| Some((file.to_path_buf(), values?)))
            .collect()
    }

    /// Keeps embeddings of files.
    pub(crate) fn remember(&self, files: &[&Path], values: &[f32]) {
        if let Some(kept) = self.kept() {
            let (table, rows) = table_of_files(files);
            kept.keep(&table, &rows, values);
        }
    }

    /// Embeds the bytes of one photograph; `name` is what messages call it.
    pub(crate) fn embed_bytes(&self, bytes: &[u8], name: &Path) -> Result<Vec<f32>> {
        let image = image_from_bytes(bytes, name, &self.preprocessing)?;
        let embedding = self.embedder.forward(image.into_tensor(&self.device));
        let data = embedding.into_data().convert::<f32>();
        Ok(data.try_into_vec::<f32>()?)
    }
}

/// The file of a model with its tensors; a folder without one is told as such.
pub(crate) fn weight_file(path: &Path) -> Result<WeightFile> {
    let file = model_file(path);
    ensure!(
        file.is_file() || !path.is_dir(),
        "{} is a folder without model.safetensors: a model is the folder of a finished run, a model file, or published weights \
         (.pth, .caffemodel, .safetensors)",
        path.display()
    );
    Ok(WeightFile::read(&file)?)
}

/// What is in a file that is no model, and what would do.
fn explained(error: WeightsError, file: &WeightFile) -> Error {
    if !matches!(error, WeightsError::UnknownNetwork { .. }) {
        return error.into();
    }
    let has = |name: &str| file.tensors.contains_key(name);
    let path = file.path.display();
    if has("embeddings") {
        let what = match has("path_bytes") {
            true => "an index",
            false => "embeddings",
        };
        return anyhow!("{path} holds {what} and no model: name the model that made them");
    }
    anyhow!(
        "{error}; if they are of another one that `lodestone models` lists, `lodestone weights convert {path} model.safetensors \
         --network NETWORK` says so in the file"
    )
}

/// Files as a table with a row for each.
fn table_of_files(files: &[&Path]) -> (Table, Vec<usize>) {
    let rows = files.iter().map(|file| Row::file(*file, 0, Split::Test));
    let rows: Vec<Row> = rows.collect();
    let numbers = (0..rows.len()).collect();
    let table = Table::of_files("files", Path::new(""), vec![String::new()], rows);
    (table, numbers)
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
