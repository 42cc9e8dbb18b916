//! Neighbourhoods drawn evenly and weighted, instead of drawn by their loss: the importance-sampled form of the paper's objective.
//!
//! With seed probabilities `p` and an even proposal `q`, a neighbourhood with seed `I` has the ratio `w = p(I) / q(I)`, and the
//! weighted mean of losses has the expectation that drawing by `p` has. It spends compute on easy neighbourhoods, so its spread is
//! larger; in return seeds need no recent losses to be drawn well.

use lodestone_distances::draw;
use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::group::Group;
use super::{Clusters, SmallGroups};
use crate::batch::Neighbourhood;
use crate::error::at_least;
use crate::{Batch, Classes, SamplingError};

/// Below this effective share of the neighbourhoods the largest weights are clipped.
const LEAST_EFFECTIVE_SHARE: f64 = 0.2;

/// How ratios become weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Estimator {
    /// `w / Σ w`: does not depend on the scale of `p`, with a bias that falls as one over the number of neighbourhoods.
    #[default]
    SelfNormalised,
    /// `w / S` with `S` neighbourhoods: no bias, larger spread.
    Unbiased,
}

/// A batch is several neighbourhoods whose seeds are drawn evenly, each with its weight in [`Batch::neighbourhoods`].
///
/// As `importance` each neighbourhood has examples of its own; as `union` a cluster that several neighbourhoods share is loaded
/// once, so the batch is smaller and the losses are correlated. Either way each neighbourhood's loss is taken on its own
/// [`slice`](Batch::slice), with its own means and its own variance.
///
/// An epoch is as many batches as it takes to see as many images as the data set has, shared clusters counted each time.
///
/// When the effective share `(Σ w)² / (S Σ w²)` of the neighbourhoods falls below 0.2, ratios are cut at `√S` times their mean,
/// which adds a bias that [`BatchNotes`](crate::BatchNotes) tells (Ionides, *Truncated importance sampling*, 2008). One weight
/// that has everything leaves a share of `1 / S`, so that with five neighbourhoods or fewer nothing is ever cut.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct WeightedConfig {
    /// Neighbourhoods in a batch, S.
    pub neighbourhoods_per_batch: usize,
    /// Clusters in a neighbourhood, M.
    pub clusters_per_neighbourhood: usize,
    /// Examples of each cluster, D.
    pub examples_per_cluster: usize,
    /// Share of the seeds that is drawn evenly in the objective that is estimated.
    pub epsilon: f64,
    /// How ratios become weights.
    pub estimator: Estimator,
    /// What becomes of clusters with fewer than `examples_per_cluster` members.
    pub small_clusters: SmallGroups,
}

impl Default for WeightedConfig {
    fn default() -> Self {
        Self {
            neighbourhoods_per_batch: 4,
            clusters_per_neighbourhood: 12,
            examples_per_cluster: 4,
            epsilon: 0.05,
            estimator: Estimator::default(),
            small_clusters: SmallGroups::Short,
        }
    }
}

/// Whether neighbourhoods of a batch share the examples of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Examples {
    Own,
    Shared,
}

impl WeightedConfig {
    pub(super) fn group(&self) -> Group {
        Group {
            field: "clusters_per_neighbourhood",
            clusters: self.clusters_per_neighbourhood,
            examples: self.examples_per_cluster,
            epsilon: self.epsilon,
            small: self.small_clusters,
        }
    }

    pub(super) fn check(&self, classes: &Classes) -> Result<(), SamplingError> {
        // The weight of a single neighbourhood, normalised, is always 1.
        let least = match self.estimator {
            Estimator::SelfNormalised => 2,
            Estimator::Unbiased => 1,
        };
        at_least(
            "neighbourhoods_per_batch",
            self.neighbourhoods_per_batch,
            least,
        )?;
        self.group().check(classes)
    }

    pub(super) fn steps(&self, classes: &Classes) -> usize {
        let neighbourhood = self.clusters_per_neighbourhood * self.examples_per_cluster;
        classes
            .rows()
            .div_ceil(neighbourhood * self.neighbourhoods_per_batch)
    }

