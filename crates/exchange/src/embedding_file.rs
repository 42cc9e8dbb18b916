//! Embeddings with what stands beside them, in any form that is written here, from whoever wrote it.

use std::path::Path;

use bytes::Bytes;

use crate::error::read;
use crate::matrix::ValueColumns;
use crate::parquet_file::ParquetFile;
use crate::shard::{NOTE, Shard};
use crate::table::TextTable;
use crate::{ExchangeError, Form, LabelTable, Matrix, npy, tensors};

/// What a file of embeddings holds.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddingFile {
    /// The embeddings.
    pub matrix: Matrix,
    /// A row for each.
    pub table: LabelTable,
    /// Which part of all embeddings they are, if the file says so.
    pub shard: Option<Shard>,
}

impl EmbeddingFile {
    /// Reads the embeddings of `file` and their labels: those in `labels` if it is given; else of a table its own columns, of
    /// matrices the `.csv` beside, or where there is none the array `labels` in the file.
    ///
    /// At least one of the columns `wanted` has to be there; a list without names of columns is the last of them.
    ///
    /// # Errors
    /// As [`Matrix::read`] and [`LabelTable::read`]; if there are no labels, or not one for each embedding.
    pub fn read(
        file: &Path,
        labels: Option<&Path>,
        wanted: &[&str],
    ) -> Result<Self, ExchangeError> {
        let list = wanted.last().copied().unwrap_or("label");
        let form = Form::of(file)?;
        let (matrix, table, mut shard) = match (form, labels) {
            (_, Some(labels)) => (Matrix::read(file)?, LabelTable::read(labels, list)?, None),
            (Form::Parquet, None) => {
                let bytes = Bytes::from(read(file)?);
                let open = ParquetFile::open(file, bytes)?;
                let shard = open.note(NOTE).and_then(|text| text.parse().ok());
                let matrix = open.matrix()?.checked(file)?;
                let table = TextTable::of_parquet(file, open);
                (
                    matrix,
                    LabelTable::of_table(file, table, list, None)?,
                    shard,
                )
            }
            (Form::Csv, None) => {
                let bytes = read(file)?;
                let table = TextTable::new(file, &bytes)?;
                let mut columns = ValueColumns::of(file, &table)?;
                let table = LabelTable::of_table(file, table, list, Some(&mut columns))?;
                (columns.matrix().checked(file)?, table, None)
            }
            (Form::Npy | Form::Npz | Form::Safetensors, None) => {
                (Matrix::read(file)?, beside(file, form, list)?, None)
            }
        };
        if !wanted.iter().any(|name| table.get(name).is_some()) {
            return Err(table.lacks(list));
        }
        if table.rows() != matrix.rows() {
            return Err(ExchangeError::Labels {
                list: table.file().to_path_buf(),
                labels: table.rows(),
                path: file.to_path_buf(),
                rows: matrix.rows(),
            });
        }
        shard = shard.or_else(|| Shard::of(&table));
        Ok(Self {
            matrix,
            table,
            shard,
        })
    }
}

