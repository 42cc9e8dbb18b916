//! Embeddings that do not fit in memory, read where they lie on the disk.

use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use ndarray::ArrayView2;
use ndarray_npy::{ViewNpyError, ViewNpyExt};

use crate::Rows;

/// Why a file of embeddings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MappedError {
    /// It cannot be opened or mapped.
    #[error("cannot read {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// It is not a matrix of 32-bit floats.
    #[error("{} is no .npy file of little-endian 32-bit floats with rows and columns", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with its header or length.
        #[source]
        source: ViewNpyError,
    },
    /// Its rows do not lie one after the other.
    #[error("{} holds {rows} rows of {dim} values, column by column or empty; rows one after the other are needed", path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// Rows by its header.
        rows: usize,
        /// Columns by its header.
        dim: usize,
    },
}

/// A `.npy` matrix of `f32`, mapped into memory: the operating system loads the parts that are read and may drop them again.
#[derive(Debug)]
pub struct MappedRows {
    map: Mmap,
}

impl MappedRows {
    /// Maps `path` and checks its header.
    ///
    /// # Errors
    /// If the file cannot be read, or does not hold a C-ordered matrix of `f32`.
    #[allow(
        unsafe_code,
        reason = "mapping a file is unsafe, because others could change it"
    )]
    pub fn open(path: &Path) -> Result<Self, MappedError> {
        let open = |source| MappedError::Open {
            path: path.to_path_buf(),
            source,
        };
        let file = File::open(path).map_err(open)?;
        // SAFETY: the bytes are only read, as numbers, of which every bit pattern is one. A file that another program shortens
        // meanwhile ends this one by a signal, as it does any program that maps files.
        let map = unsafe { Mmap::map(&file) }.map_err(open)?;
        let view = ArrayView2::<f32>::view_npy(&map).map_err(|source| MappedError::Format {
            path: path.to_path_buf(),
            source,
        })?;
        let (rows, dim) = view.dim();
        if view.is_empty() || !view.is_standard_layout() {
            return Err(MappedError::Layout {
                path: path.to_path_buf(),
                rows,
                dim,
            });
        }
        Ok(Self { map })
    }

    /// The rows, to be given to [`Index::build`](crate::Index::build) or [`Index::refresh`](crate::Index::refresh).
    pub fn rows(&self) -> Rows<'_> {
        let view = ArrayView2::<f32>::view_npy(&self.map).expect("the header was checked");
        let dim = view.ncols();
        Rows::new(view.to_slice().expect("the layout was checked"), dim).expect("whole rows")
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, ShapeBuilder};
    use ndarray_npy::write_npy;

    use super::*;
    use crate::testing::scattered;
    use crate::{Index, IndexConfig};

    #[test]
    fn an_index_of_mapped_rows_equals_that_of_rows_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("embeddings.npy");
        let (values, classes) = scattered(3, 30, 6);
        write_npy(
            &path,
            &Array2::from_shape_vec((90, 2), values.clone()).unwrap(),
        )
        .unwrap();
        let mapped = MappedRows::open(&path).unwrap();
        assert_eq!(mapped.rows(), Rows::new(&values, 2).unwrap());
        let build = |rows| Index::build(rows, &classes, &IndexConfig::default(), 0).unwrap();
        assert_eq!(build(mapped.rows()), build(Rows::new(&values, 2).unwrap()));
    }

    #[test]
    fn other_files_are_refused_with_their_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("embeddings.npy");
        let message = || MappedRows::open(&path).unwrap_err().to_string();
        assert!(message().contains("cannot read") && message().contains("embeddings.npy"));
        write_npy(&path, &Array2::<f64>::zeros((2, 3))).unwrap();
        assert!(message().contains("32-bit floats"), "{}", message());
        write_npy(&path, &Array2::<f32>::ones((2, 3).f())).unwrap();
        assert!(message().contains("2 rows of 3 values"), "{}", message());
        lodestone_files::write_whole(&path, |file| file.write_all(b"not numpy")).unwrap();
        assert!(
            message().contains("embeddings.npy is no .npy file"),
            "{}",
            message()
        );
    }
}
