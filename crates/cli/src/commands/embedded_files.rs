//! Embedding files with what stands beside them: classes and paths, from lodestone or from anywhere else.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::commands::evaluate::{LabelTable, Matrix, numbered};

/// A `.npy` and its `.csv`.
pub(crate) struct EmbeddedFiles {
    pub(crate) matrix: Matrix,
    /// Class of each row, a position in `class_names`.
    pub(crate) labels: Vec<usize>,
    /// Names in their order; numbers where there are no names.
    pub(crate) class_names: Vec<String>,
    /// Whether these are names, of a column `class_name`.
    pub(crate) has_names: bool,
    /// Where each photograph lies, or a name made of its number where nobody says.
    pub(crate) names: Vec<String>,
    /// Folder that the names start from.
    pub(crate) root: PathBuf,
}

impl EmbeddedFiles {
    /// Reads `file` and the labels beside it, or those in `labels`. The classes are the column `class_name`, else `label`.
    pub(crate) fn read(file: &Path, labels: Option<&Path>) -> Result<Self> {
        let matrix = Matrix::read(file)?;
        matrix.check()?;
        let beside = file.with_extension("csv");
        let table = LabelTable::read(labels.unwrap_or(&beside), "label")?;
        let rows = matrix.rows().len();
        ensure!(
            table.rows() == rows,
            "{} has {} lines, {} has {rows} embeddings",
            table.file().display(),
            table.rows(),
            file.display()
        );
        let (labels, class_names) = match table.get("class_name") {
            Some(names) => named(names),
            None => classes(table.column("label")?),
        };
        let names = match table.get("path") {
            Some(paths) => paths.to_vec(),
            // With the file, for another one has the same numbers.
            None => (0..rows)
                .map(|row| format!("{} row {row}", file.display()))
                .collect(),
        };
        let root = root(&names, table.file());
        Ok(Self {
            matrix,
            labels,
            class_names,
            has_names: table.get("class_name").is_some(),
            names,
            root,
        })
    }
}

/// Names as numbers from 0, in the order of the names as texts, as `embed` numbers its folders: `10` comes before `9`, and `01` is
/// not `1`.
fn named(texts: &[String]) -> (Vec<usize>, Vec<String>) {
    let mut names = texts.to_vec();
    names.sort();
    names.dedup();
    let place = |text: &String| names.partition_point(|name| name < text);
    (texts.iter().map(place).collect(), names)
}

/// Labels as numbers from 0 without gaps, and the labels in the order of the numbers.
fn classes(texts: &[String]) -> (Vec<usize>, Vec<String>) {
    let (mut numbers, names) = numbered(&[texts]);
    let numbers = numbers.pop().unwrap_or_default();
    let mut known = numbers.clone();
    known.sort_unstable();
    known.dedup();
    let place = |number: &usize| known.partition_point(|k| k < number);
    let name = |number: &usize| {
        let named = names.get(number).cloned();
        named.unwrap_or_else(|| number.to_string())
    };
    (
        numbers.iter().map(place).collect(),
        known.iter().map(name).collect(),
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
        let (labels, names) = classes(&texts(&["käse", "brot"]));
        assert_eq!((labels, names), (vec![1, 0], texts(&["brot", "käse"])));
    }
}
