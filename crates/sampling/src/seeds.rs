//! Which cluster opens the next neighbourhood: the distribution of seeds.
//!
//! Rippel et al., *Metric Learning with Adaptive Density Discrimination*, ICLR 2016, section 3.2, draw the seed in proportion
//! to the last known mean loss of a cluster. What the paper leaves open is decided so that no cluster starves.

use std::collections::BTreeSet;

use crate::{Index, LossCache, SamplingError};

/// Probability of each cluster to be the seed, `[clusters]`; sums to 1.
///
/// With the mean known loss `L̄(I)` of cluster `I`, over the eligible clusters:
///
/// ```text
/// p(I) = (1 - ε) L̄(I) / Σ L̄ + ε / number of eligible clusters
/// ```
///
/// A cluster without a known loss takes the mean over the known clusters. All are equally likely when nothing is known or all
/// known losses are 0. Eligible are clusters of `minimum_members` or more; the others have probability 0.
///
/// # Errors
/// [`SamplingError::NoNeighbourhood`] if the eligible clusters are not of at least two classes.
///
/// # Panics
/// If the cache has other rows than the index.
pub fn probabilities(
    losses: &LossCache,
    index: &Index,
    epsilon: f64,
    minimum_members: usize,
) -> Result<Vec<f64>, SamplingError> {
    let eligible: Vec<bool> = (0..index.len())
        .map(|cluster| index.members(cluster).len() >= minimum_members)
        .collect();
    let count = eligible.iter().filter(|&&eligible| eligible).count();
    require_two_classes(index, &eligible, count, minimum_members)?;
    Ok(weigh(
        &losses.cluster_means(index),
        &eligible,
        count,
        epsilon,
    ))
}

fn weigh(means: &[Option<f64>], eligible: &[bool], count: usize, epsilon: f64) -> Vec<f64> {
    let known = || {
        means
            .iter()
            .zip(eligible)
            .filter_map(|(mean, &eligible)| mean.filter(|_| eligible))
    };
    let uniform = 1.0 / count as f64;
    // With nothing known this is 0/0 and never read.
    let unknown = known().sum::<f64>() / known().count() as f64;
    let total: f64 = known().sum::<f64>() + unknown * (count - known().count()) as f64;
    means
        .iter()
        .zip(eligible)
        .map(|(mean, &eligible)| match (eligible, total > 0.0) {
            (false, _) => 0.0,
            (true, false) => uniform,
            (true, true) => (1.0 - epsilon) * mean.unwrap_or(unknown) / total + epsilon * uniform,
        })
        .collect()
}

fn require_two_classes(
    index: &Index,
    eligible: &[bool],
    count: usize,
    minimum: usize,
) -> Result<(), SamplingError> {
    let classes: BTreeSet<usize> = (0..index.len())
        .filter(|&cluster| eligible[cluster])
        .map(|cluster| index.class_of(cluster))
        .collect();
    if classes.len() < 2 {
        return Err(SamplingError::NoNeighbourhood {
            eligible: count,
            clusters: index.len(),
            minimum,
            classes: classes.len(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::line_index;

    #[test]
    fn golden_probabilities_with_an_unseen_and_a_zero_cluster() {
        // Cluster means 0.5, unseen, 1.5, 0: the unseen one takes 2/3, so the sum is 8/3.
        let (index, classes) = line_index(&[(0, 2), (1, 2), (2, 2), (3, 2)]);
        let mut losses = LossCache::new(&classes);
        losses
            .record(&index, &[0, 1, 4, 6], &[0.25, 0.75, 1.5, 0.0], 0)
            .unwrap();
        let p = probabilities(&losses, &index, 0.05, 2).unwrap();
        for (p, expected) in p.iter().zip([0.190625, 0.25, 0.546875, 0.0125]) {
            assert!((p - expected).abs() < 1e-12, "{p} instead of {expected}");
        }
    }

    #[test]
    fn a_known_zero_is_knowledge_and_not_absence() {
        let (index, classes) = line_index(&[(0, 2), (1, 2), (2, 2)]);
        let mut losses = LossCache::new(&classes);
        losses
            .record(&index, &[0, 1, 2, 3, 4], &[0.0, 0.0, 1.0, 1.0, 1.0], 0)
            .unwrap();
        let p = probabilities(&losses, &index, 0.06, 2).unwrap();
        assert!((p[0] - 0.02).abs() < 1e-12, "{p:?}");
    }

    #[test]
    fn without_knowledge_or_without_loss_all_are_alike() {
        let (index, classes) = line_index(&[(0, 2), (1, 3), (2, 2), (3, 4)]);
        let mut losses = LossCache::new(&classes);
        assert_eq!(probabilities(&losses, &index, 0.05, 2).unwrap(), [0.25; 4]);
        let rows: Vec<usize> = (0..classes.rows()).collect();
        losses
            .record(&index, &rows, &vec![0.0; rows.len()], 0)
            .unwrap();
        assert_eq!(probabilities(&losses, &index, 0.05, 2).unwrap(), [0.25; 4]);
        // Two clusters seen with 0 and two unseen ones: still no 0/0.
        let mut losses = LossCache::new(&classes);
        losses.record(&index, &[0, 2], &[0.0, 0.0], 0).unwrap();
        assert_eq!(probabilities(&losses, &index, 0.05, 2).unwrap(), [0.25; 4]);
    }

    #[test]
    fn small_clusters_are_no_seeds_and_do_not_count() {
        let (index, classes) = line_index(&[(0, 1), (1, 3), (2, 2), (3, 4)]);
        let mut losses = LossCache::new(&classes);
        // The single row of cluster 0 is known from before a refresh; it must not weigh.
        losses
            .record(&index, &[0, 1, 4], &[100.0, 1.0, 3.0], 0)
            .unwrap();
        let p = probabilities(&losses, &index, 0.0, 2).unwrap();
        for (p, expected) in p.iter().zip([0.0, 1.0 / 6.0, 0.5, 1.0 / 3.0]) {
            assert!((p - expected).abs() < 1e-12, "{p} instead of {expected}");
        }
    }

    #[test]
    fn one_class_alone_is_an_error() {
        let (index, classes) = line_index(&[(0, 3), (1, 1)]);
        let error = probabilities(&LossCache::new(&classes), &index, 0.05, 2).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no cluster can be drawn: 1 of 2 have 2 members or more, and they are of 1 class(es); two are needed"
        );
    }
}
