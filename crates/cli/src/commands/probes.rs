//! The photographs of a run that it was not trained on, by which an index learns what is known and what is not.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use lodestone_data::Broken;
use lodestone_eval::Rows;
use lodestone_gallery::Gallery;
use lodestone_train::{Parts, RunConfig, run_file};

use crate::args::DeviceArgument;
use crate::commands::cache_folder;
use crate::commands::open_table::open_table;
use crate::commands::opened::Opened;
use crate::progress::Progress;

/// Photographs of trained and of other classes that are embedded, at most of each.
const MOST: usize = 500;
/// Images in a batch.
const BATCH: usize = 64;

/// Calibrates the gallery on the held-out photographs of a run, where the model is one and its photographs are still there.
pub(crate) fn calibrate(
    gallery: &mut Gallery,
    run: &Path,
    device: &DeviceArgument,
    progress: &mut Progress,
) -> Result<()> {
    let file = run.join("run.toml");
    if !file.is_file() {
        return Ok(());
    }
    let config: RunConfig = run_file::read(&file, &[])?;
    let root = config.data.dataset_root.as_deref();
    let cache = cache_folder(run);
    let table = match open_table(&config.data, root, &cache, Some(run), progress) {
        Ok((table, _)) => table,
        Err(error) => {
            progress.note(&format!(
                "what is unknown is told by the photographs of the index alone, as those of the run cannot be opened: {error:#}"
            ));
            return Ok(());
        }
    };
    let parts = Parts::new(&table, &config)?;
    let held_out = [&parts.validation[..], &parts.test].concat();
    let seen = parts.seen(&held_out);
    let mut rows = Vec::new();
    for wanted in [true, false] {
        let of_kind = held_out.iter().zip(&seen);
        let of_kind = of_kind.filter(|&(_, &seen)| seen == wanted);
        let all: Vec<usize> = of_kind.map(|(&row, _)| row).collect();
        rows.extend(all.iter().step_by(all.len().div_ceil(MOST).max(1)));
    }
    if rows.is_empty() {
        return Ok(());
    }
    let opened = Opened::read(run, &device.device)?;
    let made = opened.embed(&Arc::new(table), &rows, BATCH, Broken::Skip, progress)?;
    let names = parts.class_names();
    let labels = parts.labels(&made.rows).into_iter();
    let classes: Vec<String> = labels.map(|label| names[label].clone()).collect();
    let embeddings = Rows::new(&made.values, opened.size())?;
    Ok(gallery.calibrate(embeddings, &classes, run.display().to_string())?)
}
