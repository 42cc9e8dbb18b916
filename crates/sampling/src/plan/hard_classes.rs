//! Batches of classes that are hard to tell apart: a class and those whose clusters lie nearest to its own.
//!
//! Sohn, *Improved Deep Metric Learning with Multi-class N-pair Loss Objective*, NIPS 2016, section 3.2.2, picks classes that the
//! current embedding confuses; here the cluster index says which those are.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::draws::draw_members;
use super::per_class::Pile;
use super::{PerClassConfig, SmallGroups};
use crate::random::{Purpose, stream};
use crate::{Batch, Classes, Index, SamplingError};

/// A batch is a seed class, the P-1 classes nearest to it in the index, and K images of each.
///
/// Two classes are as near as their nearest clusters. In an epoch every class is the seed at least once, so an epoch visits every
/// class; it has as many images as the data set, or more where that takes more batches than classes. The images of the seed are
/// dealt from a shuffled pile, so that none comes twice as such before all came once; those of its neighbours are drawn evenly.
///
/// With `cover` a class is the seed until all its images were shown, `⌈images / K⌉` times: an epoch then sees every image, and about
/// P times as many as the data set has. Neighbours cannot shorten it, because who they are is known only when a batch is drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct HardClassesConfig {
    /// Different classes in a batch, P.
    pub classes_per_batch: usize,
    /// Images of each, K.
    pub images_per_class: usize,
    /// Makes the epoch long enough to see every image.
    pub cover: bool,
    /// What becomes of classes with fewer than `images_per_class` images.
    pub small_classes: SmallGroups,
}

impl Default for HardClassesConfig {
    fn default() -> Self {
        Self {
            classes_per_batch: 8,
            images_per_class: 4,
            cover: false,
            small_classes: SmallGroups::Replace,
        }
    }
}

/// The class around which a batch is drawn, and the images of it that the batch holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seed {
    class: usize,
    rows: Vec<usize>,
}

impl HardClassesConfig {
    fn as_per_class(&self) -> PerClassConfig {
        PerClassConfig {
            classes_per_batch: self.classes_per_batch,
            images_per_class: self.images_per_class,
            cover: self.cover,
            small_classes: self.small_classes,
        }
    }

    pub(super) fn check(&self, classes: &Classes) -> Result<(), SamplingError> {
        self.as_per_class().check(classes)
    }

    /// The seed of each step: rounds of all classes, each in a new order. With `cover` a round leaves out the classes that have shown
    /// all their images, until none is left.
    pub(super) fn seeds(&self, classes: &Classes, seed: u64, epoch: u64) -> Vec<Seed> {
        let mut random = stream(seed, Purpose::EpochOrder, epoch, 0);
        let drawn = self.as_per_class().drawn(classes);
        let needed = |class: usize| match self.cover {
            true => classes.members(class).len().div_ceil(self.images_per_class),
            false => 1,
        };
        let images = self.classes_per_batch * self.images_per_class;
        let least: usize = drawn.iter().map(|&class| needed(class)).sum();
        let steps = classes.rows().div_ceil(images).max(least);
        let mut piles: Vec<Pile> = (0..classes.len())
            .map(|class| Pile::new(classes.members(class), &mut random))
            .collect();
        let mut seeds = Vec::with_capacity(steps + drawn.len());
        for round_number in 0.. {
            if seeds.len() >= steps {
                break;
            }
            let wanting = |&class: &usize| needed(class) > round_number;
            let mut round: Vec<usize> = drawn.iter().copied().filter(wanting).collect();
            if round.is_empty() {
                round.clone_from(&drawn);
            }
            round.shuffle(&mut random);
            for class in round {
                let rows =
                    piles[class].take(self.images_per_class, self.small_classes, &mut random);
                seeds.push(Seed { class, rows });
            }
        }
        seeds.truncate(steps);
        seeds
    }

    pub(super) fn batch(
        &self,
        classes: &Classes,
        index: &Index,
        seed: &Seed,
        random: &mut ChaCha8Rng,
    ) -> Batch {
        let eligible = |class: usize| {
            self.small_classes != SmallGroups::Skip
                || classes.members(class).len() >= self.images_per_class
        };
        let near = index.nearest_classes(seed.class, self.classes_per_batch - 1, eligible);
        let mut batch = Batch::of_rows(seed.rows.clone());
        for &class in &near {
            let members = classes.members(class);
            batch.rows.extend(draw_members(
                members,
                self.images_per_class,
                self.small_classes,
                random,
            ));
        }
        batch.notes.small_groups = std::iter::once(&seed.class)
            .chain(&near)
            .filter(|&&class| classes.members(class).len() < self.images_per_class)
            .count();
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
            cover: false,
            small_classes: SmallGroups::Skip,
        };
        let drawn = |class: usize| {
            let mut random = stream(0, Purpose::Batch, 0, 0);
            let rows = classes.members(class)[..3].to_vec();
            let seed = Seed { class, rows };
            let rows = config.batch(&classes, &index, &seed, &mut random).rows;
            rows.chunks(3)
                .map(|of| classes.labels()[of[0]])
                .collect::<Vec<_>>()
        };
        assert_eq!(drawn(0), [0, 1, 2]);
        assert_eq!(drawn(2), [2, 1, 3]);
        // Class 5 has too few images and is skipped.
        assert_eq!(drawn(4), [4, 3, 2]);
        let seeds = config.seeds(&classes, 1, 0);
        let mut seeds: Vec<usize> = seeds.into_iter().map(|seed| seed.class).collect();
        seeds.sort_unstable();
        assert_eq!(seeds, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn with_cover_an_epoch_sees_every_image() {
        let (index, classes) = line_index(&[(0, 4), (1, 11), (2, 3), (3, 1)]);
        let mut config = HardClassesConfig {
            classes_per_batch: 2,
            images_per_class: 3,
            cover: true,
            small_classes: SmallGroups::Replace,
        };
        for epoch in 0..5 {
            let seeds = config.seeds(&classes, 1, epoch);
            // 2 + 4 + 1 + 1 visits.
            assert_eq!(seeds.len(), 8);
            let mut seen = [false; 19];
            for (step, seed) in (0..).zip(&seeds) {
                let mut random = stream(1, Purpose::Batch, epoch, step);
                let batch = config.batch(&classes, &index, seed, &mut random);
                assert_eq!(batch.rows.len(), 6);
                batch.rows.iter().for_each(|&row| seen[row] = true);
            }
            assert_eq!(seen, [true; 19]);
        }
        config.small_classes = SmallGroups::Skip;
        assert_eq!(
            config.check(&classes).unwrap_err().to_string(),
            "cover is true: 1 small classes are skipped"
        );
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
