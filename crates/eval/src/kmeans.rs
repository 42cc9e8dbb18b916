//! K-means over embeddings, for the scores that ask whether clusters found without labels are the classes.
//!
//! Lloyd, *Least squares quantization in PCM*, 1982; Arthur, Vassilvitskii, *k-means++: the advantages of careful seeding*,
//! SODA 2007. Points are assigned through [`Search`](crate::Search), so that ties go to the lower cluster, the memory limit
//! holds, and neither tile size nor engine nor threads change a cluster.

use lodestone_distances::{Rows, fill_empty, plus_plus};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{EvalError, Search};

/// How K-means is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KMeansConfig {
    /// K, at least 1; the contract asks for the number of distinct query labels.
    pub clusters: usize,
    /// Starts, of which the one with the least inertia is kept.
    pub restarts: usize,
    /// Most assignment passes of one start.
    pub iterations: usize,
    /// Seed of the K-means++ draws.
    pub seed: u64,
}

impl KMeansConfig {
    /// One start of at most 100 passes.
    pub fn new(clusters: usize, seed: u64) -> Self {
        Self {
            clusters,
            restarts: 1,
            iterations: 100,
            seed,
        }
    }
}

/// Clusters of the queries of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct KMeans {
    /// Cluster of each row.
    pub clusters: Vec<usize>,
    /// `Σ ‖row - centre of its cluster‖²`, with the centres of the last pass.
    pub inertia: f64,
    /// Assignment passes of the start that was kept.
    pub passes: usize,
    /// Whether its last pass moved no row.
    pub converged: bool,
}

impl Search<'_> {
    /// Clusters the queries into `config.clusters` groups; fewer if they have fewer distinct embeddings.
    ///
    /// # Errors
    /// If there are fewer rows than clusters, a count of `config` is 0, or the memory limit is too small.
    ///
    /// # Example
    /// ```
    /// use lodestone_eval::{KMeansConfig, Rows, Search, clustering_scores};
    ///
    /// let rows = Rows::new(&[0.0, 0.1, 5.0, 5.1], 1).unwrap();
    /// let found = Search::leave_one_out(rows)?.k_means(&KMeansConfig::new(2, 1))?;
    /// assert_eq!(clustering_scores(&[7, 7, 3, 3], &found.clusters)?.nmi, 1.0);
    /// # Ok::<(), lodestone_eval::EvalError>(())
    /// ```
    pub fn k_means(&self, config: &KMeansConfig) -> Result<KMeans, EvalError> {
        let rows = self.queries();
        let too_many = config.clusters > rows.len();
        for (name, value, wrong, must_be) in [
            (
                "clusters",
                config.clusters,
                too_many,
                "at most the number of rows",
            ),
            (
                "clusters",
                config.clusters,
                config.clusters == 0,
                "at least 1",
            ),
            (
                "restarts",
                config.restarts,
                config.restarts == 0,
                "at least 1",
            ),
            (
                "iterations",
                config.iterations,
                config.iterations == 0,
                "at least 1",
            ),
        ] {
            if wrong {
                return Err(EvalError::OutOfRange {
                    name,
                    value: value as f64,
                    must_be,
                });
            }
        }
        let mut best: Option<KMeans> = None;
        for start in 0..config.restarts as u64 {
            let mut random = ChaCha8Rng::seed_from_u64(config.seed);
            random.set_stream(start);
            let centres = plus_plus(rows, config.clusters, &mut random);
            let found = self.lloyd(centres, config.iterations)?;
            if best.as_ref().is_none_or(|b| found.inertia < b.inertia) {
                best = Some(found);
            }
        }
        // There is at least one restart.
        best.ok_or(EvalError::Empty("restarts"))
    }

    /// Assigns rows to the nearest centre and moves centres to their means, until nothing moves.
    fn lloyd(&self, mut centres: Vec<f32>, iterations: usize) -> Result<KMeans, EvalError> {
        let rows = self.queries();
        let mut clusters = Vec::new();
        for pass in 1.. {
            let (mut next, mut distances) = self.nearest_centres(&centres)?;
            let count = centres.len() / rows.dim();
            for row in fill_empty(count, &mut next, |row, _| distances[row]).moved {
                distances[row] = 0.0;
            }
            let converged = next == clusters;
            clusters = next;
            if converged || pass == iterations {
                return Ok(KMeans {
                    inertia: distances.iter().sum(),
                    clusters,
                    passes: pass,
                    converged,
                });
            }
            centres = means(rows, &clusters, count);
        }
        unreachable!("the loop ends at the latest after {iterations} passes")
    }

    /// The nearest centre of each row, and the squared distances to them.
    fn nearest_centres(&self, centres: &[f32]) -> Result<(Vec<usize>, Vec<f64>), EvalError> {
        let dim = self.queries().dim();
        let centres = Rows::new(centres, dim).map_err(|_| EvalError::Empty("centres"))?;
        let nearest = self
            .against(centres)?
            .nearest_map(1, 16.0, |_, neighbours| {
                (neighbours[0].row, neighbours[0].squared_distance)
            })?;
        Ok(nearest.into_iter().unzip())
    }
}

