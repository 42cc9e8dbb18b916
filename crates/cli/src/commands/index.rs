//! `lodestone index`: photographs in a file that is searched, grown and shrunk without training.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use lodestone_data::Broken;
use lodestone_eval::Rows;
use lodestone_exchange::Form;
use lodestone_gallery::{Entry, Gallery, Settings};
use serde_json::json;

use crate::alone;
use crate::args::{
    AddArguments, BuildArguments, IndexCommand, KindName, RemoveArguments, SourceArguments,
};
use crate::commands::embed::table_of;
use crate::commands::embedded_files::EmbeddedFiles;
use crate::commands::opened::{Opened, checksum_of};
use crate::commands::probes;
use crate::overwrite;
use crate::progress::Progress;

/// Images in a batch.
const BATCH: usize = 64;

/// Runs the command.
pub(crate) fn run(command: &IndexCommand, progress: &mut Progress) -> Result<()> {
    match command {
        IndexCommand::Build(arguments) => build(arguments, progress),
        IndexCommand::Add(arguments) => add(arguments, progress),
        IndexCommand::Remove(arguments) => remove(arguments, progress),
        IndexCommand::Info { index, json } => info(index, *json),
    }
}

fn build(arguments: &BuildArguments, progress: &mut Progress) -> Result<()> {
    ensure!(
        arguments.clusters > 0,
        "--clusters is 0, must be at least 1"
    );
    // Told before hours of embedding.
    ensure!(
        arguments.kind == KindName::Exact || cfg!(feature = "approximate"),
        "--kind hnsw needs the graph index, which is not built in; build with --features approximate (it compiles C++)"
    );
    overwrite::check(&arguments.index, arguments.force, overwrite::never)?;
    let _alone = alone::on_new_index(&arguments.index, progress)?;
    let Embedded {
        values,
        dim,
        entries,
        model,
    } = Embedded::read(&arguments.source, None, progress)?;
    let settings = Settings {
        kind: arguments.kind.kind(),
        clusters_per_class: arguments.clusters,
        seed: arguments.seed,
        model,
    };
    let mut gallery = Gallery::new(dim, settings);
    gallery.add(Rows::new(&values, dim)?, &entries)?;
    if let (Some(model), true) = (&arguments.source.model, gallery.has_classes()) {
        probes::calibrate(&mut gallery, model, &arguments.source.device, progress)?;
    }
    let before = Gallery::read(&arguments.index).ok();
    gallery.write(&arguments.index)?;
    // The graph of an index that was replaced belongs to nothing any more.
    let old = before.map(|before| before.graph_file(&arguments.index));
    if let Some(old) = old.filter(|old| *old != gallery.graph_file(&arguments.index)) {
        let _ = std::fs::remove_file(old);
    }
    outln!("{}: {}", arguments.index.display(), summary(&gallery))?;
    Ok(())
}

fn add(arguments: &AddArguments, progress: &mut Progress) -> Result<()> {
    let before = Gallery::read(&arguments.index)?;
    // Told before hours of embedding.
    if let Some(model) = &arguments.source.model {
        same_model(&before, &arguments.index, Some(&checksum_of(model)?))?;
    }
    let embedded = Embedded::read(&arguments.source, classes_of(&before), progress)?;
    // Read again, now that nobody else changes it: others may have added to it meanwhile.
    let _alone = alone::on_index(&arguments.index, progress)?;
    let mut gallery = Gallery::read(&arguments.index)?;
    same_model(&gallery, &arguments.index, embedded.model.as_deref())?;
    check_classes(embedded.classes(), classes_of(&gallery))?;
    let rows = Rows::new(&embedded.values, embedded.dim)?;
    let replaced = gallery.add(rows, &embedded.entries)?;
    gallery.write(&arguments.index)?;
    outln!(
        "{} added, {replaced} of them in place of others; {}: {}",
        embedded.entries.len(),
        arguments.index.display(),
        summary(&gallery)
    )?;
    Ok(())
}

