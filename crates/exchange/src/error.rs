//! What keeps a file from being read or written.

use std::io;
use std::path::{Path, PathBuf};

use lodestone_files::WriteError;

/// A file of embeddings or labels that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// An ending that stands for no form.
    #[error("{}: the name must end in .npy, .npz, .safetensors, .parquet or .csv", path.display())]
    Ending {
        /// The file.
        path: PathBuf,
    },
    /// Lists that do not fit each other.
    #[error("{entries} {what} for {rows} embeddings")]
    Count {
        /// What was counted, such as `labels`.
        what: &'static str,
        /// How many there are.
        entries: usize,
        /// How many embeddings there are.
        rows: usize,
    },
    /// A column whose name is taken.
    #[error("a further column is called `{name}`, as another is already")]
    Column {
        /// The name.
        name: String,
    },
    /// Labels that belong to other embeddings.
    #[error("{} has {labels} labels, but {} has {rows} embeddings", list.display(), path.display())]
    Labels {
        /// The file of the labels.
        list: PathBuf,
        /// How many there are.
        labels: usize,
        /// The file of the embeddings.
        path: PathBuf,
        /// How many there are.
        rows: usize,
    },
    /// A file cannot be opened or read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A file was read and does not hold what it should.
    #[error("{}: {place}: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Line, row, column or array.
        place: String,
        /// What is wrong, with the value found.
        problem: String,
    },
    /// An array that is not what it should be.
    #[error("{} {problem}", path.display())]
    Array {
        /// The file.
        path: PathBuf,
        /// What is wrong, with what was found.
        problem: String,
    },
    /// The file cannot be put together.
    #[error("cannot put together {}: {reason}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl ExchangeError {
    pub(crate) fn content(
        path: &Path,
        place: impl Into<String>,
        problem: impl Into<String>,
    ) -> Self {
        Self::Content {
            path: path.to_path_buf(),
            place: place.into(),
            problem: problem.into(),
        }
    }
}

/// The bytes of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, ExchangeError> {
    std::fs::read(path).map_err(|source| ExchangeError::Read {
        path: path.to_path_buf(),
        source,
    })
}
