//! What keeps a page from being made.

use std::path::PathBuf;

use lodestone_eval::EvalError;

/// A page that cannot be made of what was given.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Something with one entry a row has another number of entries.
    #[error("{entries} {what} for {rows} embeddings")]
    Count {
        /// What was counted, such as `labels`.
        what: &'static str,
        /// How many there are.
        entries: usize,
        /// How many embeddings there are.
        rows: usize,
    },
    /// A label without a name.
    #[error("{what} {number} of {count}: there is no such one")]
    Number {
        /// What was numbered, such as `class`.
        what: &'static str,
        /// The number that was given.
        number: usize,
        /// How many there are.
        count: usize,
    },
    /// Embeddings that cannot be compared.
    #[error(transparent)]
    Embeddings(#[from] EvalError),
    /// A log that cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Photographs that could not be packed.
    #[error("cannot pack photographs")]
    Pictures(#[from] image::ImageError),
}
