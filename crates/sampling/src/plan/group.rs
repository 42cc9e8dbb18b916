//! Filling a neighbourhood: which clusters it holds and which of their members.

use rand_chacha::ChaCha8Rng;

use super::draws::draw_members;
use super::{Clusters, SmallGroups};
use crate::error::{at_least, setting};
use crate::seeds::probabilities;
use crate::{Batch, Classes, Index, SamplingError};

/// What all plans by neighbourhoods have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group {
    /// Key of `clusters` in the run file.
    pub(super) field: &'static str,
    /// Clusters in a neighbourhood, M.
    pub(super) clusters: usize,
    /// Examples of each, D.
    pub(super) examples: usize,
    pub(super) epsilon: f64,
    pub(super) small: SmallGroups,
}

impl Group {
    pub(super) fn check(&self, classes: &Classes) -> Result<(), SamplingError> {
        at_least(self.field, self.clusters, 2)?;
        // With one example each, the variance inside a batch is always 0.
        at_least("examples_per_cluster", self.examples, 2)?;
        if !(0.0..=1.0).contains(&self.epsilon) {
            return Err(setting("epsilon", self.epsilon, "must be from 0 to 1"));
        }
        if classes.len() < 2 {
            let reason = "a neighbourhood needs two classes, there is one";
            return Err(setting(self.field, self.clusters, reason));
        }
        Ok(())
    }

    /// Refuses M where not even the seed with the most clusters of other classes could have M-1 imposters.
    pub(super) fn check_index(&self, index: &Index) -> Result<(), SamplingError> {
        let of_each_class = index.cluster_classes().chunk_by(|a, b| a == b);
        self.check_counts(&of_each_class.map(<[usize]>::len).collect::<Vec<_>>())
    }

    /// The same, where each class has so many clusters.
    pub(super) fn check_counts(&self, clusters: &[usize]) -> Result<(), SamplingError> {
        let all: usize = clusters.iter().sum();
        let most = all - clusters.iter().min().copied().unwrap_or(0);
        if self.clusters > most + 1 {
            let reason = format!(
                "there are at most {most} clusters of other classes, so {} is the most",
                most + 1
            );
            return Err(setting(self.field, self.clusters, reason));
        }
        Ok(())
    }

    /// Members a cluster must have to be drawn.
    fn minimum_members(&self) -> usize {
        match self.small {
            SmallGroups::Skip => self.examples,
            SmallGroups::Replace | SmallGroups::Short => 2,
        }
    }

    /// Probability of each cluster to be the seed.
    pub(crate) fn probabilities(&self, clusters: Clusters) -> Result<Vec<f64>, SamplingError> {
        probabilities(
            clusters.losses,
            clusters.index,
            self.epsilon,
            self.minimum_members(),
        )
    }

    /// Examples that a visit of `cluster` draws.
    pub(crate) fn examples_of(&self, index: &Index, cluster: usize) -> usize {
        match self.small {
            SmallGroups::Short => self.examples.min(index.members(cluster).len()),
            SmallGroups::Replace | SmallGroups::Skip => self.examples,
        }
    }

    /// The seed and its nearest imposters.
    pub(crate) fn neighbourhood(&self, index: &Index, seed: usize) -> Vec<usize> {
        let eligible = |cluster: usize| index.members(cluster).len() >= self.minimum_members();
        let imposters = index.imposters(seed, self.clusters - 1, eligible);
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
        let drawn = draw_members(members, self.examples, self.small, random);
        batch.notes.small_groups += usize::from(members.len() < self.examples);
        batch
            .clusters
            .extend(std::iter::repeat_n(position, drawn.len()));
        batch.rows.extend(drawn);
        batch.cluster_ids.push(cluster);
        batch.cluster_classes.push(index.class_of(cluster));
        position
    }
}
