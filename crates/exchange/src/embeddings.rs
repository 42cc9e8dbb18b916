//! Embeddings and what is known of their photographs.

use std::path::{Path, PathBuf};

use lodestone_files::write_whole;

use crate::shard::NOTE;
use crate::{ExchangeError, Shard, matrices, parquet, text};

/// Embeddings with the path and the class of each.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// `[rows, dim]`.
    pub values: Vec<f32>,
    /// Length of an embedding.
    pub dim: usize,
    /// Where each photograph lies.
    pub paths: Vec<String>,
    /// Class of each, a position in `class_names`.
    pub labels: Vec<usize>,
    /// Names of the classes.
    pub class_names: Vec<String>,
    /// Further columns, each with its name and a text for every row: split, roles, whatever a table says.
    pub columns: Vec<(String, Vec<String>)>,
    /// Which part of all embeddings these are, if they are not all: the file says it, in a column or note `shard`.
    pub shard: Option<Shard>,
}

/// A form of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// numpy's matrix.
    Npy,
    /// Several arrays of numpy in one file.
    Npz,
    /// The tensors of Hugging Face.
    Safetensors,
    /// A table by columns.
    Parquet,
    /// A table as text.
    Csv,
}

impl Form {
    /// The form that the ending of a name stands for.
    ///
    /// # Errors
    /// If it stands for none.
    pub fn of(path: &Path) -> Result<Self, ExchangeError> {
        let ending = path.extension().and_then(|ending| ending.to_str());
        match ending {
            Some("npy") => Ok(Self::Npy),
            Some("npz") => Ok(Self::Npz),
            Some("safetensors") => Ok(Self::Safetensors),
            Some("parquet") => Ok(Self::Parquet),
            Some("csv") => Ok(Self::Csv),
            _ => Err(ExchangeError::Ending {
                path: path.to_path_buf(),
            }),
        }
    }

    /// The files that embeddings of this form are: `path`, and the list beside it where the form has no room for paths.
    pub fn files(self, path: &Path) -> Vec<PathBuf> {
        let mut files = vec![path.to_path_buf()];
        if matches!(self, Self::Npy | Self::Npz | Self::Safetensors) {
            files.push(path.with_extension("csv"));
        }
        files
    }
}

impl Embeddings {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Writes the file in the form of its ending, and the list beside it where the form has no room for paths. Returns the files.
    ///
    /// # Errors
    /// If the ending stands for no form, the lists do not fit each other, or a file cannot be written.
    pub fn write(&self, path: &Path) -> Result<Vec<PathBuf>, ExchangeError> {
        let form = Form::of(path)?;
        self.check()?;
        let failed = |reason: String| ExchangeError::Form {
            path: path.to_path_buf(),
            reason,
        };
        let bytes = match form {
            Form::Npy => matrices::npy(self).map_err(failed)?,
            Form::Npz => matrices::npz(self).map_err(failed)?,
            Form::Safetensors => matrices::safetensors(self).map_err(failed)?,
            Form::Parquet => parquet::table(self).map_err(failed)?,
            Form::Csv => text::table(self).map_err(failed)?,
        };
        write_whole(path, |file| file.write_all(&bytes))?;
        let files = form.files(path);
        if let Some(list) = files.get(1) {
            let bytes = text::list(self).map_err(failed)?;
            write_whole(list, |file| file.write_all(&bytes))?;
        }
        Ok(files)
    }

    /// Whether `path` is the name of files that [`write`](Self::write) made, which it may make again: a table with its columns, or a
    /// matrix with its list beside it. A matrix alone, or beside another list, is somebody else's; so is a list with further columns,
    /// which may be the table that was embedded.
    pub fn made(path: &Path) -> bool {
        match Form::of(path) {
            Ok(form @ (Form::Npy | Form::Npz | Form::Safetensors)) => {
                let matrix = !path.exists() || matrices::is_matrix(path, form);
                matrix && text::is_list(&path.with_extension("csv"))
            }
            Ok(Form::Parquet) => parquet::is_table(path),
            Ok(Form::Csv) => text::is_table(path),
            Err(_) => false,
        }
    }

    pub(crate) fn check(&self) -> Result<(), ExchangeError> {
        let rows = match self.dim {
            0 => 0,
            dim => self.values.len() / dim,
        };
        let counts = [
            ("paths", self.paths.len()),
            ("labels", self.labels.len()),
            ("values", self.values.len()),
        ];
        let columns = self.columns.iter();
        let columns = columns.map(|(_, column)| ("values of a column", column.len()));
        for (what, entries) in counts.into_iter().chain(columns) {
            let wanted = if what == "values" {
                rows * self.dim
            } else {
                rows
            };
            if entries != wanted {
                return Err(ExchangeError::Count {
                    what,
                    entries,
                    rows,
                });
            }
        }
        let known = self.class_names.len();
        self.check_names()?;
        match self.labels.iter().find(|&&label| label >= known) {
            None => Ok(()),
            Some(label) => Err(ExchangeError::Count {
                what: "class names",
                entries: known,
                rows: label + 1,
            }),
        }
    }

