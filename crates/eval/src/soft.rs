//! Classes by the nearest points: kNC over cluster centres, soft kNN over training rows.
//!
//! Rippel et al., *Metric Learning with Adaptive Density Discrimination*, ICLR 2016: with the L nearest points `p_l` of
//! classes `C(p_l)`,
//!
//! ```text
//! score(c | x) = Σ_{l ≤ L, C(p_l) = c} exp(-‖x - p_l‖² / 2σ²) / Σ_{l ≤ L} exp(-‖x - p_l‖² / 2σ²)
//! ```
//!
//! The distance is squared and σ² is a variance. Scores are compared as logarithms, so that a query far from everything still
//! has an order among its classes instead of a tie of zeros.

use serde::{Deserialize, Serialize};

use crate::labelled::{class_means, same_count};
use crate::nearest::Neighbour;
use crate::predictions::{KEPT, Predictions};
use crate::visibility::Hidden;
use crate::{EvalError, Labelled, Rows, Search, unit_rows};

/// How many points vote, and how fast a vote fades with distance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SoftVote {
    /// L (or k): the nearest points that vote. More than there are means all.
    pub nearest: usize,
    /// σ²: a variance, in the unit of squared distances, greater than 0.
    pub variance: f64,
}

impl SoftVote {
    /// 128 voters, as the paper's followers use.
    pub fn new(variance: f64) -> Self {
        Self {
            nearest: 128,
            variance,
        }
    }

    fn check(&self) -> Result<(), EvalError> {
        match self.variance > 0.0 && self.variance.is_finite() {
            true => Ok(()),
            false => Err(EvalError::OutOfRange {
                name: "variance",
                value: self.variance,
                must_be: "above 0 and finite",
            }),
        }
    }
}

/// A class and its share of the votes for one query.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClassScore {
    /// The class.
    pub class: usize,
    /// Natural logarithm of the probability; stays finite where that underflows.
    pub log_probability: f64,
}

impl ClassScore {
    /// The share of the votes, in [0, 1].
    pub fn probability(&self) -> f64 {
        self.log_probability.exp()
    }
}

impl Search<'_> {
    /// Classes of each query by the soft vote of its nearest gallery rows, best first; classes without a voter are absent.
    ///
    /// With cluster centres as gallery this is kNC, with training rows soft kNN.
    ///
    /// # Shapes
    /// - classes: `[gallery]`, the class of each gallery row
    ///
    /// # Errors
    /// If `classes` has another length, the variance is not above 0, or `nearest` is 0.
    ///
    /// # Example
    /// ```
    /// use lodestone_eval::{Rows, Search, SoftVote};
    ///
    /// let centres = Rows::new(&[0.0, 0.0, 0.0, 4.0, 3.0, 0.0, 9.0, 9.0], 2).unwrap();
    /// let query = Rows::new(&[1.4, 0.0], 2).unwrap();
    /// let vote = SoftVote { nearest: 2, variance: 2.0 };
    /// let scores = Search::between(query, centres)?.soft_vote(&[0, 0, 1, 2], vote)?;
    /// // exp(-1.96/4) against exp(-2.56/4).
    /// assert_eq!(scores[0][0].class, 0);
    /// assert!((scores[0][0].probability() - 0.537430).abs() < 1e-6);
    /// assert!((scores[0][1].probability() - 0.462570).abs() < 1e-6);
    /// # Ok::<(), lodestone_eval::EvalError>(())
    /// ```
    pub fn soft_vote(
        &self,
        classes: &[usize],
        vote: SoftVote,
    ) -> Result<Vec<Vec<ClassScore>>, EvalError> {
        same_count("classes", classes.len(), self.gallery())?;
        vote.check()?;
        let most = vote.nearest.min(classes.len()) * size_of::<ClassScore>();
        let bytes = (most + size_of::<Vec<ClassScore>>()) as f64;
        self.nearest_map(vote.nearest, bytes, |_, neighbours| {
            class_scores(neighbours, classes, vote.variance)
        })
    }
}

