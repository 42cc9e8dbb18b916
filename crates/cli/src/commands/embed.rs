//! `lodestone embed`: a folder of images to a `.npy` of embeddings and a `.csv` of their paths and labels.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use lodestone_data::{Broken, Loader, LoaderConfig, Row, Split, Table};
use lodestone_files::write_whole;
use lodestone_models::Model;
use lodestone_train::{Observer, loader_preprocessing};
use ndarray::Array2;
use ndarray_npy::WriteNpyExt;

use crate::args::EmbedArguments;
use crate::commands::embed_rows::embed_rows;
use crate::progress::Progress;

/// File name endings that are taken for images when a folder is searched; what they hold decides how they are decoded.
const ENDINGS: [&str; 10] = [
    "jpg", "jpeg", "png", "ppm", "bmp", "pgm", "tif", "tiff", "webp", "gif",
];

/// Runs the command.
pub(crate) fn run(arguments: &EmbedArguments, progress: &mut Progress) -> Result<()> {
    let device = arguments.device.device.open()?;
    ensure!(arguments.batch > 0, "--batch is 0, must be at least 1");
    let file = model_file(&arguments.model);
    let model = Model::read(&file, &device)?;
    let preprocessing = loader_preprocessing(&model.description.preprocessing)?;
    model.embedder.trunk.check_input(preprocessing.shape())?;
    let embedder = model.embedder;
    let table = Arc::new(table_of(&arguments.images)?);

    let broken = if arguments.skip_broken {
        Broken::Skip
    } else {
        Broken::Fail
    };
    let config = LoaderConfig {
        broken,
        ..LoaderConfig::default()
    };
    let loader = Loader::new(Arc::clone(&table), preprocessing, config)?;
    let rows: Vec<usize> = (0..table.rows.len()).collect();
    let start = progress.elapsed();
    let embedded = embed_rows(
        &embedder,
        &loader,
        &rows,
        arguments.batch,
        &device,
        progress,
    )?;
    let seconds = (progress.elapsed() - start).as_secs_f64();

    let (kept, skipped) = (embedded.rows, embedded.skipped);
    let matrix = Array2::from_shape_vec((kept.len(), embedder.embedding_size()), embedded.values)?;
    write_whole(&arguments.out, |file| {
        matrix.write_npy(file).map_err(std::io::Error::other)
    })?;
    let list = arguments.out.with_extension("csv");
    write_whole(&list, |file| {
        write_list(file, &table, &kept).map_err(std::io::Error::other)
    })?;
    for (row, reason) in &skipped {
        eprintln!("left out: {} ({reason})", table.describe(*row).display());
    }
    println!(
        "{} embeddings of {} values in {} and their paths in {}; {:.1} images/s{}",
        kept.len(),
        matrix.ncols(),
        arguments.out.display(),
        list.display(),
        kept.len() as f64 / seconds.max(1e-9),
        if skipped.is_empty() {
            String::new()
        } else {
            format!("; {} left out", skipped.len())
        }
    );
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

fn write_list(
    file: &mut dyn std::io::Write,
    table: &Table,
    rows: &[usize],
) -> Result<(), csv::Error> {
    let mut writer = csv::Writer::from_writer(file);
    writer.write_record(["path", "label", "class_name"])?;
    for &row in rows {
        let label = table.rows[row].label;
        let path = table.describe(row);
        writer.write_record([
            path.to_string_lossy().as_ref(),
            &label.to_string(),
            &table.class_names[label],
        ])?;
    }
    writer.flush()?;
    Ok(())
}