    /// No further column has the name of one that every file has, or of another.
    fn check_names(&self) -> Result<(), ExchangeError> {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        let taken = |(at, name): (usize, &&str)| Self::is_own(name) || names[..at].contains(name);
        match names.iter().enumerate().find(|&at| taken(at)) {
            None => Ok(()),
            Some((_, name)) => Err(ExchangeError::Column {
                name: (*name).to_owned(),
            }),
        }
    }

    /// Whether [`write`](Self::write) gives this name to a column of its own, so that no further one can have it.
    pub fn is_own(name: &str) -> bool {
        let value = name.strip_prefix('e').unwrap_or_default();
        let is_value = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        is_value
            || name.is_empty()
            || text::COLUMNS.contains(&name)
            || name == NOTE
            || name == "embedding"
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.dim.max(1))
    }

    pub(crate) fn class_name(&self, row: usize) -> &str {
        &self.class_names[self.labels[row]]
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn three() -> Embeddings {
        Embeddings {
            values: vec![0.0, -1.5, 2.0, 3.0, 1e-7, 5.0],
            dim: 2,
            paths: ["my cups/a, \"b\".jpg", "c\td.jpg", "é.jpg"]
                .map(str::to_owned)
                .to_vec(),
            labels: vec![0, 1, 0],
            class_names: vec!["cups".into(), "plates".into()],
            columns: Vec::new(),
            shard: None,
        }
    }

    /// The same with what a table says of them.
    pub(crate) fn three_of_a_table() -> Embeddings {
        let column =
            |name: &str, values: [&str; 3]| (name.to_owned(), values.map(str::to_owned).to_vec());
        Embeddings {
            columns: vec![
                column("is_query", ["", "1", "0"]),
                column("split", ["train", "validation", "validation"]),
                column("my shop, \"x\"", ["a,b", "", "é"]),
            ],
            ..three()
        }
    }

    #[test]
    fn the_ending_decides_and_a_list_stands_beside_matrices() {
        let folder = tempfile::tempdir().unwrap();
        for (name, files) in [
            ("a.npy", 2),
            ("b.npz", 2),
            ("c.safetensors", 2),
            ("d.parquet", 1),
            ("e.csv", 1),
        ] {
            let written = three().write(&folder.path().join(name)).unwrap();
            assert_eq!(written.len(), files, "{name}");
            assert!(written.iter().all(|file| file.exists()));
        }
        let error = three().write(Path::new("x.txt")).unwrap_err().to_string();
        assert!(
            error.starts_with("x.txt: the name must end in .npy"),
            "{error}"
        );
    }

    #[test]
    fn what_was_written_is_known_from_what_others_made() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let path = folder.path().join(name);
            write_whole(&path, |file| file.write_all(text.as_bytes())).unwrap();
            path
        };
        for name in ["a.npy", "b.npz", "c.safetensors", "d.parquet", "e.csv"] {
            let path = folder.path().join(name);
            assert!(!Embeddings::made(&path), "{name} is not there yet");
            three().write(&path).unwrap();
            assert!(Embeddings::made(&path), "{name}");
        }
        // A list of labels, a table of something else, a matrix of another program.
        assert!(!Embeddings::made(&put(
            "labels.csv",
            "path,label\na.jpg,0\n"
        )));
        assert!(!Embeddings::made(&put("words.parquet", "no table")));
        let matrix = folder.path().join("x.npy");
        std::fs::copy(folder.path().join("a.npy"), &matrix).unwrap();
        assert!(!Embeddings::made(&matrix));
        put("x.csv", "label\n0\n");
        assert!(!Embeddings::made(&matrix));
        for name in ["a.npy", "b.npz", "c.safetensors"] {
            assert!(
                !Embeddings::made(&put(name, "something else, longer than any header")),
                "{name}"
            );
        }
    }

    #[test]
    fn a_list_with_further_columns_is_not_taken_for_ones_own() {
        let folder = tempfile::tempdir().unwrap();
        for (name, own) in [
            ("a.npy", false),
            ("b.npz", false),
            ("c.safetensors", false),
            ("d.parquet", true),
            ("e.csv", true),
        ] {
            let path = folder.path().join(name);
            three_of_a_table().write(&path).unwrap();
            assert_eq!(Embeddings::made(&path), own, "{name}");
        }
    }

    #[test]
    fn a_further_column_has_a_name_of_its_own() {
        for name in [
            "path",
            "label",
            "class_name",
            "shard",
            "embedding",
            "e0",
            "e17",
            "",
            "is_query",
        ] {
            let mut twice = three_of_a_table();
            twice
                .columns
                .push((name.to_owned(), vec![String::new(); 3]));
            let error = twice.write(Path::new("x.npy")).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("a further column is called `{name}`, as another is already")
            );
        }
        assert!(!Embeddings::is_own("e") && !Embeddings::is_own("e0x"));
    }

    #[test]
    fn lists_that_do_not_fit_are_told_with_both_numbers() {
        let mut short = three();
        short.paths.pop();
        let error = short.write(Path::new("x.npy")).unwrap_err().to_string();
        assert_eq!(error, "2 paths for 3 embeddings");
        let mut short = three_of_a_table();
        short.columns[1].1.pop();
        let error = short.write(Path::new("x.npy")).unwrap_err().to_string();
        assert_eq!(error, "2 values of a column for 3 embeddings");
        assert!(!Path::new("x.npy").exists());
    }
}
