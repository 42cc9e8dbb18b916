//! P classes with K images each: every image of a batch has partners of its own class and strangers of others.
//!
//! Hermans, Beyer and Leibe, *In Defense of the Triplet Loss for Person Re-Identification*, 2017, section 2. Their batches draw
//! classes independently, so that an epoch may miss some; here an epoch is a timetable that misses none.

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::SmallGroups;
use crate::error::{at_least, setting};
use crate::random::{Purpose, stream};
use crate::{Classes, SamplingError};

/// An epoch visits every class, and with `cover` every image, at least once.
///
/// - Without `cover` an epoch has as many images as the data set, rounded up to whole batches, and at least as many batches
///   as it takes to visit each class; visits are shared out evenly among classes, to one.
/// - With `cover` each class is visited until all its images were seen: `⌈images / K⌉` visits. A class that is much larger than
///   the others makes the epoch longer, since a batch holds a class once; the visits that are then free are shared out.
///
/// A class hands out its images from a shuffled pile and shuffles again when the pile is empty, so that no image comes twice
/// before all came once; piles start anew in each epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct PerClassConfig {
    /// Different classes in a batch, P.
    pub classes_per_batch: usize,
    /// Images of each, K.
    pub images_per_class: usize,
    /// Makes the epoch long enough to see every image.
    pub cover: bool,
    /// What becomes of classes with fewer than `images_per_class` images.
    pub small_classes: SmallGroups,
}

impl Default for PerClassConfig {
    fn default() -> Self {
        Self {
            classes_per_batch: 8,
            images_per_class: 4,
            cover: false,
            small_classes: SmallGroups::default(),
        }
    }
}

impl PerClassConfig {
    pub(super) fn check(&self, classes: &Classes) -> Result<(), SamplingError> {
        at_least("classes_per_batch", self.classes_per_batch, 1)?;
        at_least("images_per_class", self.images_per_class, 1)?;
        let drawn = self.drawn(classes).len();
        if self.classes_per_batch > drawn {
            let reason = match drawn == classes.len() {
                true => format!("there are only {drawn} classes"),
                false => format!(
                    "only {drawn} of {} classes have {} images or more, and the others are skipped",
                    classes.len(),
                    self.images_per_class
                ),
            };
            return Err(setting("classes_per_batch", self.classes_per_batch, reason));
        }
        if self.cover && drawn < classes.len() {
            let reason = format!("{} small classes are skipped", classes.len() - drawn);
            return Err(setting("cover", true, reason));
        }
        Ok(())
    }

    /// Classes that take part.
    pub(super) fn drawn(&self, classes: &Classes) -> Vec<usize> {
        let large = |class: &usize| classes.members(*class).len() >= self.images_per_class;
        (0..classes.len())
            .filter(|class| self.small_classes != SmallGroups::Skip || large(class))
            .collect()
    }

    pub(super) fn batches(&self, classes: &Classes, seed: u64, epoch: u64) -> Vec<Vec<usize>> {
        let mut random = stream(seed, Purpose::EpochOrder, epoch, 0);
        let drawn = self.drawn(classes);
        let visits = self.visits(classes, &drawn, &mut random);
        let timetable = timetable(visits, self.classes_per_batch, &mut random);
        let mut piles: Vec<Pile> = drawn
            .iter()
            .map(|&class| Pile::new(classes.members(class), &mut random))
            .collect();
        timetable
            .into_iter()
            .map(|visited| {
                let mut rows = Vec::with_capacity(self.classes_per_batch * self.images_per_class);
                for class in visited {
                    rows.extend(piles[class].take(
                        self.images_per_class,
                        self.small_classes,
                        &mut random,
                    ));
                }
                rows
            })
            .collect()
    }

    /// How often each of the `drawn` classes comes in an epoch. The sum is a multiple of P, and no class has more visits than there
    /// are batches.
    fn visits(&self, classes: &Classes, drawn: &[usize], random: &mut ChaCha8Rng) -> Vec<usize> {
        let (mut visits, mut free) = self.needed_visits(classes, drawn);
        // Free visits go to the classes with the fewest, ties in random order.
        let mut order: Vec<usize> = (0..visits.len()).collect();
        order.shuffle(random);
        while free > 0 {
            let least = visits.iter().min().copied();
            let tied = order
                .iter()
                .copied()
                .filter(|&class| Some(visits[class]) == least);
            let tied: Vec<usize> = tied.take(free).collect();
            tied.iter().for_each(|&class| visits[class] += 1);
            free -= tied.len();
        }
        visits
    }

