//! Retrieval metrics: precision@1, recall@k, R-precision, MAP@R, mAP and the reciprocal rank, with every divisor fixed.
//!
//! Musgrave, Belongie, Lim, *A Metric Learning Reality Check*, ECCV 2020, for R-precision and MAP@R; the rest are the textbook
//! forms. Lone queries, which have nothing to find, are left out and counted.

use std::collections::BTreeMap;

use crate::nearest::NearestRows;
use crate::ranking_metric::{Depth, RankingMetric, RetrievalConfig};
use crate::ranks::RankCounter;
use crate::relevance::Relevance;
use crate::scores::QueryScores;
use crate::{Convention, EvalError, Forecast, Search};

/// The scores of all queries of one search.
#[derive(Debug, Clone)]
pub struct Retrieval {
    cuts: Vec<usize>,
    labels: Vec<usize>,
    scores: Vec<QueryScores>,
}

/// A mean, and what it was taken over.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Mean {
    /// The mean, in [0, 1].
    pub value: f64,
    /// Number of queries (or of classes, for a mean over classes) in it.
    pub count: usize,
}

impl Search<'_> {
    /// Ranks the gallery for each query and scores the ranking by class labels.
    ///
    /// Relevant is what has the query's label: with coarse labels on both sides the same search is scored by coarse classes.
    ///
    /// # Shapes
    /// - query_labels: `[queries]`, gallery_labels: `[gallery]`
    ///
    /// # Errors
    /// If a label list has another length than its side, a cut-off is 0, or the memory limit is too small.
    ///
    /// # Example
    /// ```
    /// use lodestone_eval::{Convention, RankingMetric, RetrievalConfig, Rows, Search};
    ///
    /// let rows = Rows::new(&[0.0, 1.0, 3.0, 10.0], 1).unwrap();
    /// let labels = [5, 6, 5, 6];
    /// let search = Search::leave_one_out(rows)?;
    /// let retrieval = search.retrieval(&labels, &labels, &RetrievalConfig::default())?;
    /// // Rows 0, 2 and 3 find their one relevant row at rank 2, row 1 finds it at rank 3.
    /// let mean = |metric| retrieval.mean(metric, Convention::Lodestone).unwrap().value;
    /// assert_eq!(mean(RankingMetric::PrecisionAt1), 0.0);
    /// assert_eq!(mean(RankingMetric::RecallAt(2)), 0.75);
    /// assert!((mean(RankingMetric::MeanReciprocalRank) - 11.0 / 24.0).abs() < 1e-12);
    /// # Ok::<(), lodestone_eval::EvalError>(())
    /// ```
    pub fn retrieval(
        &self,
        query_labels: &[usize],
        gallery_labels: &[usize],
        config: &RetrievalConfig,
    ) -> Result<Retrieval, EvalError> {
        let work = Work::new(self, query_labels, gallery_labels, config)?;
        let (state, result) = work.bytes();
        let relevance = &work.relevance;
        let scores = match config.depth {
            Depth::Full => {
                let plan = self.plan(state, result)?;
                self.sweep(
                    &plan,
                    |q| RankCounter::new(relevance.rows(self, q), |row| self.exact(q, row)),
                    |q, counter| {
                        let found = counter.finish(|row| self.exact(q, row));
                        let (ranks, tied) = (&found.ranks, &found.tied_ranks);
                        QueryScores::complete(ranks, tied, found.nearest_wrong, &config.cuts)
                    },
                )
            }
            Depth::UpToR => self.nearest_map(work.list_length, result, |query, list| {
                let hit = |row: usize| relevance.same_class(query, row);
                let mut ranked = (1..).zip(list);
                let wrong = ranked.clone().find(|(_, n)| !hit(n.row)).map(|(_, n)| *n);
                let ranks: Vec<u32> = ranked
                    .by_ref()
                    .filter(|(_, n)| hit(n.row))
                    .map(|(rank, _)| rank)
                    .collect();
                let relevant = relevance.count(self, query);
                QueryScores::partial(&ranks, relevant, wrong, &config.cuts)
            })?,
        };
        Ok(Retrieval::new(
            config.cuts.clone(),
            query_labels.to_vec(),
            scores,
        ))
    }

    /// What [`retrieval`](Self::retrieval) will cost.
    ///
    /// # Errors
    /// As [`retrieval`](Self::retrieval).
    pub fn forecast_retrieval(
        &self,
        query_labels: &[usize],
        gallery_labels: &[usize],
        config: &RetrievalConfig,
    ) -> Result<Forecast, EvalError> {
        let (state, result) = Work::new(self, query_labels, gallery_labels, config)?.bytes();
        Ok(self.plan(state, result)?.forecast)
    }

    /// Neighbours that a list of each query has to hold for [`score_lists`](Self::score_lists) at [`Depth::UpToR`].
    ///
    /// # Errors
    /// As [`retrieval`](Self::retrieval).
    pub fn list_length(
        &self,
        query_labels: &[usize],
        gallery_labels: &[usize],
        config: &RetrievalConfig,
    ) -> Result<usize, EvalError> {
        let work = Work::new(self, query_labels, gallery_labels, config)?;
        Ok(work.list_length.min(self.gallery().len()))
    }
}

