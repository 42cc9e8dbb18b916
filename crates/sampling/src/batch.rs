//! What a plan hands to the trainer: row numbers, and for plans by clusters the neighbourhoods they form.

use serde::{Deserialize, Serialize};

/// The rows of one training step.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Batch {
    /// Training rows, in the order in which they are to be loaded; a row may occur twice.
    pub rows: Vec<usize>,
    /// For each row, the position of its cluster in [`cluster_ids`](Self::cluster_ids); empty if the plan knows no clusters.
    pub clusters: Vec<usize>,
    /// Class of each cluster of the batch.
    pub cluster_classes: Vec<usize>,
    /// Number of each cluster of the batch in the index.
    pub cluster_ids: Vec<usize>,
    /// The neighbourhoods over which the magnet loss is to be taken: one that holds all clusters for the paper's sampler,
    /// several for the importance-weighted plans; empty if the plan knows no clusters.
    pub neighbourhoods: Vec<Neighbourhood>,
    /// How the small-cluster rules and the weights acted.
    pub notes: BatchNotes,
}

/// A seed cluster and its imposters, with the share of their loss in the step's loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Neighbourhood {
    /// Positions in [`Batch::cluster_ids`]; the seed comes first, then the imposters from near to far.
    pub clusters: Vec<usize>,
    /// The step's loss is `Σ weight · loss(neighbourhood)`; no gradient flows through it. 1 for the paper's sampler.
    pub weight: f32,
}

/// Counts of one batch that a log or a report wants.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct BatchNotes {
    /// Imposters that were asked for and do not exist, summed over neighbourhoods.
    pub missing_imposters: usize,
    /// Clusters or classes that had fewer members than asked for, so that their rule was applied.
    pub small_groups: usize,
    /// Effective sample size `(Σ w)² / Σ w²` over the number of neighbourhoods; 1 when all weigh the same, 0 when the plan
    /// does not weigh.
    pub effective_share: f32,
    /// Whether weights were clipped because few of them held nearly all the mass, which biases the step.
    pub clipped: bool,
}

impl Batch {
    /// A batch without clusters.
    pub(crate) fn of_rows(rows: Vec<usize>) -> Self {
        Self {
            rows,
            ..Self::default()
        }
    }

    /// Positions in [`rows`](Self::rows) of the examples of `neighbourhood`, and for each the position of its cluster in
    /// `neighbourhood.clusters`: the two lists with which a loss is taken over that slice alone.
    pub fn slice(&self, neighbourhood: &Neighbourhood) -> (Vec<usize>, Vec<usize>) {
        let mut place = vec![None; self.cluster_ids.len()];
        for (position, &cluster) in neighbourhood.clusters.iter().enumerate() {
            place[cluster] = Some(position);
        }
        let members = self.clusters.iter().enumerate();
        members
            .filter_map(|(row, &cluster)| Some((row, place[cluster]?)))
            .unzip()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_holds_the_rows_of_its_own_clusters_only() {
        let batch = Batch {
            rows: vec![10, 11, 20, 30, 31],
            clusters: vec![0, 0, 1, 2, 2],
            cluster_classes: vec![0, 1, 2],
            cluster_ids: vec![4, 7, 9],
            ..Batch::default()
        };
        let (rows, clusters) = batch.slice(&Neighbourhood {
            clusters: vec![2, 0],
            weight: 1.0,
        });
        assert_eq!(rows, [0, 1, 3, 4]);
        assert_eq!(clusters, [1, 1, 0, 0]);
    }
}
