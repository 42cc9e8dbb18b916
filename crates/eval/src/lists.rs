//! Scores of ranked lists that something else has produced: an approximate index, a re-ranker, another program.

use crate::relevance::Relevance;
use crate::scores::QueryScores;
use crate::{Depth, EvalError, Retrieval, RetrievalConfig, Search};

impl Search<'_> {
    /// Scores `lists`, one list of gallery rows for each query, best first, instead of searching.
    ///
    /// A list may end early. What the metrics need and a short list cannot tell is an error, not a number: R-precision and
    /// MAP@R look at R rows, a cut-off k at k rows, and [`Depth::Full`] at all that are visible.
    ///
    /// # Errors
    /// If a list is too short, names a row twice, or names a row that is hidden from its query or not there; and as
    /// [`retrieval`](Self::retrieval).
    ///
    /// # Example
    /// ```
    /// use lodestone_eval::{Convention, Depth, RankingMetric, RetrievalConfig, Rows, Search};
    ///
    /// let query = Rows::new(&[0.0], 1).unwrap();
    /// let gallery = Rows::new(&[1.0, 2.0, 3.0, 4.0], 1).unwrap();
    /// let config = RetrievalConfig { cuts: vec![4], depth: Depth::Full };
    /// // Ranked relevance 1 0 1 0.
    /// let lists = [vec![2, 0, 3, 1]];
    /// let scored = Search::between(query, gallery)?.score_lists(&lists, &[7], &[8, 8, 7, 7], &config)?;
    /// let value = |metric| scored.mean(metric, Convention::Lodestone).unwrap().value;
    /// assert_eq!(value(RankingMetric::PrecisionAt(4)), 0.5);
    /// assert_eq!(value(RankingMetric::MapAtR), 0.5);
    /// assert_eq!(value(RankingMetric::MeanAveragePrecision), (1.0 + 2.0 / 3.0) / 2.0);
    /// # Ok::<(), lodestone_eval::EvalError>(())
    /// ```
    pub fn score_lists(
        &self,
        lists: &[Vec<usize>],
        query_labels: &[usize],
        gallery_labels: &[usize],
        config: &RetrievalConfig,
    ) -> Result<Retrieval, EvalError> {
        let relevance = Relevance::new(self, query_labels, gallery_labels)?;
        crate::labelled::same_count("ranked lists", lists.len(), self.queries())?;
        config.check()?;
        let mut seen = vec![usize::MAX; self.gallery().len()];
        let score = |(query, list): (usize, &Vec<usize>)| {
            self.check_list(query, list, &mut seen)?;
            let relevant = relevance.count(self, query);
            let visible = self.visibility().visible(query, self.gallery().len());
            let needs = [
                ("r_precision", relevant),
                ("the largest cut-off", config.largest_cut()),
                ("mean_average_precision", visible),
            ];
            let needs = match config.depth {
                Depth::Full => &needs[..],
                Depth::UpToR => &needs[..2],
            };
            for &(metric, needed) in needs {
                let needed = needed.min(visible);
                if relevant > 0 && list.len() < needed {
                    return Err(EvalError::ShortList {
                        query,
                        metric,
                        listed: list.len(),
                        needed,
                    });
                }
            }
            let ranks: Vec<u32> = (1..)
                .zip(list)
                .filter(|&(_, &row)| relevance.same_class(query, row))
                .map(|(rank, _)| rank)
                .collect();
            let wrong = list
                .iter()
                .find(|&&row| !relevance.same_class(query, row))
                .map(|&row| crate::Neighbour {
                    squared_distance: self.exact(query, row as u32),
                    row,
                });
            Ok(match config.depth {
                // A list carries no distances, so that no two rows of it are level.
                Depth::Full => QueryScores::complete(&ranks, &ranks, wrong, &config.cuts),
                Depth::UpToR => QueryScores::partial(&ranks, relevant, wrong, &config.cuts),
            })
        };
        let scores = lists
            .iter()
            .enumerate()
            .map(score)
            .collect::<Result<_, _>>()?;
        Ok(Retrieval::new(
            config.cuts.clone(),
            query_labels.to_vec(),
            scores,
        ))
    }

    /// Each row of `list` is there, visible, and named once; `seen` holds the last query that named a row.
    fn check_list(
        &self,
        query: usize,
        list: &[usize],
        seen: &mut [usize],
    ) -> Result<(), EvalError> {
        for &row in list {
            let problem = match seen.get(row) {
                None => "is not in the gallery",
                Some(&last) if last == query => "occurs twice",
                Some(_) if self.visibility().hides(query, row) => "is hidden from the query",
                Some(_) => {
                    seen[row] = query;
                    continue;
                }
            };
            return Err(EvalError::BadList {
                query,
                row,
                problem,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Convention, RankingMetric, Rows};

    #[test]
    fn lists_of_the_exact_search_score_like_the_search() {
        let values: Vec<f32> = (0..40).map(|i| ((i * 29) % 17) as f32).collect();
        let labels: Vec<usize> = (0..20).map(|i| (i * i) % 5).collect();
        let search = Search::leave_one_out(Rows::new(&values, 2).unwrap()).unwrap();
        let nearest = search.nearest(19).unwrap();
        let lists: Vec<Vec<usize>> = nearest
            .iter()
            .map(|list| list.iter().map(|n| n.row).collect())
            .collect();
        for depth in [Depth::Full, Depth::UpToR] {
            let config = RetrievalConfig {
                cuts: vec![1, 3],
                depth,
            };
            let listed = search
                .score_lists(&lists, &labels, &labels, &config)
                .unwrap();
            let searched = search.retrieval(&labels, &labels, &config).unwrap();
            for metric in [
                RankingMetric::MapAtR,
                RankingMetric::RecallAt(3),
                RankingMetric::MapAt(3),
            ] {
                let mean = |r: &Retrieval| r.mean(metric, Convention::Lodestone);
                assert_eq!(mean(&listed), mean(&searched), "{metric:?}");
            }
            let wrong = |r: &Retrieval| {
                r.queries()
                    .iter()
                    .map(|s| s.nearest_wrong)
                    .collect::<Vec<_>>()
            };
            assert_eq!(wrong(&listed), wrong(&searched));
        }
    }

    #[test]
    fn lists_that_cannot_be_scored_are_refused() {
        let rows = [0.0, 1.0, 2.0, 3.0];
        let search = Search::leave_one_out(Rows::new(&rows, 1).unwrap()).unwrap();
        let labels = [0, 0, 0, 1];
        let good = [vec![1, 2], vec![0, 2], vec![1, 0], vec![]];
        let config = RetrievalConfig {
            cuts: vec![2],
            depth: Depth::UpToR,
        };
        assert!(search.score_lists(&good, &labels, &labels, &config).is_ok());
        for (query, list, says) in [
            (
                0,
                vec![1],
                "query 0: the ranked list holds 1 rows, but r_precision looks at the first 2",
            ),
            (
                1,
                vec![0, 1],
                "query 1: row 1 in the ranked list is hidden from the query",
            ),
            (
                2,
                vec![1, 1],
                "query 2: row 1 in the ranked list occurs twice",
            ),
            (
                2,
                vec![1, 4],
                "query 2: row 4 in the ranked list is not in the gallery",
            ),
        ] {
            let mut lists = good.clone();
            lists[query] = list;
            let error = search
                .score_lists(&lists, &labels, &labels, &config)
                .unwrap_err();
            assert_eq!(error.to_string(), says);
        }
        let config = RetrievalConfig {
            cuts: vec![1],
            depth: Depth::Full,
        };
        assert!(
            search
                .score_lists(&good, &labels, &labels, &config)
                .is_err()
        );
        assert!(
            search
                .score_lists(&good[..3], &labels, &labels, &config)
                .is_err()
        );
    }
}