/// What a retrieval asks of the search.
struct Work<'a> {
    relevance: Relevance<'a>,
    /// Neighbours that each query has to list at depth [`Depth::UpToR`].
    list_length: usize,
    mean_relevant: f64,
    config: &'a RetrievalConfig,
}

impl<'a> Work<'a> {
    fn new(
        search: &Search,
        query_labels: &'a [usize],
        gallery_labels: &'a [usize],
        config: &'a RetrievalConfig,
    ) -> Result<Self, EvalError> {
        config.check()?;
        let relevance = Relevance::new(search, query_labels, gallery_labels)?;
        let counts = (0..search.queries().len()).map(|q| relevance.count(search, q));
        let (sum, most) = counts.fold((0, 0), |(sum, most), r| (sum + r, most.max(r)));
        Ok(Self {
            relevance,
            // One more than R, so that the nearest wrong row is always among them.
            list_length: (most + 1).max(config.largest_cut()),
            mean_relevant: sum as f64 / search.queries().len() as f64,
            config,
        })
    }

    /// Memory of the running state and of the result of a query.
    fn bytes(&self) -> (f64, f64) {
        let cuts = self.config.cuts.len() * size_of::<crate::scores::AtCut>();
        let state = match self.config.depth {
            Depth::Full => RankCounter::bytes(self.mean_relevant),
            Depth::UpToR => NearestRows::bytes(self.list_length),
        };
        (
            state,
            (size_of::<QueryScores>() + cuts + size_of::<usize>()) as f64,
        )
    }
}

impl Retrieval {
    pub(crate) fn new(cuts: Vec<usize>, labels: Vec<usize>, scores: Vec<QueryScores>) -> Self {
        Self {
            cuts,
            labels,
            scores,
        }
    }

    /// Cut-offs, labels and scores.
    pub(crate) fn into_parts(self) -> (Vec<usize>, Vec<usize>, Vec<QueryScores>) {
        (self.cuts, self.labels, self.scores)
    }

    /// The scores of each query, in order.
    pub fn queries(&self) -> &[QueryScores] {
        &self.scores
    }

    /// The class of each query.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// The cut-offs that were asked for.
    pub fn cuts(&self) -> &[usize] {
        &self.cuts
    }

    /// Queries without anything to find: left out of every mean.
    pub fn lone(&self) -> usize {
        self.scores.iter().filter(|s| s.is_lone()).count()
    }

    /// The metric of one query; absent if it is lone, if the ranking was not followed far enough, or if k was not asked for.
    pub fn of_query(
        &self,
        query: usize,
        metric: RankingMetric,
        convention: Convention,
    ) -> Option<f64> {
        convention.score(&self.scores[query], &self.cuts, metric)
    }

    /// Mean over queries ("micro"); absent if any query that counts has no value, or none counts.
    pub fn mean(&self, metric: RankingMetric, convention: Convention) -> Option<Mean> {
        let values = self.values(metric, convention)?;
        mean(values.iter().map(|&(_, value)| value))
    }

    /// Mean over all queries with 0 for lone ones: a habit of others, which no metric has by default.
    pub fn mean_with_lone_as_miss(&self, metric: RankingMetric) -> Option<Mean> {
        let mut values = self.values(metric, Convention::Lodestone)?;
        let lone = (0..self.scores.len()).filter(|&q| self.scores[q].is_lone());
        values.extend(lone.map(|q| (q, 0.0)));
        mean(values.iter().map(|&(_, value)| value))
    }

    /// Mean over classes of the mean over their queries ("macro"); absent as [`mean`](Self::mean).
    pub fn mean_over_classes(&self, metric: RankingMetric, convention: Convention) -> Option<Mean> {
        mean(
            self.per_class(metric, convention)?
                .values()
                .map(|class| class.value),
        )
    }

    /// The mean of each class that has a query that counts.
    pub fn per_class(
        &self,
        metric: RankingMetric,
        convention: Convention,
    ) -> Option<BTreeMap<usize, Mean>> {
        let mut classes = BTreeMap::<usize, Vec<f64>>::new();
        for (query, value) in self.values(metric, convention)? {
            classes.entry(self.labels[query]).or_default().push(value);
        }
        let means = classes
            .into_iter()
            .map(|(class, values)| Some((class, mean(values)?)));
        means.collect()
    }

    /// The value of each query that counts.
    pub(crate) fn values(
        &self,
        metric: RankingMetric,
        convention: Convention,
    ) -> Option<Vec<(usize, f64)>> {
        (0..self.scores.len())
            .filter(|&q| !self.scores[q].is_lone() || convention.keeps_lone())
            .map(|q| Some((q, self.of_query(q, metric, convention)?)))
            .collect()
    }
}

fn mean(values: impl IntoIterator<Item = f64>) -> Option<Mean> {
    let (sum, count) = values
        .into_iter()
        .fold((0.0, 0), |(s, n), v| (s + v, n + 1));
    (count > 0).then(|| Mean {
        value: sum / count as f64,
        count,
    })
}
