//! The rules that any embedding can be judged by, once more in cosine distance, and what they say of each query.
//!
//! The nearest neighbour, MAP@R and the nearest class mean need nothing of the loss, so losses can be compared by them. A loss
//! that does not normalise is ranked by Euclidean distance, one that does by cosine; in cosine all are asked the same.

use crate::evaluate::resample;
use crate::{
    Bootstrap, Convention, Depth, EvalError, Predictions, RankingMetric, Report, Retrieval,
    RetrievalConfig, Rows, Search, Side, unit_rows,
};

/// Key of the nearest class mean, of which the cosine form exists where the plain one does.
const CLASS_MEAN: &str = "nearest_class_mean_error_at_1";

/// What the rules that any embedding can be judged by say of one query; nothing where they have no answer.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct QueryOutcome {
    /// Whether the nearest row is of the query's class; absent for a lone query.
    pub nearest_neighbour: Option<bool>,
    /// `1/R Σ_{i ≤ R} rel_i P(i)`; absent for a lone query.
    pub map_at_r: Option<f64>,
    /// Whether the nearest class mean is that of the query's class; absent where no class means are asked.
    pub nearest_class_mean: Option<bool>,
}

impl Retrieval {
    /// What the ranking says of each query, and the nearest class mean if its predictions are given, in the order of the queries.
    ///
    /// The means of what is there are `recall_at_1`, `map_at_r` and one minus `nearest_class_mean_error_at_1` of a report.
    pub fn outcomes(&self, class_mean: Option<&Predictions>) -> Vec<QueryOutcome> {
        let value = |query, metric| self.of_query(query, metric, Convention::Lodestone);
        let right = |query: usize| {
            let best = class_mean?.ranked().get(query)?.first();
            Some(best == self.labels().get(query))
        };
        let one = |query| QueryOutcome {
            nearest_neighbour: value(query, RankingMetric::PrecisionAt1).map(|hit| hit == 1.0),
            map_at_r: value(query, RankingMetric::MapAtR),
            nearest_class_mean: right(query),
        };
        (0..self.labels().len()).map(one).collect()
    }
}

