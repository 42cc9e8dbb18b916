//! Same or not the same? Pairs, a threshold, and the two ways to be wrong.
//!
//! A pair is accepted if its squared distance is below the threshold. FNMR and FMR are the error rates of biometrics: the
//! share of positive pairs that are rejected, and of negative pairs that are accepted.

use serde::{Deserialize, Serialize};

use crate::search::exact_squared_distance;
use crate::{EvalError, Rows};

/// Squared distances of pairs that should match and of pairs that should not, each ascending.
#[derive(Debug, Clone, PartialEq)]
pub struct Pairs {
    positive: Vec<f64>,
    negative: Vec<f64>,
}

/// One threshold of the ROC curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RocPoint {
    /// Pairs below this squared distance are accepted.
    pub threshold: f64,
    /// Share of negative pairs accepted: false match rate, false positive rate.
    pub false_match_rate: f64,
    /// Share of positive pairs accepted: true positive rate, `1 - FNMR`.
    pub true_match_rate: f64,
}

/// A threshold chosen for a wanted precision.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Accept pairs at or below this squared distance.
    pub threshold: f64,
    /// Share of accepted pairs that are positive, at this threshold.
    pub precision: f64,
    /// Share of positive pairs that are accepted, at this threshold.
    pub recall: f64,
}

impl Pairs {
    /// Sorts the squared distances of both kinds.
    ///
    /// # Errors
    /// If a kind is empty or holds a NaN.
    pub fn new(mut positive: Vec<f64>, mut negative: Vec<f64>) -> Result<Self, EvalError> {
        for (what, distances) in [
            ("positive pairs", &mut positive),
            ("negative pairs", &mut negative),
        ] {
            if distances.is_empty() {
                return Err(EvalError::Empty(what));
            }
            if distances.iter().any(|d| d.is_nan()) {
                return Err(EvalError::OutOfRange {
                    name: "distance of a pair",
                    value: f64::NAN,
                    must_be: "a number",
                });
            }
            distances.sort_unstable_by(f64::total_cmp);
        }
        Ok(Self { positive, negative })
    }

    /// Measures the `pairs` of `rows`; a pair is positive if both rows have the same label.
    ///
    /// # Errors
    /// If a pair names a row that is not there, or a kind is empty.
    pub fn from_rows(
        rows: Rows,
        labels: &[usize],
        pairs: &[(usize, usize)],
    ) -> Result<Self, EvalError> {
        crate::labelled::same_count("labels", labels.len(), rows)?;
        crate::labelled::check_finite(rows, crate::Side::Only)?;
        let (mut positive, mut negative) = (Vec::new(), Vec::new());
        for (query, &(a, b)) in pairs.iter().enumerate() {
            if let Some(&row) = [a, b].iter().find(|&&row| row >= rows.len()) {
                return Err(EvalError::BadList {
                    query,
                    row,
                    problem: "is not there",
                });
            }
            let distance = exact_squared_distance(rows.row(a), rows.row(b));
            match labels[a] == labels[b] {
                true => positive.push(distance),
                false => negative.push(distance),
            }
        }
        Self::new(positive, negative)
    }

    /// Share of positive pairs at or above the threshold that lets through a share `fmr` of the negative ones.
    ///
    /// The threshold is the `fmr` quantile of the negative distances, linear between neighbours (OML's definition).
    ///
    /// # Errors
    /// If `fmr` is not in [0, 1].
    ///
    /// # Example
    /// ```
    /// let pairs = lodestone_eval::Pairs::new(vec![1.0, 2.0, 6.0], vec![4.0, 5.0, 8.0])?;
    /// // The median negative is 5: one positive of three is at or beyond it.
    /// assert_eq!(pairs.fnmr_at_fmr(0.5)?, 1.0 / 3.0);
    /// # Ok::<(), lodestone_eval::EvalError>(())
    /// ```
    pub fn fnmr_at_fmr(&self, fmr: f64) -> Result<f64, EvalError> {
        let threshold = quantile(&self.negative, checked_share("fmr", fmr)?);
        let below = self.positive.partition_point(|&d| d < threshold);
        Ok((self.positive.len() - below) as f64 / self.positive.len() as f64)
    }

    /// The ROC curve: one point for each distance that occurs, from nothing accepted to everything accepted.
    pub fn roc(&self) -> Vec<RocPoint> {
        let mut thresholds: Vec<f64> = self
            .positive
            .iter()
            .chain(&self.negative)
            .copied()
            .collect();
        thresholds.push(f64::INFINITY);
        thresholds.sort_unstable_by(f64::total_cmp);
        thresholds.dedup();
        let share = |distances: &[f64], t: f64| {
            distances.partition_point(|&d| d < t) as f64 / distances.len() as f64
        };
        thresholds
            .into_iter()
            .map(|threshold| RocPoint {
                threshold,
                false_match_rate: share(&self.negative, threshold),
                true_match_rate: share(&self.positive, threshold),
            })
            .collect()
    }

