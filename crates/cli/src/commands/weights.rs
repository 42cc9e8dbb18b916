//! `lodestone weights`: what a file holds, and the same as `.safetensors`.

use anyhow::{Result, ensure};
use lodestone_models::WeightFile;
use serde_json::json;

use crate::args::WeightsCommand;

/// Runs the command.
pub(crate) fn run(command: &WeightsCommand) -> Result<()> {
    match command {
        WeightsCommand::Inspect { file, json } => {
            inspect(&WeightFile::read(file)?, *json);
            Ok(())
        }
        WeightsCommand::Convert { from, to } => {
            let ending = to
                .extension()
                .and_then(|ending| ending.to_str())
                .unwrap_or_default();
            ensure!(
                ending == "safetensors",
                "{} ends in `{ending}`; only .safetensors is written",
                to.display()
            );
            let file = WeightFile::read(from)?;
            file.write(to)?;
            println!(
                "{} tensors of {} in {}",
                file.tensors.len(),
                from.display(),
                to.display()
            );
            Ok(())
        }
    }
}

fn inspect(file: &WeightFile, json: bool) {
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
        println!(
            "{:#}",
            json!({ "tensors": tensors, "values": values, "metadata": file.metadata })
        );
        return;
    }
    for (name, tensor) in &file.tensors {
        println!("{name}  {}  {:?}", tensor.dtype.name(), tensor.shape);
    }
    println!("{} tensors, {values} values", file.tensors.len());
    for (key, value) in &file.metadata {
        println!("{key} = {value}");
    }
}
