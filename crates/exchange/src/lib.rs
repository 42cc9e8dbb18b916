//! Embeddings with paths and labels in the files that other programs read and write, and the one reading of labels.
//!
//! [`Embeddings::write`] chooses the form by the ending of the name, and [`EmbeddingFile::read`] reads all of them:
//!
//! | ending | what is in it | other programs |
//! |---|---|---|
//! | `.npy` | the matrix; paths and labels in a `.csv` beside it | numpy |
//! | `.npz` | `embeddings`, `labels`; the `.csv` as well | numpy |
//! | `.safetensors` | `embeddings`, `labels`; the `.csv` as well | torch, candle, burn |
//! | `.parquet` | a row each: `path`, `label`, `class_name`, further columns, `embedding` | pandas, polars, DuckDB |
//! | `.csv` | a line each: `path`, `label`, `class_name`, further columns, `e0`, `e1`, … | everything |
//!
//! The `.csv` beside a matrix has the same columns but for the embedding; further ones are what a table of photographs says: `split`,
//! `is_query`, `sequence`, whatever there is.
//!
//! [`Embeddings::write_projector`] makes a folder for TensorBoard's projector. A [`LabelTable`] is what stands beside embeddings, a
//! [`TextTable`] reads CSV and Parquet row by row; what a label means is said in [`class_order`], [`numbered`], [`is_missing`] and
//! [`without_fractions`], for all of them.
//!
//! ```
//! use lodestone_exchange::{EmbeddingFile, Embeddings};
//!
//! let embeddings = Embeddings {
//!     values: vec![0.0, 1.0, 2.0, 3.0],
//!     dim: 2,
//!     paths: vec!["a.jpg".into(), "b.jpg".into()],
//!     labels: vec![0, 1],
//!     class_names: vec!["cups".into(), "plates".into()],
//!     columns: vec![("split".into(), vec!["train".into(), "test".into()])],
//!     shard: None,
//! };
//! let folder = tempfile::tempdir().unwrap();
//! let written = embeddings.write(&folder.path().join("shelf.npy"))?;
//! assert_eq!(written.len(), 2);
//! let read = EmbeddingFile::read(&written[0], None, &["label"])?;
//! assert_eq!(read.matrix.values, embeddings.values);
//! assert_eq!(read.table.column("class_name")?, embeddings.class_names);
//! assert_eq!(read.table.column("split")?, ["train", "test"]);
//! # Ok::<(), lodestone_exchange::ExchangeError>(())
//! ```

mod choose;
mod embedding_file;
mod embeddings;
mod error;
mod label_table;
mod labels;
mod matrices;
mod matrix;
mod npy;
mod number;
mod parquet;
mod parquet_file;
mod projector;
mod shard;
mod table;
mod tensors;
mod text;

pub use csv::StringRecord;

pub use embedding_file::EmbeddingFile;
pub use embeddings::{Embeddings, Form};
pub use error::ExchangeError;
pub use label_table::LabelTable;
pub use labels::{class_order, is_missing, numbered, numbered_sequences, without_fractions};
pub use matrix::Matrix;
pub use shard::Shard;
pub use table::{Place, TextTable};
