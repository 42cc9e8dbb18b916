//! `lodestone merge`: embeddings of several shards in one file.

use anyhow::{Result, ensure};
use lodestone_exchange::Embeddings;

use crate::args::MergeArguments;
use crate::commands::embedded_files::EmbeddedFiles;
use crate::overwrite;

/// Runs the command.
pub(crate) fn run(arguments: &MergeArguments) -> Result<()> {
    overwrite::check_embeddings(&arguments.out, arguments.force)?;
    let mut dim = None;
    let mut classes: Vec<String> = Vec::new();
    let mut read = Vec::new();
    for file in &arguments.parts {
        let part = EmbeddedFiles::read(file, None)?;
        let first = *dim.get_or_insert(part.matrix.dim);
        ensure!(
            part.matrix.dim == first,
            "{} has embeddings of {} values, {} has {first}",
            file.display(),
            part.matrix.dim,
            arguments.parts[0].display()
        );
        classes.extend(part.class_names.iter().cloned());
        read.push(part);
    }
    // Numbers in their order, names in theirs, as they are where all images were listed at once.
    let named = read.iter().any(|part| part.has_names);
    match classes
        .iter()
        .map(|name| name.parse().ok())
        .collect::<Option<Vec<u64>>>()
    {
        Some(_) if !named => classes.sort_by_key(|name| name.parse::<u64>().unwrap_or_default()),
        _ => classes.sort(),
    }
    classes.dedup();
    let mut all = Embeddings {
        values: Vec::new(),
        dim: dim.unwrap_or_default(),
        paths: Vec::new(),
        labels: Vec::new(),
        class_names: Vec::new(),
    };
    for part in read {
        let place = |name: &String| classes.iter().position(|class| class == name);
        let places: Vec<usize> = part.class_names.iter().filter_map(place).collect();
        all.labels
            .extend(part.labels.iter().map(|&label| places[label]));
        all.values.extend(part.matrix.values);
        all.paths.extend(part.names);
    }
    all.class_names = classes;
    let written = all.write(&arguments.out)?;
    let files: Vec<String> = written
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    outln!(
        "{} embeddings of {} values in {}",
        all.len(),
        all.dim,
        files.join(" and ")
    )?;
    Ok(())
}
