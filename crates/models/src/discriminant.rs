//! Fisher's linear discriminants: the start of a head whose directions separate the classes.

use nalgebra::{DMatrix, DVector};

use crate::eigen::eigen;

/// Ridge on the variances within classes, as a multiple of their mean. With few images a class most of them are estimated as
/// next to nothing; without a ridge the discriminants would be made of those directions.
const RIDGE: f64 = 1.0;

/// Weight and bias of the discriminants of `features`, `[n, width]` row-major, onto `size` values, by the class of each row.
///
/// With the mean m, the covariance within classes `S_w = U diag(λ) Uᵀ` and the mean variance `λ̄`, features are first made
/// white within classes, `z = diag(λ + λ̄)^(-1/2) Uᵀ (x - m)`. The outputs are the principal components `q_j` of the class
/// means in that space, largest first, each class counted once:
///
/// ```text
/// y_j = q_jᵀ diag(λ + λ̄)^(-1/2) Uᵀ (x - m),   j = 1..size
/// ```
///
/// Nearest class mean among them is linear discriminant analysis with equal priors and this ridge. Class means span at most
/// one dimension fewer than there are classes; outputs beyond that are white noise within classes. Outputs beyond `width`
/// are 0.
///
/// # Shapes
/// - returns weight `[width, size]`, row-major, and bias `[size]`
///
/// # Panics
/// If the values are no whole rows, or `labels` are not as many.
///
/// Source: Fisher 1936; Rao 1948 for several classes; the ridge is that of Friedman 1989.
pub(crate) fn discriminants(
    features: &[f32],
    width: usize,
    labels: &[usize],
    size: usize,
) -> (Vec<f32>, Vec<f32>) {
    let n = features.len() / width;
    assert_eq!(features.len(), n * width, "whole rows of {width} values");
    assert_eq!(n, labels.len(), "{n} rows, {} labels", labels.len());
    let mut rows = DMatrix::from_row_iterator(n, width, features.iter().map(|&x| f64::from(x)));
    let mean = rows.row_mean().transpose();
    let means = class_means(&rows, labels);
    for (row, &label) in labels.iter().enumerate() {
        if let Some(own) = &means[label] {
            let centred = rows.row(row) - own.transpose();
            rows.set_row(row, &centred);
        }
    }
    let (variances, directions) = eigen(rows.tr_mul(&rows) / n as f64);
    let ridge = match variances.iter().sum::<f64>() / width as f64 {
        average if average > 0.0 => RIDGE * average,
        // One row of each class, or equal ones: no direction is noisier than another.
        _ => 1.0,
    };
    let mut white = directions;
    for (mut column, variance) in white.column_iter_mut().zip(&variances) {
        column /= (variance.max(0.0) + ridge).sqrt();
    }

    let known: Vec<DVector<f64>> = means.into_iter().flatten().collect();
    let means = DMatrix::from_columns(&known).transpose();
    let centre = means.row_mean();
    let centred: Vec<_> = means.row_iter().map(|row| row - &centre).collect();
    let between = DMatrix::from_rows(&centred) * &white;
    let (_, order) = eigen(between.tr_mul(&between) / known.len() as f64);
    let projection = white * order;

    let kept = size.min(width);
    let mut weight = vec![0.0; width * size];
    let mut bias = vec![0.0; size];
    for column in 0..kept {
        let direction = projection.column(column);
        for row in 0..width {
            weight[row * size + column] = direction[row] as f32;
        }
        bias[column] = -mean.dot(&direction) as f32;
    }
    (weight, bias)
}

/// Mean of each class's rows; none for a class without rows.
fn class_means(rows: &DMatrix<f64>, labels: &[usize]) -> Vec<Option<DVector<f64>>> {
    let classes = labels.iter().max().map_or(0, |&last| last + 1);
    let mut sums = vec![DVector::zeros(rows.ncols()); classes];
    let mut counts = vec![0_usize; classes];
    for (row, &label) in labels.iter().enumerate() {
        sums[label] += rows.row(row).transpose();
        counts[label] += 1;
    }
    let pairs = sums.into_iter().zip(counts);
    pairs
        .map(|(sum, count)| (count > 0).then(|| sum / count as f64))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outputs of one row.
    fn outputs(row: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
        let size = bias.len();
        let at = |j: usize| {
            let terms = row
                .iter()
                .enumerate()
                .map(|(i, x)| x * weight[i * size + j]);
            terms.sum::<f32>() + bias[j]
        };
        (0..size).map(at).collect()
    }

    #[test]
    fn two_classes_differ_in_the_first_output_alone() {
        // Within classes the first feature varies by ±3 and the second by ±1, unrelated; the classes differ by 2 in the second.
        let rows = [
            [3.0, 1.0],
            [-3.0, 1.0],
            [3.0, -1.0],
            [-3.0, -1.0],
            [3.0, 3.0],
            [-3.0, 3.0],
            [3.0, 1.0],
            [-3.0, 1.0],
        ];
        let features: Vec<f32> = rows.concat();
        let (weight, bias) = discriminants(&features, 2, &[0, 0, 0, 0, 1, 1, 1, 1], 2);
        // Variances 9 and 1, mean 5: divided by sqrt(14) and sqrt(6). The mean is (0, 1).
        let (small, large) = (6.0_f32.sqrt().recip(), 14.0_f32.sqrt().recip());
        for (got, want) in weight.iter().zip([0.0, large, small, 0.0]) {
            assert!((got - want).abs() < 1e-6, "{weight:?}");
        }
        assert!(
            (bias[0] + small).abs() < 1e-6 && bias[1].abs() < 1e-6,
            "{bias:?}"
        );
        assert_eq!(outputs(&[5.0, 1.0], &weight, &bias)[0], 0.0);
    }

    #[test]
    fn classes_are_told_apart_through_noise_that_hides_them_from_plain_distances() {
        // The class is in the difference of two features that share strong noise.
        let noise = |row: usize| ((row * 37) % 101) as f32 / 10.0 - 5.0;
        let labels: Vec<usize> = (0..90).map(|row| row % 3).collect();
        let features: Vec<f32> = (0..90)
            .flat_map(|row| {
                let shift = (row % 3) as f32;
                [
                    noise(row) + shift,
                    noise(row) - shift,
                    ((row * 7) % 5) as f32,
                ]
            })
            .collect();
        let (weight, bias) = discriminants(&features, 3, &labels, 2);
        let firsts: Vec<f32> = features
            .chunks(3)
            .map(|row| outputs(row, &weight, &bias)[0])
            .collect();
        let of = |class: usize| {
            let own = firsts.iter().skip(class).step_by(3).copied();
            let own: Vec<f32> = own.collect();
            let low = own.iter().copied().fold(f32::INFINITY, f32::min);
            (low, own.iter().copied().fold(f32::NEG_INFINITY, f32::max))
        };
        let mut spans = [of(0), of(1), of(2)];
        spans.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(
            spans[0].1 < spans[1].0 && spans[1].1 < spans[2].0,
            "{spans:?}"
        );
    }

    #[test]
    fn a_class_without_rows_and_more_outputs_than_features_are_allowed() {
        // One row of each class: no scatter to be white.
        let (weight, bias) = discriminants(&[1.0, 0.0, 2.0, 1.0], 2, &[0, 2], 3);
        assert_eq!((weight[2], weight[5], bias[2]), (0.0, 0.0, 0.0));
        assert!(weight.iter().all(|value| value.is_finite()));
    }
}
