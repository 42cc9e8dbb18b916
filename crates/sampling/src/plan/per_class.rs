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
    fn drawn(&self, classes: &Classes) -> Vec<usize> {
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

    /// How often each class comes in an epoch. The sum is a multiple of P, and no class has more visits than there are batches.
    fn visits(&self, classes: &Classes, drawn: &[usize], random: &mut ChaCha8Rng) -> Vec<usize> {
        let (p, k) = (self.classes_per_batch, self.images_per_class);
        let mut visits = vec![0; drawn.len()];
        if self.cover {
            for (visits, &class) in visits.iter_mut().zip(drawn) {
                *visits = classes.members(class).len().div_ceil(k);
            }
        }
        let needed: usize = visits.iter().sum();
        let batches = match self.cover {
            true => needed
                .div_ceil(p)
                .max(visits.iter().copied().max().unwrap_or(0)),
            false => classes.rows().div_ceil(p * k).max(drawn.len().div_ceil(p)),
        };
        // Free visits go to the classes with the fewest, ties in random order.
        let mut order: Vec<usize> = (0..visits.len()).collect();
        order.shuffle(random);
        for _ in needed..batches * p {
            let least = order.iter().copied().min_by_key(|&class| visits[class]);
            visits[least.expect("P is at least 1, so there is a class")] += 1;
        }
        visits
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
            order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
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
struct Pile<'a> {
    members: &'a [usize],
    left: Vec<usize>,
}

impl<'a> Pile<'a> {
    fn new(members: &'a [usize], random: &mut ChaCha8Rng) -> Self {
        let mut left = members.to_vec();
        left.shuffle(random);
        Self { members, left }
    }

    /// `count` images, different ones where the class has so many.
    fn take(&mut self, count: usize, rule: SmallGroups, random: &mut ChaCha8Rng) -> Vec<usize> {
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
