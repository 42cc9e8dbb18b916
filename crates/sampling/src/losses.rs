//! The last loss that training saw for each example, which decides where the neighbourhood sampler looks next.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{Classes, Index, SamplingError};

/// The last known loss of each training row, and when it was seen.
///
/// "Never seen" and "seen with loss 0" are different things: the first takes the average of its surroundings, the second is
/// knowledge. What is stored belongs to rows, not to clusters, so it survives a refresh of the index; the means over clusters
/// are taken anew as soon as the index has changed, without being asked to.
///
/// # Example
/// ```
/// use lodestone_sampling::{Classes, Index, IndexConfig, LossCache, Rows};
///
/// let classes = Classes::new(&[0, 0, 1])?;
/// let config = IndexConfig { clusters_per_class: 1.into(), ..IndexConfig::default() };
/// let index = Index::build(Rows::new(&[0.0, 1.0, 5.0], 1)?, &classes, &config, 0)?;
/// let mut losses = LossCache::new(&classes);
/// losses.record(&index, &[2, 0], &[0.0, 1.5], 10)?;
/// assert_eq!(losses.get(2), Some(0.0));
/// assert_eq!(losses.get(1), None);
/// assert_eq!(losses.cluster_means(&index)[..], [Some(1.5), Some(0.0)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossCache {
    fingerprint: u64,
    entries: Vec<Option<Entry>>,
    /// Follows from the entries, so it is not written.
    #[serde(skip)]
    means: Option<ClusterMeans>,
}

/// Two caches are equal when they know the same of every row.
impl PartialEq for LossCache {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint && self.entries == other.entries
    }
}

/// Mean loss of each cluster under one assignment of rows to clusters, kept so that a draw need not visit every row.
#[derive(Debug, Clone)]
struct ClusterMeans {
    index: u64,
    values: Vec<Option<f64>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    loss: f32,
    step: u64,
}

impl LossCache {
    /// Nothing known of any row.
    pub fn new(classes: &Classes) -> Self {
        let entries = vec![None; classes.rows()];
        Self {
            fingerprint: classes.fingerprint(),
            entries,
            means: None,
        }
    }