/// The vote of `neighbours`, which are in rank order.
fn class_scores(neighbours: &[Neighbour], classes: &[usize], variance: f64) -> Vec<ClassScore> {
    let mut votes: Vec<(usize, f64)> = neighbours
        .iter()
        .map(|n| (classes[n.row], -n.squared_distance / (2.0 * variance)))
        .collect();
    // Stable, so that within a class the nearest voter, which has the largest exponent, stays first.
    votes.sort_by_key(|&(class, _)| class);
    let total = log_sum_exp(
        neighbours
            .iter()
            .map(|n| -n.squared_distance / (2.0 * variance)),
    );
    let mut scores: Vec<ClassScore> = votes
        .chunk_by(|a, b| a.0 == b.0)
        .map(|votes| ClassScore {
            class: votes[0].0,
            log_probability: log_sum_exp(votes.iter().map(|v| v.1)) - total,
        })
        .collect();
    // Stable again: equal scores stay in the order of their classes.
    scores.sort_by(|a, b| b.log_probability.total_cmp(&a.log_probability));
    scores
}

/// `ln Σ exp(x)` of values whose first is the largest.
fn log_sum_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let Some(largest) = values.clone().next() else {
        return f64::NEG_INFINITY;
    };
    largest + values.map(|x| (x - largest).exp()).sum::<f64>().ln()
}

impl Predictions {
    /// kNC if the gallery of `search` holds cluster centres, soft kNN if it holds training rows: see [`Search::soft_vote`].
    ///
    /// # Errors
    /// As [`Search::soft_vote`].
    pub fn soft_vote(
        search: &Search,
        classes: &[usize],
        vote: SoftVote,
    ) -> Result<Self, EvalError> {
        Ok(Self::soft_vote_and_nearest(search, classes, vote)?.0)
    }

    /// The vote, and the class of the single nearest row, from one walk over the gallery.
    ///
    /// # Errors
    /// As [`Search::soft_vote`].
    pub fn soft_vote_and_nearest(
        search: &Search,
        classes: &[usize],
        vote: SoftVote,
    ) -> Result<(Self, Self), EvalError> {
        same_count("classes", classes.len(), search.gallery())?;
        vote.check()?;
        // Only the best classes are kept, not a score for each voter.
        let bytes = (2 * size_of::<Vec<usize>>() + (KEPT + 1) * size_of::<usize>()) as f64;
        let best = search.nearest_map(vote.nearest, bytes, |_, neighbours| {
            let scores = class_scores(neighbours, classes, vote.variance);
            let voted: Vec<usize> = scores.iter().take(KEPT).map(|s| s.class).collect();
            let nearest: Vec<usize> = neighbours.iter().take(1).map(|n| classes[n.row]).collect();
            (voted, nearest)
        })?;
        let (voted, nearest) = best.into_iter().unzip();
        Ok((Self { ranked: voted }, Self { ranked: nearest }))
    }

    /// The class of the single nearest gallery row.
    ///
    /// # Errors
    /// If `classes` has not one entry a gallery row.
    pub fn nearest_neighbour(search: &Search, classes: &[usize]) -> Result<Self, EvalError> {
        same_count("classes", classes.len(), search.gallery())?;
        let bytes = size_of::<Vec<usize>>() as f64 + 8.0;
        let ranked = search.nearest_map(1, bytes, |_, neighbours| {
            neighbours.iter().map(|n| classes[n.row]).collect()
        })?;
        Ok(Self { ranked })
    }

