//! `lodestone clusters`: the modes of each class as a table, and the photographs that show them on a contact sheet.

mod sheet;
mod table;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use lodestone_data::{Broken, Row, Split, Table};
use lodestone_sampling::{Classes, Index, IndexConfig, Mode, Rows};
use lodestone_train::{Parts, RunConfig, run_file};

use crate::args::ClustersArguments;
use crate::commands::cache_folder;
use crate::commands::embedded_files::EmbeddedFiles;
use crate::commands::evaluate::Matrix;
use crate::commands::open_table::open_table;
use crate::commands::opened::Opened;
use crate::commands::report::{check_run, is_run};
use crate::overwrite;
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
    let source = &arguments.source;
    let path = arguments.sheet.clone().unwrap_or_else(|| {
        if is_run(source) {
            arguments.source.join("clusters.png")
        } else {
            arguments.source.with_extension("png")
        }
    });
    // Told before hours of work.
    overwrite::check(&path, arguments.force, sheet::made)?;
    let (mut photographs, embeddings) = match &arguments.model {
        Some(model) if source.is_dir() && !is_run(source) => {
            let opened = Opened::read(model, &arguments.device.device)?;
            let read = EmbeddedFiles::of_photographs(source, &opened, progress)?;
            of_embedded(source, read)?
        }
        _ if source.is_dir() => {
            check_run(source)?;
            of_run(arguments, progress)?
        }
        Some(model) => anyhow::bail!(
            "--model {} is for photographs; {} holds embeddings",
            model.display(),
            source.display()
        ),
        None => of_embedded(source, EmbeddedFiles::read(source, None)?)?,
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

    let sheets = sheet::files(&path, modes.len());
    for sheet in &sheets {
        overwrite::check(sheet, arguments.force, sheet::made)?;
    }
    sheet::write(&photographs, &modes, arguments.exemplars, &sheets)?;
    if arguments.json {
        let text = table::to_json(&photographs, &index, &modes, &sheets);
        outln!("{}", serde_json::to_string_pretty(&text)?)?;
    } else {
        out!("{}", table::to_text(&photographs, &index, &modes))?;
        let sheets: Vec<String> = sheets.iter().map(|p| p.display().to_string()).collect();
        outln!("contact sheet: {}", sheets.join(", "))?;
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
    let cache = cache_folder(folder);
    let (table, _) = open_table(&config.data, root, &cache, Some(folder), progress)?;
    let parts = Parts::new(&table, &config)?;

    let model = arguments.model.as_ref().unwrap_or(folder);
    let opened = Opened::read(model, &arguments.device.device)
        .context("only a finished run has clusters to show")?;
    let broken = match config.data.skip_broken {
        true => Broken::Skip,
        false => Broken::Fail,
    };
    let table = Arc::new(table);
    let made = opened.embed(&table, &parts.train, BATCH, broken, progress)?;
    let classes = Classes::named(
        &parts.labels(&made.rows),
        parts.training_class_names().to_vec(),
    )?;
    config.index.check(&classes)?;
    let photographs = Photographs {
        table: Arc::unwrap_or_clone(table),
        rows: made.rows,
        classes,
        config: config.index,
        seed: config.seed,
    };
    let (values, dim) = (made.values, opened.size());
    Ok((photographs, Embeddings { values, dim }))
}

/// What `embed` wrote, in any of its forms, or would write of a folder.
fn of_embedded(path: &Path, read: EmbeddedFiles) -> Result<(Photographs, Embeddings)> {
    ensure!(
        read.has_paths,
        "{}: no column `path` says where the photographs lie",
        path.display()
    );
    let classes = Classes::named(&read.labels, read.class_names.clone())
        .with_context(|| format!("{} cannot be clustered", path.display()))?;
    let rows = read.names.iter().zip(&read.labels);
    let rows = rows.map(|(path, &label)| Row::file(path, label, Split::Train));
    let table = Table::of_files(
        "embeddings",
        Path::new(""),
        read.class_names,
        rows.collect(),
    );
    let photographs = Photographs {
        rows: (0..table.rows.len()).collect(),
        table,
        classes,
        config: IndexConfig::default(),
        seed: 0,
    };
    let Matrix { values, dim, .. } = read.matrix;
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
