//! Nearest rows beyond the size at which all pairs are affordable: a graph index, and how often it is right.
//!
//! Malkov, Yashunin, *Efficient and Robust Approximate Nearest Neighbor Search Using Hierarchical Navigable Small World
//! Graphs*, TPAMI 2020, as implemented by usearch. What it finds is ranked again by exact distances, and its recall against
//! the exact search is measured on a sample: a number from approximate lists without that recall says nothing.

use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use usearch::{Index, IndexOptions, MetricKind, ScalarKind};

use crate::{
    ApproximateNote, Depth, EvalError, Neighbour, Retrieval, RetrievalConfig, Rows, Search,
    Visibility,
};

/// How an approximate search trades time for recall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApproximateConfig {
    /// Links of a row in the graph.
    pub connectivity: usize,
    /// Candidates that are kept while a row is added.
    pub expansion_add: usize,
    /// Candidates that are kept while a query is answered; at least k is used.
    pub expansion_search: usize,
    /// Queries on which the recall is measured.
    pub sample: usize,
    /// Seed of that sample.
    pub seed: u64,
}

impl ApproximateConfig {
    /// 16 links, 128 candidates on either side, recall on 200 queries.
    pub fn new(seed: u64) -> Self {
        Self {
            connectivity: 16,
            expansion_add: 128,
            expansion_search: 128,
            sample: 200,
            seed,
        }
    }
}

/// Neighbours that may have been missed, and how many were.
#[derive(Debug, Clone, PartialEq)]
pub struct Approximate {
    /// Up to k neighbours of each query in rank order, with exact distances.
    pub neighbours: Vec<Vec<Neighbour>>,
    /// Share of the k true neighbours of the sampled queries that were found.
    pub recall: f64,
    /// Number of sampled queries.
    pub sampled: usize,
    /// Queries for which the graph found fewer rows than there are; they were answered exactly.
    pub exact: usize,
}

impl Search<'_> {
    /// About the `k` nearest visible rows of each query.
    ///
    /// The graph is built on one thread, so that equal inputs give equal lists; queries run on all. Its memory is not part of
    /// the limit of [`with_memory`](Self::with_memory): the index holds a second copy of the gallery and the links.
    ///
    /// # Errors
    /// As [`nearest`](Self::nearest), and if the index fails, for instance for want of memory.
    pub fn approximate_nearest(
        &self,
        k: usize,
        config: ApproximateConfig,
    ) -> Result<Approximate, EvalError> {
        let index = self.index(k, config)?;
        let mut neighbours: Vec<Vec<Neighbour>> = (0..self.queries().len())
            .into_par_iter()
            .map(|query| self.ask(&index, query, k))
            .collect::<Result<_, _>>()?;
        let gallery = self.gallery().len();
        let short: Vec<usize> = (0..neighbours.len())
            .filter(|&q| {
                let found = neighbours[q].len();
                found < k && found < self.visibility().visible(q, gallery)
            })
            .collect();
        if !short.is_empty() {
            for (&query, exact) in short.iter().zip(self.exactly(&short, k)?) {
                neighbours[query] = exact;
            }
        }
        let sampled = config.sample.clamp(1, self.queries().len());
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        let sample = index::sample(&mut rng, self.queries().len(), sampled).into_vec();
        let recall = self.recall(&sample, k, &neighbours)?;
        Ok(Approximate {
            neighbours,
            recall,
            sampled,
            exact: short.len(),
        })
    }

    /// [`retrieval`](Self::retrieval) by approximate lists: numbers that are only as good as the recall in the note.
    ///
    /// Rankings are followed up to R and the largest cut-off, whatever `config.depth` says: a graph index has no whole ranking.
    ///
    /// # Errors
    /// As [`retrieval`](Self::retrieval) and [`approximate_nearest`](Self::approximate_nearest).
    pub fn approximate_retrieval(
        &self,
        query_labels: &[usize],
        gallery_labels: &[usize],
        config: &RetrievalConfig,
        approximate: ApproximateConfig,
    ) -> Result<(Retrieval, ApproximateNote), EvalError> {
        let config = RetrievalConfig {
            depth: Depth::UpToR,
            ..config.clone()
        };
        let k = self.list_length(query_labels, gallery_labels, &config)?;
        let found = self.approximate_nearest(k, approximate)?;
        let lists: Vec<Vec<usize>> = found
            .neighbours
            .into_iter()
            .map(|list| list.into_iter().map(|n| n.row).collect())
            .collect();
        let retrieval = self.score_lists(&lists, query_labels, gallery_labels, &config)?;
        let note = ApproximateNote {
            index: format!(
                "usearch HNSW, {} links, {} candidates when added, {} when asked, sample by seed {}",
                approximate.connectivity,
                approximate.expansion_add,
                approximate.expansion_search.max(k),
                approximate.seed
            ),
            neighbours: k,
            recall: found.recall,
            sampled: found.sampled,
            exact: found.exact,
        };
        Ok((retrieval, note))
    }

    fn index(&self, k: usize, config: ApproximateConfig) -> Result<Index, EvalError> {
        let index = Index::new(&IndexOptions {
            dimensions: self.gallery().dim(),
            metric: MetricKind::L2sq,
            quantization: ScalarKind::F32,
            connectivity: config.connectivity,
            expansion_add: config.expansion_add,
            expansion_search: config.expansion_search.max(k),
            multi: false,
        })
        .map_err(failed)?;
        let threads = rayon::current_num_threads();
        index
            .reserve_capacity_and_threads(self.gallery().len(), threads)
            .map_err(failed)?;
        for (key, row) in (0..).zip(self.gallery().iter()) {
            index.add(key, row).map_err(failed)?;
        }
        Ok(index)
    }

    fn ask(&self, index: &Index, query: usize, k: usize) -> Result<Vec<Neighbour>, EvalError> {
        // Keys are row numbers, which fit.
        let sees = |key: u64| !self.visibility().hides(query, key as usize);
        let found = index
            .filtered_search(self.queries().row(query), k, sees)
            .map_err(failed)?;
        let mut neighbours: Vec<Neighbour> = found
            .keys
            .iter()
            .map(|&key| Neighbour {
                squared_distance: self.exact(query, key as u32),
                row: key as usize,
            })
            .collect();
        neighbours.sort_unstable_by(Neighbour::rank_order);
        Ok(neighbours)
    }

    /// Share of the true neighbours of the queries `sample` that `found` holds.
    fn recall(
        &self,
        sample: &[usize],
        k: usize,
        found: &[Vec<Neighbour>],
    ) -> Result<f64, EvalError> {
        let (mut hits, mut total) = (0, 0);
        for (truth, &query) in self.exactly(sample, k)?.iter().zip(sample) {
            total += truth.len();
            hits += truth
                .iter()
                .filter(|n| found[query].iter().any(|f| f.row == n.row))
                .count();
        }
        Ok(hits as f64 / total.max(1) as f64)
    }

    /// The true neighbours of some queries.
    fn exactly(&self, queries: &[usize], k: usize) -> Result<Vec<Vec<Neighbour>>, EvalError> {
        let dim = self.queries().dim();
        let values: Vec<f32> = queries
            .iter()
            .flat_map(|&q| self.queries().row(q))
            .copied()
            .collect();
        let rows = Rows::new(&values, dim).map_err(|_| EvalError::Empty("queries"))?;
        let (own, sequences) = self.visibility().of_queries(queries);
        let mut visibility = Visibility::own_rows(&own);
        if let Some((of_sample, of_gallery)) = &sequences {
            visibility = visibility.without_own_sequence(of_sample, of_gallery);
        }
        Search::between(rows, self.gallery())?
            .with_engine(self.engine().clone())
            .with_visibility(visibility)?
            .nearest(k)
    }
}

