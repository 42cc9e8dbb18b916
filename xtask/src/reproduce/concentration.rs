//! How attributes concentrate around test images that have them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::kept::Labels;
use super::work::Workshop;
use crate::files::write_whole;

#[derive(Deserialize)]
struct Report {
    concentration: Option<Concentration>,
}

#[derive(Deserialize)]
struct Concentration {
    sizes: Vec<usize>,
    pooled: Curve,
}

#[derive(Deserialize)]
struct Curve {
    shares: Vec<f64>,
    base: f64,
}

/// Name of the share among all images.
pub(crate) const BASE: &str = "concentration_base";
/// What stands in front of the number of neighbours.
pub(crate) const AT: &str = "concentration_at_";

/// Measures the attributes of the command line, or the fine classes if there are none.
pub(crate) fn measure(workshop: &Workshop<'_>, kept: &Path) -> Result<BTreeMap<String, f64>> {
    let labels = kept.join("queries.csv");
    let attributes = match &workshop.suite.attributes {
        Some(given) => given.clone(),
        None => {
            let path = kept.join("attributes.csv");
            write_whole(&path, one_hot(&Labels::read(&labels)?.fine).as_bytes())?;
            path
        }
    };
    let mut command = workshop.command("evaluate");
    command.args(["--json", "--no-diagnostics"]);
    command.arg("--embeddings").arg(kept.join("queries.npy"));
    command.arg("--labels").arg(&labels);
    command.arg("--attributes").arg(&attributes);
    let text = workshop.output(&mut command)?;
    let report: Report = serde_json::from_str(&text).context("the report is no JSON")?;
    let found = report
        .concentration
        .context("the report has no concentration")?;
    let shares = found.sizes.iter().zip(found.pooled.shares);
    let mut measures: BTreeMap<String, f64> = shares
        .map(|(size, share)| (format!("{AT}{size}"), share))
        .collect();
    measures.insert(BASE.into(), found.pooled.base);
    Ok(measures)
}

/// Attributes that say which fine class an image is of.
fn one_hot(fine: &[usize]) -> String {
    let classes = fine.iter().max().map_or(0, |&most| most + 1);
    let names: Vec<String> = (0..classes).map(|class| format!("class_{class}")).collect();
    let mut text = names.join(",") + "\n";
    for &own in fine {
        let cells: Vec<&str> = (0..classes)
            .map(|class| if class == own { "1" } else { "-1" })
            .collect();
        text += &(cells.join(",") + "\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_image_has_the_attribute_of_its_class_alone() {
        assert_eq!(one_hot(&[1, 0]), "class_0,class_1\n-1,1\n1,-1\n");
    }
}
