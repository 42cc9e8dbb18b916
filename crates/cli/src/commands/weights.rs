//! `lodestone weights`: what a file holds, and the same as `.safetensors`.

use anyhow::{Context, Result, ensure};
use lodestone_models::{
    Comparison, EmbedderConfig, HeadConfig, HeadKind, LoadOptions, Model, ModelDescription,
    NetworkConfig, WeightFile,
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
    let file = WeightFile::read(from)?;
    match arguments.network {
        None => {
            file.write(to)?;
            outln!(
                "{} tensors of {} in {}",
                file.tensors.len(),
                from.display(),
                to.display()
            )?;
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
    let head = if arguments.classifier {
        HeadConfig::new(classes(file, &network)?)
    } else {
        HeadConfig {
            kind: HeadKind::Features,
            ..HeadConfig::new(network.feature_size())
        }
    };
    let preprocessing = match arguments.size {
        Some(side) => {
            ensure!(side > 0, "--size is 0, must be at least 1");
            network.preprocessing().with_crop(side)
        }
        None => network.preprocessing(),
    };
    let config = EmbedderConfig { network, head };
    let mut embedder = config.init(0, &device);
    let side = preprocessing.crop;
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
    outln!(
        "{}: embeddings of {} values from images of {side}×{side} pixels",
        arguments.to.display(),
        config.head.embedding_size
    )?;
    Ok(Model {
        embedder,
        description: ModelDescription {
            embedder: config,
            preprocessing,
            distance: Comparison::Euclidean,
            class_names: Vec::new(),
        },
    })
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
            json!({ "tensors": tensors, "values": values, "metadata": file.metadata })
        )?;
        return Ok(());
    }
    for (name, tensor) in &file.tensors {
        outln!("{name}  {}  {:?}", tensor.dtype.name(), tensor.shape)?;
    }
    outln!("{} tensors, {values} values", file.tensors.len())?;
    for (key, value) in &file.metadata {
        outln!("{key} = {value}")?;
    }
    Ok(())
}