    pub(super) fn batch(
        &self,
        clusters: Clusters,
        examples: Examples,
        random: &mut ChaCha8Rng,
    ) -> Result<Batch, SamplingError> {
        let (group, index) = (self.group(), clusters.index);
        let p = group.probabilities(clusters)?;
        let proposal = even_over_eligible(&p);
        let mut batch = Batch::default();
        let mut loaded = BTreeMap::new();
        let mut ratios = Vec::with_capacity(self.neighbourhoods_per_batch);
        for _ in 0..self.neighbourhoods_per_batch {
            let seed = draw(proposal.iter().copied(), proposal.iter().sum(), random);
            ratios.push(p[seed] / proposal[seed]);
            let mut positions = Vec::with_capacity(self.clusters_per_neighbourhood);
            for cluster in group.neighbourhood(index, seed) {
                positions.push(match (examples, loaded.get(&cluster)) {
                    (Examples::Shared, Some(&position)) => position,
                    (Examples::Shared, None) | (Examples::Own, _) => {
                        let position = group.add_cluster(&mut batch, index, cluster, random);
                        loaded.insert(cluster, position);
                        position
                    }
                });
            }
            batch.notes.missing_imposters += self.clusters_per_neighbourhood - positions.len();
            batch.neighbourhoods.push(Neighbourhood {
                clusters: positions,
                weight: 0.0,
            });
        }
        let weights = weights(&ratios, self.estimator);
        for (neighbourhood, weight) in batch.neighbourhoods.iter_mut().zip(weights.values) {
            neighbourhood.weight = weight as f32;
        }
        batch.notes.effective_share = weights.effective_share as f32;
        batch.notes.clipped = weights.clipped;
        Ok(batch)
    }
}

/// The proposal: all clusters that can be seeds are equally likely. With ε = 0 a known loss of 0 makes a seed impossible; it
/// is left out, as its weight would be 0.
pub(crate) fn even_over_eligible(p: &[f64]) -> Vec<f64> {
    let eligible = p.iter().filter(|&&p| p > 0.0).count() as f64;
    p.iter()
        .map(|&p| if p > 0.0 { 1.0 / eligible } else { 0.0 })
        .collect()
}

struct Weights {
    values: Vec<f64>,
    effective_share: f64,
    clipped: bool,
}

