//! Hierarchy recovery: does an embedding trained on coarse classes still know the fine ones?
//!
//! Rippel et al., ICLR 2016, section on hierarchy recovery. Fine labels are hidden during training and used only here: to
//! predict the fine class of held-out rows from the training gallery.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::labelled::{distinct, same_count};
use crate::predictions::KEPT;
use crate::{Errors, EvalError, Predictions, Search, SoftVote};

/// How well fine classes are recovered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HierarchyRecovery {
    /// By the soft vote of training rows that carry fine labels.
    pub soft_knn: Errors,
    /// By the nearest mean of a fine class's training rows.
    pub nearest_class_mean: Errors,
    /// Expected error of guessing among the fine classes of the true coarse class.
    pub chance: Chance,
    /// The vote that was used.
    pub vote: SoftVote,
}

/// Expected error rates of a guess.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Chance {
    /// With one guess.
    pub at_1: f64,
    /// With five different guesses.
    pub at_5: f64,
}

/// Labels of one side at both levels, `[n]` each.
#[derive(Debug, Clone, Copy)]
pub struct Levels<'a> {
    /// The classes that training did not know.
    pub fine: &'a [usize],
    /// The merged classes, for the chance level only.
    pub coarse: &'a [usize],
}

/// Predicts the fine classes of the queries of `search` from its gallery, the training rows, after training on coarse classes.
/// Rows that a query may not see take no part in its votes and means.
///
/// # Errors
/// If a list has another length than its rows, or the variance is not above 0.
///
/// # Example
/// ```
/// use lodestone_eval::{Levels, Rows, Search, SoftVote, hierarchy_recovery};
///
/// let training = Rows::new(&[0.0, 1.0, 8.0, 9.0], 1).unwrap();
/// let test = Rows::new(&[0.1, 7.9], 1).unwrap();
/// let search = Search::between(test, training)?;
/// let training = Levels { fine: &[0, 1, 2, 3], coarse: &[0, 0, 1, 1] };
/// let test = Levels { fine: &[0, 3], coarse: &[0, 1] };
/// let recovery = hierarchy_recovery(&search, test, training, SoftVote::new(1.0))?;
/// assert_eq!(recovery.nearest_class_mean.at_1, 0.5);
/// assert_eq!((recovery.chance.at_1, recovery.chance.at_5), (0.5, 0.0));
/// # Ok::<(), lodestone_eval::EvalError>(())
/// ```
pub fn hierarchy_recovery(
    search: &Search,
    test: Levels,
    training: Levels,
    vote: SoftVote,
) -> Result<HierarchyRecovery, EvalError> {
    same_count(
        "coarse training labels",
        training.coarse.len(),
        search.gallery(),
    )?;
    same_count("coarse test labels", test.coarse.len(), search.queries())?;
    let soft = Predictions::soft_vote(search, training.fine, vote)?;
    let mean = Predictions::nearest_class_mean(search, training.fine)?;
    Ok(HierarchyRecovery {
        soft_knn: soft.errors(test.fine)?,
        nearest_class_mean: mean.errors(test.fine)?,
        chance: chance(training.fine, training.coarse, test.fine, test.coarse),
        vote,
    })
}

/// The mean over test rows of the error of guesses drawn among the fine training classes of the row's coarse class.
fn chance(fine: &[usize], coarse: &[usize], test_fine: &[usize], test_coarse: &[usize]) -> Chance {
    let mut pairs: Vec<(usize, usize)> = coarse.iter().copied().zip(fine.iter().copied()).collect();
    pairs.sort_unstable();
    pairs.dedup();
    let missed = |guesses: usize| {
        let miss = |(coarse, fine): (&usize, &usize)| {
            let first = pairs.partition_point(|p| p.0 < *coarse);
            let siblings = pairs.partition_point(|p| p.0 <= *coarse) - first;
            let known = pairs.binary_search(&(*coarse, *fine)).is_ok();
            match known {
                true => 1.0 - guesses.min(siblings) as f64 / siblings as f64,
                false => 1.0,
            }
        };
        let rows = test_coarse.iter().zip(test_fine);
        rows.map(miss).sum::<f64>() / test_fine.len() as f64
    };
    Chance {
        at_1: missed(1),
        at_5: missed(KEPT),
    }
}

/// Shuffles `fine_classes` and deals them into `groups` coarse classes whose sizes differ by at most one: the merging that
/// the paper calls Random.
///
/// Returns the coarse class of each entry of `fine_classes`. Which classes share a group depends on `seed` and on the set of
/// classes, not on their order or on how often each is listed.
///
/// # Errors
/// If `groups` is 0 or exceeds the number of distinct classes.
///
/// # Example
/// ```
/// let coarse = lodestone_eval::merge_at_random(&[0, 1, 2, 3, 3], 2, 7)?;
/// assert_eq!(coarse[3], coarse[4]);
/// assert_eq!(coarse[..4].iter().sum::<usize>(), 2, "two classes in each of the groups 0 and 1");
/// # Ok::<(), lodestone_eval::EvalError>(())
/// ```
pub fn merge_at_random(
    fine_classes: &[usize],
    groups: usize,
    seed: u64,
) -> Result<Vec<usize>, EvalError> {
    let mut order = distinct(fine_classes);
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    deal(fine_classes, &order, groups)
}

