//! How far embeddings have moved since the index was made, in units of its spread.

use lodestone_distances::{Rows, squared_distance};
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::index::{check_batch, check_shape};
use crate::random::{Purpose, stream};
use crate::{Index, SamplingError};

/// A few training rows with the embeddings they had when the index was made.
///
/// # Example
/// ```
/// use lodestone_sampling::{Classes, Index, IndexConfig, Probe, Rows};
///
/// let classes = Classes::new(&[0, 0, 1, 1])?;
/// let then = [0.0, 2.0, 10.0, 12.0];
/// let config = IndexConfig { clusters_per_class: 1.into(), ..IndexConfig::default() };
/// let index = Index::build(Rows::new(&then, 1)?, &classes, &config, 0)?;
/// let probe = Probe::new(&index, Rows::new(&then, 1)?, 4)?;
/// // Every row has moved by 1; the variance of the index is 4 / 3.
/// let now: Vec<f32> = probe.rows().iter().map(|&row| then[row] + 1.0).collect();
/// assert!((probe.drift(Rows::new(&now, 1)?)? - (0.75_f64).sqrt()).abs() < 1e-9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    rows: Vec<usize>,
    then: Vec<f32>,
    dim: usize,
    variance: f64,
}

impl Probe {
    /// Picks `count` rows (all, if there are fewer) by the seed of the index. `embeddings` are those it was made from.
    ///
    /// # Errors
    /// If the embeddings are not of the index's rows and dimensions.
    pub fn new(index: &Index, embeddings: Rows, count: usize) -> Result<Self, SamplingError> {
        check_shape(embeddings, index.rows(), index.dim())?;
        let mut rows: Vec<usize> = (0..index.rows()).collect();
        let mut random = stream(index.seed(), Purpose::Probe, index.generation(), 0);
        let (picked, _) = rows.partial_shuffle(&mut random, count);
        let mut rows = picked.to_vec();
        rows.sort_unstable();
        let then = rows
            .iter()
            .flat_map(|&row| embeddings.row(row))
            .copied()
            .collect();
        Ok(Self {
            rows,
            then,
            dim: index.dim(),
            variance: index.variance(),
        })
    }

    /// The same rows, to be compared with these embeddings instead: for an index that was made of others than will be measured.
    ///
    /// # Errors
    /// If there is not one for each of [`rows`](Self::rows), or they have another length.
    pub fn since(self, embeddings: Rows) -> Result<Self, SamplingError> {
        check_shape(embeddings, self.rows.len(), self.dim)?;
        let then = embeddings.values().to_vec();
        Ok(Self { then, ..self })
    }

    /// The probe of some of its rows, given by their places among [`rows`](Self::rows): those that can still be embedded.
    ///
    /// # Panics
    /// If there is no such place.
    #[must_use]
    pub fn keep(&self, places: &[usize]) -> Self {
        let then = |&place: &usize| &self.then[place * self.dim..(place + 1) * self.dim];
        Self {
            rows: places.iter().map(|&place| self.rows[place]).collect(),
            then: places.iter().flat_map(then).copied().collect(),
            ..*self
        }
    }

    /// The rows to embed, on their evaluation view, for [`drift`](Self::drift).
    pub fn rows(&self) -> &[usize] {
        &self.rows
    }

    /// `mean ‖r_now - r_then‖ / σ` with `σ²` the variance of the index. Where that is 0, any movement is infinite drift.
    ///
    /// # Errors
    /// If `now` does not hold one embedding for each of [`rows`](Self::rows), or one is not finite.
    pub fn drift(&self, now: Rows) -> Result<f64, SamplingError> {
        check_batch(now, &self.rows, self.dim)?;
        let pairs = now.iter().zip(self.then.chunks_exact(self.dim));
        Ok(mean_distance(pairs, self.variance))
    }
}

/// Mean distance of pairs of embeddings, in standard deviations; 0 stays 0 where there is no deviation.
pub(crate) fn mean_distance<'a>(
    pairs: impl ExactSizeIterator<Item = (&'a [f32], &'a [f32])>,
    variance: f64,
) -> f64 {
    let count = pairs.len().max(1) as f64;
    let distances = pairs.map(|(a, b)| f64::from(squared_distance(a, b)).sqrt());
    let distance = distances.sum::<f64>() / count;
    if distance == 0.0 {
        0.0
    } else {
        distance / variance.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::scattered;
    use crate::{IndexConfig, RefreshPolicy};

    #[test]
    fn drift_is_zero_at_first_and_grows_with_movement() {
        let (values, classes) = scattered(3, 40, 8);
        let embeddings = Rows::new(&values, 2).unwrap();
        let index = Index::build(embeddings, &classes, &IndexConfig::default(), 4).unwrap();
        let probe = Probe::new(&index, embeddings, 30).unwrap();
        assert_eq!(probe.rows().len(), 30);
        let at = |shift: f32| {
            let now: Vec<f32> = probe
                .rows()
                .iter()
                .flat_map(|&row| embeddings.row(row))
                .map(|x| x + shift)
                .collect();
            probe.drift(Rows::new(&now, 2).unwrap()).unwrap()
        };
        assert_eq!(at(0.0), 0.0);
        assert!(at(0.1) < at(0.2));
        let policy = RefreshPolicy::Drift {
            threshold: 1.0,
            check_every: 1,
            probe_rows: 30,
        };
        assert!(!policy.exceeded(at(0.01)) && policy.exceeded(at(10.0)));
        assert!(probe.drift(embeddings).is_err());
    }

    #[test]
    fn drift_is_measured_from_the_embeddings_that_the_probe_was_given_last() {
        let (values, classes) = crate::testing::scattered(2, 20, 1);
        let rows = Rows::new(&values, 2).unwrap();
        let index = Index::build(rows, &classes, &crate::IndexConfig::default(), 0).unwrap();
        let probe = Probe::new(&index, rows, 8).unwrap();
        let fresh: Vec<f32> = (0..16).map(|at| at as f32).collect();
        let fresh = Rows::new(&fresh, 2).unwrap();
        assert!(probe.drift(fresh).unwrap() > 0.0);
        let probe = probe.since(fresh).unwrap();
        assert_eq!(probe.drift(fresh).unwrap(), 0.0);
        assert!(probe.since(rows).is_err());
    }
}
