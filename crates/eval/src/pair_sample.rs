//! Pairs for verification where none are given: the same number of positive and of negative ones, drawn without replacement.

use std::collections::BTreeSet;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::labelled::distinct;

/// Draws up to `count` pairs of rows with one label and up to `count` pairs of rows with two, each kind uniformly among all
/// pairs of its kind; all of them where there are no more. Each pair names its lower row first; ascending, positive ones first.
///
/// # Example
/// ```
/// use lodestone_eval::sample_pairs;
///
/// assert_eq!(sample_pairs(&[5, 5, 8], 10, 1), [(0, 1), (0, 2), (1, 2)]);
/// ```
pub fn sample_pairs(labels: &[usize], count: usize, seed: u64) -> Vec<(usize, usize)> {
    let classes = distinct(labels);
    let mut members = vec![Vec::new(); classes.len()];
    for (row, label) in labels.iter().enumerate() {
        members[classes.partition_point(|c| c < label)].push(row);
    }
    // How many positive pairs the classes up to each one have.
    let mut positive_up_to = Vec::with_capacity(members.len());
    let mut positive = 0;
    for rows in &members {
        positive += rows.len() * rows.len().saturating_sub(1) / 2;
        positive_up_to.push(positive);
    }
    let all = labels.len() * labels.len().saturating_sub(1) / 2;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let two_of = |n: usize, random: &mut ChaCha8Rng| {
        let (a, b) = (random.random_range(0..n), random.random_range(0..n - 1));
        if b >= a { (a, b + 1) } else { (b, a) }
    };
    let mut pairs = draw(count, positive, &mut random, |random| {
        let class = positive_up_to.partition_point(|&p| p <= random.random_range(0..positive));
        let rows = &members[class];
        let (a, b) = two_of(rows.len(), random);
        Some((rows[a], rows[b]))
    });
    pairs.extend(draw(count, all - positive, &mut random, |random| {
        let (a, b) = two_of(labels.len(), random);
        (labels[a] != labels[b]).then_some((a, b))
    }));
    pairs
}

/// Calls `one` until there are `count` different pairs, or all `there_are`.
fn draw(
    count: usize,
    there_are: usize,
    random: &mut ChaCha8Rng,
    mut one: impl FnMut(&mut ChaCha8Rng) -> Option<(usize, usize)>,
) -> Vec<(usize, usize)> {
    let mut pairs = BTreeSet::new();
    while pairs.len() < count.min(there_are) {
        pairs.extend(one(random));
    }
    pairs.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_are_drawn_without_repetition_and_follow_the_seed() {
        let labels: Vec<usize> = (0..40).map(|i| i % 4 * (i % 3)).collect();
        let [once, again, other] = [1, 1, 2].map(|seed| sample_pairs(&labels, 25, seed));
        assert_eq!(once, again);
        assert_ne!(once, other);
        let positive = once
            .iter()
            .filter(|(a, b)| labels[*a] == labels[*b])
            .count();
        assert_eq!((once.len(), positive), (50, 25));
        let distinct: BTreeSet<_> = once.iter().collect();
        assert_eq!(distinct.len(), 50);
        assert!(once.iter().all(|(a, b)| a < b));
    }

    #[test]
    fn all_pairs_come_where_there_are_no_more() {
        let labels = [0, 1, 0, 1, 2];
        let mut pairs = sample_pairs(&labels, 1000, 9);
        pairs.sort_unstable();
        let mut all = Vec::new();
        for a in 0..5 {
            all.extend((a + 1..5).map(|b| (a, b)));
        }
        assert_eq!(pairs, all);
        assert_eq!(sample_pairs(&[1, 2], 3, 0), [(0, 1)]);
        assert_eq!(sample_pairs(&[1], 3, 0), []);
    }

    #[test]
    fn large_classes_give_their_share() {
        // 45 positive pairs in the first class, 1 in the second.
        let labels = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1];
        let with_second = (0..200)
            .filter(|&seed| sample_pairs(&labels, 1, seed)[0] == (10, 11))
            .count();
        // 200/46 expected.
        assert!(with_second <= 14, "{with_second}");
    }
}
