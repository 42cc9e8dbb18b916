//! What keeps a file from being written.

use std::path::PathBuf;

use lodestone_files::WriteError;

/// Embeddings that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// An ending that stands for no form.
    #[error("{}: the name must end in .npy, .npz, .safetensors, .parquet or .csv", path.display())]
    Ending {
        /// The file that was to be written.
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
