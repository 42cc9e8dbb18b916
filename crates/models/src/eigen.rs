//! Eigenvectors of a symmetric matrix, in an order and with signs that every machine agrees on.

use nalgebra::{DMatrix, SymmetricEigen};

/// Eigenvalues, largest first, and their unit eigenvectors as columns.
///
/// An eigenvector and its opposite are the same direction; the one whose largest component is positive is taken.
pub(crate) fn eigen(matrix: DMatrix<f64>) -> (Vec<f64>, DMatrix<f64>) {
    let width = matrix.ncols();
    let found = SymmetricEigen::new(matrix);
    let mut order: Vec<usize> = (0..width).collect();
    order.sort_by(|&a, &b| {
        let by_value = found.eigenvalues[b].total_cmp(&found.eigenvalues[a]);
        by_value.then(a.cmp(&b))
    });
    let values = order.iter().map(|&at| found.eigenvalues[at]).collect();
    let columns: Vec<_> = order
        .iter()
        .map(|&at| {
            let vector = found.eigenvectors.column(at);
            vector * vector[vector.iamax()].signum()
        })
        .collect();
    (values, DMatrix::from_columns(&columns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fall_and_signs_are_fixed() {
        // Eigenvalues 1 and 3 with directions (1, -1) and (1, 1).
        let (values, vectors) = eigen(DMatrix::from_row_slice(2, 2, &[2.0, 1.0, 1.0, 2.0]));
        assert!((values[0] - 3.0).abs() < 1e-12 && (values[1] - 1.0).abs() < 1e-12);
        let half = 0.5_f64.sqrt();
        assert!((vectors[(0, 0)] - half).abs() < 1e-12 && (vectors[(1, 0)] - half).abs() < 1e-12);
        assert!(vectors[(0, 1)].max(vectors[(1, 1)]) > 0.0);
    }
}
