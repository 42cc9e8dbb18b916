//! Known or not? Photographs of classes that a gallery has, and of classes that it has not, by the distance to what is nearest.
//!
//! A threshold on that distance is chosen on one half of the photographs and tried on the other, and the other way round: of the
//! known every second photograph, of the unknown every second class, so that no class helps to choose the threshold that it is
//! judged by.

use rand::RngExt;

use crate::labelled::{distinct, same_count};
use crate::{Bootstrap, EvalError, Labelled, Measure, Pairs, Report, Rows, Search};

/// Squared distances to the nearest row of a gallery, with the class of each photograph.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Unknowns {
    /// Photographs of classes that the gallery has.
    pub known: Vec<(usize, f64)>,
    /// Photographs of other classes.
    pub unknown: Vec<(usize, f64)>,
}

impl Unknowns {
    /// The precision at which unknown photographs are told from known ones if nothing else is asked for.
    pub const PRECISION: f64 = 0.95;

    /// Measures how far each of the `queries` is from the nearest row of `gallery`. `seen` says of each whether the gallery has its
    /// class, `[queries]`.
    ///
    /// # Errors
    /// If the queries and `seen` differ in number, or queries and gallery in dimensions.
    pub fn of(queries: Labelled<'_>, seen: &[bool], gallery: Rows<'_>) -> Result<Self, EvalError> {
        same_count("marks of known rows", seen.len(), queries.rows())?;
        let nearest = Search::between(queries.rows(), gallery)?.nearest(1)?;
        let mut distances = Self::default();
        for (query, found) in nearest.iter().enumerate() {
            let Some(found) = found.first() else { continue };
            let side = match seen[query] {
                true => &mut distances.known,
                false => &mut distances.unknown,
            };
            side.push((queries.labels()[query], found.squared_distance));
        }
        Ok(distances)
    }
}

/// Whether each photograph is accepted as known, by the threshold of the other half.
struct Accepted {
    known: Vec<(usize, bool)>,
    unknown: Vec<(usize, bool)>,
}

/// Shares of known and of unknown photographs that are accepted.
#[derive(Clone, Copy)]
struct Shares {
    known: f64,
    unknown: f64,
}

impl Shares {
    /// The share of what is accepted that is known, if as many unknown as known photographs come; 1 if nothing is accepted.
    fn precision(self) -> f64 {
        match self.known + self.unknown {
            0.0 => 1.0,
            accepted => self.known / accepted,
        }
    }
}

impl Report {
    /// Adds how well a threshold tells known photographs from unknown ones, each with 95 % intervals over photographs and over
    /// classes: `unknown_false_accept_rate` (unknown ones that are accepted), `unknown_false_reject_rate` (known ones that are
    /// not) and `unknown_precision`, the share of those accepted that is known if as many unknown as known ones come. The
    /// threshold is the largest that has the precision `wanted` on the half that it is not tried on.
    ///
    /// Adds nothing where a side has fewer than two classes, or no threshold has the precision.
    ///
    /// # Errors
    /// If `wanted` is not in [0, 1], a distance is NaN, or there is no resample.
    ///
    /// # Example
    /// ```
    /// use lodestone_eval::{Bootstrap, RankingDistance, Mode, Report, Setting, Unknowns};
    ///
    /// let known = (0..40).map(|i| (i % 4, f64::from(i as u32))).collect();
    /// let unknown = (0..40).map(|i| (4 + i % 4, f64::from(30 + i as u32))).collect();
    /// let mut report = Report::new(Setting {
    ///     mode: Mode::LeaveOneOut, distance: RankingDistance::SquaredEuclidean, dim: 1,
    ///     queries: 80, gallery: 80, classes: 8, n_lone: 0,
    /// });
    /// report.add_unknowns(&Unknowns { known, unknown }, 0.95, Bootstrap::new(0))?;
    /// let value = |name: &str| report.measures[name].value.unwrap();
    /// // Unknown ones begin at 30: the 11 known ones that lie beyond 28 or 29 are rejected with them.
    /// assert_eq!(value("unknown_precision"), 1.0);
    /// assert_eq!(value("unknown_false_reject_rate"), 11.0 / 40.0);
    /// # Ok::<(), lodestone_eval::EvalError>(())
    /// ```
    pub fn add_unknowns(
        &mut self,
        distances: &Unknowns,
        wanted: f64,
        bootstrap: Bootstrap,
    ) -> Result<(), EvalError> {
        let Some(accepted) = distances.accepted(wanted)? else {
            return Ok(());
        };
        let [known, unknown] = [&accepted.known, &accepted.unknown];
        let photographs = |list: &[(usize, bool)]| -> Vec<Vec<bool>> {
            list.iter().map(|&(_, accepted)| vec![accepted]).collect()
        };
        let classes = |list: &[(usize, bool)]| -> Vec<Vec<bool>> {
            let names: Vec<usize> = list.iter().map(|&(class, _)| class).collect();
            let of = |class: usize| {
                let own = list.iter().filter(move |&&(other, _)| other == class);
                own.map(|&(_, accepted)| accepted).collect()
            };
            distinct(&names).into_iter().map(of).collect()
        };
        let by_photograph = [photographs(known), photographs(unknown)];
        let by_class = [classes(known), classes(unknown)];
        type Number = fn(Shares) -> f64;
        let numbers: [(&str, Number, usize); 3] = [
            ("unknown_false_accept_rate", |s| s.unknown, unknown.len()),
            ("unknown_false_reject_rate", |s| 1.0 - s.known, known.len()),
            (
                "unknown_precision",
                Shares::precision,
                known.len() + unknown.len(),
            ),
        ];
        for (name, number, count) in numbers {
            let interval = |groups: &[Vec<Vec<bool>>; 2]| {
                bootstrap.interval_of(|random| {
                    let [known, unknown] = groups.each_ref().map(|groups| {
                        let drawn = (0..groups.len())
                            .flat_map(|_| &groups[random.random_range(0..groups.len())]);
                        share(drawn)
                    });
                    number(Shares { known, unknown })
                })
            };
            let [known, unknown] = by_photograph
                .each_ref()
                .map(|all| share(all.iter().flatten()));
            let measure = Measure {
                value: Some(number(Shares { known, unknown })),
                count,
                interval: Some(interval(&by_photograph)?),
                interval_over_classes: Some(interval(&by_class)?),
                vote: None,
            };
            self.measures.insert(name.to_owned(), measure);
        }
        self.note("unknown_wanted_precision", wanted);
        Ok(())
    }
}

