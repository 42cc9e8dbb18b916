//! The variance that the kNC rule uses at test time: the running average of the batches' variances.

use serde::{Deserialize, Serialize};

/// Share of the average that is kept when a new value comes.
const KEEP: f64 = 0.99;

/// Exponential average of the variance itself (never its root or square), free of the bias of its start.
///
/// ```text
/// sum ← 0.99 sum + 0.01 v,   weight ← 0.99 weight + 0.01,   average = sum / weight
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VarianceAverage {
    sum: f64,
    weight: f64,
}

impl VarianceAverage {
    /// Takes the variance of a batch.
    pub fn push(&mut self, variance: f64) {
        self.sum = KEEP * self.sum + (1.0 - KEEP) * variance;
        self.weight = KEEP * self.weight + (1.0 - KEEP);
    }

    /// The average; absent before the first value.
    pub fn get(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_one_push_the_average_is_that_value() {
        let mut average = VarianceAverage::default();
        assert_eq!(average.get(), None);
        average.push(1.2);
        assert!((average.get().unwrap() - 1.2).abs() < 1e-12);
    }

    #[test]
    fn it_follows_a_change_with_a_half_life_of_69_values() {
        let mut average = VarianceAverage::default();
        (0..2000).for_each(|_| average.push(1.0));
        (0..69).for_each(|_| average.push(3.0));
        assert!((average.get().unwrap() - 2.0).abs() < 0.01);
    }
}
