//! Batches of classes that are hard to tell apart: a class and those whose clusters lie nearest to its own.
//!
//! Sohn, *Improved Deep Metric Learning with Multi-class N-pair Loss Objective*, NIPS 2016, section 3.2.2, picks classes that the
//! current embedding confuses; here the cluster index says which those are.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::draws::draw_members;
use super::{PerClassConfig, SmallGroups};
use crate::random::{Purpose, stream};
use crate::{Batch, Classes, Index, SamplingError};

/// A batch is a seed class, the P-1 classes nearest to it in the index, and K images of each.
///
/// Two classes are as near as their nearest clusters. In an epoch every class is the seed at least once, so an epoch visits every
/// class; it has as many images as the data set, or more where that takes more batches than classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HardClassesConfig {
    /// Different classes in a batch, P.
    pub classes_per_batch: usize,
    /// Images of each, K.
    pub images_per_class: usize,
    /// What becomes of classes with fewer than `images_per_class` images.
    pub small_classes: SmallGroups,
}

impl Default for HardClassesConfig {
    fn default() -> Self {
        Self {
            classes_per_batch: 8,
            images_per_class: 4,
            small_classes: SmallGroups::Replace,
        }
    }
}

impl HardClassesConfig {
    fn as_per_class(&self) -> PerClassConfig {
        PerClassConfig {
            classes_per_batch: self.classes_per_batch,
            images_per_class: self.images_per_class,
            cover: false,
            small_classes: self.small_classes,
        }
    }

    pub(super) fn check(&self, classes: &Classes) -> Result<(), SamplingError> {
        self.as_per_class().check(classes)
    }

    /// The seed class of each step: rounds of all classes, each in a new order.
    pub(super) fn seeds(&self, classes: &Classes, seed: u64, epoch: u64) -> Vec<usize> {
        let mut random = stream(seed, Purpose::EpochOrder, epoch, 0);
        let drawn = self.as_per_class().drawn(classes);
        let images = self.classes_per_batch * self.images_per_class;
        let steps = classes.rows().div_ceil(images).max(drawn.len());
        let mut seeds = Vec::with_capacity(steps + drawn.len());
        while seeds.len() < steps {
            let mut round = drawn.clone();
            round.shuffle(&mut random);
            seeds.extend(round);
        }
        seeds.truncate(steps);
        seeds
    }

    pub(super) fn batch(
        &self,
        classes: &Classes,
        index: &Index,
        seed: usize,
        random: &mut ChaCha8Rng,
    ) -> Batch {
        let eligible = |class: usize| {
            self.small_classes != SmallGroups::Skip
                || classes.members(class).len() >= self.images_per_class
        };
        let near = index.nearest_classes(seed, self.classes_per_batch - 1, eligible);
        let mut batch = Batch::default();
        for class in std::iter::once(seed).chain(near) {
            let members = classes.members(class);
            batch.notes.small_groups += usize::from(members.len() < self.images_per_class);
            batch.rows.extend(draw_members(
                members,
                self.images_per_class,
                self.small_classes,
                random,
            ));
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::line_index;

    #[test]
    fn a_batch_is_a_class_with_its_nearest_classes() {
        // Six classes with one cluster each, from left to right.
        let (index, classes) = line_index(&[(0, 4), (1, 4), (2, 4), (3, 4), (4, 4), (5, 2)]);
        let config = HardClassesConfig {
            classes_per_batch: 3,
            images_per_class: 3,
            small_classes: SmallGroups::Skip,
        };
        let drawn = |seed: usize| {
            let mut random = stream(0, Purpose::Batch, 0, 0);
            let rows = config.batch(&classes, &index, seed, &mut random).rows;
            rows.chunks(3)
                .map(|of| classes.labels()[of[0]])
                .collect::<Vec<_>>()
        };
        assert_eq!(drawn(0), [0, 1, 2]);
        assert_eq!(drawn(2), [2, 1, 3]);
        // Class 5 has too few images and is skipped.
        assert_eq!(drawn(4), [4, 3, 2]);
        let mut seeds = config.seeds(&classes, 1, 0);
        seeds.sort_unstable();
        assert_eq!(seeds, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn classes_are_as_near_as_their_nearest_clusters() {
        // Left to right: class 0, 1, 2, 0. Class 2 is nearest to 0 by the second cluster, as near as class 1 by the first.
        let (index, _) = line_index(&[(0, 2), (1, 2), (1, 2), (2, 2), (2, 2), (0, 2)]);
        assert_eq!(index.nearest_classes(0, 2, |_| true), [1, 2]);
        assert_eq!(index.nearest_classes(1, 2, |_| true), [0, 2]);
        assert_eq!(index.nearest_classes(0, 9, |class| class != 1), [2]);
    }
}
