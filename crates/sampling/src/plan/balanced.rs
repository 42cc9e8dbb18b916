//! Batches in which every class is equally frequent, whatever its share of the data.

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::SmallGroups;
use super::per_class::Pile;
use crate::error::at_least;
use crate::random::{Purpose, stream};
use crate::{Classes, SamplingError};

/// Classes take turns: each round hands one image of every class, in an order that is new in every round, and batches are cut
/// from the sequence of rounds.
///
/// An epoch has as many images as the data set, rounded up to whole rounds, so it visits every class equally often. With `cover`
/// it lasts until the largest class has shown all its images, and so has every other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct BalancedConfig {
    /// Images in a batch; the last one of an epoch may be smaller.
    pub batch_size: usize,
    /// Makes the epoch long enough to see every image.
    pub cover: bool,
}

impl Default for BalancedConfig {
    fn default() -> Self {
        Self {
            batch_size: 32,
            cover: false,
        }
    }
}

impl BalancedConfig {
    pub(super) fn check(&self) -> Result<(), SamplingError> {
        at_least("batch_size", self.batch_size, 1)
    }

    /// How often every class comes in an epoch.
    fn rounds(&self, classes: &Classes) -> usize {
        let sizes = (0..classes.len()).map(|class| classes.members(class).len());
        match self.cover {
            true => sizes.max().unwrap_or(0),
            false => classes.rows().div_ceil(classes.len()),
        }
    }

    /// Images in a batch, on average over an epoch.
    pub(super) fn mean_batch(&self, classes: &Classes) -> f64 {
        let images = self.rounds(classes) * classes.len();
        images as f64 / images.div_ceil(self.batch_size) as f64
    }

    pub(super) fn batches(&self, classes: &Classes, seed: u64, epoch: u64) -> Vec<Vec<usize>> {
        let mut random = stream(seed, Purpose::EpochOrder, epoch, 0);
        let mut piles: Vec<Pile> = (0..classes.len())
            .map(|class| Pile::new(classes.members(class), &mut random))
            .collect();
        let rounds = self.rounds(classes);
        let mut rows = Vec::with_capacity(rounds * classes.len());
        let mut order: Vec<usize> = (0..classes.len()).collect();
        for _ in 0..rounds {
            order.shuffle(&mut random);
            for &class in &order {
                rows.extend(piles[class].take(1, SmallGroups::Replace, &mut random));
            }
        }
        rows.chunks(self.batch_size)
            .map(<[usize]>::to_vec)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_equally_frequent_and_cover_shows_every_image() {
        // 50, 10 and 3 images.
        let labels: Vec<usize> = [vec![0; 50], vec![1; 10], vec![2; 3]].concat();
        let classes = Classes::new(&labels).unwrap();
        for (cover, rounds) in [(false, 21), (true, 50)] {
            let config = BalancedConfig {
                batch_size: 8,
                cover,
            };
            for epoch in 0..3 {
                let rows = config.batches(&classes, 4, epoch).concat();
                let of = |class: usize| rows.iter().filter(|&&row| labels[row] == class).count();
                assert_eq!([of(0), of(1), of(2)], [rounds; 3]);
                let mut different = rows.clone();
                different.sort_unstable();
                different.dedup();
                assert_eq!(different.len(), if cover { 63 } else { 21 + 13 });
            }
        }
    }
}
