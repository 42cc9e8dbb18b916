//! Clustering the rows of one class, and joining the classes under one numbering.

use lodestone_distances::{Rows, add_centres, plus_plus};
use rand_chacha::ChaCha8Rng;

use crate::cluster_count::choose;
use crate::cluster_sums::ClusterSums;
use crate::index_config::Auto;
use crate::kmeans::{Clustering, lloyd};
use crate::random::{Purpose, stream};
use crate::{ClusterCount, IndexConfig};

/// The points of one class, moved so that their mean is the origin: distances by expansion are then as exact as they can be.
pub(crate) struct ClassPoints {
    values: Vec<f32>,
    mean: Vec<f32>,
}

/// The clusters of one class, with their centres back where the embeddings are.
pub(crate) struct ClassClusters(pub(crate) Clustering);

/// What the first centres of a class are drawn from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream {
    pub(crate) seed: u64,
    pub(crate) generation: u64,
    pub(crate) class: usize,
}

impl Stream {
    fn generator(self) -> ChaCha8Rng {
        stream(
            self.seed,
            Purpose::Centres,
            self.generation,
            self.class as u64,
        )
    }
}

impl ClassPoints {
    /// Copies the rows of `members`.
    pub(crate) fn gather(embeddings: Rows, members: &[usize]) -> Self {
        let mut sum = vec![0.0_f64; embeddings.dim()];
        for &row in members {
            for (sum, &value) in sum.iter_mut().zip(embeddings.row(row)) {
                *sum += f64::from(value);
            }
        }
        let mean: Vec<f32> = sum
            .iter()
            .map(|sum| (sum / members.len() as f64) as f32)
            .collect();
        let mut values = Vec::with_capacity(members.len() * mean.len());
        for &row in members {
            values.extend(
                embeddings
                    .row(row)
                    .iter()
                    .zip(&mean)
                    .map(|(value, mean)| value - mean),
            );
        }
        Self { values, mean }
    }

    fn rows(&self) -> Rows<'_> {
        Rows::new(&self.values, self.mean.len()).expect("points are whole rows")
    }

    /// K-means from scratch, with as many clusters as `count` says.
    pub(crate) fn cluster(
        &self,
        config: &IndexConfig,
        count: ClusterCount,
        from: Stream,
    ) -> ClassClusters {
        let mut random = from.generator();
        let mut best_of_restarts = |count| {
            let mut best: Option<Clustering> = None;
            for _ in 0..config.restarts {
                let start = plus_plus(self.rows(), count, &mut random);
                let found = lloyd(self.rows(), start, config.iterations);
                if best
                    .as_ref()
                    .is_none_or(|best| found.total_inertia() < best.total_inertia())
                {
                    best = Some(found);
                }
            }
            best.expect("restarts are at least 1")
        };
        self.restore(match count {
            ClusterCount::Fixed(count) => best_of_restarts(count),
            ClusterCount::Auto(Auto::Auto) => choose(
                self.rows(),
                config.most_clusters,
                config.criterion,
                best_of_restarts,
            ),
        })
    }

    /// Lloyd's iterations from `clusters` clusters that the points were in: from the means of these as they are now. Where some of
    /// `count` are lost, K-means++ draws those anew.
    pub(crate) fn cluster_from(
        &self,
        assignment: &[usize],
        clusters: usize,
        config: &IndexConfig,
        count: usize,
        from: Stream,
    ) -> ClassClusters {
        let mut start = vec![0.0; clusters * self.mean.len()];
        ClusterSums::of(self.rows(), assignment, clusters).write_means(&mut start);
        if clusters < count {
            add_centres(self.rows(), &mut start, count, &mut from.generator());
        }
        self.restore(lloyd(self.rows(), start, config.iterations))
    }

    fn restore(&self, mut clustering: Clustering) -> ClassClusters {
        for (centre, mean) in clustering.centres.iter_mut().zip(self.mean.iter().cycle()) {
            *centre += mean;
        }
        ClassClusters(clustering)
    }
}

/// Clusters of all classes under one numbering, class after class.
pub(crate) struct Joined {
    pub(crate) centres: Vec<f32>,
    pub(crate) classes: Vec<usize>,
    pub(crate) assignment: Vec<usize>,
    pub(crate) inertia: Vec<f64>,
}

impl Joined {
    /// `clusters[c]` holds the points of class `c` in the order in which `labels` names them.
    pub(crate) fn new(clusters: Vec<ClassClusters>, labels: &[usize]) -> Self {
        let mut joined = Self {
            centres: Vec::new(),
            classes: Vec::new(),
            assignment: Vec::with_capacity(labels.len()),
            inertia: Vec::new(),
        };
        let mut places = Vec::with_capacity(clusters.len());
        for (class, ClassClusters(found)) in clusters.into_iter().enumerate() {
            let first = joined.classes.len();
            joined
                .classes
                .extend(std::iter::repeat_n(class, found.len()));
            joined.centres.extend(found.centres);
            joined.inertia.extend(found.inertia);
            places.push(
                found
                    .assignment
                    .into_iter()
                    .map(move |cluster| first + cluster),
            );
        }
        for &label in labels {
            joined.assignment.push(
                places[label]
                    .next()
                    .expect("one place for each row of a class"),
            );
        }
        joined
    }
}
