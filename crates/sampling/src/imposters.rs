//! Who is near: the clusters, and the classes, that lie closest to a given one.

use lodestone_distances::squared_distance;

use crate::Index;
use crate::neighbours::from_near_to_far;

impl Index {
    /// The `count` clusters of other classes nearest to `cluster` for which `eligible` holds, from near to far; ties by
    /// cluster number. Fewer if there are no more.
    pub fn imposters(
        &self,
        cluster: usize,
        count: usize,
        eligible: impl Fn(usize) -> bool,
    ) -> Vec<usize> {
        let listed = self.neighbours.of(cluster);
        let found: Vec<usize> = listed
            .iter()
            .copied()
            .filter(|&other| eligible(other))
            .take(count)
            .collect();
        if found.len() == count || self.neighbours.is_complete(cluster) {
            return found;
        }
        // Many clusters are ineligible, or more are wanted than the table holds: ask all centres.
        let centres = self.centres();
        let distance = |other| squared_distance(centres.row(cluster), centres.row(other));
        let others = (0..self.len())
            .filter(|&other| self.class_of(other) != self.class_of(cluster) && eligible(other));
        let others = from_near_to_far(others.map(|other| (distance(other), other)));
        others
            .into_iter()
            .take(count)
            .map(|(_, other)| other)
            .collect()
    }

    /// The `count` classes nearest to `class` for which `eligible` holds, from near to far; ties by class. Two classes are as near
    /// as their nearest clusters. Fewer if there are no more.
    pub fn nearest_classes(
        &self,
        class: usize,
        count: usize,
        eligible: impl Fn(usize) -> bool,
    ) -> Vec<usize> {
        let own = || (0..self.len()).filter(|&cluster| self.class_of(cluster) == class);
        let centres = self.centres();
        let distance = |a: usize, b: usize| squared_distance(centres.row(a), centres.row(b));
        // The classes that a list shows are sure only up to its last distance: beyond, a class it does not show may be nearer.
        let listed = own().flat_map(|cluster| {
            self.neighbours
                .of(cluster)
                .iter()
                .map(move |&other| (cluster, other))
        });
        let horizon = own()
            .filter(|&cluster| !self.neighbours.is_complete(cluster))
            .filter_map(|cluster| Some((cluster, *self.neighbours.of(cluster).last()?)))
            .map(|(cluster, last)| distance(cluster, last))
            .fold(f32::INFINITY, f32::min);
        let keyed = listed.map(|(cluster, other)| (distance(cluster, other), self.class_of(other)));
        let near = first_of_each(
            keyed.filter(|&(distance, _)| distance <= horizon),
            count,
            &eligible,
        );
        if near.len() == count || horizon == f32::INFINITY {
            return near;
        }
        let all = own().flat_map(|cluster| {
            let others = (0..self.len()).filter(|&other| self.class_of(other) != class);
            others.map(move |other| (distance(cluster, other), self.class_of(other)))
        });
        first_of_each(all, count, &eligible)
    }
}

/// The classes in the order of their least distance, each once.
fn first_of_each(
    keyed: impl Iterator<Item = (f32, usize)>,
    count: usize,
    eligible: &impl Fn(usize) -> bool,
) -> Vec<usize> {
    let keyed = from_near_to_far(keyed.filter(|&(_, class)| eligible(class)));
    let mut classes = Vec::with_capacity(count);
    for (_, class) in keyed {
        if classes.len() == count {
            break;
        }
        if !classes.contains(&class) {
            classes.push(class);
        }
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::grid_index;

    #[test]
    fn imposters_are_never_of_the_seeds_class_and_come_by_distance() {
        let index = grid_index(5, 40, 4);
        for seed in 0..index.len() {
            let all = index.imposters(seed, usize::MAX, |_| true);
            assert_eq!(all.len(), index.len() - 4);
            assert!(
                all.iter()
                    .all(|&other| index.class_of(other) != index.class_of(seed))
            );
            let key = |other: usize| {
                let centres = index.centres();
                (
                    squared_distance(centres.row(seed), centres.row(other)),
                    other,
                )
            };
            assert!(all.is_sorted_by(|&a, &b| key(a) <= key(b)));
            assert_eq!(index.imposters(seed, 3, |_| true), all[..3]);
            let even: Vec<_> = all.iter().copied().filter(|other| other % 2 == 0).collect();
            assert_eq!(index.imposters(seed, 100, |other| other % 2 == 0), even);
        }
    }

    #[test]
    fn nearest_classes_equal_a_search_over_all_pairs() {
        // 90 classes of 3 clusters: the lists do not hold all 267 others.
        let index = grid_index(90, 9, 3);
        let centres = index.centres();
        for class in [0, 17, 89] {
            let mut keyed: Vec<(f32, usize)> = (0..90)
                .filter(|&other| other != class)
                .map(|other| {
                    let pairs = (0..9).map(|pair| {
                        squared_distance(
                            centres.row(class * 3 + pair / 3),
                            centres.row(other * 3 + pair % 3),
                        )
                    });
                    (pairs.fold(f32::INFINITY, f32::min), other)
                })
                .collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let all: Vec<usize> = keyed.iter().map(|&(_, class)| class).collect();
            for count in [1, 10, 89] {
                assert_eq!(index.nearest_classes(class, count, |_| true), all[..count]);
            }
        }
    }
}
