//! The queries that are worth looking at: those answered worst, and those answered best.

use std::cmp::Ordering;

use crate::answers::Answers;

/// Queries to show with what they found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Strips {
    /// Wrong ones, those whose own class got the fewest votes first.
    pub(crate) worst: Vec<usize>,
    /// Right ones, those whose own class got the most votes first, at most two of a class.
    pub(crate) best: Vec<usize>,
}

/// Photographs of one class among the best; without a bound an easy class would take all places.
const OF_A_CLASS: usize = 2;

impl Strips {
    /// Up to `count` of either kind.
    pub(crate) fn new(answers: &Answers, labels: &[usize], count: usize) -> Self {
        let nearest = |query: usize| {
            let first = answers.neighbours[query].first();
            first.map_or(f64::INFINITY, |neighbour| neighbour.squared_distance)
        };
        // Of equal votes the one with the nearer first answer is the surer.
        let then_by_nearest = |votes: Ordering, a: usize, b: usize| {
            votes
                .then(nearest(a).total_cmp(&nearest(b)))
                .then(a.cmp(&b))
        };
        let votes = |a: usize, b: usize| answers.own[a].total_cmp(&answers.own[b]);
        let mut worst: Vec<usize> = answers.wrong(labels).collect();
        worst.sort_by(|&a, &b| then_by_nearest(votes(a, b), a, b));
        worst.truncate(count);

        let right = |query: &usize| answers.predicted[*query] == labels[*query];
        let mut candidates: Vec<usize> = (0..labels.len()).filter(right).collect();
        candidates.sort_by(|&a, &b| then_by_nearest(votes(b, a), a, b));
        let classes = labels.iter().max().map_or(0, |most| most + 1);
        let mut taken = vec![0; classes];
        let mut best = Vec::new();
        for query in candidates {
            if best.len() == count {
                break;
            }
            if taken[labels[query]] < OF_A_CLASS {
                taken[labels[query]] += 1;
                best.push(query);
            }
        }
        Self { worst, best }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_are_surely_wrong_and_the_best_are_not_all_of_one_class() {
        let answers = Answers {
            neighbours: vec![Vec::new(); 6],
            predicted: vec![0, 0, 0, 1, 0, 1],
            own: vec![-0.1, -0.2, -0.3, -0.4, -5.0, -2.0],
            sure: vec![1.0; 6],
        };
        let strips = Strips::new(&answers, &[0, 0, 0, 1, 1, 0], 3);
        assert_eq!(strips.worst, [4, 5]);
        assert_eq!(strips.best, [0, 1, 3]);
    }
}
