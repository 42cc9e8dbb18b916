//! `lodestone clusters`: the modes of each class as a table, and the photographs that show them on a contact sheet.

mod sheet;
mod table;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use lodestone_data::{Loader, LoaderConfig, Row, Split, Table};
use lodestone_models::Model;
use lodestone_sampling::{Classes, Index, IndexConfig, Mode, Rows};
use lodestone_train::{Parts, RunConfig, loader_preprocessing, run_file};
use serde::Deserialize;

use crate::args::ClustersArguments;
use crate::commands::cache_folder;
use crate::commands::embed::model_file;
use crate::commands::embed_rows::embed_rows;
use crate::commands::evaluate::Matrix;
use crate::commands::open_table::open_table;
use crate::progress::Progress;

/// Images in a batch without gradient.
const BATCH: usize = 64;

/// Photographs with their classes, and how their embeddings are to be clustered.
struct Photographs {
    table: Table,
    /// Rows of the table that have embeddings, in the order of those.
    rows: Vec<usize>,
    classes: Classes,
    config: IndexConfig,
    seed: u64,
}

/// Embeddings, one after the other.
struct Embeddings {
    values: Vec<f32>,
    dim: usize,
}

/// Runs the command.
pub(crate) fn run(arguments: &ClustersArguments, progress: &mut Progress) -> Result<()> {
    ensure!(
        arguments.exemplars > 0,
        "--exemplars is 0, must be at least 1"
    );
    let folder = arguments.source.is_dir();
    let (mut photographs, embeddings) = if folder {
        of_run(arguments, progress)?
    } else {
        of_file(&arguments.source)?
    };
    if let Some(count) = arguments.clusters {
        photographs.config.clusters_per_class = count;
    }
    let shown = shown_classes(&photographs.classes, &arguments.classes)?;
    let embeddings = Rows::new(&embeddings.values, embeddings.dim)?;
    let Photographs {
        classes,
        config,
        seed,
        ..
    } = &photographs;
    let index = Index::build(embeddings, classes, config, *seed)?;
    let mut modes = index.modes(embeddings, arguments.exemplars)?;
    modes.retain(|mode| shown[mode.class]);
    // Within a class the large modes come first.
    modes.sort_by_key(|mode| (mode.class, std::cmp::Reverse(mode.size), mode.cluster));

    let path = arguments.sheet.clone().unwrap_or_else(|| {
        if folder {
            arguments.source.join("clusters.png")
        } else {
            arguments.source.with_extension("png")
        }
    });
    let sheets = sheet::write(&photographs, &modes, arguments.exemplars, &path)?;
    if arguments.json {
        let text = table::to_json(&photographs, &index, &modes, &sheets);
        println!("{}", serde_json::to_string_pretty(&text)?);
    } else {
        print!("{}", table::to_text(&photographs, &index, &modes));
        let sheets: Vec<String> = sheets.iter().map(|p| p.display().to_string()).collect();
        println!("contact sheet: {}", sheets.join(", "));
    }
    Ok(())
}

/// The training images of a run in its finished embedding, in their evaluation view.
fn of_run(
    arguments: &ClustersArguments,
    progress: &mut Progress,
) -> Result<(Photographs, Embeddings)> {
    let folder = &arguments.source;
    let config: RunConfig = run_file::read(&folder.join("run.toml"), &[])?;
    let root = arguments
        .data
        .as_ref()
        .or(config.data.dataset_root.as_ref());
    let root = root.map(PathBuf::as_path);
    let table = open_table(&config.data, root, &cache_folder(folder), progress)?;
    let parts = Parts::new(&table, &config)?;
    let classes = Classes::named(&parts.labels(&parts.train), parts.class_names().to_vec())?;
    config.index.check(&classes)?;

    let device = arguments.device.device.open()?;
    let model = Model::read(&model_file(folder), &device)
        .context("only a finished run has clusters to show")?;
    let preprocessing = loader_preprocessing(&model.description.preprocessing)?;
    let loader = Loader::new(
        Arc::new(table.clone()),
        preprocessing,
        LoaderConfig::default(),
    )?;
    let made = embed_rows(
        &model.embedder,
        &loader,
        &parts.train,
        BATCH,
        &device,
        progress,
    )?;
    let dim = model.embedder.embedding_size();
    let photographs = Photographs {
        table,
        rows: made.rows,
        classes,
        config: config.index,
        seed: config.seed,
    };
    let values = made.values;
    Ok((photographs, Embeddings { values, dim }))
}

/// A line of the .csv that `embed` writes.
#[derive(Deserialize)]
struct Line {
    path: PathBuf,
    label: usize,
    class_name: String,
}

/// What `embed` wrote.
fn of_file(path: &Path) -> Result<(Photographs, Embeddings)> {
    let matrix = Matrix::read(path)?;
    let rows = matrix.rows().len();
    let list = path.with_extension("csv");
    let cannot = || format!("cannot read {}", list.display());
    let mut reader = csv::Reader::from_path(&list).with_context(cannot)?;
    let lines: Vec<Line> = reader
        .deserialize()
        .collect::<Result<Vec<Line>, csv::Error>>()
        .with_context(cannot)?;
    ensure!(
        lines.len() == rows,
        "{} lists {} images, {} holds {rows} embeddings",
        list.display(),
        lines.len(),
        path.display()
    );
    let count = lines.iter().map(|line| line.label + 1).max().unwrap_or(0);
    // A label far beyond the images cannot be one of 0..C; it is told before room is made for so many names.
    ensure!(
        count <= lines.len(),
        "{}: label {} of {} images; labels must be 0..C without gaps",
        list.display(),
        count - 1,
        lines.len()
    );
    let mut names: Vec<Option<&str>> = vec![None; count];
    for (number, line) in lines.iter().enumerate() {
        let known = names[line.label].get_or_insert(&line.class_name);
        ensure!(
            *known == line.class_name,
            "{} line {}: label {} is called {} here and {known} before",
            list.display(),
            number + 2,
            line.label,
            line.class_name
        );
    }
    let names: Vec<String> = (0..)
        .zip(names)
        .map(|(label, name): (usize, _)| name.map_or_else(|| label.to_string(), str::to_owned))
        .collect();
    let labels: Vec<usize> = lines.iter().map(|line| line.label).collect();
    let classes = Classes::named(&labels, names.clone())
        .with_context(|| format!("{} cannot be clustered", list.display()))?;
    let rows = lines
        .into_iter()
        .map(|line| Row::file(line.path, line.label, Split::Train));
    let table = Table::of_files("embeddings", Path::new(""), names, rows.collect());
    let photographs = Photographs {
        rows: (0..table.rows.len()).collect(),
        table,
        classes,
        config: IndexConfig::default(),
        seed: 0,
    };
    let Matrix { values, dim, .. } = matrix;
    Ok((photographs, Embeddings { values, dim }))
}

/// Which classes are shown: those named, or all.
fn shown_classes(classes: &Classes, named: &[String]) -> Result<Vec<bool>> {
    let mut shown = vec![named.is_empty(); classes.len()];
    for name in named {
        let class = classes.find(name).with_context(|| {
            format!(
                "--class {name}: there is no such class; the first one is called {}",
                classes.name(0)
            )
        })?;
        shown[class] = true;
    }
    Ok(shown)
}

/// File name of a photograph, or its number among packed images.
fn short_name(photographs: &Photographs, row: usize) -> String {
    let path = photographs.table.describe(photographs.rows[row]);
    path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// The share of its class that a mode holds.
fn share(photographs: &Photographs, mode: &Mode) -> f64 {
    mode.size as f64 / photographs.classes.members(mode.class).len() as f64
}