    /// Visits that each class must have, and how many more fill the last batches.
    fn needed_visits(&self, classes: &Classes, drawn: &[usize]) -> (Vec<usize>, usize) {
        let (p, k) = (self.classes_per_batch, self.images_per_class);
        let visits: Vec<usize> = match self.cover {
            true => drawn
                .iter()
                .map(|&class| classes.members(class).len().div_ceil(k))
                .collect(),
            false => vec![1; drawn.len()],
        };
        let needed: usize = visits.iter().sum();
        let most = visits.iter().copied().max().unwrap_or(0);
        let size = if self.cover {
            0
        } else {
            classes.rows().div_ceil(p * k)
        };
        let batches = needed.div_ceil(p).max(most).max(size);
        (visits, batches * p - needed)
    }

    /// Images of each class that a batch holds on average over an epoch.
    pub(super) fn expectation(&self, classes: &Classes) -> Vec<f64> {
        let drawn = self.drawn(classes);
        let (needed, free) = self.needed_visits(classes, &drawn);
        let batches = (needed.iter().sum::<usize>() + free) / self.classes_per_batch;
        let visits = share_out(&needed, free);
        let mut images = vec![0.0; classes.len()];
        for (&class, visits) in drawn.iter().zip(visits) {
            let of_a_visit = match self.small_classes {
                SmallGroups::Short => self.images_per_class.min(classes.members(class).len()),
                SmallGroups::Replace | SmallGroups::Skip => self.images_per_class,
            };
            images[class] = visits * of_a_visit as f64 / batches as f64;
        }
        images
    }
}

/// Gives `free` visits to the classes with the fewest, round by round; those that tie for the last ones share them evenly.
fn share_out(needed: &[usize], mut free: usize) -> Vec<f64> {
    let mut visits = needed.to_vec();
    loop {
        let least = visits.iter().min().copied().unwrap_or(0);
        let tied = visits.iter().filter(|&&count| count == least).count();
        if free < tied {
            let chance = free as f64 / tied as f64;
            let share = |&count: &usize| count as f64 + if count == least { chance } else { 0.0 };
            return visits.iter().map(share).collect();
        }
        visits
            .iter_mut()
            .filter(|count| **count == least)
            .for_each(|count| *count += 1);
        free -= tied;
    }
}

/// Puts `visits` of each class into batches of `per_batch` different classes.
///
/// A class with as many visits left as there are batches left must come now; the other places are drawn without replacement in
/// proportion to the visits left. No visit is ever left over, because the sum is `batches · per_batch` and none exceeds the
/// number of batches: both stay true from batch to batch.
fn timetable(mut visits: Vec<usize>, per_batch: usize, random: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
    let batches = visits.iter().sum::<usize>() / per_batch;
    (0..batches)
        .map(|batch| {
            let left = batches - batch;
            let mut order: Vec<(f64, usize)> = (0..visits.len())
                .filter(|&class| visits[class] > 0)
                .map(|class| match visits[class] == left {
                    true => (f64::NEG_INFINITY, class),
                    // The smallest of exponential variables with these rates is a draw in proportion to them.
                    false => (
                        -(1.0 - random.random::<f64>()).ln() / visits[class] as f64,
                        class,
                    ),
                })
                .collect();
            let earlier =
                |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
            if order.len() > per_batch {
                // Only the first are asked for, and of a thousand classes these are few.
                order.select_nth_unstable_by(per_batch, earlier);
                order.truncate(per_batch);
            }
            order.sort_unstable_by(earlier);
            let chosen: Vec<usize> = order
                .iter()
                .take(per_batch)
                .map(|&(_, class)| class)
                .collect();
            for &class in &chosen {
                visits[class] -= 1;
            }
            chosen
        })
        .collect()
}

/// The images of a class in random order, dealt from the end and shuffled again when they run out.
pub(super) struct Pile<'a> {
    members: &'a [usize],
    left: Vec<usize>,
}

impl<'a> Pile<'a> {
    pub(super) fn new(members: &'a [usize], random: &mut ChaCha8Rng) -> Self {
        let mut left = members.to_vec();
        left.shuffle(random);
        Self { members, left }
    }

