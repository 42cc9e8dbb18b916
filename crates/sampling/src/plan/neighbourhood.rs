//! The paper's sampler: a seed cluster drawn by its loss, its nearest imposters, and a few examples of each.
//!
//! Rippel et al., *Metric Learning with Adaptive Density Discrimination*, ICLR 2016, section 3.2.

use lodestone_distances::draw;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::group::Group;
use super::{Clusters, SmallGroups};
use crate::batch::Neighbourhood;
use crate::{Batch, Classes, SamplingError};

/// A batch is one neighbourhood: a seed cluster drawn with the [`probabilities`](crate::probabilities) of the cached losses, the
/// M-1 clusters of other classes whose centres are nearest to it, and D examples of each, drawn evenly.
///
/// An epoch is as many batches as it takes to see as many images as the data set has; it need not see each. Batches are
/// drawn independently, so an image may come again in the next.
///
/// Clusters of one member are never drawn: their variance says nothing. Those with fewer than D members follow
/// `small_clusters`. Where fewer than M-1 imposters are left the batch is smaller, which
/// [`BatchNotes`](crate::BatchNotes) tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct NeighbourhoodConfig {
    /// Clusters in a batch, M: the seed and M-1 imposters.
    pub clusters_per_batch: usize,
    /// Examples of each cluster, D.
    pub examples_per_cluster: usize,
    /// Share of the seeds that is drawn evenly, so that no cluster starves.
    pub epsilon: f64,
    /// What becomes of clusters with fewer than `examples_per_cluster` members.
    pub small_clusters: SmallGroups,
}

impl Default for NeighbourhoodConfig {
    fn default() -> Self {
        Self {
            clusters_per_batch: 12,
            examples_per_cluster: 4,
            epsilon: 0.05,
            small_clusters: SmallGroups::Replace,
        }
    }
}

impl NeighbourhoodConfig {
    pub(super) fn group(&self) -> Group {
        Group {
            field: "clusters_per_batch",
            clusters: self.clusters_per_batch,
            examples: self.examples_per_cluster,
            epsilon: self.epsilon,
            small: self.small_clusters,
        }
    }

    pub(super) fn steps(&self, classes: &Classes) -> usize {
        classes
            .rows()
            .div_ceil(self.clusters_per_batch * self.examples_per_cluster)
    }

    pub(super) fn batch(
        &self,
        clusters: Clusters,
        random: &mut ChaCha8Rng,
    ) -> Result<Batch, SamplingError> {
        let group = self.group();
        let p = group.probabilities(clusters)?;
        let seed = draw(p.iter().copied(), p.iter().sum(), random);
        let mut batch = Batch::default();
        let positions: Vec<usize> = group
            .neighbourhood(clusters.index, seed)
            .into_iter()
            .map(|cluster| group.add_cluster(&mut batch, clusters.index, cluster, random))
            .collect();
        batch.notes.missing_imposters = self.clusters_per_batch - positions.len();
        batch.neighbourhoods = vec![Neighbourhood {
            clusters: positions,
            weight: 1.0,
        }];
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};
    use crate::testing::{grid_index, line_index};
    use crate::{Index, LossCache, PlanConfig, RefreshStart, Rows};

    fn config(
        clusters: usize,
        examples: usize,
        small_clusters: SmallGroups,
    ) -> NeighbourhoodConfig {
        NeighbourhoodConfig {
            clusters_per_batch: clusters,
            examples_per_cluster: examples,
            small_clusters,
            ..NeighbourhoodConfig::default()
        }
    }

    fn draw_one(
        config: &NeighbourhoodConfig,
        index: &Index,
        losses: &LossCache,
        step: u64,
    ) -> Batch {
        let mut random = stream(0, Purpose::Batch, 0, step);
        config
            .batch(Clusters { index, losses }, &mut random)
            .unwrap()
    }

    #[test]
    fn a_batch_is_a_seed_with_its_nearest_imposters_and_their_members() {
        let index = grid_index(6, 40, 3);
        let classes = Classes::new(&(0..240).map(|row| row % 6).collect::<Vec<_>>()).unwrap();
        let losses = LossCache::new(&classes);
        let config = config(5, 3, SmallGroups::Replace);
        for step in 0..200 {
            let batch = draw_one(&config, &index, &losses, step);
            assert_eq!((batch.rows.len(), batch.cluster_ids.len()), (15, 5));
            let seed = batch.cluster_ids[0];
            assert_eq!(
                batch.cluster_ids[1..],
                index.imposters(seed, 4, |c| index.members(c).len() > 1)
            );
            for (&row, &position) in batch.rows.iter().zip(&batch.clusters) {
                assert_eq!(index.cluster_of(row), batch.cluster_ids[position]);
            }
            // The seed is never its own imposter, nor is any sibling of it.
            let classes = &batch.cluster_classes;
            assert!(classes[1..].iter().all(|&class| class != classes[0]));
        }
    }

    #[test]
    fn seeds_follow_the_formula_by_a_chi_squared_test() {
        let (index, classes) = line_index(&[(0, 4), (1, 4), (2, 4), (3, 4), (4, 4), (5, 4)]);
        let mut losses = LossCache::new(&classes);
        // Cluster means 0.2, 3, 0, 1, unseen, 0.5.
        losses
            .record(&index, &[0, 4, 8, 12, 20], &[0.2, 3.0, 0.0, 1.0, 0.5], 0)
            .unwrap();
        let config = config(3, 2, SmallGroups::Replace);
        let p = config
            .group()
            .probabilities(Clusters {
                index: &index,
                losses: &losses,
            })
            .unwrap();
        let draws = 20_000;
        let mut counts = [0.0; 6];
        for step in 0..draws {
            counts[draw_one(&config, &index, &losses, step).cluster_ids[0]] += 1.0;
        }
        let statistic: f64 = counts
            .iter()
            .zip(&p)
            .map(|(got, p)| (got - p * draws as f64).powi(2) / (p * draws as f64))
            .sum();
        // The 99.9 % point of the distribution with 5 degrees of freedom.
        assert!(statistic < 20.515, "{statistic} for {counts:?}");
    }

