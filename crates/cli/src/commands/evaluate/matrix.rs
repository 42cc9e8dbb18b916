//! A `.npy` of embeddings, centres or scores.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use lodestone_eval::{Rows, Search};
use ndarray::Array2;
use ndarray_npy::{ReadNpyError, ReadNpyExt};

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
    /// Reads f32, or f64 rounded to it.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let name = || format!("cannot read {}", file.display());
        let open = || -> Result<_> { Ok(BufReader::new(File::open(file).with_context(name)?)) };
        let array = match Array2::<f32>::read_npy(open()?) {
            Err(ReadNpyError::WrongDescriptor(_)) => match Array2::<f64>::read_npy(open()?) {
                Err(ReadNpyError::WrongDescriptor(kind)) => bail!(
                    "{} holds `{kind}`, must hold f32 or f64 (numpy: x.astype('float32'))",
                    file.display()
                ),
                doubles => doubles.with_context(name)?.mapv(|x| x as f32),
            },
            singles => singles.with_context(name)?,
        };
        let (rows, dim) = array.dim();
        ensure!(
            rows > 0 && dim > 0,
            "{} is {rows} x {dim}: at least one row and one column are needed",
            file.display()
        );
        let array = match array.is_standard_layout() {
            true => array,
            // Columns after columns, as Fortran has them.
            false => array.as_standard_layout().into_owned(),
        };
        Ok(Self {
            file: file.to_path_buf(),
            values: array.into_raw_vec_and_offset().0,
            dim,
        })
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