impl Search<'_> {
    /// Adds `recall_at_1.cosine` and `map_at_r.cosine` of the same search in cosine distance, and where `report` has
    /// `nearest_class_mean_error_at_1` also that with `.cosine`: the class whose mean unit row has the direction nearest to the
    /// query's. Gives back what they say of each query.
    ///
    /// `plain` is the retrieval of this search. Where all rows have length 1 already, up to 1e-4, it is the ranking in cosine too
    /// and nothing is searched again; the class means are, since theirs are shorter than 1 and cosine knows their direction alone.
    ///
    /// A row of zeros has no direction. The measures then have no value, for that reason, which is also a warning.
    ///
    /// # Errors
    /// If `gallery_labels` has not one label a gallery row, there is no resample, or the memory limit is too small.
    ///
    /// # Example
    /// ```
    /// use lodestone_eval::{Mode, ReportConfig, RetrievalConfig, Rows, Search};
    ///
    /// // Row 0 is nearest to row 2, and points where row 1 does.
    /// let rows = Rows::new(&[1.0, 0.0, 9.0, 0.0, 0.0, 1.0], 2).unwrap();
    /// let labels = [0, 0, 1];
    /// let search = Search::leave_one_out(rows)?;
    /// let config = ReportConfig::new(Mode::LeaveOneOut, RetrievalConfig::default());
    /// let (mut report, plain) = search.report(&labels, &labels, &config)?;
    /// search.add_cosine(&mut report, &plain, &labels, None)?;
    /// assert_eq!(report.measures["recall_at_1"].value, Some(0.5));
    /// assert_eq!(report.measures["recall_at_1.cosine"].value, Some(1.0));
    /// # Ok::<(), lodestone_eval::EvalError>(())
    /// ```
    pub fn add_cosine(
        &self,
        report: &mut Report,
        plain: &Retrieval,
        gallery_labels: &[usize],
        bootstrap: Option<Bootstrap>,
    ) -> Result<Vec<QueryOutcome>, EvalError> {
        let (labels, alone, dim) = (plain.labels(), self.same_rows(), self.queries().dim());
        let asks_means = report.measures.contains_key(CLASS_MEAN);
        let of_queries = match alone {
            true => directions(self.queries(), Side::Only),
            false => directions(self.queries(), Side::Query),
        };
        let of_gallery = match alone {
            true => Ok(None),
            false => directions(self.gallery(), Side::Gallery).map(Some),
        };
        let (of_queries, of_gallery) = match (of_queries, of_gallery) {
            (Ok(of_queries), Ok(of_gallery)) => (of_queries, of_gallery),
            (Err(why @ EvalError::NoDirection { .. }), _)
            | (_, Err(why @ EvalError::NoDirection { .. })) => {
                let why = why.to_string();
                let ranking = [RankingMetric::RecallAt(1), RankingMetric::MapAtR];
                let names = ranking.map(|metric| metric.name());
                let rule = asks_means.then(|| CLASS_MEAN.to_owned());
                for name in names.into_iter().chain(rule) {
                    add_absent(report, &name, &why);
                }
                report.warnings.push(why);
                return Ok(vec![QueryOutcome::default(); labels.len()]);
            }
            (Err(error), _) | (_, Err(error)) => return Err(error),
        };
        let queries = Rows::new(&of_queries, dim).map_err(|_| EvalError::Empty("queries"))?;
        let gallery = match &of_gallery {
            Some(values) => Rows::new(values, dim).map_err(|_| EvalError::Empty("gallery rows"))?,
            None => queries,
        };
        let search = self.of_rows(queries, gallery);

        // The ranking.
        let again;
        let retrieval = match is_unit(self.queries()) && (alone || is_unit(self.gallery())) {
            true => plain,
            false => {
                let config = RetrievalConfig {
                    cuts: vec![1],
                    depth: Depth::UpToR,
                };
                again = search.retrieval(labels, gallery_labels, &config)?;
                &again
            }
        };
        for (name, metric) in [
            (RankingMetric::RecallAt(1), RankingMetric::PrecisionAt1),
            (RankingMetric::MapAtR, RankingMetric::MapAtR),
        ] {
            let name = name.name();
            match retrieval.mean(metric, Convention::Lodestone) {
                Some(mean) => {
                    let name = cosine(&name);
                    report.add(name.clone(), Some(mean.value), mean.count);
                    resample(report, &name, retrieval, metric, bootstrap)?;
                }
                None => add_absent(report, &name, "no query has anything to find"),
            }
        }

        // The class means.
        if !asks_means {
            return Ok(retrieval.outcomes(None));
        }
        match Predictions::nearest_class_direction(&search, gallery_labels) {
            Ok(nearest) => {
                let errors = nearest.errors(labels)?;
                report.add(cosine(CLASS_MEAN), Some(errors.at_1), errors.rows);
                report.add_intervals(&cosine(CLASS_MEAN), &nearest, labels, bootstrap)?;
                Ok(retrieval.outcomes(Some(&nearest)))
            }
            Err(EvalError::NoDirection { .. }) => {
                let why = "the unit rows of a class cancel out, so that their mean has no direction: cosine distance to it is undefined";
                add_absent(report, CLASS_MEAN, why);
                report.warnings.push(why.to_owned());
                Ok(retrieval.outcomes(None))
            }
            Err(error) => Err(error),
        }
    }
}

/// The key of a measure in cosine distance.
fn cosine(name: &str) -> String {
    format!("{name}.cosine")
}

fn add_absent(report: &mut Report, name: &str, why: &str) {
    let name = cosine(name);
    report.add(name.clone(), None, 0);
    report.absent.insert(name, why.to_owned());
}

/// [`unit_rows`] of one side, which an error names.
fn directions(rows: Rows, side: Side) -> Result<Vec<f32>, EvalError> {
    unit_rows(rows).map_err(|error| match error {
        EvalError::NoDirection { row, .. } => EvalError::NoDirection { side, row },
        other => other,
    })
}