    #[test]
    fn each_rule_for_small_clusters_does_what_it_says() {
        // D = 4; the second cluster has 3 members, the third 1.
        let (index, classes) = line_index(&[(0, 5), (1, 3), (2, 1), (3, 6)]);
        let losses = LossCache::new(&classes);
        for (rule, sizes) in [
            (SmallGroups::Replace, [4, 4, 0, 4]),
            (SmallGroups::Short, [4, 3, 0, 4]),
            (SmallGroups::Skip, [4, 0, 0, 4]),
        ] {
            let config = config(4, 4, rule);
            for step in 0..50 {
                let batch = draw_one(&config, &index, &losses, step);
                let mut seen = [0; 4];
                batch
                    .clusters
                    .iter()
                    .for_each(|&place| seen[batch.cluster_ids[place]] += 1);
                assert_eq!(seen, sizes, "{rule:?}");
                let present = sizes.iter().filter(|&&size| size > 0).count();
                assert_eq!(batch.notes.missing_imposters, 4 - present);
                assert_eq!(
                    batch.notes.small_groups,
                    usize::from(rule != SmallGroups::Skip)
                );
            }
        }
    }

    #[test]
    fn after_a_refresh_only_new_members_are_drawn() {
        let (mut index, classes) = line_index(&[(0, 3), (0, 3), (1, 3), (1, 3)]);
        let losses = LossCache::new(&classes);
        // Row 0 moves from the first cluster to the second.
        let old = index.assignment().to_vec();
        let moved: Vec<f32> = (0..12)
            .map(|row| {
                if row == 0 {
                    100.0
                } else {
                    old[row] as f32 * 100.0 + row as f32 * 0.01
                }
            })
            .collect();
        assert_eq!(index.config().refresh_start, RefreshStart::Warm);
        assert_eq!(
            index.refresh(Rows::new(&moved, 1).unwrap()).unwrap().moved,
            1
        );
        let config = config(3, 2, SmallGroups::Replace);
        for step in 0..200 {
            let batch = draw_one(&config, &index, &losses, step);
            for (&row, &place) in batch.rows.iter().zip(&batch.clusters) {
                let expected = if row == 0 { old[3] } else { old[row] };
                assert_eq!(batch.cluster_ids[place], expected, "row {row}");
            }
        }
    }

    #[test]
    fn an_example_can_come_again_in_the_same_epoch() {
        let (index, classes) = line_index(&[(0, 4), (1, 4)]);
        let losses = LossCache::new(&classes);
        let config = config(2, 4, SmallGroups::Replace);
        for step in 0..3 {
            let mut rows = draw_one(&config, &index, &losses, step).rows;
            rows.sort_unstable();
            assert_eq!(rows, (0..8).collect::<Vec<_>>());
        }
    }

    #[test]
    fn every_cluster_is_reached_however_small_its_loss() {
        let (index, classes) = line_index(&[(0, 2), (1, 2), (2, 2), (3, 2)]);
        let mut losses = LossCache::new(&classes);
        losses
            .record(&index, &[0, 2, 4], &[0.0, 1000.0, 0.0], 0)
            .unwrap();
        let config = config(2, 2, SmallGroups::Replace);
        let mut seeds = [0; 4];
        for step in 0..2000 {
            seeds[draw_one(&config, &index, &losses, step).cluster_ids[0]] += 1;
        }
        // Expected 25 for the zero clusters; the unseen one is drawn like the average of the known ones.
        assert!(seeds.iter().all(|&count| count > 5), "{seeds:?}");
        assert!(seeds[3] > 300, "{seeds:?}");
    }

    #[test]
    fn a_batch_that_no_index_could_fill_is_smaller_and_settings_that_ask_for_it_are_refused() {
        let (index, classes) = line_index(&[(0, 2), (0, 2), (1, 2), (1, 2)]);
        let losses = LossCache::new(&classes);
        let plan = PlanConfig::Neighbourhood(config(4, 2, SmallGroups::Replace));
        let plan = plan.init(&classes, 0).unwrap();
        let clusters = Clusters {
            index: &index,
            losses: &losses,
        };
        assert_eq!(
            plan.check(clusters).unwrap_err().to_string(),
            "clusters_per_batch is 4: there are at most 2 clusters of other classes, so 3 is the most"
        );
        let batch = plan.epoch(0).batch(0, Some(clusters)).unwrap();
        assert_eq!(batch.cluster_ids.len(), 3);
        assert_eq!(
            plan.epoch(0).batch(0, None).unwrap_err().to_string(),
            "a neighbourhood plan needs a cluster index; none was given"
        );
        let one = Classes::new(&[0, 0]).unwrap();
        assert!(
            PlanConfig::Neighbourhood(config(4, 2, SmallGroups::Replace))
                .init(&one, 0)
                .is_err()
        );
        assert!(
            PlanConfig::Neighbourhood(config(4, 1, SmallGroups::Replace))
                .init(&classes, 0)
                .is_err()
        );
    }
}