/// The labels of a file that has no columns.
fn beside(file: &Path, form: Form, list: &str) -> Result<LabelTable, ExchangeError> {
    let beside = file.with_extension("csv");
    let inside = match form {
        Form::Npz if !beside.exists() => npy::labels_in(&read(file)?),
        Form::Safetensors if !beside.exists() => tensors::labels_in(&read(file)?),
        _ => Ok(None),
    };
    let inside = inside.map_err(|problem| ExchangeError::Array {
        path: file.to_path_buf(),
        problem,
    })?;
    match inside {
        Some(labels) => Ok(LabelTable::of_array(file, labels, list)),
        None => LabelTable::read(&beside, list).map_err(|error| match error {
            ExchangeError::Read { .. } => {
                ExchangeError::content(file, "labels", lodestone_files::told(&error))
            }
            other => other,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Embeddings;
    use crate::embeddings::tests::{three, three_of_a_table};

    const FORMS: [&str; 5] = ["x.npy", "x.npz", "x.safetensors", "x.parquet", "x.csv"];

    fn written(embeddings: &Embeddings, name: &str) -> (tempfile::TempDir, EmbeddingFile) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        embeddings.write(&file).unwrap();
        let read = EmbeddingFile::read(&file, None, &["class_name", "label"]).unwrap();
        (folder, read)
    }

    #[test]
    fn every_form_reads_back_with_labels_paths_and_part() {
        let mut expected = three();
        for shard in [None, "2/3 ab12".parse().ok()] {
            expected.shard = shard;
            for name in FORMS {
                let (_folder, read) = written(&expected, name);
                assert_eq!(read.matrix.values, expected.values, "{name}");
                assert_eq!(read.matrix.dim, 2);
                assert_eq!(read.shard, expected.shard, "{name}");
                let table = &read.table;
                assert_eq!(table.column("path").unwrap(), expected.paths, "{name}");
                assert_eq!(table.column("label").unwrap(), ["0", "1", "0"], "{name}");
                assert_eq!(table.column("class_name").unwrap()[1], "plates", "{name}");
            }
        }
    }

    #[test]
    fn every_form_keeps_what_a_table_says() {
        let mut expected = three_of_a_table();
        for shard in [None, "2/3 ab12".parse().ok()] {
            expected.shard = shard;
            for name in FORMS {
                let (_folder, read) = written(&expected, name);
                assert_eq!(read.matrix.values, expected.values, "{name}");
                assert_eq!(read.shard, expected.shard, "{name}");
                assert_eq!(read.table.column("path").unwrap(), expected.paths, "{name}");
                for (column, values) in &expected.columns {
                    assert_eq!(read.table.get(column), Some(&values[..]), "{name}");
                }
                let before = ["class_name", "label", "path"].len() + expected.columns.len();
                let part = usize::from(read.table.get("shard").is_some());
                assert_eq!(read.table.names().count(), before + part, "{name}");
            }
        }
    }

    #[test]
    fn labels_inside_of_a_file_are_taken_where_no_list_lies_beside() {
        for name in ["x.npz", "x.safetensors"] {
            let (folder, _) = written(&three(), name);
            std::fs::remove_file(folder.path().join("x.csv")).unwrap();
            let read = EmbeddingFile::read(&folder.path().join(name), None, &["label"]).unwrap();
            assert_eq!(
                read.table.column("label").unwrap(),
                ["0", "1", "0"],
                "{name}"
            );
            let wanted = LabelTable::read(&folder.path().join(name), "label").unwrap();
            assert_eq!(read.table, wanted);
        }
        let (folder, _) = written(&three(), "x.npy");
        std::fs::remove_file(folder.path().join("x.csv")).unwrap();
        let file = folder.path().join("x.npy");
        let error = EmbeddingFile::read(&file, None, &["label"])
            .unwrap_err()
            .to_string();
        assert!(error.contains("x.npy: labels: cannot read"), "{error}");
    }

    #[test]
    fn a_list_of_names_is_not_shortened_by_its_first() {
        let (folder, _) = written(&three(), "x.npy");
        let list = folder.path().join("words.csv");
        lodestone_files::write_whole(&list, |out| out.write_all(b"a\na\nb\n")).unwrap();
        let file = folder.path().join("x.npy");
        let read = |wanted| EmbeddingFile::read(&file, Some(&list), wanted);
        let error = read(&["label"]).unwrap_err().to_string();
        assert!(
            error.contains("no column `label`, only a; this line is taken"),
            "{error}"
        );
        // Somebody may mean it.
        let error = read(&["a"]).unwrap_err().to_string();
        assert!(error.contains("words.csv has 2 labels, but"), "{error}");
        assert!(error.ends_with("x.npy has 3 embeddings"), "{error}");
    }

    #[test]
    fn what_is_no_embedding_is_told_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text, says) in [
            (
                "x.csv",
                "label,path\n0,a\n",
                "no columns `e0`, `e1`, … of embeddings",
            ),
            (
                "y.csv",
                "label,e0,e1\n0,1,x\n",
                "line 2, e1: \"x\" is no number",
            ),
            ("x.npy", "text", "x.npy is no array of numpy"),
            ("x.npz", "text", "x.npz"),
            ("x.safetensors", "text", "x.safetensors"),
            ("x.parquet", "text", "x.parquet: Parquet file: "),
            ("x.pt", "text", "x.pt: the name must end in .npy, .npz"),
        ] {
            let file = folder.path().join(name);
            lodestone_files::write_whole(&file, |out| out.write_all(text.as_bytes())).unwrap();
            let error = EmbeddingFile::read(&file, None, &["label"])
                .unwrap_err()
                .to_string();
            assert!(error.contains(says) && error.contains(name), "{error}");
        }
    }
}
