//! Embeddings with paths and labels in the files that other programs read and write, and the one reading of labels.
//!
#![doc = include_str!("../README.md")]
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

#![cfg_attr(
    not(feature = "embeddings"),
    allow(
        dead_code,
        reason = "tables alone use a part of what they share with embeddings"
    )
)]

#[cfg(feature = "embeddings")]
mod choose;
#[cfg(feature = "embeddings")]
mod embedding_file;
#[cfg(feature = "embeddings")]
mod embeddings;
mod error;
#[cfg(feature = "embeddings")]
mod label_table;
mod labels;
#[cfg(feature = "embeddings")]
mod matrices;
#[cfg(feature = "embeddings")]
mod matrix;
#[cfg(not(feature = "embeddings"))]
mod no_parquet;
#[cfg(feature = "embeddings")]
mod npy;
mod number;
#[cfg(feature = "embeddings")]
mod parquet;
#[cfg(feature = "embeddings")]
mod parquet_file;
#[cfg(feature = "embeddings")]
mod projector;
#[cfg(feature = "embeddings")]
mod shard;
mod table;
#[cfg(feature = "embeddings")]
mod tensors;
#[cfg(feature = "embeddings")]
mod text;

pub use csv::StringRecord;

#[cfg(feature = "embeddings")]
pub use embedding_file::EmbeddingFile;
#[cfg(feature = "embeddings")]
pub use embeddings::{Embeddings, Form};
pub use error::ExchangeError;
#[cfg(feature = "embeddings")]
pub use label_table::LabelTable;
pub use labels::{class_order, is_missing, numbered, numbered_sequences, without_fractions};
#[cfg(feature = "embeddings")]
pub use matrix::Matrix;
#[cfg(feature = "embeddings")]
pub use shard::Shard;
pub use table::{Place, TextTable};