fn weights(ratios: &[f64], estimator: Estimator) -> Weights {
    let count = ratios.len() as f64;
    let sum: f64 = ratios.iter().sum();
    let effective_share = sum * sum / ratios.iter().map(|w| w * w).sum::<f64>() / count;
    let clipped = effective_share < LEAST_EFFECTIVE_SHARE;
    let limit = if clipped {
        sum / count * count.sqrt()
    } else {
        f64::INFINITY
    };
    let cut: Vec<f64> = ratios.iter().map(|w| w.min(limit)).collect();
    let divisor = match estimator {
        Estimator::SelfNormalised => cut.iter().sum(),
        Estimator::Unbiased => count,
    };
    Weights {
        values: cut.iter().map(|w| w / divisor).collect(),
        effective_share,
        clipped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};
    use crate::testing::line_index;
    use crate::{Index, LossCache};

    /// Five classes on a line, with cluster means 0.5, 1.5, unseen, 0, 2.
    fn setting() -> (Index, LossCache) {
        let (index, classes) = line_index(&[(0, 3), (1, 3), (2, 3), (3, 3), (4, 3)]);
        let mut losses = LossCache::new(&classes);
        losses
            .record(&index, &[0, 3, 9, 12], &[0.5, 1.5, 0.0, 2.0], 0)
            .unwrap();
        (index, losses)
    }

    fn config(neighbourhoods: usize, estimator: Estimator) -> WeightedConfig {
        WeightedConfig {
            neighbourhoods_per_batch: neighbourhoods,
            clusters_per_neighbourhood: 3,
            examples_per_cluster: 2,
            estimator,
            ..WeightedConfig::default()
        }
    }

    /// A made-up loss of a neighbourhood, so that estimates can be compared with the enumerated objective.
    fn loss(seed: usize) -> f64 {
        [0.3, 2.0, 0.7, 0.1, 1.1][seed]
    }

    #[test]
    fn the_unbiased_mean_equals_the_enumerated_objective() {
        let (index, losses) = setting();
        let clusters = Clusters {
            index: &index,
            losses: &losses,
        };
        for examples in [Examples::Own, Examples::Shared] {
            let config = config(3, Estimator::Unbiased);
            let p = config.group().probabilities(clusters).unwrap();
            let objective: f64 = p.iter().enumerate().map(|(seed, p)| p * loss(seed)).sum();
            let (mut sum, mut squares, draws) = (0.0, 0.0, 4000);
            for step in 0..draws {
                let batch = config
                    .batch(clusters, examples, &mut stream(1, Purpose::Batch, 0, step))
                    .unwrap();
                assert!(!batch.notes.clipped);
                let estimate: f64 = batch
                    .neighbourhoods
                    .iter()
                    .map(|n| f64::from(n.weight) * loss(batch.cluster_ids[n.clusters[0]]))
                    .sum();
                sum += estimate;
                squares += estimate * estimate;
            }
            let mean = sum / draws as f64;
            let error = (squares / draws as f64 - mean * mean).sqrt() / (draws as f64).sqrt();
            assert!(
                (mean - objective).abs() < 4.0 * error,
                "{mean} ± {error}, not {objective}"
            );
        }
    }

    #[test]
    fn an_even_objective_gives_every_neighbourhood_the_same_weight() {
        let (index, classes) = line_index(&[(0, 3), (1, 3), (2, 3), (3, 3)]);
        let losses = LossCache::new(&classes);
        for estimator in [Estimator::SelfNormalised, Estimator::Unbiased] {
            let clusters = Clusters {
                index: &index,
                losses: &losses,
            };
            let mut random = stream(0, Purpose::Batch, 0, 0);
            let batch = config(4, estimator)
                .batch(clusters, Examples::Own, &mut random)
                .unwrap();
            assert!(
                batch
                    .neighbourhoods
                    .iter()
                    .all(|n| (n.weight - 0.25).abs() < 1e-6)
            );
            assert!((batch.notes.effective_share - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn a_union_loads_a_shared_cluster_once() {
        let (index, losses) = setting();
        let clusters = Clusters {
            index: &index,
            losses: &losses,
        };
        let config = config(6, Estimator::SelfNormalised);
        for step in 0..50 {
            let mut random = stream(2, Purpose::Batch, 0, step);
            let batch = config
                .batch(clusters, Examples::Shared, &mut random)
                .unwrap();
            let mut ids = batch.cluster_ids.clone();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), batch.cluster_ids.len());
            assert_eq!(batch.rows.len(), 2 * ids.len());
            for neighbourhood in &batch.neighbourhoods {
                let held: Vec<usize> = neighbourhood
                    .clusters
                    .iter()
                    .map(|&c| batch.cluster_ids[c])
                    .collect();
                assert_eq!(held[1..], index.imposters(held[0], 2, |_| true));
                assert_eq!(batch.slice(neighbourhood).0.len(), 6);
            }
            let sum: f32 = batch.neighbourhoods.iter().map(|n| n.weight).sum();
            assert!((sum - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn a_single_heavy_ratio_is_clipped_and_told() {
        let mut ratios = vec![1e-3; 16];
        ratios[5] = 10.0;
        let weights = weights(&ratios, Estimator::Unbiased);
        assert!(weights.clipped && weights.effective_share < 0.07);
        // Cut at four times the mean of the ratios.
        let mean = ratios.iter().sum::<f64>() / 16.0;
        assert!((weights.values[5] - 4.0 * mean / 16.0).abs() < 1e-12);
    }

    #[test]
    fn inclusion_and_not_the_seeds_probability_weighs_a_cluster() {
        // Four clusters, neighbourhoods of two: 0 and 1 call each other, 2 calls 3, 3 calls 1. A cluster is trained as seed and as
        // imposter, so drawing clusters evenly and weighting by p alone is another objective: (.5, 1.5, 0, 2) / 4 against
        // (1, 2, 0, 1) / 4.
        let p = [0.125, 0.375, 0.0, 0.5];
        let neighbourhoods = [vec![0, 1], vec![1, 0], vec![2, 3], vec![3, 1]];
        let inclusion = crate::expected_images::inclusion(&p, &neighbourhoods);
        assert_eq!(inclusion, [0.5, 1.0, 0.0, 0.5]);
        let weights: Vec<f64> = inclusion.iter().map(|share| share / (2.0 * 0.25)).collect();
        assert_eq!(weights, [1.0, 2.0, 0.0, 1.0]);
    }

    #[test]
    fn one_normalised_neighbourhood_is_refused() {
        let classes = Classes::new(&[0, 1]).unwrap();
        assert!(
            config(1, Estimator::SelfNormalised)
                .check(&classes)
                .is_err()
        );
        assert!(config(1, Estimator::Unbiased).check(&classes).is_ok());
    }
}
