//! `lodestone models`: the networks with their size and cost, counted layer by layer.

use anyhow::Result;
use lodestone_models::{EmbedderConfig, HeadConfig, NetworkConfig, Summary};
use serde_json::json;

use crate::args::ModelsArguments;
use crate::device::DeviceName;

/// Embedding size of the table; the head's cost is next to nothing beside the trunk's.
const EMBEDDING: usize = 128;

/// Runs the command.
pub(crate) fn run(arguments: &ModelsArguments) -> Result<()> {
    let device = "cpu"
        .parse::<DeviceName>()
        .map_err(anyhow::Error::msg)?
        .open()?;
    let mut rows = Vec::new();
    for network in NetworkConfig::all() {
        let size = arguments.size.unwrap_or(network.usual_size());
        let config = EmbedderConfig {
            network: network.clone(),
            head: HeadConfig::new(EMBEDDING),
        };
        let embedder = config.init(0, &device);
        let smallest = embedder.trunk.minimum_size();
        // A size that one network cannot process is that network's row, not the end of the table.
        rows.push((
            network,
            smallest,
            embedder.summary(size).map_err(|error| error.to_string()),
        ));
    }
    if arguments.json {
        let rows: Vec<_> = rows
            .iter()
            .map(|(network, smallest, summary)| as_json(network, *smallest, summary))
            .collect();
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(());
    }
    println!(
        "| network | image | features | parameters | multiply-adds | last map | smallest image |"
    );
    println!("|---|---|---:|---:|---:|---|---:|");
    for (network, smallest, summary) in &rows {
        match summary {
            Ok(summary) => println!(
                "| {} | {} | {} | {} | {:.1} M | {} | {smallest} |",
                network.name(),
                shape(summary.input),
                network.feature_size(),
                summary.parameters(),
                summary.multiply_adds() as f64 / 1e6,
                shape(summary.last_map),
            ),
            Err(reason) => println!("| {} | {reason} | | | | | {smallest} |", network.name()),
        }
    }
    println!("\nWith a linear head of {EMBEDDING} values; auxiliary classifiers are not counted.");
    Ok(())
}

fn as_json(
    network: &NetworkConfig,
    smallest: usize,
    summary: &Result<Summary, String>,
) -> serde_json::Value {
    match summary {
        Ok(summary) => json!({
            "network": network.name(),
            "image": summary.input,
            "features": network.feature_size(),
            "parameters": summary.parameters(),
            "multiply_adds": summary.multiply_adds(),
            "last_map": summary.last_map,
            "smallest_image": smallest,
        }),
        Err(reason) => {
            json!({ "network": network.name(), "error": reason, "smallest_image": smallest })
        }
    }
}

fn shape(sizes: [usize; 3]) -> String {
    sizes.map(|size| size.to_string()).join("×")
}
