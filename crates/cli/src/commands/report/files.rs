//! Embedding files, and folders of photographs that a model embeds: each photograph among all the others.

use anyhow::Result;
use lodestone_data::{Row, Split, Table};
use lodestone_eval::{Depth, Mode, ReportConfig, RetrievalConfig, Search};
use lodestone_sampling::{Classes, Index, IndexConfig};

use super::{Gathered, SideRows, heading};
use crate::args::PageArguments;
use crate::commands::embedded_files::EmbeddedFiles;

/// Scores embeddings.
pub(super) fn gather(arguments: &PageArguments, read: EmbeddedFiles) -> Result<Gathered> {
    let has_classes = read.has_classes();
    let rows = read.names.iter().zip(&read.labels);
    let rows = rows.map(|(path, &label)| Row::file(path, label, Split::Test));
    let table = Table::of_files(
        "embeddings",
        &read.root,
        read.class_names.clone(),
        rows.collect(),
    );
    let all = SideRows {
        dim: read.matrix.dim,
        rows: (0..read.labels.len()).collect(),
        values: read.matrix.values,
        labels: read.labels,
        names: read.names,
    };
    let total = all.labels.len();
    let queries = all.thinned(arguments.points);
    let mut facts = Vec::new();
    if queries.labels.len() < total {
        facts.push(("of".to_owned(), format!("{total} embeddings, evenly taken")));
    }
    // A class may have lost all its rows.
    let (labels, class_names) = renumbered(&queries.labels, &read.class_names);
    let queries = SideRows { labels, ..queries };
    let classes = Classes::named(&queries.labels, class_names.clone())?;
    let config = IndexConfig {
        clusters_per_class: arguments.clusters,
        ..IndexConfig::default()
    };
    let index = Index::build(queries.embeddings(), &classes, &config, arguments.seed)?;

    let shown = RetrievalConfig {
        depth: Depth::UpToR,
        ..RetrievalConfig::default()
    };
    let search = Search::leave_one_out(queries.embeddings())?;
    let shown = ReportConfig::new(Mode::LeaveOneOut, shown);
    let (report, _) = search.report(&queries.labels, &queries.labels, &shown)?;
    Ok(Gathered {
        title: heading(&arguments.source),
        facts,
        class_names,
        table,
        has_paths: read.has_paths,
        queries,
        gallery: None,
        index,
        // Where nobody says what they show, no neighbour is right or wrong.
        report: has_classes.then_some(report),
        curves: Vec::new(),
    })
}

/// Labels without gaps, and the names that are left.
fn renumbered(labels: &[usize], names: &[String]) -> (Vec<usize>, Vec<String>) {
    let mut known = labels.to_vec();
    known.sort_unstable();
    known.dedup();
    let place = |label: &usize| known.partition_point(|k| k < label);
    (
        labels.iter().map(place).collect(),
        known.iter().map(|&label| names[label].clone()).collect(),
    )
}