fn remove(arguments: &RemoveArguments, progress: &Progress) -> Result<()> {
    // What is no index is told before anything is written beside it.
    Gallery::read(&arguments.index)?;
    let _alone = alone::on_index(&arguments.index, progress)?;
    let mut gallery = Gallery::read(&arguments.index)?;
    let known = |class: &String| gallery.class_sizes().iter().any(|(name, _)| name == class);
    if let Some(class) = arguments.classes.iter().find(|class| !known(class)) {
        ensure!(
            gallery.has_classes(),
            "--class {class}: the photographs of {} have no classes; name them by --path",
            arguments.index.display()
        );
        let first = gallery
            .class_sizes()
            .first()
            .map_or("", |(name, _)| name)
            .to_owned();
        anyhow::bail!(
            "--class {class}: {} has no such class; the first one is called {first}",
            arguments.index.display()
        );
    }
    if let Some(path) = arguments
        .paths
        .iter()
        .find(|path| !gallery.paths().contains(path))
    {
        anyhow::bail!(
            "--path {path}: {} has no such path",
            arguments.index.display()
        );
    }
    let goes = |path: &str, class: &str| {
        arguments.paths.iter().any(|p| p == path) || arguments.classes.iter().any(|c| c == class)
    };
    let removed = gallery.remove(goes)?;
    gallery.write(&arguments.index)?;
    outln!(
        "{removed} removed; {}: {}",
        arguments.index.display(),
        summary(&gallery)
    )?;
    Ok(())
}

fn info(index: &Path, as_json: bool) -> Result<()> {
    let gallery = Gallery::read(index)?;
    if as_json {
        let classes: Vec<_> = gallery
            .class_sizes()
            .into_iter()
            .filter(|(name, _)| !name.is_empty())
            .map(|(name, rows)| json!({ "class_name": name, "rows": rows }))
            .collect();
        let value = json!({
            "rows": gallery.len(),
            "dim": gallery.dim(),
            "centres": gallery.centres(),
            "settings": gallery.settings(),
            "calibrated_on": gallery.has_classes().then(|| gallery.calibrated_on()),
            "classes": classes,
        });
        outln!("{}", serde_json::to_string_pretty(&value)?)?;
        return Ok(());
    }
    outln!("{}: {}", index.display(), summary(&gallery))?;
    if !gallery.has_classes() {
        return Ok(());
    }
    outln!("unknown is told by {}", gallery.calibrated_on())?;
    for (name, rows) in gallery.class_sizes() {
        outln!("{rows:>8}  {name}")?;
    }
    Ok(())
}

fn summary(gallery: &Gallery) -> String {
    let kind = if gallery.wants_graph() {
        "hnsw"
    } else {
        "exact"
    };
    if !gallery.has_classes() {
        let (count, dim) = (gallery.len(), gallery.dim());
        return format!("{count} photographs without classes, {dim} values each, {kind}");
    }
    format!(
        "{} photographs of {} classes, {} values each, {} centres, {kind}",
        gallery.len(),
        gallery.class_sizes().len(),
        gallery.dim(),
        gallery.centres()
    )
}

/// Refuses a model that did not make the embeddings of the index; where either is unknown only the length can tell.
pub(crate) fn same_model(gallery: &Gallery, index: &Path, model: Option<&str>) -> Result<()> {
    if let (Some(made), Some(given)) = (gallery.settings().model.as_deref(), model) {
        ensure!(
            made == given,
            "{} was made with the model {made}, this one is {given}: embeddings of two models cannot be compared",
            index.display()
        );
    }
    Ok(())
}

/// Whether the photographs of an index have classes; nobody knows where there are none.
fn classes_of(gallery: &Gallery) -> Option<bool> {
    (!gallery.is_empty()).then(|| gallery.has_classes())
}

/// Refuses photographs of which some have a class and others none, those of the index included, by paths and classes: votes for a
/// class without a name are no answer.
fn check_classes<'a>(
    entries: impl Iterator<Item = (&'a str, &'a str)>,
    of_index: Option<bool>,
) -> Result<()> {
    let (mut with, mut without) = (None, None);
    for (path, class) in entries {
        let first = match class.is_empty() {
            true => &mut without,
            false => &mut with,
        };
        first.get_or_insert((path, class));
    }
    let what_would_do = "say with --class what it shows, or put it into a folder of that name";
    match (without, with, of_index) {
        (Some((path, _)), Some((other, class)), _) => anyhow::bail!(
            "{path} lies in no class folder, but {other} in that of {class}: {what_would_do}"
        ),
        (Some((path, _)), None, Some(true)) => anyhow::bail!(
            "{path} lies in no class folder, but the photographs of the index have classes: {what_would_do}"
        ),
        (None, Some((path, class)), Some(false)) => anyhow::bail!(
            "{path} is of the class {class}, but the photographs of the index have none: build an index of class folders"
        ),
        _ => Ok(()),
    }
}

