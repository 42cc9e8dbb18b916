//! `lodestone embed`: a folder of images to a file of embeddings with their paths and labels.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use lodestone_data::{Broken, Row, Split, Table};
use lodestone_exchange::Embeddings;
use lodestone_train::Observer;

use crate::args::EmbedArguments;
use crate::commands::embed_parts::Parts;
use crate::commands::opened::Opened;
use crate::overwrite;
use crate::progress::Progress;

/// File name endings that are taken for images when a folder is searched; what they hold decides how they are decoded.
const ENDINGS: [&str; 10] = [
    "jpg", "jpeg", "png", "ppm", "bmp", "pgm", "tif", "tiff", "webp", "gif",
];

/// Runs the command.
pub(crate) fn run(arguments: &EmbedArguments, progress: &mut Progress) -> Result<()> {
    // Told before hours of work.
    overwrite::check_embeddings(&arguments.out, arguments.force)?;
    if let Some(folder) = &arguments.projector {
        overwrite::check(folder, arguments.force, Embeddings::may_be_projector)?;
    }
    ensure!(arguments.batch > 0, "--batch is 0, must be at least 1");
    let opened = Opened::read(&arguments.model, &arguments.device.device)?;
    if let Some(hint) = arguments.device.device.hint() {
        progress.note(hint);
    }
    let table = Arc::new(table_of(&arguments.images)?);
    let rows: Vec<usize> = arguments.shard.rows(table.rows.len()).collect();
    ensure!(
        !rows.is_empty(),
        "part {} of {} of {} images has none of them",
        arguments.shard.number,
        arguments.shard.count,
        table.rows.len()
    );
    let broken = if arguments.skip_broken {
        Broken::Skip
    } else {
        Broken::Fail
    };
    let parts = Parts::open(&arguments.out, &opened, &table, &rows)?;
    let start = progress.elapsed();
    let made = parts.embed(&opened, &table, broken, arguments.batch, progress)?;
    let seconds = (progress.elapsed() - start).as_secs_f64();

    let labels: Vec<usize> = made.rows.iter().map(|&row| table.rows[row].label).collect();
    let path = |&row: &usize| table.describe(row).to_string_lossy().into_owned();
    let embeddings = Embeddings {
        values: made.values,
        dim: opened.size(),
        paths: made.rows.iter().map(path).collect(),
        labels,
        class_names: table.class_names.clone(),
    };
    let written = embeddings.write(&arguments.out)?;
    if let Some(folder) = &arguments.projector {
        embeddings.write_projector(folder)?;
    }
    parts.remove();
    for (row, reason) in &made.skipped {
        errln!("left out: {} ({reason})", table.describe(*row).display());
    }
    let files: Vec<String> = written
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    let again = match made.reused {
        0 => String::new(),
        reused => format!(", {reused} of them made before"),
    };
    let left_out = match made.skipped.len() {
        0 => String::new(),
        skipped => format!("; {skipped} left out"),
    };
    outln!(
        "{} embeddings of {} values in {}{again}; {:.1} images/s{left_out}",
        embeddings.len(),
        embeddings.dim,
        files.join(" and "),
        (embeddings.len() - made.reused) as f64 / seconds.max(1e-9),
    )?;
    Ok(())
}

/// A run folder stands for the model it ended with.
pub(crate) fn model_file(model: &Path) -> PathBuf {
    if model.is_dir() {
        model.join("model.safetensors")
    } else {
        model.to_path_buf()
    }
}

/// All images below a folder, sorted by path; the first sub-folder of each is its class.
pub(crate) fn table_of(images: &Path) -> Result<Table> {
    if images.is_file() {
        let (root, name) = (
            images.parent().unwrap_or(Path::new(".")),
            images.file_name(),
        );
        let row = Row::file(PathBuf::from(name.unwrap_or_default()), 0, Split::Test);
        return Ok(Table::of_files(
            "image",
            root,
            vec![String::new()],
            vec![row],
        ));
    }
    let mut paths = Vec::new();
    collect(images, Path::new(""), &mut paths)?;
    ensure!(
        !paths.is_empty(),
        "there are no images in {}",
        images.display()
    );
    paths.sort();
    let class = |path: &PathBuf| {
        let parent = path.parent().and_then(|parent| parent.components().next());
        parent.map_or_else(String::new, |first| {
            first.as_os_str().to_string_lossy().into_owned()
        })
    };
    let mut names: Vec<String> = paths.iter().map(class).collect();
    names.sort();
    names.dedup();
    let row = |path: PathBuf| {
        let label = names.partition_point(|name| *name < class(&path));
        Row::file(path, label, Split::Test)
    };
    let rows = paths.into_iter().map(row).collect();
    Ok(Table::of_files("images", images, names.clone(), rows))
}

fn collect(root: &Path, relative: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let folder = root.join(relative);
    let entries =
        std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        // Hidden files, AppleDouble companions among them, are nobody's photographs.
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = relative.join(&name);
        // A link to a folder is not followed, so that no link can lead in a circle.
        if entry.file_type()?.is_dir() {
            collect(root, &path, paths)?;
        } else if path.extension().is_some_and(|ending| {
            ENDINGS
                .iter()
                .any(|known| ending.eq_ignore_ascii_case(known))
        }) {
            paths.push(path);
        }
    }
    Ok(())
}
