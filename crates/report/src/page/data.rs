//! What the script draws, as JSON; long lists as base64 of little-endian numbers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::slots::{Ordered, Slots};
use super::{EXEMPLARS, Findings};
use crate::answers::VOTERS;
use crate::material::{Material, Place, Side};
use crate::sheets::ON_A_SHEET;

/// Everything, ready to stand inside a `<script>`.
pub(super) fn json(material: &Material, findings: &Findings, slots: &Slots) -> String {
    let answers = &findings.answers;
    let card = |place: Place| card(material, &slots.large, place);
    let strip = |&query: &usize| {
        let found = answers.neighbours[query].iter().map(|neighbour| {
            let mut found = card(material.place(neighbour.row));
            found["distance"] = json!(neighbour.squared_distance.sqrt());
            found
        });
        json!({
            "query": card(Place::Query(query)),
            "predicted": answers.predicted[query],
            "sure": answers.sure[query],
            "found": found.collect::<Vec<_>>(),
        })
    };
    let confused = findings.confused.iter().map(|pair| {
        let examples = pair.examples.iter().map(|&query| card(Place::Query(query)));
        json!({
            "class": pair.class,
            "takenFor": pair.taken_for,
            "count": pair.count,
            "of": pair.of,
            "examples": examples.collect::<Vec<_>>(),
        })
    });
    let clusters = findings.clusters.iter().map(|&number| {
        let cluster = &material.clusters[number];
        let shown = cluster.exemplars.iter().take(EXEMPLARS);
        json!({
            "number": number,
            "class": cluster.class,
            "size": cluster.size,
            "radius": cluster.radius,
            "nearest": cluster.nearest,
            "exemplars": shown.map(|&row| card(material.place(row))).collect::<Vec<_>>(),
        })
    });
    let curves = material
        .curves
        .iter()
        .map(|curve| json!({ "name": curve.name, "points": curve.points }));
    let gallery = material
        .gallery
        .map(|side| of_side(side, &slots.small, Place::Gallery));
    let value = json!({
        "title": material.title,
        "facts": material.facts,
        "classes": material.class_names,
        "queries": of_side(material.queries, &slots.small, Place::Query),
        "gallery": gallery,
        "map": of_map(material, findings),
        "voters": VOTERS,
        "onASheet": ON_A_SHEET,
        "worst": findings.strips.worst.iter().map(strip).collect::<Vec<_>>(),
        "best": findings.strips.best.iter().map(strip).collect::<Vec<_>>(),
        "confused": confused.collect::<Vec<_>>(),
        "clusters": clusters.collect::<Vec<_>>(),
        "allClusters": material.clusters.len(),
        "report": material.report,
        "curves": curves.collect::<Vec<_>>(),
    });
    // A name with `</script>` in it would end the data early, and `<!--` would swallow what follows.
    value.to_string().replace('<', "\\u003c")
}

/// A photograph with all that is written beside it.
fn card(material: &Material, large: &Ordered, place: Place) -> Value {
    let (side, row) = match place {
        Place::Query(row) => (material.queries, row),
        Place::Gallery(row) => (material.found(), row),
    };
    json!({
        "row": row,
        "class": side.labels[row],
        "name": side.names[row],
        "slot": large.slot(place),
    })
}

fn of_side(side: Side, small: &Ordered, place: impl Fn(usize) -> Place) -> Value {
    let rows = 0..side.labels.len();
    // A photograph that the page does not hold has the slot -1.
    let slots = rows.map(|row| small.slot(place(row)).map_or(-1, |slot| slot as i32));
    json!({
        "count": side.labels.len(),
        "names": side.names,
        "labels": packed(side.labels.iter().map(|&label| (label as u32).to_le_bytes())),
        "slots": packed(slots.map(i32::to_le_bytes)),
    })
}

fn of_map(material: &Material, findings: &Findings) -> Value {
    let answers = &findings.answers;
    let neighbours = answers.neighbours.iter().map(Vec::len).max().unwrap_or(0);
    // Lists of one length; what is missing is a row that does not exist.
    let cells = answers.neighbours.iter().flat_map(|list| {
        let missing = (u32::MAX, f32::INFINITY);
        let found = list
            .iter()
            .map(|n| (n.row as u32, n.squared_distance.sqrt() as f32));
        found
            .chain(std::iter::repeat(missing))
            .take(neighbours)
            .collect::<Vec<_>>()
    });
    let (rows, distances): (Vec<u32>, Vec<f32>) = cells.unzip();
    let clusters = material.cluster_of.iter().map(|&number| number as u32);
    json!({
        "points": packed(findings.points.iter().flatten().map(|x| x.to_le_bytes())),
        "predicted": packed(answers.predicted.iter().map(|&class| (class as u32).to_le_bytes())),
        "sure": packed(answers.sure.iter().map(|&share| (share as f32).to_le_bytes())),
        "clusters": packed(clusters.map(u32::to_le_bytes)),
        "neighbours": neighbours,
        "rows": packed(rows.into_iter().map(u32::to_le_bytes)),
        "distances": packed(distances.into_iter().map(f32::to_le_bytes)),
    })
}

fn packed(numbers: impl Iterator<Item = [u8; 4]>) -> String {
    STANDARD.encode(numbers.flatten().collect::<Vec<u8>>())
}
