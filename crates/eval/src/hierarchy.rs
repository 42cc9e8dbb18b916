//! Hierarchy recovery: does an embedding trained on coarse classes still know the fine ones?
//!
//! Rippel et al., ICLR 2016, section on hierarchy recovery. Fine labels are hidden during training and used only here: to
//! predict the fine class of held-out rows from the training gallery.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::labelled::{distinct, same_count};
use crate::predictions::KEPT;
use crate::{Errors, EvalError, Labelled, Predictions, Search, SoftVote};

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

/// Predicts the fine classes of `test` from `training`, both with fine labels, after training on coarse ones.
///
/// # Shapes
/// - test_coarse: `[test]`, the coarse class of each test row; training_coarse: `[training]`. They serve the chance level only.
///
/// # Errors
/// If a coarse list has another length than its rows, the dimensions differ, or the variance is not above 0.
///
/// # Example
/// ```
/// use lodestone_eval::{Labelled, SoftVote, hierarchy_recovery};
///
/// let training = Labelled::new(&[0.0, 1.0, 8.0, 9.0], 1, &[0, 1, 2, 3])?;
/// let test = Labelled::new(&[0.1, 7.9], 1, &[0, 3])?;
/// let recovery = hierarchy_recovery(training, &[0, 0, 1, 1], test, &[0, 1], SoftVote::new(1.0))?;
/// assert_eq!(recovery.nearest_class_mean.at_1, 0.5);
/// assert_eq!((recovery.chance.at_1, recovery.chance.at_5), (0.5, 0.0));
/// # Ok::<(), lodestone_eval::EvalError>(())
/// ```
pub fn hierarchy_recovery(
    training: Labelled,
    training_coarse: &[usize],
    test: Labelled,
    test_coarse: &[usize],
    vote: SoftVote,
) -> Result<HierarchyRecovery, EvalError> {
    same_count(
        "coarse training labels",
        training_coarse.len(),
        training.rows(),
    )?;
    same_count("coarse test labels", test_coarse.len(), test.rows())?;
    let search = Search::between(test.rows(), training.rows())?;
    let soft = Predictions::soft_vote(&search, training.labels(), vote)?;
    let mean = Predictions::nearest_class_mean(test.rows(), training)?;
    Ok(HierarchyRecovery {
        soft_knn: soft.errors(test.labels())?,
        nearest_class_mean: mean.errors(test.labels())?,
        chance: chance(
            training.labels(),
            training_coarse,
            test.labels(),
            test_coarse,
        ),
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
/// the paper calls random.
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
    let classes = distinct(fine_classes);
    if groups == 0 || groups > classes.len() {
        return Err(EvalError::OutOfRange {
            name: "groups",
            value: groups as f64,
            must_be: "between 1 and the number of fine classes",
        });
    }
    let mut order: Vec<usize> = (0..classes.len()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let mut coarse_of = vec![0; classes.len()];
    for (place, class) in order.into_iter().enumerate() {
        coarse_of[class] = place * groups / classes.len();
    }
    let coarse = |class| coarse_of[classes.partition_point(|c| c < class)];
    Ok(fine_classes.iter().map(coarse).collect())
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
