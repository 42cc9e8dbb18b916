//! Rows scaled to unit length, on which squared Euclidean distance is `2 (1 - cos)`.

use crate::{EvalError, Rows, Side};

/// The values of `rows` with each row scaled to length 1, `[n, dim]`: what cosine distance ranks by.
///
/// # Errors
/// If a row has length 0 or a value is not finite; the row is named.
///
/// # Example
/// ```
/// use lodestone_eval::{Rows, unit_rows};
///
/// let rows = Rows::new(&[3.0, 4.0, 0.0, -2.0], 2).unwrap();
/// assert_eq!(unit_rows(rows)?, [0.6, 0.8, 0.0, -1.0]);
/// # Ok::<(), lodestone_eval::EvalError>(())
/// ```
pub fn unit_rows(rows: Rows) -> Result<Vec<f32>, EvalError> {
    crate::labelled::check_finite(rows, Side::Only)?;
    let mut values = rows.values().to_vec();
    for (row, values) in values.chunks_exact_mut(rows.dim()).enumerate() {
        // In f64, so that short rows do not underflow.
        let squares: f64 = values.iter().map(|&x| f64::from(x).powi(2)).sum();
        if squares == 0.0 {
            return Err(EvalError::NoDirection {
                side: Side::Only,
                row,
            });
        }
        let length = squares.sqrt();
        values
            .iter_mut()
            .for_each(|x| *x = (f64::from(*x) / length) as f32);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_without_direction_is_named() {
        let rows = Rows::new(&[1.0, 0.0, 0.0, 0.0], 2).unwrap();
        let error = unit_rows(rows).unwrap_err();
        assert_eq!(
            error.to_string(),
            "row 1 is all zeros and has no direction: cosine distance is undefined"
        );
        let tiny = Rows::new(&[1e-30, 0.0], 2).unwrap();
        assert_eq!(unit_rows(tiny).unwrap(), [1.0, 0.0]);
    }
}
