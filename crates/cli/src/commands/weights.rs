//! `lodestone weights`: what a file holds, and the same as `.safetensors`.

use anyhow::{Context, Result, ensure};
use lodestone_models::{
    Comparison, HeadConfig, LoadOptions, Model, ModelDescription, NetworkConfig, WeightFile,
};
use serde_json::json;

use crate::args::{ConvertArguments, WeightsCommand};
use crate::device::DeviceName;
use crate::overwrite;

/// Runs the command.
pub(crate) fn run(command: &WeightsCommand) -> Result<()> {
    match command {
        WeightsCommand::Inspect { file, json } => inspect(&WeightFile::read(file)?, *json),
        WeightsCommand::Convert(arguments) => convert(arguments),
    }
}

fn convert(arguments: &ConvertArguments) -> Result<()> {
    let (from, to) = (&arguments.from, &arguments.to);
    let ending = to
        .extension()
        .and_then(|ending| ending.to_str())
        .unwrap_or_default();
    ensure!(
        ending == "safetensors",
        "{} ends in `{ending}`; only .safetensors is written",
        to.display()
    );
    overwrite::check(to, arguments.force, overwrite::never)?;
    let mut file = WeightFile::read(from)?;
    match arguments.network {
        None => {
            let published = published(&file);
            if let Some(description) = &published {
                file.metadata.extend(description.to_metadata());
            }
            file.write(to)?;
            outln!(
                "{} tensors of {} in {}",
                file.tensors.len(),
                from.display(),
                to.display()
            )?;
            if let Some(description) = &published {
                outln!("{}: {}", to.display(), as_model(description))?;
            }
        }
        Some(name) => {
            let network = name.config(!arguments.no_transform_input);
            model(&file, network, arguments)?.write(to)?;
        }
    }
    Ok(())
}

/// The file's weights in their network, with all that is needed to embed an image.
fn model(file: &WeightFile, network: NetworkConfig, arguments: &ConvertArguments) -> Result<Model> {
    let device = "cpu"
        .parse::<DeviceName>()
        .map_err(anyhow::Error::msg)?
        .open()?;
    let mut description = ModelDescription::of_features(network);
    if arguments.classifier {
        let network = &description.embedder.network;
        description.embedder.head = HeadConfig::new(classes(file, network)?);
        description.distance = Comparison::Euclidean;
    }
    if let Some(side) = arguments.size {
        ensure!(side > 0, "--size is 0, must be at least 1");
        description.preprocessing = description.preprocessing.with_crop(side);
    }
    let (config, side) = (&description.embedder, description.preprocessing.crop);
    let mut embedder = config.init(0, &device);
    embedder
        .trunk
        .check_input([config.network.image_channels(), side, side])?;
    let options = LoadOptions {
        partial: arguments.partial,
    };
    let report = embedder.load_pretrained_file(file, options)?;
    outln!(
        "{} as {}: {report}",
        file.path.display(),
        config.network.name()
    )?;
    outln!("{}: {}", arguments.to.display(), as_model(&description))?;
    Ok(Model {
        embedder,
        description,
    })
}

/// What published weights that do not say so themselves are as a model.
fn published(file: &WeightFile) -> Option<ModelDescription> {
    match ModelDescription::is_in(file) {
        true => None,
        false => ModelDescription::of_weights(file).ok(),
    }
}

/// What a model makes of what, in words.
fn as_model(description: &ModelDescription) -> String {
    let (config, side) = (&description.embedder, description.preprocessing.crop);
    let compared = match description.distance {
        Comparison::Euclidean => "Euclidean distance",
        Comparison::Cosine => "cosine",
    };
    format!(
        "{}, embeddings of {} values from images of {side}×{side} pixels, compared by {compared}",
        config.network.name(),
        config.head.embedding_size
    )
}

/// How many classes the file's classifier has.
fn classes(file: &WeightFile, network: &NetworkConfig) -> Result<usize> {
    let key = format!("{}.bias", network.classifier_name());
    let tensor = file.tensors.get(&key).with_context(|| {
        format!(
            "{} has no `{key}`, so --classifier has no scores to take",
            file.path.display()
        )
    })?;
    Ok(tensor.shape.iter().product())
}

fn inspect(file: &WeightFile, json: bool) -> Result<()> {
    let count = |shape: &[usize]| shape.iter().product::<usize>();
    let values: usize = file
        .tensors
        .values()
        .map(|tensor| count(&tensor.shape))
        .sum();
    if json {
        let tensors: Vec<_> = file
            .tensors
            .iter()
            .map(|(name, tensor)| json!({ "name": name, "dtype": tensor.dtype.name(), "shape": tensor.shape }))
            .collect();
        outln!(
            "{:#}",
            json!({
                "tensors": tensors,
                "values": values,
                "metadata": file.metadata,
                "model": published(file).map(|description| description.to_metadata()),
            })
        )?;
        return Ok(());
    }
    for (name, tensor) in &file.tensors {
        outln!("{name}  {}  {:?}", tensor.dtype.name(), tensor.shape)?;
    }
    outln!("{} tensors, {values} values", file.tensors.len())?;
    if let Some(description) = published(file) {
        outln!("as a model: {}", as_model(&description))?;
    }
    for (key, value) in &file.metadata {
        outln!("{key} = {value}")?;
    }
    Ok(())
}
