//! Embeddings with paths and labels in the files that other programs read.
//!
//! [`Embeddings::write`] chooses the form by the ending of the name:
//!
//! | ending | what is in it | read by |
//! |---|---|---|
//! | `.npy` | the matrix; paths and labels in a `.csv` beside it | numpy, `lodestone evaluate`, `report`, `index` |
//! | `.npz` | `embeddings`, `labels`; the `.csv` as well | numpy |
//! | `.safetensors` | `embeddings`, `labels`; the `.csv` as well | torch, candle, burn |
//! | `.parquet` | a row each: `path`, `label`, `class_name`, `embedding` | pandas, polars, DuckDB |
//! | `.csv` | a line each: `path`, `label`, `class_name`, `e0`, `e1`, … | everything |
//!
//! [`Embeddings::write_projector`] makes a folder for TensorBoard's projector.
//!
//! ```
//! use lodestone_exchange::Embeddings;
//!
//! let embeddings = Embeddings {
//!     values: vec![0.0, 1.0, 2.0, 3.0],
//!     dim: 2,
//!     paths: vec!["a.jpg".into(), "b.jpg".into()],
//!     labels: vec![0, 1],
//!     class_names: vec!["cups".into(), "plates".into()],
//! };
//! let folder = tempfile::tempdir().unwrap();
//! let written = embeddings.write(&folder.path().join("shelf.npy"))?;
//! assert_eq!(written.len(), 2);
//! # Ok::<(), lodestone_exchange::ExchangeError>(())
//! ```

mod embeddings;
mod error;
mod matrices;
mod parquet;
mod projector;
mod text;

pub use embeddings::{Embeddings, Form};
pub use error::ExchangeError;