    /// Area under the ROC curve: the chance that a positive pair is nearer than a negative one, ties counting half.
    pub fn area_under_roc(&self) -> f64 {
        let wins: f64 = self
            .positive
            .iter()
            .map(|&d| {
                let nearer = self.negative.partition_point(|&n| n < d);
                let level = self.negative.partition_point(|&n| n <= d) - nearer;
                (self.negative.len() - nearer) as f64 - 0.5 * level as f64
            })
            .sum();
        wins / (self.positive.len() as f64 * self.negative.len() as f64)
    }

    /// The largest squared distance at which accepting every pair up to it keeps a precision of at least `precision`, or
    /// `None` if no threshold does.
    ///
    /// Choose it on validation pairs and report [`at_threshold`](Self::at_threshold) of test pairs.
    ///
    /// # Errors
    /// If `precision` is not in [0, 1].
    pub fn threshold_for_precision(
        &self,
        precision: f64,
    ) -> Result<Option<Calibration>, EvalError> {
        checked_share("precision", precision)?;
        // Precision at or above the goal can only end at a positive pair or, if everything is accepted, at the last pair.
        let mut candidates: Vec<f64> = self
            .positive
            .iter()
            .chain(&self.negative)
            .copied()
            .collect();
        candidates.sort_unstable_by(f64::total_cmp);
        candidates.dedup();
        let good = |t: &f64| self.at_threshold(*t).precision >= precision;
        Ok(candidates
            .into_iter()
            .rev()
            .find(good)
            .map(|t| self.at_threshold(t)))
    }

    /// Precision and recall when pairs at or below `threshold` are accepted; precision is 1 if none is.
    pub fn at_threshold(&self, threshold: f64) -> Calibration {
        let hits = self.positive.partition_point(|&d| d <= threshold);
        let accepted = hits + self.negative.partition_point(|&d| d <= threshold);
        Calibration {
            threshold,
            precision: match accepted {
                0 => 1.0,
                _ => hits as f64 / accepted as f64,
            },
            recall: hits as f64 / self.positive.len() as f64,
        }
    }
}

/// What a report says about verification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verification {
    /// Where the pairs come from, in words.
    pub pairs: String,
    /// Pairs of one label on which everything but the calibration is measured.
    pub positive: usize,
    /// Pairs of two labels.
    pub negative: usize,
    /// Area under the ROC curve.
    pub area_under_roc: f64,
    /// FNMR at some FMR: see [`Pairs::fnmr_at_fmr`].
    pub fnmr_at_fmr: Vec<FnmrAtFmr>,
    /// A threshold from other pairs, and what it does on these; absent if it was not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibrated: Option<Calibrated>,
    /// The ROC curve at up to [`Verification::ROC_POINTS`] of its points, both ends among them.
    pub roc: Vec<RocPoint>,
}

/// One point of the trade between the two error rates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FnmrAtFmr {
    /// Share of negative pairs that are let through.
    pub fmr: f64,
    /// Share of positive pairs that are rejected then.
    pub fnmr: f64,
}

/// A threshold for a wanted precision, chosen on validation pairs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibrated {
    /// The precision that was wanted.
    pub wanted_precision: f64,
    /// Threshold, precision and recall on the validation pairs; absent if no threshold reaches the precision.
    pub validation: Option<Calibration>,
    /// The same threshold on the test pairs.
    pub test: Option<Calibration>,
}

impl Verification {
    /// Most points of the ROC curve that are kept.
    pub const ROC_POINTS: usize = 201;

    /// Measures `test` pairs, and if `precision` is wanted a threshold chosen on `validation` pairs.
    ///
    /// # Errors
    /// If an FMR or the precision is not in [0, 1].
    pub fn new(
        pairs: String,
        test: &Pairs,
        fmrs: &[f64],
        precision: Option<(f64, &Pairs)>,
    ) -> Result<Self, EvalError> {
        let fnmr_at_fmr = fmrs
            .iter()
            .map(|&fmr| test.fnmr_at_fmr(fmr).map(|fnmr| FnmrAtFmr { fmr, fnmr }))
            .collect::<Result<_, _>>()?;
        let calibrated = match precision {
            Some((wanted_precision, validation)) => {
                let validation = validation.threshold_for_precision(wanted_precision)?;
                Some(Calibrated {
                    wanted_precision,
                    validation,
                    test: validation.map(|v| test.at_threshold(v.threshold)),
                })
            }
            None => None,
        };
        Ok(Self {
            pairs,
            positive: test.positive.len(),
            negative: test.negative.len(),
            area_under_roc: test.area_under_roc(),
            fnmr_at_fmr,
            calibrated,
            roc: thinned(test.roc(), Self::ROC_POINTS),
        })
    }
}

/// At most `most` of the points, evenly, the first and the last among them; the last threshold, infinity, becomes the largest
/// number, since JSON has no infinity.
fn thinned(points: Vec<RocPoint>, most: usize) -> Vec<RocPoint> {
    let last = points.len() - 1;
    let kept = most.min(points.len());
    (0..kept)
        .map(|i| {
            let mut point = points[i * last / (kept - 1).max(1)];
            point.threshold = point.threshold.min(f64::MAX);
            point
        })
        .collect()
}