    /// `count` images, different ones where the class has so many.
    pub(super) fn take(
        &mut self,
        count: usize,
        rule: SmallGroups,
        random: &mut ChaCha8Rng,
    ) -> Vec<usize> {
        if self.members.len() < count {
            let mut rows = self.members.to_vec();
            rows.shuffle(random);
            if rule == SmallGroups::Replace {
                let missing = count - rows.len();
                rows.extend(
                    (0..missing).map(|_| self.members[random.random_range(0..self.members.len())]),
                );
            }
            return rows;
        }
        let mut rows = self.left.split_off(self.left.len().saturating_sub(count));
        if rows.len() < count {
            let missing = count - rows.len();
            let mut fresh: Vec<usize> = self
                .members
                .iter()
                .copied()
                .filter(|row| !rows.contains(row))
                .collect();
            fresh.shuffle(random);
            let rest = fresh.split_off(missing);
            // The images of this batch go below the rest: they come last in the new round.
            self.left = rows.clone();
            self.left.extend(rest);
            rows.extend(fresh);
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn classes(sizes: &[usize]) -> Classes {
        let labels: Vec<usize> = sizes
            .iter()
            .enumerate()
            .flat_map(|(class, &size)| std::iter::repeat_n(class, size))
            .collect();
        Classes::new(&labels).unwrap()
    }

    proptest! {
        #[test]
        fn batches_hold_p_classes_with_k_images_and_epochs_miss_nobody(
            sizes in prop::collection::vec(1_usize..30, 1..12),
            p in 1_usize..12,
            k in 1_usize..6,
            cover: bool,
            epoch in 0_u64..50,
        ) {
            let classes = classes(&sizes);
            let config = PerClassConfig {
                classes_per_batch: p.min(sizes.len()),
                images_per_class: k,
                cover,
                small_classes: SmallGroups::Replace,
            };
            config.check(&classes).unwrap();
            let batches = config.batches(&classes, 3, epoch);
            let mut seen = vec![0; classes.rows()];
            let mut visits = vec![0_usize; sizes.len()];
            for batch in &batches {
                prop_assert_eq!(batch.len(), config.classes_per_batch * k);
                let mut present = Vec::new();
                for group in batch.chunks(k) {
                    let class = classes.labels()[group[0]];
                    present.push(class);
                    visits[class] += 1;
                    prop_assert!(group.iter().all(|&row| classes.labels()[row] == class));
                    let mut different = group.to_vec();
                    different.sort_unstable();
                    different.dedup();
                    prop_assert_eq!(different.len(), k.min(sizes[class]));
                    group.iter().for_each(|&row| seen[row] += 1);
                }
                present.sort_unstable();
                present.dedup();
                prop_assert_eq!(present.len(), config.classes_per_batch);
            }
            prop_assert!(visits.iter().all(|&count| count > 0));
            if cover {
                prop_assert!(seen.iter().all(|&count| count > 0));
            } else {
                let (least, most) = (visits.iter().min().unwrap(), visits.iter().max().unwrap());
                prop_assert!(most - least <= 1);
                prop_assert!(batches.len() * config.classes_per_batch * k >= classes.rows());
            }
            prop_assert_eq!(batches, config.batches(&classes, 3, epoch));
        }
    }

    #[test]
    fn a_large_class_makes_a_covering_epoch_longer() {
        let classes = classes(&[40, 4, 4, 4]);
        let config = PerClassConfig {
            classes_per_batch: 2,
            images_per_class: 4,
            cover: true,
            small_classes: SmallGroups::Replace,
        };
        // Ten visits of the first class take ten batches; the others share the other ten places.
        assert_eq!(config.batches(&classes, 0, 0).len(), 10);
        let images = config.expectation(&classes);
        for (images, expected) in images.iter().zip([4.0, 4.0 / 3.0, 4.0 / 3.0, 4.0 / 3.0]) {
            assert!(
                (images - expected).abs() < 1e-12,
                "{images} instead of {expected}"
            );
        }
    }

    #[test]
    fn each_rule_for_small_classes_does_what_it_says() {
        let classes = classes(&[5, 2, 5]);
        for (rule, of_the_small_class) in [
            (SmallGroups::Replace, Some(4)),
            (SmallGroups::Short, Some(2)),
            (SmallGroups::Skip, None),
        ] {
            let config = PerClassConfig {
                classes_per_batch: 2,
                images_per_class: 4,
                cover: false,
                small_classes: rule,
            };
            let mut visited = false;
            for batch in config.batches(&classes, 1, 0) {
                let small = batch
                    .iter()
                    .filter(|&&row| classes.labels()[row] == 1)
                    .count();
                assert_eq!(
                    batch.len() - small,
                    if small > 0 { 4 } else { 8 },
                    "{rule:?}"
                );
                assert!(small == 0 || Some(small) == of_the_small_class, "{rule:?}");
                visited |= small > 0;
            }
            assert_eq!(visited, of_the_small_class.is_some(), "{rule:?}");
        }
    }

    #[test]
    fn what_cannot_be_filled_is_refused() {
        let classes = classes(&[5, 2, 5]);
        let check = |classes_per_batch, cover, small_classes| {
            let images_per_class = 4;
            let config = PerClassConfig {
                classes_per_batch,
                images_per_class,
                cover,
                small_classes,
            };
            config.check(&classes).map_err(|error| error.to_string())
        };
        assert!(check(3, true, SmallGroups::Replace).is_ok());
        for (result, message) in [
            (
                check(4, false, SmallGroups::Replace),
                "classes_per_batch is 4: there are only 3 classes",
            ),
            (
                check(3, false, SmallGroups::Skip),
                "classes_per_batch is 3: only 2 of 3 classes have 4 images or more, and the others are skipped",
            ),
            (
                check(2, true, SmallGroups::Skip),
                "cover is true: 1 small classes are skipped",
            ),
        ] {
            assert_eq!(result.unwrap_err(), message);
        }
    }
}
