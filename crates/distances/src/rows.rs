//! A borrowed matrix, row after row: the shape in which embeddings leave the device.

use std::ops::Range;

/// The number of values is not a multiple of the row length, so the last row would be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{values} values cannot be rows of {dim}")]
pub struct RaggedRows {
    /// How many values were given.
    pub values: usize,
    /// The row length that was asked for.
    pub dim: usize,
}

/// A borrowed row-major matrix `[len, dim]`; cheap to copy and to slice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rows<'a> {
    values: &'a [f32],
    dim: usize,
}

impl<'a> Rows<'a> {
    /// Reads `values` as rows of `dim` values each.
    ///
    /// # Errors
    /// [`RaggedRows`] if `dim` is 0 or does not divide the number of values.
    pub fn new(values: &'a [f32], dim: usize) -> Result<Self, RaggedRows> {
        if dim == 0 || !values.len().is_multiple_of(dim) {
            return Err(RaggedRows {
                values: values.len(),
                dim,
            });
        }
        Ok(Self { values, dim })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Length of a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// All values, row after row.
    pub fn values(&self) -> &'a [f32] {
        self.values
    }

    /// Row `i`, `[dim]`.
    ///
    /// # Panics
    /// If `i` is not below [`len`](Self::len).
    pub fn row(&self, i: usize) -> &'a [f32] {
        &self.values[i * self.dim..(i + 1) * self.dim]
    }

    /// The rows of `range`, without copying.
    ///
    /// # Panics
    /// If the range ends beyond [`len`](Self::len).
    pub fn slice(&self, range: Range<usize>) -> Rows<'a> {
        Rows {
            values: &self.values[range.start * self.dim..range.end * self.dim],
            dim: self.dim,
        }
    }

    /// The rows in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [f32]> + use<'a> {
        self.values.chunks_exact(self.dim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_slices_are_views_of_the_same_values() {
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let rows = Rows::new(&values, 2).unwrap();
        assert_eq!((rows.len(), rows.dim(), rows.is_empty()), (3, 2, false));
        assert_eq!(rows.row(1), [3.0, 4.0]);
        assert_eq!(rows.slice(1..3).values(), &values[2..]);
        assert_eq!(
            rows.iter().collect::<Vec<_>>(),
            [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
        );
        assert!(rows.slice(3..3).is_empty());
    }

    #[test]
    fn a_cut_row_is_an_error_with_both_numbers() {
        for (values, dim) in [(5, 2), (4, 0), (0, 0)] {
            let error = Rows::new(&[0.0; 5][..values], dim).unwrap_err();
            assert_eq!(error, RaggedRows { values, dim });
            assert_eq!(
                error.to_string(),
                format!("{values} values cannot be rows of {dim}")
            );
        }
    }
}
