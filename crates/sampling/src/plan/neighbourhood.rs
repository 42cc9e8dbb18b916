//! The paper's sampler: a seed cluster drawn by its loss, its nearest imposters, and a few examples of each.
//!
//! Rippel et al., *Metric Learning with Adaptive Density Discrimination*, ICLR 2016, section 3.2.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::draws::draw_members;
use super::{Clusters, SmallGroups};
use crate::batch::Neighbourhood;
use crate::error::{at_least, setting};
use crate::kmeans::draw;
use crate::seeds::probabilities;
use crate::{Batch, Classes, Index, SamplingError};

/// A batch is one neighbourhood: a seed cluster drawn with the [`probabilities`] of the cached losses, the M-1 clusters of
/// other classes whose centres are nearest to it, and D examples of each, drawn evenly.
///
/// An epoch is as many batches as it takes to see as many images as the data set has; it need not see each. Batches are
/// drawn independently, so an image may come again in the next.
///
/// Clusters of one member are never drawn: their variance says nothing. Those with fewer than D members follow
/// `small_clusters`. Where fewer than M-1 imposters are left the batch is smaller, which [`BatchNotes`](crate::BatchNotes) tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
            small_clusters: SmallGroups::default(),
        }
    }
}

impl NeighbourhoodConfig {
    pub(super) fn check(&self, classes: &Classes) -> Result<(), SamplingError> {
        at_least("clusters_per_batch", self.clusters_per_batch, 2)?;
        // With one example each, the variance inside a batch is always 0.
        at_least("examples_per_cluster", self.examples_per_cluster, 2)?;
        if !(0.0..=1.0).contains(&self.epsilon) {
            return Err(setting("epsilon", self.epsilon, "must be from 0 to 1"));
        }
        if classes.len() < 2 {
            let reason = "a neighbourhood needs two classes, there is one";
            return Err(setting(
                "clusters_per_batch",
                self.clusters_per_batch,
                reason,
            ));
        }
        Ok(())
    }

    /// Refuses M where not even the seed with the most clusters of other classes could have M-1 imposters.
    pub(super) fn check_index(&self, index: &Index) -> Result<(), SamplingError> {
        let smallest = index
            .cluster_classes()
            .chunk_by(|a, b| a == b)
            .map(<[usize]>::len)
            .min();
        let most = index.len() - smallest.unwrap_or(0);
        if self.clusters_per_batch > most + 1 {
            let reason = format!(
                "there are at most {most} clusters of other classes, so {} is the most",
                most + 1
            );
            return Err(setting(
                "clusters_per_batch",
                self.clusters_per_batch,
                reason,
            ));
        }
        Ok(())
    }

    pub(super) fn steps(&self, classes: &Classes) -> usize {
        classes
            .rows()
            .div_ceil(self.clusters_per_batch * self.examples_per_cluster)
    }

    /// Members a cluster must have to be drawn.
    pub(super) fn minimum_members(&self) -> usize {
        match self.small_clusters {
            SmallGroups::Skip => self.examples_per_cluster,
            SmallGroups::Replace | SmallGroups::Short => 2,
        }
    }

    pub(super) fn batch(
        &self,
        clusters: Clusters,
        random: &mut ChaCha8Rng,
    ) -> Result<Batch, SamplingError> {
        let Clusters { index, losses } = clusters;
        let p = probabilities(losses, index, self.epsilon, self.minimum_members())?;
        let seed = draw(p.iter().copied(), p.iter().sum(), random);
        let group = self.neighbourhood(index, seed);
        let mut batch = Batch::default();
        let positions: Vec<usize> = group
            .iter()
            .map(|&cluster| self.add_cluster(&mut batch, index, cluster, random))
            .collect();
        batch.notes.missing_imposters = self.clusters_per_batch - positions.len();
        batch.neighbourhoods = vec![Neighbourhood {
            clusters: positions,
            weight: 1.0,
        }];
        Ok(batch)
    }

    /// The seed and its nearest imposters.
    pub(super) fn neighbourhood(&self, index: &Index, seed: usize) -> Vec<usize> {
        let eligible = |cluster: usize| index.members(cluster).len() >= self.minimum_members();
        let imposters = index.imposters(seed, self.clusters_per_batch - 1, eligible);
        std::iter::once(seed).chain(imposters).collect()
    }

    /// Draws the examples of `cluster` into the batch and returns the cluster's position there.
    pub(super) fn add_cluster(
        &self,
        batch: &mut Batch,
        index: &Index,
        cluster: usize,
        random: &mut ChaCha8Rng,
    ) -> usize {
        let position = batch.cluster_ids.len();
        let members = index.members(cluster);
        let drawn = draw_members(
            members,
            self.examples_per_cluster,
            self.small_clusters,
            random,
        );
        batch.notes.small_groups += usize::from(members.len() < self.examples_per_cluster);
        batch
            .clusters
            .extend(std::iter::repeat_n(position, drawn.len()));
        batch.rows.extend(drawn);
        batch.cluster_ids.push(cluster);
        batch.cluster_classes.push(index.class_of(cluster));
        position
    }
}
