//! What several seeds say together: mean, standard deviation, and an interval from resampling them.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Resamples behind an interval.
const RESAMPLES: usize = 2000;
const SEED: u64 = 0;

/// The mean; not a number if there are no values.
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Sample standard deviation; absent for fewer than two values.
pub(crate) fn deviation(values: &[f64]) -> Option<f64> {
    let middle = mean(values);
    let squares: f64 = values.iter().map(|value| (value - middle).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())
}

/// The middle 95 % of the means of resampled values (percentile bootstrap); absent for fewer than two values.
///
/// Of three seeds it can hardly be wider than from the least to the greatest: it tells how far the seeds lie apart, not more.
pub(crate) fn interval(values: &[f64]) -> Option<(f64, f64)> {
    if values.len() < 2 {
        return None;
    }
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let sum: f64 = (0..values.len())
                .map(|_| values[random.random_range(0..values.len())])
                .sum();
            sum / values.len() as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let at = |share: f64| means[((RESAMPLES - 1) as f64 * share).round() as usize];
    Some((at(0.025), at(0.975)))
}

/// `mean ± deviation` with so many digits.
pub(crate) fn spread(values: &[f64], digits: usize) -> String {
    let middle = mean(values);
    match deviation(values) {
        Some(deviation) => format!("{middle:.digits$} ± {deviation:.digits$}"),
        None => format!("{middle:.digits$}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_is_the_sample_standard_deviation() {
        // Mean 2, squares 1 + 0 + 1, divided by 2.
        assert_eq!(spread(&[1.0, 2.0, 3.0], 2), "2.00 ± 1.00");
        assert_eq!(spread(&[1.5], 1), "1.5");
    }

    #[test]
    fn an_interval_holds_the_mean_and_stays_inside_the_values() {
        let (low, high) = interval(&[1.0, 2.0, 6.0]).unwrap();
        assert!((1.0..3.0).contains(&low), "{low}");
        assert!((3.0..=6.0).contains(&high), "{high}");
        assert_eq!(interval(&[1.0, 2.0, 6.0]), Some((low, high)));
        assert_eq!(interval(&[4.0, 4.0]), Some((4.0, 4.0)));
        assert_eq!(interval(&[4.0]), None);
    }
}