fn share<'a>(accepted: impl Iterator<Item = &'a bool>) -> f64 {
    let (mut hits, mut all) = (0.0, 0.0_f64);
    for &yes in accepted {
        hits += f64::from(u8::from(yes));
        all += 1.0;
    }
    hits / all.max(1.0)
}

impl Unknowns {
    fn accepted(&self, wanted: f64) -> Result<Option<Accepted>, EvalError> {
        let classes = distinct(
            &self
                .unknown
                .iter()
                .map(|&(class, _)| class)
                .collect::<Vec<_>>(),
        );
        if self.known.len() < 2 || classes.len() < 2 {
            return Ok(None);
        }
        let half_of = |class: usize| classes.partition_point(|&other| other < class) % 2;
        let mut accepted = Accepted {
            known: Vec::new(),
            unknown: Vec::new(),
        };
        for chosen_on in [0, 1] {
            let known = self.known.iter().skip(chosen_on).step_by(2);
            let known: Vec<f64> = known.map(|&(_, distance)| distance).collect();
            let unknown = self.unknown.iter();
            let unknown = unknown.filter(|&&(class, _)| half_of(class) == chosen_on);
            let unknown: Vec<f64> = unknown.map(|&(_, distance)| distance).collect();
            let Some(threshold) = balanced(known, unknown)?.threshold_for_precision(wanted)? else {
                return Ok(None);
            };
            let below =
                |&(class, distance): &(usize, f64)| (class, distance <= threshold.threshold);
            let tried = self.known.iter().skip(1 - chosen_on).step_by(2);
            accepted.known.extend(tried.map(below));
            let tried = self.unknown.iter();
            let tried = tried.filter(|&&(class, _)| half_of(class) != chosen_on);
            accepted.unknown.extend(tried.map(below));
        }
        Ok(Some(accepted))
    }
}

/// As many distances of either kind, evenly taken of the kind that has more, so that precision is that of equal numbers.
///
/// # Errors
/// If a kind is empty or holds a NaN.
pub fn balanced(known: Vec<f64>, unknown: Vec<f64>) -> Result<Pairs, EvalError> {
    let count = known.len().min(unknown.len());
    let thinned = |mut distances: Vec<f64>| -> Vec<f64> {
        distances.sort_unstable_by(f64::total_cmp);
        let all = distances.len();
        (0..count)
            .map(|place| distances[place * all / count])
            .collect()
    };
    Pairs::new(thinned(known), thinned(unknown))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::report::tests::report;

    /// Known photographs at 0 to 1 from what is nearest; of an unknown class all at one distance from 0.5 to 2.5.
    fn drawn(seed: u64) -> Unknowns {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let known = (0..600)
            .map(|row| (row % 20, random.random::<f64>()))
            .collect();
        let unknown = (0..900).map(|row| (20 + row % 30, 0.5 + (row % 30) as f64 / 15.0));
        Unknowns {
            known,
            unknown: unknown.collect(),
        }
    }

    #[test]
    fn the_wanted_precision_is_within_the_interval_on_photographs_that_did_not_choose() {
        for seed in 0..4 {
            let mut report = report();
            report
                .add_unknowns(&drawn(seed), 0.9, Bootstrap::new(1))
                .unwrap();
            let precision = report.measures["unknown_precision"];
            let [low, high] = precision.interval_over_classes.unwrap();
            assert!(low <= 0.9 && 0.9 <= high, "{precision:?}");
            // Whole classes move the number more than single photographs of them.
            let [narrow, wide] = precision.interval.unwrap();
            assert!(low < narrow && wide < high + 1e-9, "{precision:?}");
            assert_eq!(precision.count, 1500);
            assert_eq!(report.measures["unknown_false_accept_rate"].count, 900);
        }
    }

    #[test]
    fn precision_is_that_of_equal_numbers() {
        let pairs = balanced(vec![1.0, 2.0], vec![1.5, 3.0, 4.0, 5.0, 6.0, 7.0]).unwrap();
        // 1.5 and 5 are left of the unknown ones.
        assert_eq!(pairs.at_threshold(2.0).precision, 2.0 / 3.0);
        assert!(balanced(vec![1.0], Vec::new()).is_err());
    }

    #[test]
    fn a_side_that_cannot_be_halved_says_nothing() {
        let mut report = report();
        let mut one = drawn(0);
        one.unknown.retain(|&(class, _)| class == 20);
        report.add_unknowns(&one, 0.9, Bootstrap::new(1)).unwrap();
        assert!(report.measures.is_empty());
    }
}
