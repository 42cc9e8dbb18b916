//! The one form that every data set takes: rows of (image, label, split) beside the names of the classes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::DataError;
use crate::sums::hexadecimal;

/// Which part of an experiment a row belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Seen by the optimiser.
    Train,
    /// Held out of training to choose settings and the best checkpoint.
    Validation,
    /// Only ever evaluated.
    Test,
}

impl Split {
    /// The word for it in tables and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// Where the pixels of a row are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An image file, relative to [`Table::root`].
    File(PathBuf),
    /// Position in [`Table::packed`].
    Packed(usize),
}

/// A rectangle in pixels of the stored image; `right` and `bottom` are the first column and row outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PixelBox {
    /// First column inside.
    pub left: u32,
    /// First row inside.
    pub top: u32,
    /// First column outside.
    pub right: u32,
    /// First row outside.
    pub bottom: u32,
}

/// Which side of a retrieval test a row stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Roles {
    /// The row asks.
    pub query: bool,
    /// The row may be found.
    pub gallery: bool,
}

/// One photograph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where the pixels are.
    pub source: Source,
    /// Class, 0-based position in [`Table::class_names`].
    pub label: usize,
    /// Coarser class, 0-based position in [`Table::coarse_names`]; `None` when the set has no such column.
    pub coarse: Option<usize>,
    /// Part of the experiment.
    pub split: Split,
    /// Rectangle to cut out before anything else; `None` is the whole image. Sets with annotated boxes fill it when
    /// they are opened with [`Regions::Annotated`](crate::Regions::Annotated).
    pub region: Option<PixelBox>,
    /// Query and gallery marks, if the set prescribes them.
    pub roles: Option<Roles>,
    /// Number of the shot series; a query does not look for rows of its own series.
    pub sequence: Option<usize>,
}

impl Row {
    /// A row of an image file without the optional columns.
    pub fn file(path: impl Into<PathBuf>, label: usize, split: Split) -> Self {
        Row {
            source: Source::File(path.into()),
            label,
            coarse: None,
            split,
            region: None,
            roles: None,
            sequence: None,
        }
    }
}

/// Equally large grey images that came in one file, kept decompressed in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// Columns of each image.
    pub width: usize,
    /// Rows of each image.
    pub height: usize,
    /// All images after each other, each row-major.
    pub bytes: Vec<u8>,
}

impl Packed {
    /// How many images there are.
    pub fn count(&self) -> usize {
        self.bytes.len() / (self.width * self.height)
    }

    /// The grey pixels of one image.
    ///
    /// # Panics
    /// If `position` is not below [`count`](Self::count).
    pub fn image(&self, position: usize) -> &[u8] {
        let size = self.width * self.height;
        &self.bytes[position * size..(position + 1) * size]
    }
}

/// A data set: which photographs, of which classes, in which split.
///
/// Row numbers are the currency between the loader, the samplers and the evaluation; they never change once a table is
/// open. A table is cheap to clone except for its rows; pixels are shared.
#[derive(Debug, Clone)]
pub struct Table {
    /// Name and protocol for results, such as `flowers-102:trainval`.
    pub name: String,
    /// Folder that the paths of the rows start from; empty for embedded sets.
    pub root: PathBuf,
    /// Class names by label.
    pub class_names: Vec<String>,
    /// What the publisher calls the classes, by label: a number or a WordNet id. Empty where the name is all there is.
    pub class_ids: Vec<String>,
    /// Names of the coarser classes; empty when there is no such column.
    pub coarse_names: Vec<String>,
    /// The photographs.
    pub rows: Vec<Row>,
    /// Pixels of the rows whose source is [`Source::Packed`].
    pub packed: Option<Arc<Packed>>,
    /// What a reader of the results must know, such as an overlap with the data of pretrained weights.
    pub notices: Vec<String>,
}

impl Table {
    /// A table of image files below `root`.
    pub fn of_files(
        name: impl Into<String>,
        root: &Path,
        class_names: Vec<String>,
        rows: Vec<Row>,
    ) -> Self {
        Table {
            name: name.into(),
            root: root.to_path_buf(),
            class_names,
            class_ids: Vec::new(),
            coarse_names: Vec::new(),
            rows,
            packed: None,
            notices: Vec::new(),
        }
    }

    /// Number of classes, present in the rows or not.
    pub fn classes(&self) -> usize {
        self.class_names.len()
    }

    /// Row numbers of a split, ascending.
    pub fn split(&self, split: Split) -> Vec<usize> {
        (0..self.rows.len())
            .filter(|&row| self.rows[row].split == split)
            .collect()
    }

    /// Labels of the given rows, in their order.
    ///
    /// # Panics
    /// If a row number is out of range.
    pub fn labels(&self, rows: &[usize]) -> Vec<usize> {
        rows.iter().map(|&row| self.rows[row].label).collect()
    }

