//! The ranking of an evaluation shared out: scores of a part of the queries to a file, and the files of all parts together.

use anyhow::{Context, Result, ensure};
use lodestone_eval::{ReportConfig, Retrieval, RetrievalPart, Search};
use sha2::{Digest, Sha256};

use super::sides::Sides;
use crate::args::{FilesArguments, Shard};
use crate::commands::opened::short_hex;

/// Scores the queries of a shard and writes them.
pub(crate) fn write(
    shard: Shard,
    sides: &Sides,
    search: &Search,
    labels: (&[usize], &[usize]),
    config: &ReportConfig,
    arguments: &FilesArguments,
) -> Result<()> {
    let [file] = &arguments.scores[..] else {
        anyhow::bail!(
            "--scores names {} files, with --shard it names the one to write",
            arguments.scores.len()
        );
    };
    let queries = labels.0.len();
    let part = shard.rows(queries);
    ensure!(
        !part.is_empty(),
        "part {} of {} of {queries} queries has none of them",
        shard.number,
        shard.count
    );
    let scored = search.retrieval_of(part.clone(), labels.0, labels.1, &config.retrieval)?;
    let question = question(sides, labels, config);
    RetrievalPart::new(question, queries, part.start, scored).write(file)?;
    outln!(
        "{}: scores of the queries {} to {} of {queries}",
        file.display(),
        part.start,
        part.end - 1
    )?;
    Ok(())
}

/// The scores of all queries from the files of all parts.
pub(crate) fn together(
    sides: &Sides,
    labels: (&[usize], &[usize]),
    config: &ReportConfig,
    arguments: &FilesArguments,
) -> Result<Retrieval> {
    let parts: Result<Vec<RetrievalPart>, _> = arguments
        .scores
        .iter()
        .map(|file| RetrievalPart::read(file))
        .collect();
    let parts = parts?;
    let asked = question(sides, labels, config);
    if let Some(other) = parts.iter().position(|part| part.question() != asked) {
        anyhow::bail!(
            "{} holds the scores of other embeddings, labels or settings than those given now",
            arguments.scores[other].display()
        );
    }
    Retrieval::of_parts(parts).context("--scores")
}

/// A fingerprint of all that decides a score.
fn question(
    sides: &Sides,
    (query_labels, gallery_labels): (&[usize], &[usize]),
    config: &ReportConfig,
) -> String {
    let mut sum = Sha256::new();
    sum.update(format!(
        "{:?} {:?} {:?}",
        config.mode, config.distance, config.retrieval
    ));
    for (set, labels) in [
        (&sides.queries, query_labels),
        (sides.gallery(), gallery_labels),
    ] {
        for value in &set.matrix.values {
            sum.update(value.to_le_bytes());
        }
        for label in labels {
            sum.update(label.to_le_bytes());
        }
        for sequence in set.table.get("sequence").unwrap_or_default() {
            sum.update(sequence.as_bytes());
            sum.update([0]);
        }
    }
    short_hex(&sum.finalize())
}