fn failed(error: impl std::fmt::Display) -> EvalError {
    EvalError::Index(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_graph_finds_nearly_all_and_says_so() {
        let values: Vec<f32> = (0..600 * 8)
            .map(|i| ((i * 7919) % 1009) as f32 / 1009.0)
            .collect();
        let search = Search::leave_one_out(Rows::new(&values, 8).unwrap()).unwrap();
        let result = search
            .approximate_nearest(5, ApproximateConfig::new(1))
            .unwrap();
        assert!(
            result.recall > 0.95 && result.recall <= 1.0,
            "{}",
            result.recall
        );
        assert_eq!(result.sampled, 200);
        for (query, neighbours) in result.neighbours.iter().enumerate() {
            assert!(neighbours.iter().all(|n| n.row != query));
            assert!(neighbours.is_sorted_by(|a, b| a.rank_order(b).is_lt()));
        }
        assert_eq!(
            result,
            search
                .approximate_nearest(5, ApproximateConfig::new(1))
                .unwrap()
        );
    }

    #[test]
    fn lists_of_the_graph_are_scored_and_noted() {
        let values: Vec<f32> = (0..400 * 8)
            .map(|i| ((i * 7919) % 1009) as f32 / 1009.0)
            .collect();
        let labels: Vec<usize> = (0..400).map(|i| i % 20).collect();
        let search = Search::leave_one_out(Rows::new(&values, 8).unwrap()).unwrap();
        let config = RetrievalConfig::default();
        let (scored, note) = search
            .approximate_retrieval(&labels, &labels, &config, ApproximateConfig::new(1))
            .unwrap();
        let exact = search.retrieval(&labels, &labels, &config).unwrap();
        let map = |r: &Retrieval| {
            let mean = r.mean(crate::RankingMetric::MapAtR, crate::Convention::Lodestone);
            mean.unwrap().value
        };
        assert!((map(&scored) - map(&exact)).abs() < 0.01);
        // Nineteen relevant rows and one more.
        assert_eq!((note.neighbours, note.sampled), (20, 200));
        assert!(note.recall > 0.9, "{note:?}");
    }

    #[test]
    fn what_the_graph_cannot_fill_is_answered_exactly() {
        // Copies of one point: a graph of few links loses some of them.
        let values = vec![0.5; 300 * 4];
        let search = Search::leave_one_out(Rows::new(&values, 4).unwrap()).unwrap();
        let result = search
            .approximate_nearest(299, ApproximateConfig::new(1))
            .unwrap();
        assert!(result.neighbours.iter().all(|list| list.len() == 299));
    }

    #[test]
    fn the_recall_falls_when_the_search_is_starved() {
        let values: Vec<f32> = (0..2000 * 16)
            .map(|i| ((i * 7919) % 10_007) as f32 / 1e4)
            .collect();
        let search = Search::leave_one_out(Rows::new(&values, 16).unwrap()).unwrap();
        let starved = ApproximateConfig {
            connectivity: 2,
            expansion_add: 2,
            expansion_search: 1,
            ..ApproximateConfig::new(1)
        };
        let starved = search.approximate_nearest(1, starved).unwrap();
        let fed = search
            .approximate_nearest(1, ApproximateConfig::new(1))
            .unwrap();
        assert!(
            starved.recall < fed.recall,
            "{} {}",
            starved.recall,
            fed.recall
        );
    }
}