/// Embeddings with path and class of each.
struct Embedded {
    values: Vec<f32>,
    dim: usize,
    entries: Vec<Entry>,
    model: Option<String>,
}

impl Embedded {
    /// Reads and embeds all sources; `of_index` says whether the photographs beside them have classes.
    fn read(
        arguments: &SourceArguments,
        of_index: Option<bool>,
        progress: &mut Progress,
    ) -> Result<Self> {
        let mut all: Option<Self> = None;
        for source in &arguments.sources {
            let is_file = Form::of(source).is_ok() && !source.is_dir();
            let one = match is_file {
                true => Self::of_file(source)?,
                false => Self::of_photographs(source, arguments, of_index, progress)?,
            };
            all = Some(match all {
                None => one,
                Some(all) => all.and(one, source)?,
            });
        }
        let mut embedded = all.context("there is nothing to index")?;
        let mut known = BTreeSet::new();
        for entry in &embedded.entries {
            ensure!(
                known.insert(&entry.path),
                "{} is there twice, and an index has one row for each path",
                entry.path
            );
        }
        if let Some(class) = &arguments.class {
            embedded
                .entries
                .iter_mut()
                .for_each(|entry| entry.class.clone_from(class));
        }
        check_classes(embedded.classes(), of_index)?;
        Ok(embedded)
    }

    /// Path and class of each.
    fn classes(&self) -> impl Iterator<Item = (&str, &str)> {
        let entries = self.entries.iter();
        entries.map(|entry| (entry.path.as_str(), entry.class.as_str()))
    }

    /// Both, one after the other.
    fn and(mut self, other: Self, source: &Path) -> Result<Self> {
        ensure!(
            self.dim == other.dim,
            "{} has embeddings of {} values, those before it have {}",
            source.display(),
            other.dim,
            self.dim
        );
        self.values.extend(other.values);
        self.entries.extend(other.entries);
        // Where a file does not say what made it, nobody can tell whether all are of one model.
        self.model = self
            .model
            .filter(|model| other.model.as_ref() == Some(model));
        Ok(self)
    }

    fn of_file(file: &Path) -> Result<Self> {
        let read = EmbeddedFiles::read(file, None)?;
        let entries = read.names.iter().zip(&read.labels);
        Ok(Self {
            dim: read.matrix.dim,
            values: read.matrix.values,
            entries: entries
                .map(|(path, &label)| Entry {
                    path: path.clone(),
                    class: read.class_names[label].clone(),
                })
                .collect(),
            model: None,
        })
    }

    fn of_photographs(
        source: &Path,
        arguments: &SourceArguments,
        of_index: Option<bool>,
        progress: &mut Progress,
    ) -> Result<Self> {
        let model = arguments.model.as_deref().with_context(|| {
            format!(
                "{} is no file of embeddings: say with --model what photographs are to be embedded with",
                source.display()
            )
        })?;
        let opened = Opened::read(model, &arguments.device.device)?;
        let table = Arc::new(table_of(source)?);
        for notice in &table.notices {
            progress.note(&format!("note: {notice}"));
        }
        // Told before hours of embedding.
        let described = (0..table.rows.len()).map(|row| table.describe(row));
        let described: Vec<String> = described
            .map(|path| path.to_string_lossy().into_owned())
            .collect();
        let classes = table.rows.iter().map(|row| match &arguments.class {
            Some(class) => class.as_str(),
            None => table.class_names[row.label].as_str(),
        });
        check_classes(described.iter().map(String::as_str).zip(classes), of_index)?;
        let broken = if arguments.skip_broken {
            Broken::Skip
        } else {
            Broken::Fail
        };
        let rows: Vec<usize> = (0..table.rows.len()).collect();
        let made = opened.embed(&table, &rows, BATCH, broken, progress)?;
        for (_, reason) in &made.skipped {
            progress.note(&format!("left out: {reason}"));
        }
        let entry = |&row: &usize| Entry {
            path: described[row].clone(),
            class: table.class_names[table.rows[row].label].clone(),
        };
        Ok(Self {
            entries: made.rows.iter().map(entry).collect(),
            values: made.values,
            dim: opened.size(),
            model: Some(opened.checksum),
        })
    }
}
