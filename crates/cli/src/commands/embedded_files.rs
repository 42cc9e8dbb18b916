//! Embeddings with what stands beside them, classes and paths: files from lodestone or from anywhere else, or photographs that a
//! model embeds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use lodestone_data::Broken;
use lodestone_exchange::{EmbeddingFile, LabelTable, Shard, class_order};

use crate::commands::embed::{further, table_of};
use crate::commands::evaluate::Matrix;
use crate::commands::opened::Opened;
use crate::progress::Progress;

/// Photographs in a batch.
const BATCH: usize = 64;

/// Embeddings of any form that `embed` writes.
pub(crate) struct EmbeddedFiles {
    pub(crate) matrix: Matrix,
    /// Class of each row, a position in `class_names`.
    pub(crate) labels: Vec<usize>,
    /// The numbers that the file gives the classes beside their names, if it gives some.
    pub(crate) numbers: Option<Vec<usize>>,
    /// Names in their order; numbers where there are no names.
    pub(crate) class_names: Vec<String>,
    /// Whether these are names, of a column `class_name`.
    pub(crate) has_names: bool,
    /// Where each photograph lies, or a name made of its number where nobody says.
    pub(crate) names: Vec<String>,
    /// Whether the names are paths that somebody gave.
    pub(crate) has_paths: bool,
    /// Folder that the names start from.
    pub(crate) root: PathBuf,
    /// What else a table says of each row, by the names of its columns.
    pub(crate) columns: Vec<(String, Vec<String>)>,
    /// Which part of all embeddings they are, if the file says so.
    pub(crate) shard: Option<Shard>,
}

impl EmbeddedFiles {
    /// Embeds the photographs of a folder, whose classes are its sub-folders; without any they are one class without a name.
    pub(crate) fn of_photographs(
        folder: &Path,
        model: &Opened,
        progress: &mut Progress,
    ) -> Result<Self> {
        let table = Arc::new(table_of(folder)?);
        for notice in &table.notices {
            progress.note(&format!("note: {notice}"));
        }
        let rows: Vec<usize> = (0..table.rows.len()).collect();
        let made = model.embed(&table, &rows, BATCH, Broken::Fail, progress)?;
        let path = |&row: &usize| table.describe(row).to_string_lossy().into_owned();
        Ok(Self {
            names: made.rows.iter().map(path).collect(),
            labels: made.rows.iter().map(|&row| table.rows[row].label).collect(),
            matrix: Matrix {
                file: folder.to_path_buf(),
                values: made.values,
                dim: model.size(),
            },
            numbers: None,
            class_names: table.class_names.clone(),
            has_names: true,
            has_paths: true,
            root: PathBuf::new(),
            columns: Vec::new(),
            shard: None,
        })
    }

    /// Whether any photograph has a class.
    pub(crate) fn has_classes(&self) -> bool {
        self.class_names.iter().any(|name| !name.is_empty())
    }

    /// Reads `file` and the labels beside it, or those in `labels`. The classes are the column `class_name`, else `label`.
    pub(crate) fn read(file: &Path, labels: Option<&Path>) -> Result<Self> {
        let read = EmbeddingFile::read(file, labels, &["class_name", "label"])?;
        let (matrix, table) = (Matrix::of(read.matrix, file), read.table);
        matrix.check()?;
        let (labels, class_names) = classes_of(&table)?;
        let names = match table.get("path") {
            Some(paths) => paths.to_vec(),
            // With the file, for another one has the same numbers.
            None => (0..table.rows())
                .map(|row| format!("{} row {row}", file.display()))
                .collect(),
        };
        let numbers = match table.get("class_name") {
            Some(_) => table.get("label").unwrap_or_default().iter(),
            None => [].iter(),
        };
        let numbers: Option<Vec<usize>> = numbers.map(|text| text.parse().ok()).collect();
        let root = root(&names, table.file());
        Ok(Self {
            matrix,
            numbers: numbers.filter(|numbers| numbers.len() == labels.len()),
            labels,
            class_names,
            has_names: table.get("class_name").is_some(),
            names,
            has_paths: table.get("path").is_some(),
            root,
            columns: further(&table),
            shard: read.shard,
        })
    }
}

/// The class of each row as a number from 0, and the names of the classes: the column `class_name`, else `label`.
pub(crate) fn classes_of(table: &LabelTable) -> Result<(Vec<usize>, Vec<String>)> {
    Ok(match table.get("class_name") {
        Some(names) => named(names),
        None => classes(table.column("label")?),
    })
}

/// Names as numbers from 0, in the order of the names as texts, as `embed` numbers its folders: `10` comes before `9`.
fn named(texts: &[String]) -> (Vec<usize>, Vec<String>) {
    let mut names = texts.to_vec();
    names.sort();
    names.dedup();
    let place = |text: &String| names.partition_point(|name| name < text);
    (texts.iter().map(place).collect(), names)
}

/// Labels as numbers from 0 without gaps, and the labels in the order of the numbers.
fn classes(texts: &[String]) -> (Vec<usize>, Vec<String>) {
    let order = class_order(texts.iter().map(String::as_str));
    let place: BTreeMap<&str, usize> = order.iter().copied().zip(0..).collect();
    (
        texts.iter().map(|text| place[text.as_str()]).collect(),
        order.into_iter().map(str::to_owned).collect(),
    )
}

/// Paths start from here, where `embed` was run, or else from the folder of their list.
fn root(names: &[String], list: &Path) -> PathBuf {
    let beside = list.parent().unwrap_or(Path::new(""));
    match names.first() {
        Some(first) if !Path::new(first).exists() && beside.join(first).exists() => {
            beside.to_path_buf()
        }
        _ => PathBuf::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_numbered_without_gaps_and_keep_their_names() {
        let texts = |list: &[&str]| list.iter().map(|&t| t.to_owned()).collect::<Vec<_>>();
        let (labels, names) = classes(&texts(&["30", "7", "30", "100"]));
        assert_eq!(
            (labels, names),
            (vec![1, 0, 1, 2], texts(&["7", "30", "100"]))
        );
        let (labels, names) = named(&texts(&["10", "9", "01", "1"]));
        assert_eq!(
            (labels, names),
            (vec![2, 3, 0, 1], texts(&["01", "1", "10", "9"]))
        );
        let (labels, names) = classes(&texts(&["10", "9", "01", "1"]));
        assert_eq!(
            (labels, names),
            (vec![2, 3, 0, 1], texts(&["01", "1", "10", "9"]))
        );
        let (labels, names) = classes(&texts(&["käse", "brot"]));
        assert_eq!((labels, names), (vec![1, 0], texts(&["brot", "käse"])));
    }
}
