//! How often each row is expected in an epoch, added up by class and by cluster and shared out among the rows when the epoch
//! ends: a step costs the time of the clusters, not of a million rows.

use serde::{Deserialize, Serialize};

use crate::plan::Group;
use crate::{Classes, Index};

/// Expected images of the running epoch.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectedImages {
    /// Of each class, evenly over its rows; empty before the first.
    classes: Vec<f64>,
    /// Of each cluster of the index that was drawn from last.
    clusters: Option<OfClusters>,
    /// Of each row, from the indices before; empty while there was none.
    rows: Vec<f64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OfClusters {
    /// Identity of the index.
    index: u64,
    assignment: Vec<usize>,
    images: Vec<f64>,
    /// Neighbourhood of every seed; follows from the index, so it is not written.
    #[serde(skip)]
    neighbourhoods: Vec<Vec<usize>>,
}

impl ExpectedImages {
    /// `images` of each class.
    pub(crate) fn add_classes(&mut self, images: &[f64]) {
        self.classes.resize(images.len(), 0.0);
        for (sum, images) in self.classes.iter_mut().zip(images) {
            *sum += images;
        }
    }

    /// Adds the images that `seeds`, the expected number of times each cluster opens a neighbourhood, let one expect, and returns
    /// the expected visits of each cluster.
    ///
    /// Examples of a cluster are drawn anew for each visit, or once for all `shared_by` neighbourhoods of the batch.
    pub(crate) fn add_seeds(
        &mut self,
        index: &Index,
        group: &Group,
        seeds: &[f64],
        shared_by: Option<usize>,
    ) -> Vec<f64> {
        let current = self.of(index, group);
        let visits = inclusion(seeds, &current.neighbourhoods);
        for (cluster, &visits) in visits.iter().enumerate() {
            let draws = match shared_by {
                None => visits,
                // The chance that at least one of the independent neighbourhoods calls it.
                Some(count) => 1.0 - (1.0 - visits / count as f64).powi(count as i32),
            };
            current.images[cluster] += draws * group.examples_of(index, cluster) as f64;
        }
        visits
    }

    fn of(&mut self, index: &Index, group: &Group) -> &mut OfClusters {
        let same = |kept: &OfClusters| kept.index == index.identity();
        if !self.clusters.as_ref().is_some_and(same) {
            self.share_out_clusters();
            self.clusters = Some(OfClusters {
                index: index.identity(),
                assignment: index.assignment().to_vec(),
                images: vec![0.0; index.len()],
                neighbourhoods: Vec::new(),
            });
        }
        let current = self.clusters.as_mut().expect("it was just filled");
        if current.neighbourhoods.is_empty() {
            current.neighbourhoods = (0..index.len())
                .map(|seed| group.neighbourhood(index, seed))
                .collect();
        }
        current
    }

    fn share_out_clusters(&mut self) {
        let Some(clusters) = self.clusters.take() else {
            return;
        };
        let mut sizes = vec![0_usize; clusters.images.len()];
        clusters
            .assignment
            .iter()
            .for_each(|&cluster| sizes[cluster] += 1);
        self.rows.resize(clusters.assignment.len(), 0.0);
        for (row, &cluster) in self.rows.iter_mut().zip(&clusters.assignment) {
            *row += clusters.images[cluster] / sizes[cluster] as f64;
        }
    }

    /// Expected images of each row, `[rows]`; the next epoch starts from nothing.
    pub(crate) fn take(&mut self, classes: &Classes) -> Vec<f64> {
        self.share_out_clusters();
        let mut rows = std::mem::take(&mut self.rows);
        rows.resize(classes.rows(), 0.0);
        for (class, images) in std::mem::take(&mut self.classes).into_iter().enumerate() {
            let members = classes.members(class);
            for &row in members {
                rows[row] += images / members.len() as f64;
            }
        }
        rows
    }
}

/// Expected visits of each cluster: `Σ_I seeds(I) · [J in neighbourhood of I]`. A cluster is trained as seed and as imposter, so
/// this and not its seed probability is its share in training.
pub(crate) fn inclusion(seeds: &[f64], neighbourhoods: &[Vec<usize>]) -> Vec<f64> {
    let mut visits = vec![0.0; seeds.len()];
    for (share, neighbourhood) in seeds.iter().zip(neighbourhoods) {
        for &cluster in neighbourhood {
            visits[cluster] += share;
        }
    }
    visits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::line_index;
    use crate::{LossCache, NeighbourhoodConfig, PlanConfig, Receipts, Rows};

    #[test]
    fn a_refresh_in_mid_epoch_shares_out_what_the_old_clusters_had() {
        let (mut index, classes) = line_index(&[(0, 2), (0, 2), (1, 2), (1, 2)]);
        let losses = LossCache::new(&classes);
        let plan = PlanConfig::Neighbourhood(NeighbourhoodConfig {
            clusters_per_batch: 2,
            examples_per_cluster: 2,
            ..NeighbourhoodConfig::default()
        });
        let plan = plan.init(&classes, 0).unwrap();
        let epoch = plan.epoch(0);
        let mut receipts = Receipts::new(&classes);
        let step = |index: &Index, receipts: &mut Receipts, step: u64| {
            let clusters = crate::Clusters {
                index,
                losses: &losses,
            };
            let batch = epoch.batch(step as usize, Some(clusters)).unwrap();
            receipts
                .record(&plan, Some(clusters), &batch, step)
                .unwrap();
        };
        step(&index, &mut receipts, 0);
        // Row 1 leaves the first cluster for the second, which has three members then; the first is too small to be drawn.
        let moved = [0.0, 100.0, 100.0, 100.5, 200.0, 200.5, 300.0, 300.5];
        index.refresh(Rows::new(&moved, 1).unwrap()).unwrap();
        let text = serde_json::to_string(&receipts).unwrap();
        let mut restored: Receipts = serde_json::from_str(&text).unwrap();
        for receipts in [&mut receipts, &mut restored] {
            step(&index, receipts, 1);
        }
        let (receipt, restored) = (receipts.close(0), restored.close(0));
        assert_eq!(receipt, restored);
        // By hand. Before: each of four clusters is the seed with 1/4 and calls the nearest of the other class: 0 and 1 call 2, 2
        // and 3 call 1. Visits 1/4, 3/4, 3/4, 1/4, two images of two members each. After: seeds are 1, 2, 3 with 1/3 each; 1 calls
        // 2, 2 and 3 call 1, so visits are 0, 1, 2/3, 1/3.
        let expected = [
            0.25,
            0.25 + 2.0 / 3.0,
            0.75 + 2.0 / 3.0,
            0.75 + 2.0 / 3.0,
            0.75 + 2.0 / 3.0,
            0.75 + 2.0 / 3.0,
            0.25 + 1.0 / 3.0,
            0.25 + 1.0 / 3.0,
        ];
        for (row, expected) in receipt.rows.iter().zip(expected) {
            let got = row.expected.unwrap();
            assert!((got - expected).abs() < 1e-12, "{row:?}, not {expected}");
        }
    }
}
