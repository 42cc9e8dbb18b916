//! What can be wrong with a gallery or with what is asked of it.

use std::path::PathBuf;

use lodestone_eval::EvalError;
use lodestone_files::WriteError;

/// A gallery that cannot be read, changed or searched.
#[derive(Debug, thiserror::Error)]
pub enum GalleryError {
    /// Embeddings of another length.
    #[error("embeddings of {given} values do not go into a gallery of {gallery}")]
    Dimension {
        /// Length of what was given.
        given: usize,
        /// Length of the embeddings in the gallery.
        gallery: usize,
    },
    /// Not one entry for each embedding.
    #[error("{entries} entries for {rows} embeddings")]
    Count {
        /// How many entries there are.
        entries: usize,
        /// How many embeddings there are.
        rows: usize,
    },
    /// Nothing to search in.
    #[error("the gallery is empty")]
    Empty,
    /// A number that no metric can be computed with, or a setting out of range.
    #[error(transparent)]
    Embeddings(#[from] EvalError),
    /// The file cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The graph failed, for instance for want of memory.
    #[error("the graph index failed: {0}")]
    Graph(String),
    /// The graph is not built in.
    #[error(
        "this gallery is searched by a graph, which is not built in; build with the feature `graph` (it compiles C++)"
    )]
    NoGraph,
}
