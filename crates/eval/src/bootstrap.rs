//! How far a mean would move with other queries: the percentile bootstrap.
//!
//! Efron, Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 13. Queries are drawn with replacement, the gallery is
//! kept; the interval says nothing about other training runs.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::verification::quantile;
use crate::{Convention, EvalError, RankingMetric, Retrieval};

/// How an interval is resampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bootstrap {
    /// Number of resamples, at least 1.
    pub resamples: usize,
    /// Seed of the draws.
    pub seed: u64,
}

impl Bootstrap {
    /// 1000 resamples.
    pub fn new(seed: u64) -> Self {
        Self {
            resamples: 1000,
            seed,
        }
    }

    /// The 95 % interval of the mean of `values`: the 2.5 % and 97.5 % quantiles of the means of resamples.
    ///
    /// # Errors
    /// If there is no value or no resample.
    ///
    /// # Example
    /// ```
    /// let hits: Vec<f64> = (0..400).map(|i| f64::from(i % 4 == 0)).collect();
    /// let [low, high] = lodestone_eval::Bootstrap::new(1).interval(&hits)?;
    /// // A share of 1/4 among 400 has a standard error of 0.0217.
    /// assert!((0.25 - low - 0.0424).abs() < 0.01 && (high - 0.25 - 0.0424).abs() < 0.01);
    /// # Ok::<(), lodestone_eval::EvalError>(())
    /// ```
    pub fn interval(self, values: &[f64]) -> Result<[f64; 2], EvalError> {
        if values.is_empty() {
            return Err(EvalError::Empty("values to resample"));
        }
        if self.resamples == 0 {
            return Err(EvalError::Empty("resamples"));
        }
        let mut means: Vec<f64> = (0..self.resamples as u64)
            .into_par_iter()
            .map(|resample| {
                // A stream of its own for each resample, so that threads do not change the draws.
                let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
                rng.set_stream(resample);
                let sum: f64 = (0..values.len())
                    .map(|_| values[rng.random_range(0..values.len())])
                    .sum();
                sum / values.len() as f64
            })
            .collect();
        means.sort_unstable_by(f64::total_cmp);
        Ok([quantile(&means, 0.025), quantile(&means, 0.975)])
    }
}

impl Retrieval {
    /// The 95 % interval of [`mean`](Self::mean) over resampled queries; `None` where that has no value.
    ///
    /// # Errors
    /// If there is no resample.
    pub fn interval(
        &self,
        metric: RankingMetric,
        convention: Convention,
        bootstrap: Bootstrap,
    ) -> Result<Option<[f64; 2]>, EvalError> {
        let values: Option<Vec<f64>> = self
            .values(metric, convention)
            .map(|v| v.into_iter().map(|(_, value)| value).collect());
        match values {
            Some(values) if !values.is_empty() => bootstrap.interval(&values).map(Some),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_no_spread_and_equal_seeds_agree() {
        assert_eq!(Bootstrap::new(3).interval(&[0.5; 20]).unwrap(), [0.5, 0.5]);
        let values: Vec<f64> = (0..50).map(f64::from).collect();
        let [once, again, other] =
            [1, 1, 2].map(|seed| Bootstrap::new(seed).interval(&values).unwrap());
        assert_eq!(once, again);
        assert_ne!(once, other);
        assert!(once[0] < 24.5 && 24.5 < once[1]);
        assert!(Bootstrap::new(1).interval(&[]).is_err());
    }
}