/// The mean row of each of `count` clusters; a cluster that stayed empty goes.
fn means(rows: Rows, clusters: &[usize], count: usize) -> Vec<f32> {
    let dim = rows.dim();
    let mut sums = vec![0.0_f64; count * dim];
    let mut sizes = vec![0_usize; count];
    for (row, &cluster) in rows.iter().zip(clusters) {
        sizes[cluster] += 1;
        let sum = &mut sums[cluster * dim..(cluster + 1) * dim];
        sum.iter_mut()
            .zip(row)
            .for_each(|(s, &x)| *s += f64::from(x));
    }
    let kept = sums
        .chunks_exact(dim)
        .zip(sizes)
        .filter(|(_, size)| *size > 0);
    kept.flat_map(|(sum, size)| sum.iter().map(move |s| (s / size as f64) as f32))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bytes;

    /// Three far groups of twenty on a line.
    fn groups() -> Vec<f32> {
        (0..60)
            .map(|i| (i % 3 * 100) as f32 + ((i * 7) % 5) as f32 * 0.1)
            .collect()
    }

    #[test]
    fn far_groups_are_found_from_every_seed_in_any_memory() {
        let values = groups();
        let search = Search::leave_one_out(Rows::new(&values, 1).unwrap()).unwrap();
        for seed in 0..5 {
            let config = KMeansConfig::new(3, seed);
            let found = search.k_means(&config).unwrap();
            for i in 0..60 {
                assert_eq!(found.clusters[i], found.clusters[i % 3], "row {i}");
            }
            assert!(found.converged && found.inertia < 2.0, "{found:?}");
            let tight = search.clone().with_memory(Bytes(60_000));
            assert_eq!(tight.k_means(&config).unwrap(), found);
        }
    }

    #[test]
    fn restarts_keep_the_least_inertia() {
        let values: Vec<f32> = (0..200).map(|i| ((i * 7919) % 1009) as f32).collect();
        let search = Search::leave_one_out(Rows::new(&values, 2).unwrap()).unwrap();
        let with = |restarts| {
            let config = KMeansConfig {
                restarts,
                ..KMeansConfig::new(9, 3)
            };
            search.k_means(&config).unwrap().inertia
        };
        assert!(with(8) <= with(1));
    }

    #[test]
    fn copies_make_fewer_clusters() {
        let values = [1.0, 1.0, 1.0, 2.0, 2.0];
        let search = Search::leave_one_out(Rows::new(&values, 1).unwrap()).unwrap();
        let found = search.k_means(&KMeansConfig::new(4, 0)).unwrap();
        assert_eq!(found.inertia, 0.0);
        assert_eq!(found.clusters[0], found.clusters[2]);
        assert_ne!(found.clusters[0], found.clusters[3]);
    }

    #[test]
    fn impossible_counts_are_named() {
        let search = Search::leave_one_out(Rows::new(&[1.0, 2.0], 1).unwrap()).unwrap();
        for (clusters, says) in [
            (3, "clusters is 3, must be at most the number of rows"),
            (0, "clusters is 0, must be at least 1"),
        ] {
            let error = search.k_means(&KMeansConfig::new(clusters, 0)).unwrap_err();
            assert_eq!(error.to_string(), says);
        }
    }
}
