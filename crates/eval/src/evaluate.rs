//! The usual report of a search in one call.

use std::collections::BTreeMap;

use crate::labelled::distinct;
use crate::{
    Bootstrap, Convention, Depth, EvalError, Labelled, Mode, Predictions, RankingDistance,
    RankingMetric, Report, Retrieval, RetrievalConfig, Search, Setting, SoftVote,
};

/// What a report of a search shows.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportConfig {
    /// Where queries and gallery come from: noted, not acted on.
    pub mode: Mode,
    /// The distance that the caller's rows rank by: noted, not acted on.
    pub distance: RankingDistance,
    /// Cut-offs and depth.
    pub retrieval: RetrievalConfig,
    /// Every metric of the contract instead of [`RankingMetric::standard`].
    pub all_metrics: bool,
    /// Conventions of other libraries, whose numbers are added under their suffix.
    pub conventions: Vec<Convention>,
    /// Adds each metric once more with lone queries as misses, under `.._lone_as_miss`.
    pub lone_as_miss: bool,
    /// Adds the mean of each class.
    pub per_class: bool,
    /// Adds 95 % intervals of the means over queries, by drawing queries and by drawing whole classes.
    pub bootstrap: Option<Bootstrap>,
}

impl ReportConfig {
    /// The standard metrics by squared Euclidean distance, and nothing else.
    pub fn new(mode: Mode, retrieval: RetrievalConfig) -> Self {
        Self {
            mode,
            distance: RankingDistance::SquaredEuclidean,
            retrieval,
            all_metrics: false,
            conventions: Vec::new(),
            lone_as_miss: false,
            per_class: false,
            bootstrap: None,
        }
    }

    fn metrics(&self) -> Vec<RankingMetric> {
        match self.all_metrics {
            true => RankingMetric::all(&self.retrieval),
            false => RankingMetric::standard(&self.retrieval),
        }
    }
}

/// What the rules of [`Search::add_rules`] predict.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// By soft kNN, or by the nearest neighbour where rows of a class have no spread and soft kNN has no meaning.
    pub voted: Predictions,
    /// By the nearest class mean; absent inside one set.
    pub class_mean: Option<Predictions>,
}

/// Adds the intervals of a metric to the measure of that name, where resamples are asked for.
pub(crate) fn resample(
    report: &mut Report,
    name: &str,
    retrieval: &Retrieval,
    metric: RankingMetric,
    bootstrap: Option<Bootstrap>,
) -> Result<(), EvalError> {
    if let Some(bootstrap) = bootstrap
        && let Some(measure) = report.measures.get_mut(name)
    {
        let ours = Convention::Lodestone;
        measure.interval = retrieval.interval(metric, ours, bootstrap)?;
        measure.interval_over_classes = retrieval.interval_over_classes(metric, ours, bootstrap)?;
    }
    Ok(())
}

impl RankingMetric {
    /// The metrics that a report shows for these cut-offs.
    pub fn standard(config: &RetrievalConfig) -> Vec<Self> {
        let mut metrics = vec![Self::PrecisionAt1, Self::RPrecision, Self::MapAtR];
        metrics.extend(config.cuts.iter().map(|&k| Self::RecallAt(k)));
        match config.depth {
            Depth::Full => metrics.extend([Self::MeanAveragePrecision, Self::MeanReciprocalRank]),
            Depth::UpToR => {}
        }
        metrics
    }

    /// Every ranking metric that these cut-offs and this depth allow.
    pub fn all(config: &RetrievalConfig) -> Vec<Self> {
        let mut metrics = Self::standard(config);
        for &k in &config.cuts {
            metrics.extend([
                Self::RecallIrAt(k),
                Self::PrecisionAt(k),
                Self::PrecisionAtCapped(k),
                Self::MapAt(k),
            ]);
        }
        metrics
    }
}

