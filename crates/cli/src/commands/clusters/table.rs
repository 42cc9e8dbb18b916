//! Modes as lines of text and as JSON.

use std::fmt::Write as _;
use std::path::PathBuf;

use lodestone_sampling::{Index, Mode};
use serde_json::{Value, json};

use super::{Photographs, share, short_name};

/// File names in a line of the table; the contact sheet and the JSON have all exemplars.
const NAMED: usize = 3;

/// A Markdown table with a line for each mode, and a line about all of them.
pub(super) fn to_text(photographs: &Photographs, index: &Index, modes: &[Mode]) -> String {
    let mut text =
        "| class | cluster | images | share | radius | nearest of another class | nearest to the centre |\n\
         |---|---:|---:|---:|---:|---|---|\n"
            .to_owned();
    for mode in modes {
        let nearest = mode.nearest_imposter.map_or_else(String::new, |imposter| {
            format!(
                "{} ({}), {:.2} away",
                photographs.classes.name(imposter.class),
                imposter.cluster,
                imposter.distance
            )
        });
        let exemplars: Vec<String> = mode
            .exemplars
            .iter()
            .take(NAMED)
            .map(|&row| short_name(photographs, row))
            .collect();
        // Writing into a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.0} % | {:.2} | {nearest} | {} |",
            photographs.classes.name(mode.class),
            mode.cluster,
            mode.size,
            100.0 * share(photographs, mode),
            mode.radius,
            exemplars.join(", ")
        );
    }
    let _ = writeln!(
        text,
        "\n{} clusters of {} images in {} classes; the root of the variance within clusters is {:.2}",
        index.len(),
        index.rows(),
        photographs.classes.len(),
        index.variance().sqrt()
    );
    text
}

/// All that is known of the modes.
pub(super) fn to_json(
    photographs: &Photographs,
    index: &Index,
    modes: &[Mode],
    sheets: &[PathBuf],
) -> Value {
    let name = |class| photographs.classes.name(class);
    let modes: Vec<Value> = modes
        .iter()
        .map(|mode| {
            let path = |&row: &usize| photographs.table.describe(photographs.rows[row]);
            json!({
                "class": mode.class,
                "class_name": name(mode.class),
                "cluster": mode.cluster,
                "images": mode.size,
                "share": share(photographs, mode),
                "radius": mode.radius,
                "nearest_imposter": mode.nearest_imposter.map(|imposter| json!({
                    "class": imposter.class,
                    "class_name": name(imposter.class),
                    "cluster": imposter.cluster,
                    "distance": imposter.distance,
                })),
                "exemplars": mode.exemplars.iter().map(path).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "classes": photographs.classes.len(),
        "clusters": index.len(),
        "images": index.rows(),
        "inertia": index.inertia(),
        "variance": index.variance(),
        "sheets": sheets,
        "modes": modes,
    })
}
