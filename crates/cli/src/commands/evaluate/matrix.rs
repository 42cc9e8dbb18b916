//! A matrix of embeddings, centres or scores, and the file it came from.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lodestone_eval::{Rows, Search};

/// A matrix row after row, and where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Matrix {
    /// The file.
    pub(crate) file: PathBuf,
    /// `[rows, dim]`.
    pub(crate) values: Vec<f32>,
    /// Length of a row.
    pub(crate) dim: usize,
}

impl Matrix {
    /// Reads a file of any form that `embed` writes.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        Ok(Self::of(lodestone_exchange::Matrix::read(file)?, file))
    }

    /// A matrix that was read from `file`.
    pub(crate) fn of(matrix: lodestone_exchange::Matrix, file: &Path) -> Self {
        Self {
            file: file.to_path_buf(),
            values: matrix.values,
            dim: matrix.dim,
        }
    }

    /// The rows.
    pub(crate) fn rows(&self) -> Rows<'_> {
        // `read` took whole rows of at least one value.
        Rows::new(&self.values, self.dim).expect("a matrix has whole rows")
    }

    /// Some rows only.
    pub(crate) fn gather(&self, rows: &[usize]) -> Self {
        Self {
            file: self.file.clone(),
            values: lodestone_eval::Roles::gather(self.rows(), rows),
            dim: self.dim,
        }
    }

    /// Names the file of a value that no distance can be computed with.
    pub(crate) fn check(&self) -> Result<()> {
        Search::leave_one_out(self.rows())
            .map(drop)
            .with_context(|| self.file.display().to_string())
    }
}
