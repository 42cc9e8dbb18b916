//! A finished run: its held-out photographs among its training photographs, in its finished embedding.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use lodestone_data::{Broken, Split, Table};
use lodestone_eval::{Mode, Report};
use lodestone_report::Curve;
use lodestone_sampling::{Classes, Index};
use lodestone_train::{Parts, RunConfig, run_file};

use super::{Gathered, SideRows, heading};
use crate::args::PageArguments;
use crate::commands::cache_folder;
use crate::commands::headlines::headlines;
use crate::commands::open_table::open_table;
use crate::commands::opened::Opened;
use crate::progress::Progress;
use crate::run_folder::RunFolder;

/// Images in a batch without gradient.
const BATCH: usize = 64;

/// Reads and embeds.
pub(super) fn gather(arguments: &PageArguments, progress: &mut Progress) -> Result<Gathered> {
    let folder = &arguments.source;
    let config: RunConfig = run_file::read(&folder.join("run.toml"), &[])?;
    let root = arguments
        .data
        .as_ref()
        .or(config.data.dataset_root.as_ref())
        .map(PathBuf::as_path);
    let cache = cache_folder(folder);
    let (table, _) = open_table(&config.data, root, &cache, Some(folder), progress)?;
    let parts = Parts::new(&table, &config)?;
    let opened = Opened::read(
        arguments.model.as_ref().unwrap_or(folder),
        &arguments.device.device,
    )
    .context("only a finished run has a page")?;
    let table = Arc::new(table);

    let broken = match config.data.skip_broken {
        true => Broken::Skip,
        false => Broken::Fail,
    };
    let mut embed = |rows: &[usize]| -> Result<SideRows> {
        let made = opened.embed(&table, rows, BATCH, broken, progress)?;
        Ok(SideRows {
            dim: opened.size(),
            labels: parts.labels(&made.rows),
            names: made.rows.iter().map(|&row| name(&table, row)).collect(),
            values: made.values,
            rows: made.rows,
        })
    };
    let train = embed(&parts.train)?;
    // What was never trained on: test photographs, else those that chose the settings.
    let held_out = parts.held_out();
    let kind = match held_out {
        Some(Split::Test) => "test",
        Some(Split::Validation) => "validation",
        Some(Split::Train) | None => "training",
    };
    let classes = Classes::named(&train.labels, parts.training_class_names().to_vec())?;
    let index = Index::build(train.embeddings(), &classes, &config.index, config.seed)?;
    let (queries, gallery) = match held_out {
        None => (train, None),
        Some(part) => {
            let queries = embed(parts.rows(part))?.thinned(arguments.points);
            // Classes never seen have no training photographs to be found: they look for each other.
            match parts.protocol(part, &config.evaluation).whole() {
                Mode::TrainGallery => (queries, Some(train)),
                Mode::LeaveOneOut | Mode::Split => (queries, None),
            }
        }
    };

    let report = folder.join("report.json");
    let report: Option<Report> = std::fs::read_to_string(&report)
        .ok()
        .map(|text| serde_json::from_str(&text))
        .transpose()
        .with_context(|| format!("cannot read {}", report.display()))?;
    let log = folder.join("log.csv");
    let curves = match log.exists() {
        true => Curve::read_log(&log)?,
        false => Vec::new(),
    };
    let mut facts = vec![
        ("data".to_owned(), config.data.set.name().to_owned()),
        ("part".to_owned(), format!("{kind} photographs")),
        ("network".to_owned(), config.model.network.name().to_owned()),
    ];
    facts.extend(report.iter().flat_map(headlines));
    let record = RunFolder::read(folder);
    facts.extend(record.cost().map(|cost| ("cost".to_owned(), cost)));
    let class_names = parts.class_names().to_vec();
    Ok(Gathered {
        title: heading(folder),
        facts,
        class_names,
        table: Arc::unwrap_or_clone(table),
        has_paths: true,
        queries,
        gallery,
        index,
        report,
        curves,
    })
}

/// The path from the folder of the set; that folder is the same for all.
fn name(table: &Table, row: usize) -> String {
    let path = table.describe(row);
    let inside = path.strip_prefix(&table.root).unwrap_or(&path);
    inside.to_string_lossy().into_owned()
}
