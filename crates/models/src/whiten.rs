//! A linear map that makes features white: the start of a head whose directions all have the same say.

use nalgebra::DMatrix;

use crate::eigen::eigen;

/// Ridge on the variances, as a multiple of their mean. With fewer images than features most variances are estimated as
/// next to nothing; without a ridge those directions, which are noise, would be blown up to equal rights.
const RIDGE: f64 = 1.0;

/// Weight and bias of the whitening of `features`, `[n, width]` row-major, onto `size` values.
///
/// With the features' mean m, covariance `S = U diag(λ) Uᵀ` (largest first) and mean variance `λ̄`, an output is
///
/// ```text
/// y_j = u_jᵀ (x - m) / sqrt(λ_j + λ̄),   j = 1..size
/// ```
///
/// the ridge-regularised principal components. Labels are not used. Outputs beyond `width` are 0.
///
/// # Shapes
/// - returns weight `[width, size]`, row-major, and bias `[size]`
///
/// # Panics
/// If there are fewer than two rows or the values are no whole rows.
pub(crate) fn whitening(features: &[f32], width: usize, size: usize) -> (Vec<f32>, Vec<f32>) {
    let n = features.len() / width;
    assert_eq!(features.len(), n * width, "whole rows of {width} values");
    assert!(n >= 2, "one row has no variance");
    let mut rows = DMatrix::from_row_iterator(n, width, features.iter().map(|&x| f64::from(x)));
    let mean = rows.row_mean();
    for mut row in rows.row_iter_mut() {
        row -= &mean;
    }
    let covariance = rows.tr_mul(&rows) / (n - 1) as f64;
    let average = covariance.trace() / width as f64;
    let (variances, directions) = eigen(covariance);

    let mut weight = vec![0.0; width * size];
    let mut bias = vec![0.0; size];
    for column in 0..size.min(width) {
        let direction = directions.column(column);
        // Features that are all equal have no variance to divide by, and keep their scale.
        let ridge = if average > 0.0 { RIDGE * average } else { 1.0 };
        let deviation = (variances[column].max(0.0) + ridge).sqrt();
        for row in 0..width {
            weight[row * size + column] = (direction[row] / deviation) as f32;
        }
        bias[column] = (-mean.transpose().dot(&direction) / deviation) as f32;
    }
    (weight, bias)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_uncorrelated_features_get_their_ridged_variance() {
        // Variances 32 / 3 and 2 / 3 (n - 1 = 3), mean 17 / 3; the larger one comes first.
        let features = [4.0, 1.0, -4.0, 1.0, 0.0, 0.0, 0.0, 2.0];
        let (weight, bias) = whitening(&features, 2, 2);
        let large = 1.0 / (32.0_f32 / 3.0 + 17.0 / 3.0).sqrt();
        let small = 1.0 / (2.0_f32 / 3.0 + 17.0 / 3.0).sqrt();
        let wanted = [large, 0.0, 0.0, small];
        for (got, want) in weight.iter().zip(wanted) {
            assert!((got - want).abs() < 1e-6, "{weight:?}");
        }
        // The mean is (0, 1).
        assert!(
            bias[0].abs() < 1e-6 && (bias[1] + small).abs() < 1e-6,
            "{bias:?}"
        );
    }

    #[test]
    fn outputs_are_uncorrelated_and_no_noise_is_blown_up() {
        let width = 12;
        // Correlated features: each is a mix of three hidden ones of very different size.
        let hidden = |row: usize, k: usize| ((row * (7 + 4 * k) + k) % 31) as f32 - 15.0;
        let features: Vec<f32> = (0..90 * width)
            .map(|i| {
                let (row, column) = (i / width, i % width);
                (0..3)
                    .map(|k| {
                        hidden(row, k) * ((column * (k + 2)) % 5) as f32 / 10_f32.powi(k as i32)
                    })
                    .sum()
            })
            .collect();
        let (weight, bias) = whitening(&features, width, 4);
        let outputs: Vec<Vec<f32>> = features
            .chunks(width)
            .map(|row| {
                let at = |j: usize| (0..width).map(|i| row[i] * weight[i * 4 + j]).sum::<f32>();
                (0..4).map(|j| at(j) + bias[j]).collect()
            })
            .collect();
        for a in 0..4 {
            for b in 0..=a {
                let product: f32 = outputs.iter().map(|y| y[a] * y[b]).sum::<f32>() / 89.0;
                if a == b {
                    assert!((0.0..=1.0).contains(&product), "variance {a}: {product}");
                } else {
                    assert!(product.abs() < 1e-3, "{a} and {b}: {product}");
                }
            }
        }
    }

    #[test]
    fn more_outputs_than_features_are_zero_beyond() {
        let (weight, bias) = whitening(&[1.0, 0.0, 0.0, 1.0], 2, 3);
        assert_eq!((weight[2], weight[5], bias[2]), (0.0, 0.0, 0.0));
        assert!(weight.iter().all(|value| value.is_finite()));
    }
}
