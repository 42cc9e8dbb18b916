//! `lodestone embed`: a folder of images, or a table of them, to a file of embeddings with their paths, labels and columns.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, ensure};
use lodestone_data::{Broken, Row, Split, Table, detect, photographs_in};
use lodestone_exchange::{Embeddings, Form, LabelTable};
use lodestone_train::Observer;
use sha2::{Digest, Sha256};

use crate::args::{EmbedArguments, Shard};
use crate::commands::opened::{Opened, short_hex};
use crate::overwrite;
use crate::progress::Progress;

/// Runs the command.
pub(crate) fn run(arguments: &EmbedArguments, progress: &mut Progress) -> Result<()> {
    // Told before hours of work.
    overwrite::check_embeddings(&arguments.out, arguments.force)?;
    for file in Form::of(&arguments.out)?.files(&arguments.out) {
        let real = |path: &Path| std::fs::canonicalize(path).ok();
        ensure!(
            real(&file).is_none() || real(&file) != real(&arguments.images),
            "--out {} would be written over the table itself: name another",
            file.display()
        );
    }
    if let Some(folder) = &arguments.projector {
        overwrite::check(folder, arguments.force, Embeddings::may_be_projector)?;
    }
    ensure!(arguments.batch > 0, "--batch is 0, must be at least 1");
    let opened = Opened::read(&arguments.model, &arguments.device.device)?;
    if let Some(hint) = arguments.device.device.hint() {
        progress.note(hint);
    }
    let table = Arc::new(table_of(&arguments.images)?);
    let columns = match is_table(&arguments.images) {
        true => Some(LabelTable::read(&arguments.images, "label")?),
        false => None,
    };
    for notice in &table.notices {
        progress.note(&format!("note: {notice}"));
    }
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
    let shard = shard(arguments.shard, &opened, &table)?;
    let start = progress.elapsed();
    let made = opened.embed(&table, &rows, arguments.batch, broken, progress)?;
    let seconds = (progress.elapsed() - start).as_secs_f64();

    let labels: Vec<usize> = made.rows.iter().map(|&row| table.rows[row].label).collect();
    let path = |&row: &usize| table.describe(row).to_string_lossy().into_owned();
    let embeddings = Embeddings {
        values: made.values,
        dim: opened.size(),
        paths: made.rows.iter().map(path).collect(),
        labels,
        class_names: table.class_names.clone(),
        columns: columns.map_or(Vec::new(), |columns| further(&columns.gather(&made.rows))),
        shard,
    };
    let written = embeddings.write(&arguments.out)?;
    if let Some(folder) = &arguments.projector {
        embeddings.write_projector(folder)?;
    }
    for (_, reason) in &made.skipped {
        errln!("left out: {reason}");
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
    let speed = match embeddings.len() - made.reused {
        0 => String::new(),
        new => format!("; {:.1} images/s", new as f64 / seconds.max(1e-9)),
    };
    outln!(
        "{} embeddings of {} values in {}{again}{speed}{left_out}",
        embeddings.len(),
        embeddings.dim,
        files.join(" and "),
    )?;
    Ok(())
}

/// What a file of a shard says of itself, so that `merge` knows which part of what it is.
fn shard(
    shard: Shard,
    opened: &Opened,
    table: &Table,
) -> Result<Option<lodestone_exchange::Shard>> {
    if shard.count == 1 {
        return Ok(None);
    }
    let whole = Sha256::digest(format!("{} {}", opened.checksum, table.fingerprint()?));
    Ok(Some(lodestone_exchange::Shard {
        number: shard.number,
        count: shard.count,
        whole: short_hex(&whole),
    }))
}

/// Whether a file is a table of photographs, not one of them.
fn is_table(images: &Path) -> bool {
    images.is_file() && matches!(Form::of(images), Ok(Form::Csv | Form::Parquet))
}

/// What a table says of its rows beside what every file of embeddings says.
pub(crate) fn further(table: &LabelTable) -> Vec<(String, Vec<String>)> {
    let names = table.names().filter(|name| !Embeddings::is_own(name));
    names
        .filter_map(|name| Some((name.to_owned(), table.get(name)?.to_vec())))
        .collect()
}

/// A photograph; those of a table, as training reads it; or all below a folder with the first folder of each as its class.
pub(crate) fn table_of(images: &Path) -> Result<Table> {
    if is_table(images) {
        let (set, root) = detect(images)?;
        return Ok(set.open(Some(&root))?);
    }
    if images.is_file() {
        let root = images.parent().unwrap_or(Path::new(""));
        let name = PathBuf::from(images.file_name().unwrap_or_default());
        let row = Row::file(name, 0, Split::Test);
        let classes = vec![String::new()];
        return Ok(Table::of_files("image", root, classes, vec![row]));
    }
    Ok(photographs_in(images)?)
}
