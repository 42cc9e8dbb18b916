//! How far a mean would move with other queries: the percentile bootstrap.
//!
//! Efron, Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 13. Queries, or whole classes of them, are drawn with
//! replacement, the gallery is kept; the interval says nothing about other training runs.

use std::collections::BTreeMap;

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
        let single: Vec<(f64, usize)> = values.iter().map(|&value| (value, 1)).collect();
        self.of_sums(&single)
    }

    /// The 95 % interval of the mean of all values where whole groups of them are drawn: the values of one class depend on each
    /// other, and another benchmark has other classes. As many groups are drawn as there are; a resample's mean is over all values
    /// of its groups.
    ///
    /// # Errors
    /// If there is no value or no resample.
    ///
    /// # Example
    /// ```
    /// // Ten classes that are found always or never: 500 queries say as much as ten.
    /// let values: Vec<(usize, f64)> = (0..500).map(|i| (i % 10, f64::from(i % 2 == 0))).collect();
    /// let [low, high] = lodestone_eval::Bootstrap::new(1).interval_over_groups(&values)?;
    /// assert!((0.1..=0.3).contains(&low) && (0.7..=0.9).contains(&high));
    /// # Ok::<(), lodestone_eval::EvalError>(())
    /// ```
    pub fn interval_over_groups(self, values: &[(usize, f64)]) -> Result<[f64; 2], EvalError> {
        if values.is_empty() {
            return Err(EvalError::Empty("values to resample"));
        }
        let mut groups = BTreeMap::<usize, (f64, usize)>::new();
        for &(group, value) in values {
            let (sum, count) = groups.entry(group).or_default();
            *sum += value;
            *count += 1;
        }
        let sums: Vec<(f64, usize)> = groups.into_values().collect();
        self.of_sums(&sums)
    }

    /// The interval of the mean where (sum, count) are drawn, of which there is at least one.
    fn of_sums(self, sums: &[(f64, usize)]) -> Result<[f64; 2], EvalError> {
        self.interval_of(|random| {
            let (sum, count) = (0..sums.len())
                .map(|_| sums[random.random_range(0..sums.len())])
                .fold((0.0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
            sum / count as f64
        })
    }

    /// The 95 % interval of a number that each resample computes from its own draws.
    ///
    /// # Errors
    /// If there is no resample.
    pub(crate) fn interval_of(
        self,
        number: impl Fn(&mut ChaCha8Rng) -> f64 + Sync,
    ) -> Result<[f64; 2], EvalError> {
        if self.resamples == 0 {
            return Err(EvalError::Empty("resamples"));
        }
        let mut numbers: Vec<f64> = (0..self.resamples as u64)
            .into_par_iter()
            .map(|resample| {
                // A stream of its own for each resample, so that threads do not change the draws.
                let mut random = ChaCha8Rng::seed_from_u64(self.seed);
                random.set_stream(resample);
                number(&mut random)
            })
            .collect();
        numbers.sort_unstable_by(f64::total_cmp);
        Ok([quantile(&numbers, 0.025), quantile(&numbers, 0.975)])
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

    /// The 95 % interval of [`mean`](Self::mean) over resampled classes of queries; `None` where that has no value.
    ///
    /// # Errors
    /// If there is no resample.
    pub fn interval_over_classes(
        &self,
        metric: RankingMetric,
        convention: Convention,
        bootstrap: Bootstrap,
    ) -> Result<Option<[f64; 2]>, EvalError> {
        let of_class = |(query, value): (usize, f64)| (self.labels()[query], value);
        let values: Option<Vec<(usize, f64)>> = self
            .values(metric, convention)
            .map(|values| values.into_iter().map(of_class).collect());
        match values {
            Some(values) if !values.is_empty() => bootstrap.interval_over_groups(&values).map(Some),
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