impl Search<'_> {
    /// Scores the search by class labels and writes down the metrics with all that a reader has to know.
    ///
    /// # Errors
    /// As [`retrieval`](Self::retrieval), and if there is no resample.
    ///
    /// # Example
    /// ```
    /// use lodestone_eval::{Mode, ReportConfig, RetrievalConfig, Rows, Search};
    ///
    /// let rows = Rows::new(&[0.0, 0.1, 5.0, 5.1], 1).unwrap();
    /// let labels = [0, 0, 1, 1];
    /// let config = ReportConfig::new(Mode::LeaveOneOut, RetrievalConfig::default());
    /// let (report, _) = Search::leave_one_out(rows)?.report(&labels, &labels, &config)?;
    /// assert_eq!(report.measures["map_at_r"].value, Some(1.0));
    /// // Three rows are all that a query can see, so recall@4 and recall@8 look at three.
    /// assert_eq!(report.notes["k_effective_at_8"], "3");
    /// # Ok::<(), lodestone_eval::EvalError>(())
    /// ```
    pub fn report(
        &self,
        query_labels: &[usize],
        gallery_labels: &[usize],
        config: &ReportConfig,
    ) -> Result<(Report, Retrieval), EvalError> {
        let retrieval = self.retrieval(query_labels, gallery_labels, &config.retrieval)?;
        let report = self.report_on(&retrieval, config)?;
        Ok((report, retrieval))
    }

    /// The same for a retrieval that is there already, for instance one of approximate lists.
    ///
    /// # Errors
    /// If there is no resample.
    pub fn report_on(
        &self,
        retrieval: &Retrieval,
        config: &ReportConfig,
    ) -> Result<Report, EvalError> {
        let mut report = Report::new(Setting {
            mode: config.mode,
            distance: config.distance,
            dim: self.queries().dim(),
            queries: self.queries().len(),
            gallery: self.gallery().len(),
            classes: distinct(retrieval.labels()).len(),
            n_lone: retrieval.lone(),
        });
        let metrics = config.metrics();
        report.add_retrieval(retrieval, &metrics, Convention::Lodestone);
        for &convention in &config.conventions {
            let theirs = convention.metrics(&config.retrieval);
            report.add_retrieval(retrieval, &theirs, convention);
        }
        for &metric in &metrics {
            if config.lone_as_miss {
                let mean = retrieval.mean_with_lone_as_miss(metric);
                let (value, count) = mean.map_or((None, 0), |m| (Some(m.value), m.count));
                report.add(format!("{}_lone_as_miss", metric.name()), value, count);
            }
            resample(
                &mut report,
                &metric.name(),
                retrieval,
                metric,
                config.bootstrap,
            )?;
            if config.per_class {
                let classes = report.per_class.get_or_insert_with(BTreeMap::new);
                let of_metric = retrieval.per_class(metric, Convention::Lodestone);
                for (class, mean) in of_metric.into_iter().flatten() {
                    let of_class = classes.entry(class).or_default();
                    of_class.insert(metric.name(), mean);
                }
            }
        }
        if let Some(bootstrap) = config.bootstrap {
            report.note("bootstrap_resamples", bootstrap.resamples);
            report.note("bootstrap_seed", bootstrap.seed);
        }
        self.note_what_is_odd(&mut report, retrieval);
        Ok(report)
    }

    /// Adds what the gallery's labels predict for the queries: soft kNN and the nearest neighbour, and where the gallery is
    /// another set also the nearest class mean. Gives back what the first and the last of them predict.
    ///
    /// The votes' variance is the mean squared distance of gallery rows to the mean of their class, times `variance_factor`, 1
    /// for the rule as the literature has it.
    ///
    /// Inside one set (`Mode::LeaveOneOut`) the rules are called `.._loo` and are diagnostics: a test set has no labels to
    /// vote with.
    ///
    /// # Errors
    /// If a label list has another length than its side, `nearest_neighbours` is 0, or the memory limit is too small.
    pub fn add_rules(
        &self,
        report: &mut Report,
        query_labels: &[usize],
        gallery_labels: &[usize],
        nearest_neighbours: usize,
        variance_factor: f64,
    ) -> Result<Rules, EvalError> {
        let alone = report.setting.mode == Mode::LeaveOneOut;
        let suffix = if alone { "_loo" } else { "" };
        let gallery = Labelled::from_rows(self.gallery(), gallery_labels)?;
        let variance = variance_factor * gallery.within_class_variance();
        let (voted, nearest) = if variance > 0.0 {
            let vote = SoftVote {
                nearest: nearest_neighbours,
                variance,
            };
            let (soft, nearest) = Predictions::soft_vote_and_nearest(self, gallery_labels, vote)?;
            report.add_errors(
                &format!("soft_knn{suffix}"),
                soft.errors(query_labels)?,
                Some(vote),
            );
            (soft, nearest)
        } else {
            report.add_absent_errors(
                &format!("soft_knn{suffix}"),
                query_labels.len(),
                "the gallery rows of each class are one point, so soft kNN has no variance to vote with",
            );
            let nearest = Predictions::nearest_neighbour(self, gallery_labels)?;
            (nearest.clone(), nearest)
        };
        report.add_errors(
            &format!("nearest_neighbour{suffix}"),
            nearest.errors(query_labels)?,
            None,
        );
        let mut class_mean = None;
        if !alone {
            let mean = Predictions::nearest_class_mean(self, gallery_labels)?;
            report.add_errors("nearest_class_mean", mean.errors(query_labels)?, None);
            class_mean = Some(mean);
        }
        Ok(Rules { voted, class_mean })
    }

    /// Things that are legitimate and make the numbers mean something else than they seem to.
    fn note_what_is_odd(&self, report: &mut Report, retrieval: &Retrieval) {
        let gallery = self.gallery().len();
        let most = self
            .visibility()
            .most_visible(self.queries().len(), gallery);
        for &k in retrieval.cuts().iter().filter(|&&k| k > most) {
            report.note(&format!("k_effective_at_{k}"), most);
        }
        let queries = retrieval.queries();
        if queries.iter().all(|q| q.nearest_wrong.is_none()) {
            let perfect = "no query sees a row of another class, so every ranking is perfect";
            report.warnings.push(perfect.into());
        }
        let all_lone = queries.iter().all(|q| q.is_lone());
        if all_lone {
            let nothing = "no query has anything to find, so no ranking metric has a value";
            report.warnings.push(nothing.into());
        }
        let why = match all_lone {
            true => "no query has anything to find",
            false => "the rankings were not followed far enough",
        };
        let without = report
            .measures
            .iter()
            .filter(|(_, measure)| measure.value.is_none());
        let without: Vec<String> = without.map(|(name, _)| name.clone()).collect();
        report
            .absent
            .extend(without.into_iter().map(|name| (name, why.to_owned())));
        let level = |q: &&crate::QueryScores| {
            q.nearest_wrong
                .is_some_and(|wrong| wrong.squared_distance == 0.0)
        };
        let level = queries.iter().filter(level).count();
        if level > 0 {
            report.warnings.push(format!(
                "{level} of {} queries have the very embedding of a row of another class",
                queries.len()
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rows;

    fn report(values: &[f32], labels: &[usize], change: impl Fn(&mut ReportConfig)) -> Report {
        let search = Search::leave_one_out(Rows::new(values, 1).unwrap()).unwrap();
        let mut config = ReportConfig::new(Mode::LeaveOneOut, RetrievalConfig::default());
        change(&mut config);
        search.report(labels, labels, &config).unwrap().0
    }

    #[test]
    fn odd_data_is_said_so() {
        let fine: Vec<f32> = (0..12).map(|i| i as f32).collect();
        let labels: Vec<usize> = (0..12).map(|i| i % 3).collect();
        assert_eq!(report(&fine, &labels, |_| {}).warnings, [""; 0]);

        let one_class = report(&fine, &[4; 12], |_| {});
        assert_eq!(one_class.measures["map_at_r"].value, Some(1.0));
        assert!(one_class.warnings[0].starts_with("no query sees a row of another class"));

        let lone: Vec<usize> = (0..12).collect();
        let all_lone = report(&fine, &lone, |_| {});
        assert_eq!(all_lone.measures["map_at_r"].value, None);
        assert_eq!(all_lone.absent["map_at_r"], "no query has anything to find");
        assert_eq!(all_lone.setting.n_lone, 12);
        assert!(all_lone.warnings[0].starts_with("no query has anything to find"));

        let copies = report(&[1.0, 1.0, 2.0, 3.0], &[0, 1, 0, 1], |_| {});
        assert!(copies.warnings[0].starts_with("2 of 4 queries have the very embedding"));
    }

    #[test]
    fn intervals_surround_the_means() {
        let values: Vec<f32> = (0..60).map(|i| ((i * 37) % 61) as f32).collect();
        let labels: Vec<usize> = (0..60).map(|i| i % 4).collect();
        let with = report(&values, &labels, |config| {
            config.bootstrap = Some(Bootstrap {
                resamples: 200,
                seed: 1,
            });
        });
        let measure = with.measures["map_at_r"];
        let ([low, high], value) = (measure.interval.unwrap(), measure.value.unwrap());
        assert!(low < value && value < high, "{measure:?}");
        assert!(with.to_markdown().contains("95 % interval"));
        assert_eq!(with.notes["bootstrap_resamples"], "200");
    }

    #[test]
    fn more_is_shown_on_request_and_lone_queries_can_be_misses() {
        // Rows 0 and 1 find each other, row 2 is lone.
        let (values, labels) = ([0.0, 1.0, 5.0], [3, 3, 4]);
        let plain = report(&values, &labels, |_| {});
        assert!(plain.per_class.is_none());
        let with = report(&values, &labels, |config| {
            config.all_metrics = true;
            config.conventions = vec![Convention::Pml, Convention::Oml, Convention::Sklearn];
            config.lone_as_miss = true;
            config.per_class = true;
        });
        assert!(
            plain
                .measures
                .keys()
                .all(|key| with.measures.contains_key(key))
        );
        let value = |name: &str| with.measures[name].value.unwrap();
        assert_eq!(value("recall_at_4"), 1.0);
        assert_eq!(value("recall_at_4_lone_as_miss"), 2.0 / 3.0);
        assert_eq!(value("recall_at_4.oml"), 2.0 / 3.0);
        assert_eq!(value("precision_at_4_capped"), 1.0);
        assert_eq!(value("precision_at_4"), 0.25);
        assert_eq!(value("map_at_r.pml"), 1.0);
        assert_eq!(value("mean_average_precision.sklearn"), 1.0);
        let classes = with.per_class.unwrap();
        assert_eq!(
            classes.keys().collect::<Vec<_>>(),
            [&3],
            "class 4 has no query that counts"
        );
        assert_eq!(classes[&3]["map_at_r"].count, 2);
    }

    #[test]
    fn a_smaller_variance_of_votes_listens_to_the_near_ones() {
        // The query lies on a row of class 1; class 0 has two rows a little further away. Scatter within classes: (0.125 + 8) / 3.
        let gallery = [1.0, 1.5, 0.0, 4.0];
        let labels = [0, 0, 1, 1];
        let gallery = Rows::new(&gallery, 1).unwrap();
        let query = Rows::new(&[0.0], 1).unwrap();
        let search = Search::between(query, gallery).unwrap();
        for (factor, wrong) in [(1.0, 1.0), (0.05, 0.0)] {
            let config = ReportConfig::new(Mode::TrainGallery, RetrievalConfig::default());
            let (mut report, _) = search.report(&[1], &labels, &config).unwrap();
            search
                .add_rules(&mut report, &[1], &labels, 4, factor)
                .unwrap();
            let measure = &report.measures["soft_knn_error_at_1"];
            assert_eq!(measure.value, Some(wrong), "{factor}");
            let variance = measure.vote.unwrap().variance;
            assert!((variance - factor * 8.125 / 3.0).abs() < 1e-6, "{variance}");
        }
    }

    #[test]
    fn rules_of_one_set_say_that_they_leave_one_out() {
        let values: Vec<f32> = (0..12)
            .map(|i| (i % 2 * 10) as f32 + i as f32 * 0.1)
            .collect();
        let labels: Vec<usize> = (0..12).map(|i| i % 2).collect();
        let rows = Rows::new(&values, 1).unwrap();
        let keys = |search: Search, mode| {
            let config = ReportConfig::new(mode, RetrievalConfig::default());
            let (mut report, _) = search.report(&labels, &labels, &config).unwrap();
            search
                .add_rules(&mut report, &labels, &labels, 5, 1.0)
                .unwrap();
            let rules = report
                .measures
                .into_keys()
                .filter(|key| key.contains("_error_at_1"));
            rules.collect::<Vec<_>>()
        };
        assert_eq!(
            keys(Search::leave_one_out(rows).unwrap(), Mode::LeaveOneOut),
            [
                "nearest_neighbour_loo_error_at_1",
                "soft_knn_loo_error_at_1"
            ]
        );
        assert_eq!(
            keys(Search::between(rows, rows).unwrap(), Mode::TrainGallery),
            [
                "nearest_class_mean_error_at_1",
                "nearest_neighbour_error_at_1",
                "soft_knn_error_at_1"
            ]
        );
    }
}