/// Whether every row has length 1, up to the rounding of whoever scaled it.
fn is_unit(rows: Rows) -> bool {
    const ROUNDING: f64 = 1e-4;
    rows.iter().all(|row| {
        let squares: f64 = row.iter().map(|&x| f64::from(x).powi(2)).sum();
        (squares.sqrt() - 1.0).abs() <= ROUNDING
    })
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::{Mode, ReportConfig, Visibility};

    const DIM: usize = 3;

    /// Rows of many lengths.
    fn values(rows: usize, seed: u64) -> Vec<f32> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let row = |row: usize| {
            let length = 0.2 + ((row * 13) % 7) as f32;
            [(); DIM].map(|()| length * random.random_range(-1.0..1.0_f32))
        };
        (0..rows).flat_map(row).collect()
    }

    fn labels(rows: usize) -> Vec<usize> {
        (0..rows).map(|row| (row * 5 + row / 3) % 4).collect()
    }

    fn unit(row: &[f64]) -> Vec<f64> {
        let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
        row.iter().map(|x| x / length).collect()
    }

    fn dot(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(x, y)| x * y).sum()
    }

    /// The rules by plain loops over cosines.
    fn oracle(
        (queries, query_labels): (&[f32], &[usize]),
        (gallery, gallery_labels): (&[f32], &[usize]),
        hides: impl Fn(usize, usize) -> bool,
    ) -> Vec<QueryOutcome> {
        let rows = |values: &[f32]| -> Vec<Vec<f64>> {
            let wide = |row: &[f32]| row.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
            values.chunks(DIM).map(|row| unit(&wide(row))).collect()
        };
        let (queries, gallery) = (rows(queries), rows(gallery));
        let mut outcomes = Vec::new();
        for (q, query) in queries.iter().enumerate() {
            let seen: Vec<usize> = (0..gallery.len()).filter(|&row| !hides(q, row)).collect();
            let mut ranked = seen.clone();
            ranked.sort_by(|&a, &b| dot(query, &gallery[b]).total_cmp(&dot(query, &gallery[a])));
            let hits: Vec<bool> = ranked
                .iter()
                .map(|&row| gallery_labels[row] == query_labels[q])
                .collect();
            let relevant = hits.iter().filter(|&&hit| hit).count();
            let mut sum = 0.0;
            for rank in 1..=relevant {
                if hits[rank - 1] {
                    let so_far = hits[..rank].iter().filter(|&&hit| hit).count();
                    sum += so_far as f64 / rank as f64;
                }
            }
            let mut best = (f64::NEG_INFINITY, usize::MAX);
            for class in 0..4 {
                let mut mean = vec![0.0; DIM];
                for &row in seen.iter().filter(|&&row| gallery_labels[row] == class) {
                    (0..DIM).for_each(|at| mean[at] += gallery[row][at]);
                }
                if mean.iter().any(|&x| x != 0.0) && dot(query, &unit(&mean)) > best.0 {
                    best = (dot(query, &unit(&mean)), class);
                }
            }
            outcomes.push(QueryOutcome {
                nearest_neighbour: (relevant > 0).then(|| hits[0]),
                map_at_r: (relevant > 0).then(|| sum / relevant as f64),
                nearest_class_mean: Some(best.1 == query_labels[q]),
            });
        }
        outcomes
    }

    fn report(
        search: &Search,
        mode: Mode,
        of: (&[usize], &[usize]),
    ) -> (Report, Retrieval, Vec<QueryOutcome>) {
        let config = ReportConfig {
            bootstrap: Some(Bootstrap {
                resamples: 50,
                seed: 1,
            }),
            ..ReportConfig::new(mode, RetrievalConfig::default())
        };
        let (mut report, plain) = search.report(of.0, of.1, &config).unwrap();
        if mode == Mode::TrainGallery {
            search.add_rules(&mut report, of.0, of.1, 5, 1.0).unwrap();
        }
        let outcomes = search.add_cosine(&mut report, &plain, of.1, config.bootstrap);
        (report, plain, outcomes.unwrap())
    }

    fn mean(values: impl Iterator<Item = Option<f64>>) -> (f64, usize) {
        let values: Vec<f64> = values.flatten().collect();
        (
            values.iter().sum::<f64>() / values.len() as f64,
            values.len(),
        )
    }

    fn close(one: &[QueryOutcome], other: &[QueryOutcome]) {
        assert_eq!(one.len(), other.len());
        for (query, (a, b)) in one.iter().zip(other).enumerate() {
            assert_eq!(a.nearest_neighbour, b.nearest_neighbour, "query {query}");
            assert_eq!(a.nearest_class_mean, b.nearest_class_mean, "query {query}");
            let apart = a.map_at_r.unwrap_or(-1.0) - b.map_at_r.unwrap_or(-1.0);
            assert!(apart.abs() < 1e-9, "query {query}: {a:?} and {b:?}");
        }
    }

    #[test]
    fn cosine_rules_are_those_of_plain_loops_whoever_is_hidden() {
        let (queries, gallery) = (values(30, 1), values(44, 2));
        let (query_labels, gallery_labels) = (labels(30), labels(44));
        let sequences: [Vec<usize>; 2] = [30, 44].map(|n| (0..n).map(|row| row / 4).collect());
        let rows = |values| Rows::new(values, DIM).unwrap();
        for visibility in [
            Visibility::everything(),
            Visibility::everything().without_own_sequence(&sequences[0], &sequences[1]),
        ] {
            let search = Search::between(rows(&queries), rows(&gallery)).unwrap();
            let search = search.with_visibility(visibility).unwrap();
            let of = (&query_labels[..], &gallery_labels[..]);
            let (report, _, outcomes) = report(&search, Mode::TrainGallery, of);
            let expected = oracle((&queries, of.0), (&gallery, of.1), |q, row| {
                visibility.hides(q, row)
            });
            close(&outcomes, &expected);
            let share = |of: fn(&QueryOutcome) -> Option<bool>| {
                mean(outcomes.iter().map(|one| of(one).map(f64::from)))
            };
            for (name, (value, count)) in [
                ("recall_at_1.cosine", share(|one| one.nearest_neighbour)),
                (
                    "map_at_r.cosine",
                    mean(outcomes.iter().map(|one| one.map_at_r)),
                ),
                (
                    "nearest_class_mean_error_at_1.cosine",
                    share(|one| one.nearest_class_mean.map(|right| !right)),
                ),
            ] {
                let measure = report.measures[name];
                assert!((measure.value.unwrap() - value).abs() < 1e-12, "{name}");
                assert_eq!(measure.count, count, "{name}");
                assert!(measure.interval.is_some() && measure.interval_over_classes.is_some());
            }
        }

        // Each among the others: no class means.
        let alone = Search::leave_one_out(rows(&gallery)).unwrap();
        let of = (&gallery_labels[..], &gallery_labels[..]);
        let (report, _, outcomes) = report(&alone, Mode::LeaveOneOut, of);
        let mut expected = oracle((&gallery, of.0), (&gallery, of.1), |q, row| q == row);
        expected
            .iter_mut()
            .for_each(|one| one.nearest_class_mean = None);
        close(&outcomes, &expected);
        let names: Vec<&str> = report.measures.keys().map(String::as_str).collect();
        assert!(
            names.contains(&"map_at_r.cosine") && !names.iter().any(|n| n.contains("mean_error"))
        );
    }

    #[test]
    fn on_unit_rows_both_distances_agree_and_lengths_change_nothing() {
        let (long, labels) = (values(40, 3), labels(40));
        let unit = unit_rows(Rows::new(&long, DIM).unwrap()).unwrap();
        let of = (&labels[..], &labels[..]);
        let judged = |values: &[f32]| {
            let rows = Rows::new(values, DIM).unwrap();
            report(&Search::leave_one_out(rows).unwrap(), Mode::LeaveOneOut, of)
        };
        let ((scaled, plain, outcomes), (report, _, of_long)) = (judged(&unit), judged(&long));
        for (name, same) in [
            ("recall_at_1.cosine", "recall_at_1"),
            ("map_at_r.cosine", "map_at_r"),
        ] {
            assert_eq!(scaled.measures[name], scaled.measures[same], "{name}");
            assert_eq!(scaled.measures[name], report.measures[name], "{name}");
        }
        assert_ne!(
            report.measures["map_at_r"].value,
            report.measures["map_at_r.cosine"].value
        );
        close(&outcomes, &plain.outcomes(None));
        close(&outcomes, &of_long);
    }

    #[test]
    fn a_row_of_zeros_leaves_the_cosine_measures_without_value_and_says_why() {
        let mut gallery = values(12, 4);
        let queries = values(5, 5);
        gallery[2 * DIM..3 * DIM].fill(0.0);
        let rows = |values| Rows::new(values, DIM).unwrap();
        let search = Search::between(rows(&queries), rows(&gallery)).unwrap();
        let (query_labels, gallery_labels) = (labels(5), labels(12));
        let of = (&query_labels[..], &gallery_labels[..]);
        let (report, _, outcomes) = report(&search, Mode::TrainGallery, of);
        let why = "gallery row 2 is all zeros and has no direction: cosine distance is undefined";
        for name in ["nearest_class_mean_error_at_1", "recall_at_1", "map_at_r"] {
            assert!(report.measures[name].value.is_some(), "{name}");
            let name = cosine(name);
            assert_eq!(report.measures[&name].value, None, "{name}");
            assert_eq!(report.absent[&name], why);
        }
        let said = report.warnings.iter().filter(|warning| *warning == why);
        assert_eq!(said.count(), 1);
        assert_eq!(outcomes, [QueryOutcome::default(); 5]);
    }

    #[test]
    fn classes_whose_rows_cancel_out_have_no_direction_to_be_near_to() {
        let gallery = Rows::new(&[1.0, 0.0, -3.0, 0.0, 0.0, 1.0], 2).unwrap();
        let search = Search::between(Rows::new(&[2.0, 0.5], 2).unwrap(), gallery).unwrap();
        let (report, _, outcomes) = report(&search, Mode::TrainGallery, (&[0], &[0, 0, 1]));
        let name = "nearest_class_mean_error_at_1.cosine";
        assert_eq!(report.measures[name].value, None);
        assert!(report.absent[name].contains("cancel out"));
        assert_eq!(report.measures["recall_at_1.cosine"].value, Some(1.0));
        assert_eq!(outcomes[0].nearest_class_mean, None);
    }
}
