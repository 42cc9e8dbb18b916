//! The usual report of a search in one call.

use crate::labelled::distinct;
use crate::{
    Bootstrap, Convention, Depth, Distance, EvalError, Mode, RankingMetric, Report, Retrieval,
    RetrievalConfig, Search, Setting,
};

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
}

impl Search<'_> {
    /// Scores the search by class labels and writes down the standard metrics with all that a reader has to know.
    ///
    /// `mode` and `distance` are what the caller did to get here: they are noted, not acted on. With `bootstrap` the means over
    /// queries get 95 % intervals.
    ///
    /// # Errors
    /// As [`retrieval`](Self::retrieval).
    ///
    /// # Example
    /// ```
    /// use lodestone_eval::{Distance, Mode, RetrievalConfig, Rows, Search};
    ///
    /// let rows = Rows::new(&[0.0, 0.1, 5.0, 5.1], 1).unwrap();
    /// let labels = [0, 0, 1, 1];
    /// let (report, _) = Search::leave_one_out(rows)?.report(
    ///     Mode::LeaveOneOut, Distance::SquaredEuclidean, &labels, &labels, &RetrievalConfig::default(), None,
    /// )?;
    /// assert_eq!(report.measures["map_at_r"].value, Some(1.0));
    /// // Three rows are all that a query can see, so recall@4 and recall@8 look at three.
    /// assert_eq!(report.notes["k_effective_at_8"], "3");
    /// # Ok::<(), lodestone_eval::EvalError>(())
    /// ```
    pub fn report(
        &self,
        mode: Mode,
        distance: Distance,
        query_labels: &[usize],
        gallery_labels: &[usize],
        config: &RetrievalConfig,
        bootstrap: Option<Bootstrap>,
    ) -> Result<(Report, Retrieval), EvalError> {
        let forecast = self.forecast_retrieval(query_labels, gallery_labels, config)?;
        let retrieval = self.retrieval(query_labels, gallery_labels, config)?;
        let mut report = Report::new(Setting {
            mode,
            distance,
            dim: self.queries().dim(),
            queries: self.queries().len(),
            gallery: self.gallery().len(),
            classes: distinct(query_labels).len(),
            n_lone: retrieval.lone(),
            forecast: Some(forecast),
        });
        let metrics = RankingMetric::standard(config);
        report.add_retrieval(&retrieval, &metrics, Convention::Lodestone);
        if let Some(bootstrap) = bootstrap {
            for metric in metrics {
                let interval = retrieval.interval(metric, Convention::Lodestone, bootstrap)?;
                if let Some(measure) = report.measures.get_mut(&metric.name()) {
                    measure.interval = interval;
                }
            }
        }
        self.note_what_is_odd(&mut report, &retrieval);
        Ok((report, retrieval))
    }

    /// Things that are legitimate and make the numbers mean something else than they seem to.
    fn note_what_is_odd(&self, report: &mut Report, retrieval: &Retrieval) {
        let gallery = self.gallery().len();
        let most = (0..self.queries().len())
            .map(|q| self.visibility().visible(q, gallery))
            .max()
            .unwrap_or(0);
        for &k in retrieval.cuts().iter().filter(|&&k| k > most) {
            report.note(&format!("k_effective_at_{k}"), most);
        }
        let mut warn = |sentence: String| report.warnings.push(sentence);
        let queries = retrieval.queries();
        if queries.iter().all(|q| q.nearest_wrong.is_none()) {
            warn("no query sees a row of another class, so every ranking is perfect".into());
        }
        if queries.iter().all(|q| q.is_lone()) {
            warn("no query has anything to find, so no ranking metric has a value".into());
        }
        let level = |q: &&crate::QueryScores| {
            q.nearest_wrong
                .is_some_and(|wrong| wrong.squared_distance == 0.0)
        };
        let level = queries.iter().filter(level).count();
        if level > 0 {
            warn(format!(
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

    fn report(values: &[f32], labels: &[usize], bootstrap: Option<Bootstrap>) -> Report {
        let search = Search::leave_one_out(Rows::new(values, 1).unwrap()).unwrap();
        let config = RetrievalConfig::default();
        let distance = Distance::SquaredEuclidean;
        search
            .report(
                Mode::LeaveOneOut,
                distance,
                labels,
                labels,
                &config,
                bootstrap,
            )
            .unwrap()
            .0
    }

    #[test]
    fn odd_data_is_said_so() {
        let fine: Vec<f32> = (0..12).map(|i| i as f32).collect();
        let labels: Vec<usize> = (0..12).map(|i| i % 3).collect();
        assert_eq!(report(&fine, &labels, None).warnings, [""; 0]);

        let one_class = report(&fine, &[4; 12], None);
        assert_eq!(one_class.measures["map_at_r"].value, Some(1.0));
        assert!(one_class.warnings[0].starts_with("no query sees a row of another class"));

        let lone: Vec<usize> = (0..12).collect();
        let all_lone = report(&fine, &lone, None);
        assert_eq!(all_lone.measures["map_at_r"].value, None);
        assert_eq!(all_lone.setting.n_lone, 12);
        assert!(all_lone.warnings[0].starts_with("no query has anything to find"));

        let copies = report(&[1.0, 1.0, 2.0, 3.0], &[0, 1, 0, 1], None);
        assert!(copies.warnings[0].starts_with("2 of 4 queries have the very embedding"));
    }

    #[test]
    fn intervals_surround_the_means() {
        let values: Vec<f32> = (0..60).map(|i| ((i * 37) % 61) as f32).collect();
        let labels: Vec<usize> = (0..60).map(|i| i % 4).collect();
        let with = report(
            &values,
            &labels,
            Some(Bootstrap {
                resamples: 200,
                seed: 1,
            }),
        );
        let measure = with.measures["map_at_r"];
        let ([low, high], value) = (measure.interval.unwrap(), measure.value.unwrap());
        assert!(low < value && value < high, "{measure:?}");
        assert!(with.to_markdown().contains("95 % interval"));
    }
}