    /// Classes in the order of their nearest centre: no variance, no vote.
    ///
    /// # Errors
    /// If the dimensions differ or a value is not finite.
    pub fn nearest_centre(queries: Rows, centres: Labelled) -> Result<Self, EvalError> {
        // In the order of their classes, the lower of two equally near rows belongs to the lower class.
        let mut order: Vec<usize> = (0..centres.len()).collect();
        order.sort_by_key(|&i| centres.labels()[i]);
        let classes: Vec<usize> = order.iter().map(|&i| centres.labels()[i]).collect();
        let values: Vec<f32> = order
            .iter()
            .flat_map(|&i| centres.rows().row(i))
            .copied()
            .collect();
        let rows =
            Rows::new(&values, centres.rows().dim()).map_err(|_| EvalError::Empty("centres"))?;
        let most = classes.chunk_by(|a, b| a == b).map(<[_]>::len).max();
        // Four classes fill at most four times the largest class, so one centre more meets a fifth.
        let enough = (KEPT - 1) * most.unwrap_or(1) + 1;
        let bytes = (size_of::<Vec<usize>>() + KEPT * size_of::<usize>()) as f64;
        let ranked =
            Search::between(queries, rows)?.nearest_map(enough, bytes, |_, neighbours| {
                let mut best: Vec<usize> = Vec::with_capacity(KEPT);
                for class in neighbours.iter().map(|n| classes[n.row]) {
                    if best.len() < KEPT && !best.contains(&class) {
                        best.push(class);
                    }
                }
                best
            })?;
        Ok(Self { ranked })
    }

    /// Classes in the order of the distance to the mean of their gallery rows, of those that the query may see: a row with both
    /// roles takes no part in the mean that it is compared with.
    ///
    /// # Errors
    /// If `classes` has not one entry a gallery row.
    ///
    /// # Example
    /// ```
    /// use lodestone_eval::{Predictions, Rows, Search, Visibility};
    ///
    /// let gallery = Rows::new(&[0.0, 6.0, 2.0, 3.5], 1).unwrap();
    /// let query = Rows::new(&[2.0], 1).unwrap();
    /// let search = Search::between(query, gallery)?;
    /// // Means 3 and 2.75: class 1 is nearer, until the query is known to be its row 2.
    /// assert_eq!(Predictions::nearest_class_mean(&search, &[0, 0, 1, 1])?.ranked(), [[1, 0]]);
    /// let search = search.with_visibility(Visibility::own_rows(&[Some(2)]))?;
    /// assert_eq!(Predictions::nearest_class_mean(&search, &[0, 0, 1, 1])?.ranked(), [[0, 1]]);
    /// # Ok::<(), lodestone_eval::EvalError>(())
    /// ```
    pub fn nearest_class_mean(search: &Search, classes: &[usize]) -> Result<Self, EvalError> {
        Self::nearest_mean(search, classes, false)
    }

    /// The same with means that are scaled to length 1: on unit rows, the order of cosine distance. A class of which the query sees
    /// only rows that cancel out is left out.
    ///
    /// # Errors
    /// As [`nearest_class_mean`](Self::nearest_class_mean), and [`EvalError::NoDirection`] if the mean of a whole class is zero.
    pub(crate) fn nearest_class_direction(
        search: &Search,
        classes: &[usize],
    ) -> Result<Self, EvalError> {
        Self::nearest_mean(search, classes, true)
    }