    /// Coarse labels of the given rows, in their order; `None` if one of them has none.
    ///
    /// # Panics
    /// If a row number is out of range.
    pub fn coarse_labels(&self, rows: &[usize]) -> Option<Vec<usize>> {
        rows.iter().map(|&row| self.rows[row].coarse).collect()
    }

    /// What an error message calls a row: its file, or its number among the packed images.
    ///
    /// # Panics
    /// If the row number is out of range.
    pub fn describe(&self, row: usize) -> PathBuf {
        match &self.rows[row].source {
            Source::File(path) => self.root.join(path),
            Source::Packed(position) => PathBuf::from(format!("{} image {position}", self.name)),
        }
    }

    /// SHA-256 over what an experiment depends on, in hexadecimal: class names, and of every row the path, size in bytes,
    /// label, coarse label, split, region, roles and sequence; of packed images the pixels.
    ///
    /// Two folders with the same fingerprint give the same row numbers, so caches and checkpoints store it. Contents of
    /// image files are not read; that is the business of the checksums.
    ///
    /// # Errors
    /// If a file is missing.
    pub fn fingerprint(&self) -> Result<String, DataError> {
        let mut sum = Sha256::new();
        for name in self.class_names.iter().chain(&self.coarse_names) {
            field(&mut sum, name.as_bytes());
        }
        for row in &self.rows {
            match &row.source {
                Source::File(relative) => {
                    let path = self.root.join(relative);
                    let size = std::fs::metadata(&path)
                        .map_err(|source| DataError::read(&path, source))?
                        .len();
                    field(&mut sum, relative.as_os_str().as_encoded_bytes());
                    sum.update(size.to_le_bytes());
                }
                Source::Packed(position) => sum.update((*position as u64).to_le_bytes()),
            }
            let columns = (
                row.label,
                row.coarse,
                row.split,
                row.region,
                row.roles,
                row.sequence,
            );
            field(&mut sum, format!("{columns:?}").as_bytes());
        }
        if let Some(packed) = &self.packed {
            sum.update(&packed.bytes);
        }
        Ok(hexadecimal(&sum.finalize()))
    }
}

/// Adds a field with its length, so that moving a byte from one field to the next changes the sum.
fn field(sum: &mut Sha256, bytes: &[u8]) {
    sum.update((bytes.len() as u64).to_le_bytes());
    sum.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_files() -> (tempfile::TempDir, Table) {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            lodestone_files::write_whole(&folder.path().join(name), |file| file.write_all(b"1"))
                .unwrap();
        }
        let rows = vec![
            Row::file("a", 0, Split::Train),
            Row::file("b", 1, Split::Test),
        ];
        let table = Table::of_files("two", folder.path(), vec!["x".into(), "y".into()], rows);
        (folder, table)
    }

    #[test]
    fn the_fingerprint_follows_every_column() {
        let (folder, table) = two_files();
        let base = table.fingerprint().unwrap();
        assert_eq!(base, table.clone().fingerprint().unwrap());
        type Change = fn(&mut Table);
        let changes: [Change; 6] = [
            |table| table.rows[0].label = 1,
            |table| table.rows[0].coarse = Some(0),
            |table| table.rows[1].split = Split::Validation,
            |table| table.rows.swap(0, 1),
            |table| table.class_names[1] = "z".into(),
            |table| {
                table.rows[0].region = Some(PixelBox {
                    left: 0,
                    top: 0,
                    right: 1,
                    bottom: 1,
                });
            },
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut other = table.clone();
            change(&mut other);
            assert_ne!(base, other.fingerprint().unwrap(), "change {number}");
        }
        lodestone_files::write_whole(&folder.path().join("a"), |file| file.write_all(b"12"))
            .unwrap();
        assert_ne!(base, table.fingerprint().unwrap());
    }

    #[test]
    fn a_missing_file_stops_the_fingerprint_with_its_path() {
        let (folder, table) = two_files();
        std::fs::remove_file(folder.path().join("b")).unwrap();
        let message = table.fingerprint().unwrap_err().to_string();
        assert!(
            message.contains(&folder.path().join("b").display().to_string()),
            "{message}"
        );
    }

    #[test]
    fn splits_and_label_columns_are_read_by_row_number() {
        let (_folder, mut table) = two_files();
        assert_eq!(table.split(Split::Train), [0]);
        assert_eq!(table.split(Split::Validation), [0; 0]);
        assert_eq!(table.labels(&[1, 0, 1]), [1, 0, 1]);
        assert_eq!(table.coarse_labels(&[0, 1]), None);
        for row in &mut table.rows {
            row.coarse = Some(7);
        }
        assert_eq!(table.coarse_labels(&[0, 1]), Some(vec![7, 7]));
    }
}