fn checked_share(name: &'static str, value: f64) -> Result<f64, EvalError> {
    match (0.0..=1.0).contains(&value) {
        true => Ok(value),
        false => Err(EvalError::OutOfRange {
            name,
            value,
            must_be: "between 0 and 1",
        }),
    }
}

/// The value below which a share `q` of the ascending `sorted` lies, linear between neighbours.
pub(crate) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let place = q * (sorted.len() - 1) as f64;
    let (below, above) = (
        sorted[place.floor() as usize],
        sorted[place.ceil() as usize],
    );
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(positive: &[f64], negative: &[f64]) -> Pairs {
        Pairs::new(positive.to_vec(), negative.to_vec()).unwrap()
    }

    #[test]
    fn the_threshold_is_a_linear_quantile_of_the_negatives() {
        let pairs = pairs(&[0.1, 0.3, 0.5, 0.9], &[0.8, 0.4, 0.6, 1.0]);
        for (fmr, fnmr) in [
            (0.0, 0.5),        // t = 0.4: 0.5 and 0.9 are rejected
            (0.5, 0.25),       // t = 0.7
            (1.0, 0.0),        // t = 1.0
            (1.0 / 3.0, 0.25), // t = 0.6
        ] {
            assert_eq!(pairs.fnmr_at_fmr(fmr).unwrap(), fnmr, "{fmr}");
        }
        assert!(pairs.fnmr_at_fmr(1.1).is_err());
    }

    #[test]
    fn the_curve_runs_from_nothing_to_everything() {
        let pairs = pairs(&[1.0, 2.0, 3.0], &[2.0, 4.0]);
        let roc = pairs.roc();
        let points: Vec<_> = roc
            .iter()
            .map(|p| (p.false_match_rate, p.true_match_rate))
            .collect();
        let third = 1.0 / 3.0;
        assert_eq!(
            points,
            [
                (0.0, 0.0),
                (0.0, third),
                (0.5, 2.0 * third),
                (0.5, 1.0),
                (1.0, 1.0)
            ]
        );
        // Of six comparisons the positive is nearer in four, level in one: 4.5 / 6.
        assert_eq!(pairs.area_under_roc(), 0.75);
    }

    #[test]
    fn a_wanted_precision_takes_the_largest_threshold_that_has_it() {
        let validation = pairs(&[1.0, 2.0, 4.0], &[3.0, 5.0]);
        for (precision, expected) in [
            (1.0, Some((2.0, 2.0 / 3.0))),
            (0.75, Some((4.0, 1.0))),
            (0.6, Some((5.0, 1.0))),
        ] {
            let found = validation.threshold_for_precision(precision).unwrap();
            assert_eq!(
                found.map(|c| (c.threshold, c.recall)),
                expected,
                "{precision}"
            );
        }
        let hopeless = pairs(&[9.0], &[1.0]);
        assert_eq!(hopeless.threshold_for_precision(0.9).unwrap(), None);
    }

    #[test]
    fn a_threshold_from_other_pairs_is_tested() {
        let validation = pairs(&[1.0, 2.0, 4.0], &[3.0, 5.0]);
        let test = pairs(&[1.5, 3.0], &[1.8, 9.0]);
        let report =
            Verification::new("two files".into(), &test, &[0.5], Some((1.0, &validation))).unwrap();
        let calibrated = report.calibrated.unwrap();
        assert_eq!(calibrated.validation.unwrap().threshold, 2.0);
        // Of the test pairs 1.5 and 1.8 are at or below 2: one of two is right, one of two positives is found.
        let tested = calibrated.test.unwrap();
        assert_eq!((tested.precision, tested.recall), (0.5, 0.5));
        assert_eq!((report.positive, report.negative), (2, 2));
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Verification>(&json).unwrap(), report);
    }

    #[test]
    fn a_long_curve_is_thinned_and_keeps_its_ends() {
        let distances = |from: usize| (from..2000).map(|i| i as f64).collect::<Vec<_>>();
        let roc = thinned(pairs(&distances(0), &distances(500)).roc(), 11);
        assert_eq!(roc.len(), 11);
        assert_eq!(
            (roc[0].false_match_rate, roc[0].true_match_rate),
            (0.0, 0.0)
        );
        assert_eq!(
            (roc[10].false_match_rate, roc[10].true_match_rate),
            (1.0, 1.0)
        );
        assert!(roc.is_sorted_by(|a, b| a.threshold < b.threshold));
    }

    #[test]
    fn pairs_of_rows_split_by_label() {
        let rows = Rows::new(&[0.0, 3.0, 4.0], 1).unwrap();
        let measured = Pairs::from_rows(rows, &[1, 1, 2], &[(0, 1), (0, 2), (1, 2)]).unwrap();
        assert_eq!(measured, pairs(&[9.0], &[16.0, 1.0]));
        assert!(Pairs::from_rows(rows, &[1, 1, 2], &[(0, 1)]).is_err());
        assert!(Pairs::from_rows(rows, &[1, 1, 2], &[(0, 3)]).is_err());
        assert!(Pairs::new(vec![f64::NAN], vec![1.0]).is_err());
    }
}