    /// Stores the per-example losses of a step. A row that occurs several times gets the mean of its losses.
    ///
    /// # Errors
    /// If a loss is not finite or negative; nothing is stored then.
    ///
    /// # Panics
    /// If `rows` and `losses` differ in length, a row does not exist, or the index has other rows than the cache.
    pub fn record(
        &mut self,
        index: &Index,
        rows: &[usize],
        losses: &[f32],
        step: u64,
    ) -> Result<(), SamplingError> {
        assert_eq!(
            rows.len(),
            losses.len(),
            "{} rows, {} losses",
            rows.len(),
            losses.len()
        );
        for (&row, &value) in rows.iter().zip(losses) {
            if !value.is_finite() || value < 0.0 {
                return Err(SamplingError::LossNotUsable { row, value });
            }
        }
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|&place| rows[place]);
        for same in order.chunk_by(|&a, &b| rows[a] == rows[b]) {
            let sum: f64 = same.iter().map(|&place| f64::from(losses[place])).sum();
            let loss = (sum / same.len() as f64) as f32;
            self.entries[rows[same[0]]] = Some(Entry { loss, step });
        }
        self.average(index, rows);
        Ok(())
    }

    /// Brings the means up to date: those of the clusters of `rows`, or all if the index is another than last time.
    fn average(&mut self, index: &Index, rows: &[usize]) {
        let means = match self.means.take() {
            Some(mut means) if means.index == index.identity() => {
                let mut touched: Vec<usize> =
                    rows.iter().map(|&row| index.cluster_of(row)).collect();
                touched.sort_unstable();
                touched.dedup();
                for cluster in touched {
                    means.values[cluster] = self.mean(index.members(cluster));
                }
                means
            }
            _ => ClusterMeans {
                index: index.identity(),
                values: self.all_means(index),
            },
        };
        self.means = Some(means);
    }

    /// Last loss of `row`, or `None` if it was never seen.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn get(&self, row: usize) -> Option<f32> {
        self.entries[row].map(|entry| entry.loss)
    }

    /// Step at which `row` was last seen.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn last_step(&self, row: usize) -> Option<u64> {
        self.entries[row].map(|entry| entry.step)
    }

    /// Number of rows that were seen at least once.
    pub fn known(&self) -> usize {
        self.entries.iter().flatten().count()
    }

    /// Mean of the known losses of each cluster's members, `None` where no member was seen.
    ///
    /// # Panics
    /// If the index has other rows than the cache.
    pub fn cluster_means(&self, index: &Index) -> Cow<'_, [Option<f64>]> {
        match &self.means {
            Some(means) if means.index == index.identity() => Cow::Borrowed(&means.values),
            _ => Cow::Owned(self.all_means(index)),
        }
    }

    fn all_means(&self, index: &Index) -> Vec<Option<f64>> {
        assert_eq!(
            self.entries.len(),
            index.rows(),
            "cache and index differ in rows"
        );
        (0..index.len())
            .map(|cluster| self.mean(index.members(cluster)))
            .collect()
    }

    /// Mean of the known losses of `rows`.
    fn mean(&self, rows: &[usize]) -> Option<f64> {
        let (mut sum, mut known) = (0.0, 0_usize);
        for entry in rows.iter().filter_map(|&row| self.entries[row]) {
            sum += f64::from(entry.loss);
            known += 1;
        }
        (known > 0).then(|| sum / known as f64)
    }

    /// Refuses a cache that was made for other labels.
    ///
    /// # Errors
    /// [`SamplingError::OtherDataSet`] with both fingerprints.
    pub fn check(&self, classes: &Classes) -> Result<(), SamplingError> {
        self.check_fingerprint(classes.fingerprint())
    }

    /// The same against a fingerprint that is known already.
    pub(crate) fn check_fingerprint(&self, expected: u64) -> Result<(), SamplingError> {
        let found = self.fingerprint;
        if found != expected {
            return Err(SamplingError::OtherDataSet {
                part: "the loss cache",
                found,
                expected,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{grid_index, line_index};

    #[test]
    fn a_row_seen_twice_in_a_step_keeps_the_mean() {
        let (index, classes) = line_index(&[(0, 2), (1, 2)]);
        let mut losses = LossCache::new(&classes);
        losses
            .record(&index, &[1, 0, 1, 1], &[1.0, 9.0, 2.0, 6.0], 3)
            .unwrap();
        assert_eq!((losses.get(1), losses.get(0)), (Some(3.0), Some(9.0)));
        assert_eq!((losses.last_step(1), losses.known()), (Some(3), 2));
        assert_eq!(losses.cluster_means(&index)[..], [Some(6.0), None]);
    }

    #[test]
    fn a_loss_that_is_no_loss_is_refused_and_nothing_is_stored() {
        let (index, classes) = line_index(&[(0, 1), (1, 1)]);
        let mut losses = LossCache::new(&classes);
        for value in [f32::NAN, f32::INFINITY, -0.5] {
            let error = losses
                .record(&index, &[0, 1], &[1.0, value], 0)
                .unwrap_err();
            assert!(
                matches!(error, SamplingError::LossNotUsable { row: 1, .. }),
                "{error}"
            );
            assert_eq!(losses.known(), 0);
        }
    }

    #[test]
    fn means_kept_up_to_date_equal_means_taken_anew() {
        let (before, after) = (grid_index(3, 20, 2), grid_index(3, 20, 3));
        let classes = Classes::new(&(0..60).map(|row| row % 3).collect::<Vec<_>>()).unwrap();
        let mut losses = LossCache::new(&classes);
        for step in 0..40 {
            // The index changes half way, as it does at a refresh.
            let index = if step < 20 { &before } else { &after };
            let rows: Vec<usize> = (0..5).map(|i| (step * 7 + i * 11) % 60).collect();
            let values: Vec<f32> = rows.iter().map(|&row| (row + step) as f32 * 0.1).collect();
            losses.record(index, &rows, &values, step as u64).unwrap();
            assert_eq!(losses.cluster_means(index)[..], losses.all_means(index));
        }
        assert_eq!(losses.cluster_means(&before)[..], losses.all_means(&before));
    }

    #[test]
    fn a_cache_survives_serialisation_exactly() {
        let (index, classes) = line_index(&[(0, 2), (1, 1)]);
        let mut losses = LossCache::new(&classes);
        losses
            .record(&index, &[0, 2], &[0.1, f32::MIN_POSITIVE], 8)
            .unwrap();
        let text = serde_json::to_string(&losses).unwrap();
        let restored: LossCache = serde_json::from_str(&text).unwrap();
        assert_eq!(restored, losses);
        assert_eq!(restored.cluster_means(&index), losses.cluster_means(&index));
        assert!(losses.check(&classes).is_ok());
        assert!(losses.check(&Classes::new(&[0, 1, 1]).unwrap()).is_err());
    }
}
