//! `lodestone models`: the networks with their size and cost, counted layer by layer.

use anyhow::Result;
use lodestone_models::{NetworkConfig, Summary};
use serde_json::{Value, json};

use crate::args::ModelsArguments;
use crate::device::DeviceName;

/// A network and what walking its layers found.
struct Walked {
    network: NetworkConfig,
    smallest: usize,
    /// Of the trunk alone, or why the image does not pass.
    summary: Result<Summary, String>,
}

/// Runs the command.
pub(crate) fn run(arguments: &ModelsArguments) -> Result<()> {
    let networks = match arguments.network {
        Some(name) => vec![name.config(false)],
        None => NetworkConfig::all(),
    };
    let walked: Vec<Walked> = networks
        .into_iter()
        .map(|network| walk(network, arguments.size))
        .collect::<Result<_>>()?;
    if arguments.json {
        let rows: Vec<Value> = walked.iter().map(as_json).collect();
        outln!("{:#}", Value::from(rows))?;
        return Ok(());
    }
    match (arguments.network, walked.as_slice()) {
        (Some(_), [one]) => {
            let summary = one
                .summary
                .as_ref()
                .map_err(|reason| anyhow::anyhow!("{reason}"))?;
            layers(summary)?;
        }
        _ => table(&walked)?,
    }
    for Walked { network, .. } in &walked {
        outln!("{}: {}.", network.name(), network.differences())?;
    }
    Ok(())
}

/// No parameter is drawn for it: shapes are enough.
fn walk(network: NetworkConfig, size: Option<usize>) -> Result<Walked> {
    let device = "cpu"
        .parse::<DeviceName>()
        .map_err(anyhow::Error::msg)?
        .open()?;
    let trunk = network.init(0, &device);
    let size = size.unwrap_or(network.usual_size());
    Ok(Walked {
        smallest: trunk.minimum_size(),
        // A size that one network cannot process is that network's row, not the end of the table.
        summary: trunk.summary(size).map_err(|error| error.to_string()),
        network,
    })
}

fn table(walked: &[Walked]) -> Result<()> {
    outln!(
        "| network | image | last map | features | parameters | multiply-adds | smallest image | source |"
    )?;
    outln!("|---|---|---|---:|---:|---:|---:|---|")?;
    for Walked {
        network,
        smallest,
        summary,
    } in walked
    {
        let (name, source) = (network.name(), network.source());
        match summary {
            Ok(summary) => outln!(
                "| {name} | {} | {} | {} | {} | {} | {smallest}×{smallest} | {source} |",
                shape(&summary.input),
                shape(&summary.last_map),
                network.feature_size(),
                thousands(summary.parameters()),
                thousands(summary.multiply_adds()),
            )?,
            Err(reason) => {
                outln!("| {name} | {reason} | | | | | {smallest}×{smallest} | {source} |")?;
            }
        }
    }
    outln!(
        "\nFor one image, without head, classifier and auxiliary classifiers. Known differences from the papers:"
    )?;
    Ok(())
}

fn layers(summary: &Summary) -> Result<()> {
    outln!("| layer | output | parameters | multiply-adds |")?;
    outln!("|---|---|---:|---:|")?;
    for layer in &summary.layers {
        outln!(
            "| {} | {} | {} | {} |",
            layer.name,
            shape(&layer.output),
            thousands(layer.parameters),
            thousands(layer.multiply_adds)
        )?;
    }
    outln!(
        "| {} at {} | {} | {} | {} |\n",
        summary.name,
        shape(&summary.input),
        shape(&summary.last_map),
        thousands(summary.parameters()),
        thousands(summary.multiply_adds())
    )?;
    Ok(())
}

fn as_json(walked: &Walked) -> Value {
    let Walked {
        network,
        smallest,
        summary,
    } = walked;
    let mut row = json!({
        "network": network.name(),
        "features": network.feature_size(),
        "smallest_image": smallest,
        "source": network.source(),
        "differences": network.differences(),
    });
    match summary {
        Ok(summary) => {
            row["image"] = json!(summary.input);
            row["last_map"] = json!(summary.last_map);
            row["parameters"] = json!(summary.parameters());
            row["multiply_adds"] = json!(summary.multiply_adds());
        }
        Err(reason) => row["error"] = json!(reason),
    }
    row
}

fn shape(sizes: &[usize]) -> String {
    let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
    sizes.join("×")
}

/// Digits in groups of three.
fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::thousands;

    #[test]
    fn digits_are_grouped_from_the_right() {
        let text = [0, 999, 1000, 21_785_568].map(thousands);
        assert_eq!(text, ["0", "999", "1,000", "21,785,568"]);
    }
}