    fn nearest_mean(search: &Search, classes: &[usize], unit: bool) -> Result<Self, EvalError> {
        let gallery = Labelled::from_rows(search.gallery(), classes)?;
        let hidden = Hidden::new(search.visibility());
        let (names, means) = class_means(gallery);
        let place = |row: usize| names.partition_point(|&class| class < classes[row]);
        let dim = gallery.rows().dim();
        let compared = |means: Vec<f32>| match unit {
            true => {
                let rows = Rows::new(&means, dim).map_err(|_| EvalError::Empty("means"))?;
                unit_rows(rows)
            }
            false => Ok(means),
        };
        let narrowed = compared(means.iter().map(|&x| x as f32).collect())?;
        let rows = Rows::new(&narrowed, dim).map_err(|_| EvalError::Empty("means"))?;
        let mut sizes = vec![0_usize; names.len()];
        (0..classes.len()).for_each(|row| sizes[place(row)] += 1);

        // Means that a query sees whole are found for all queries at once; the few that lose rows to it are looked at one by one.
        let lost = (0..search.queries().len()).map(|query| {
            let mut lost: Vec<usize> = hidden.of(query).into_iter().map(place).collect();
            lost.sort_unstable();
            lost.dedup();
            lost
        });
        let lost: Vec<Vec<usize>> = lost.collect();
        let most = lost.iter().map(Vec::len).max().unwrap_or(0);
        let whole = search.against(rows)?.nearest(KEPT + most)?;
        let one = |query: usize| {
            let kept = whole[query]
                .iter()
                .filter(|mean| !lost[query].contains(&mean.row));
            let mut best: Vec<(f64, usize)> =
                kept.map(|mean| (mean.squared_distance, mean.row)).collect();
            let unseen = hidden.of(query);
            for &class in &lost[query] {
                let gone: Vec<usize> = unseen
                    .iter()
                    .copied()
                    .filter(|&row| place(row) == class)
                    .collect();
                let left = sizes[class] - gone.len();
                if left == 0 {
                    continue;
                }
                let mean = |at: usize| {
                    let taken: f64 = gone
                        .iter()
                        .map(|&row| f64::from(gallery.rows().row(row)[at]))
                        .sum();
                    ((means[class * dim + at] * sizes[class] as f64 - taken) / left as f64) as f32
                };
                let Ok(mean) = compared((0..dim).map(mean).collect()) else {
                    continue;
                };
                let pairs = search.queries().row(query).iter().zip(&mean);
                let square = |(&x, &m): (&f32, &f32)| (f64::from(x) - f64::from(m)).powi(2);
                best.push((pairs.map(square).sum(), class));
            }
            best.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            best.iter()
                .take(KEPT)
                .map(|&(_, class)| names[class])
                .collect()
        };
        Ok(Self {
            ranked: (0..whole.len()).map(one).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Visibility;

    const CENTRES: [f32; 8] = [0.0, 0.0, 0.0, 4.0, 3.0, 0.0, 9.0, 9.0];

    fn rows(values: &[f32], dim: usize) -> Rows<'_> {
        Rows::new(values, dim).unwrap()
    }

    /// By hand: squared distances of (1.4, 0) are 1.96, 17.96, 2.56 and 138.76, each over 2σ² = 4.
    #[test]
    fn the_vote_sums_squared_distances_by_class() {
        let query = [1.4, 0.0];
        let search = Search::between(rows(&query, 2), rows(&CENTRES, 2)).unwrap();
        for (nearest, expected) in [
            (1, [1.0, 0.0, 0.0]),
            (2, [0.537430, 0.462570, 0.0]),
            (3, [0.541939, 0.458061, 0.0]),
            (128, [0.541939, 0.458061, 0.0]),
        ] {
            let vote = SoftVote {
                nearest,
                variance: 2.0,
            };
            let scores = search.soft_vote(&[0, 0, 1, 2], vote).unwrap();
            for (class, expected) in expected.into_iter().enumerate() {
                let score = scores[0].iter().find(|s| s.class == class);
                let probability = score.map_or(0.0, ClassScore::probability);
                assert!(
                    (probability - expected).abs() < 1e-6,
                    "L = {nearest}, class {class}: {probability}"
                );
            }
        }
    }

    #[test]
    fn far_queries_keep_an_order_and_ties_go_to_the_lower_class() {
        let query = [1e4, 0.0];
        let search = Search::between(rows(&query, 2), rows(&CENTRES, 2)).unwrap();
        let scores = search
            .soft_vote(&[5, 4, 3, 1], SoftVote::new(1e-3))
            .unwrap();
        // Nearest is (9, 9), then (3, 0), (0, 0), (0, 4); all but the first underflow as plain numbers.
        let order: Vec<usize> = scores[0].iter().map(|s| s.class).collect();
        assert_eq!(order, [1, 3, 5, 4]);
        assert!(scores[0].iter().all(|s| s.log_probability.is_finite()));

        let between = [1.5, 0.0];
        let search = Search::between(rows(&between, 2), rows(&CENTRES, 2)).unwrap();
        let vote = SoftVote {
            nearest: 3,
            variance: 1.0,
        };
        let ranked = Predictions::soft_vote(&search, &[8, 9, 7, 7], vote).unwrap();
        assert_eq!(ranked.ranked(), [[7, 8, 9]]);
    }

    #[test]
    fn a_variance_without_meaning_is_refused() {
        let search = Search::between(rows(&CENTRES, 2), rows(&CENTRES, 2)).unwrap();
        for variance in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = search
                .soft_vote(&[0; 4], SoftVote::new(variance))
                .unwrap_err();
            assert!(error.to_string().starts_with("variance is"), "{error}");
        }
    }

    #[test]
    fn the_nearest_of_several_centres_decides_and_a_tie_takes_the_lower_class() {
        let centres = Labelled::new(&CENTRES, 2, &[2, 1, 0, 2]).unwrap();
        let queries = [1.4, 0.0, 0.0, 2.0, 8.0, 8.0, 3.0, 4.5];
        let predictions = Predictions::nearest_centre(rows(&queries, 2), centres).unwrap();
        assert_eq!(
            predictions.ranked(),
            [[2, 0, 1], [1, 2, 0], [2, 1, 0], [1, 0, 2]]
        );
    }

    #[test]
    fn more_centres_a_class_still_give_five_classes() {
        let values: Vec<f32> = (0..40).map(|i| i as f32).collect();
        let labels: Vec<usize> = (0..40).map(|i| i / 5).collect();
        let centres = Labelled::new(&values, 1, &labels).unwrap();
        let predictions = Predictions::nearest_centre(rows(&[-1.0, 39.0], 1), centres).unwrap();
        assert_eq!(predictions.ranked(), [[0, 1, 2, 3, 4], [7, 6, 5, 4, 3]]);
    }

    /// Means as plain loops, of the rows that are seen.
    #[test]
    fn a_class_mean_leaves_out_what_the_query_may_not_see() {
        let values: Vec<f32> = (0..60).map(|i| ((i * 37) % 61) as f32 * 0.1).collect();
        let labels: Vec<usize> = (0..30).map(|i| [7, 2, 9, 4, 5, 11, 3][i * 3 % 7]).collect();
        let sequences: Vec<usize> = (0..30).map(|i| i / 4).collect();
        let table = rows(&values, 2);
        for visibility in [
            Visibility::leave_one_out(),
            Visibility::leave_one_out().without_own_sequence(&sequences, &sequences),
        ] {
            let search = Search::leave_one_out(table).unwrap();
            let search = search.with_visibility(visibility).unwrap();
            let found = Predictions::nearest_class_mean(&search, &labels).unwrap();
            for query in 0..30 {
                let mut best = Vec::new();
                for class in [2, 3, 4, 5, 7, 9, 11] {
                    let seen: Vec<usize> = (0..30)
                        .filter(|&row| labels[row] == class && !visibility.hides(query, row))
                        .collect();
                    if seen.is_empty() {
                        continue;
                    }
                    let squared: f64 = (0..2)
                        .map(|at| {
                            let sum: f64 = seen.iter().map(|&r| f64::from(table.row(r)[at])).sum();
                            let mean = (sum / seen.len() as f64) as f32;
                            (f64::from(table.row(query)[at]) - f64::from(mean)).powi(2)
                        })
                        .sum();
                    best.push((squared, class));
                }
                best.sort_by(|a, b| a.partial_cmp(b).unwrap());
                let best: Vec<usize> = best.iter().take(5).map(|b| b.1).collect();
                assert_eq!(found.ranked()[query], best, "row {query}, {visibility:?}");
            }
        }
    }

    #[test]
    fn class_means_classify() {
        let (values, labels) = ([0.0, 2.0, 10.0, 12.0, 5.0], [1, 1, 2, 2, 4]);
        let queries = [2.9, 3.0, 8.1];
        let search = Search::between(rows(&queries, 1), rows(&values, 1)).unwrap();
        let predictions = Predictions::nearest_class_mean(&search, &labels);
        // Means 1, 11 and 5; 3.0 is 2 from both 1 and 5.
        assert_eq!(
            predictions.unwrap().ranked(),
            [[1, 4, 2], [1, 4, 2], [2, 4, 1]]
        );
        let training = Labelled::new(&values, 1, &labels).unwrap();
        assert_eq!(training.within_class_variance(), 1.0);
    }
}