/// Deals the fine classes of each given coarse class over as many of the `groups` as it has members: every group mixes what the
/// given hierarchy keeps apart.
///
/// The paper has results under the name Mixed; its text could not be had, so that this is our reading of the word and not its
/// definition. Returns the new coarse class of each entry of `fine_classes`.
///
/// # Shapes
/// - given: `[fine_classes]`, the coarse class of each entry
///
/// # Errors
/// If `given` has another length, gives a fine class two coarse ones, or as [`merge_at_random`].
///
/// # Example
/// ```
/// // Two cats and two dogs: each group gets one of either.
/// let merged = lodestone_eval::merge_mixed(&[0, 1, 2, 3], &[0, 0, 1, 1], 2, 7)?;
/// assert_ne!(merged[0], merged[1]);
/// assert_ne!(merged[2], merged[3]);
/// # Ok::<(), lodestone_eval::EvalError>(())
/// ```
pub fn merge_mixed(
    fine_classes: &[usize],
    given: &[usize],
    groups: usize,
    seed: u64,
) -> Result<Vec<usize>, EvalError> {
    if given.len() != fine_classes.len() {
        return Err(EvalError::Count {
            what: "coarse labels",
            entries: given.len(),
            rows: fine_classes.len(),
        });
    }
    let mut pairs: Vec<(usize, usize)> = given
        .iter()
        .copied()
        .zip(fine_classes.iter().copied())
        .collect();
    pairs.sort_unstable();
    pairs.dedup();
    let mut parents = BTreeMap::new();
    for &(coarse, fine) in &pairs {
        if let Some(first) = parents.insert(fine, coarse) {
            return Err(EvalError::TwoParents {
                fine,
                coarse: [first, coarse],
            });
        }
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut order = Vec::with_capacity(pairs.len());
    // Siblings stand side by side, so that dealing in turn gives them to different groups.
    for siblings in pairs.chunk_by(|a, b| a.0 == b.0) {
        let mut siblings: Vec<usize> = siblings.iter().map(|p| p.1).collect();
        siblings.shuffle(&mut random);
        order.extend(siblings);
    }
    deal(fine_classes, &order, groups)
}

/// Gives the classes in `order` to the groups in turn.
fn deal(fine_classes: &[usize], order: &[usize], groups: usize) -> Result<Vec<usize>, EvalError> {
    if groups == 0 || groups > order.len() {
        return Err(EvalError::OutOfRange {
            name: "groups",
            value: groups as f64,
            must_be: "between 1 and the number of fine classes",
        });
    }
    let places = order.iter().enumerate();
    let group_of: BTreeMap<usize, usize> = places.map(|(i, &class)| (class, i % groups)).collect();
    Ok(fine_classes.iter().map(|class| group_of[class]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_merging_deals_evenly_and_follows_the_seed() {
        let fine: Vec<usize> = (0..10).map(|c| 3 * c).collect();
        for groups in [1, 3, 5, 10] {
            let coarse = merge_at_random(&fine, groups, 1).unwrap();
            let sizes: Vec<usize> = (0..groups)
                .map(|g| coarse.iter().filter(|&&c| c == g).count())
                .collect();
            let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
            assert!(most - least <= 1, "{groups} groups: {sizes:?}");
        }
        let [once, again, other] = [1, 1, 2].map(|seed| merge_at_random(&fine, 5, seed).unwrap());
        assert_eq!(once, again);
        assert_ne!(once, other);
        assert!(merge_at_random(&fine, 11, 0).is_err());
        assert!(merge_at_random(&fine, 0, 0).is_err());
    }

    #[test]
    fn mixed_groups_take_from_every_given_class() {
        // Two given classes of six and of three.
        let fine: Vec<usize> = (0..9).collect();
        let given = [0, 0, 0, 0, 0, 0, 1, 1, 1];
        let merged = merge_mixed(&fine, &given, 3, 5).unwrap();
        for group in 0..3 {
            let of = |coarse: usize| {
                let members = (0..9).filter(|&i| given[i] == coarse && merged[i] == group);
                members.count()
            };
            assert_eq!((of(0), of(1)), (2, 1), "{merged:?}");
        }
        assert_ne!(merged, merge_mixed(&fine, &given, 3, 6).unwrap());
        let error = merge_mixed(&[4, 4], &[0, 1], 1, 0).unwrap_err();
        assert_eq!(
            error.to_string(),
            "fine class 4 has two coarse classes, 0 and 1"
        );
        assert!(merge_mixed(&fine, &given[1..], 3, 5).is_err());
    }

    #[test]
    fn rows_of_a_class_stay_together_in_any_order() {
        let forward = merge_at_random(&[4, 8, 15, 16, 23, 42], 3, 9).unwrap();
        let backward = merge_at_random(&[42, 23, 16, 15, 8, 4, 4], 3, 9).unwrap();
        let mut mirrored: Vec<usize> = forward.iter().rev().copied().collect();
        mirrored.push(forward[0]);
        assert_eq!(backward, mirrored);
    }

    #[test]
    fn chance_is_the_share_of_siblings_left_unguessed() {
        // Coarse class 0 holds eight fine classes, coarse class 1 holds two; class 99 was never trained.
        let fine: Vec<usize> = (0..10).collect();
        let coarse = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1];
        let one = |fine_label, coarse_label| chance(&fine, &coarse, &[fine_label], &[coarse_label]);
        assert_eq!((one(3, 0).at_1, one(3, 0).at_5), (7.0 / 8.0, 3.0 / 8.0));
        assert_eq!((one(8, 1).at_1, one(8, 1).at_5), (0.5, 0.0));
        assert_eq!((one(99, 1).at_1, one(99, 1).at_5), (1.0, 1.0));
    }
}
