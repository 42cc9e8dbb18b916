//! How many modes a class has, when nobody says.
//!
//! Each number of clusters from 1 to a limit is tried, and a criterion compares the results.

use lodestone_distances::{Rows, squared_distances, squared_norms};

use crate::index_config::Criterion;
use crate::kmeans::Clustering;

/// Below this mean silhouette a partition shows no substantial structure, and one cluster is preferred.
/// Kaufman and Rousseeuw, *Finding Groups in Data*, 1990, table 4 of chapter 2.
const NO_STRUCTURE: f64 = 0.25;

/// The clustering that `criterion` likes best among those of 1 to `most` clusters; ties go to fewer clusters.
pub(crate) fn choose(
    points: Rows,
    most: usize,
    criterion: Criterion,
    mut cluster: impl FnMut(usize) -> Clustering,
) -> Clustering {
    let mut best = cluster(1);
    let mut best_score = match criterion {
        Criterion::Silhouette => NO_STRUCTURE,
        Criterion::Bic => bic(points, &best),
    };
    for count in 2..=most {
        // Equal points on their own centres cannot be split further.
        if best.total_inertia() == 0.0 {
            break;
        }
        let found = cluster(count);
        if found.len() < count {
            break;
        }
        let score = match criterion {
            Criterion::Silhouette => silhouette(points, &found),
            Criterion::Bic => bic(points, &found),
        };
        if score > best_score {
            (best, best_score) = (found, score);
        }
    }
    best
}

/// Mean of `(b - a) / max(a, b)` with the distance `a` to a point's own centre and `b` to the nearest other centre; a
/// cluster of one point counts 0. From -1 to 1.
///
/// This is the simplified silhouette: it needs distances to centres only, where Rousseeuw's (1987) needs all pairs of
/// points. Hruschka, de Castro and Campello, *Evolutionary Algorithms for Clustering Gene-Expression Data*, ICDM 2004.
fn silhouette(points: Rows, found: &Clustering) -> f64 {
    let centres = Rows::new(&found.centres, points.dim()).expect("centres are whole rows");
    let mut tile = vec![0.0; found.len() * points.len()];
    squared_distances(centres, points, &squared_norms(points), &mut tile);
    let mut sizes = vec![0; found.len()];
    found
        .assignment
        .iter()
        .for_each(|&cluster| sizes[cluster] += 1);
    let score = |point: usize| {
        let own = found.assignment[point];
        let distance = |cluster: usize| f64::from(tile[cluster * points.len() + point]).sqrt();
        let other = (0..found.len())
            .filter(|&cluster| cluster != own)
            .map(distance);
        let (a, b) = (distance(own), other.fold(f64::INFINITY, f64::min));
        if sizes[own] == 1 || a.max(b) == 0.0 {
            0.0
        } else {
            (b - a) / a.max(b)
        }
    };
    (0..points.len()).map(score).sum::<f64>() / points.len() as f64
}

/// `log likelihood - parameters / 2 · ln n` of `k` spherical Gaussians that share one variance; higher is better.
///
/// Pelleg and Moore, *X-means: Extending K-means with Efficient Estimation of the Number of Clusters*, ICML 2000, section 3.2.
fn bic(points: Rows, found: &Clustering) -> f64 {
    let (n, d, k) = (points.len() as f64, points.dim() as f64, found.len() as f64);
    if n <= k {
        // As many parameters as points: the variance has no estimate.
        return f64::NEG_INFINITY;
    }
    let variance = found.total_inertia() / (d * (n - k));
    let mut sizes = vec![0.0_f64; found.len()];
    found
        .assignment
        .iter()
        .for_each(|&cluster| sizes[cluster] += 1.0);
    let mixture: f64 = sizes.iter().map(|size| size * (size / n).ln()).sum();
    let spread = -n * d / 2.0 * (std::f64::consts::TAU * variance).ln() - d * (n - k) / 2.0;
    let parameters = (k - 1.0) + k * d + 1.0;
    mixture + spread - parameters / 2.0 * n.ln()
}

#[cfg(test)]
mod tests {
    use lodestone_distances::plus_plus;
    use rand::RngExt;

    use super::*;
    use crate::kmeans::lloyd;
    use crate::random::{Purpose, stream};

    /// Blobs of 30 points with spread 1 around the given places on a plane.
    fn blobs(places: &[[f32; 2]]) -> Vec<f32> {
        let mut random = stream(9, Purpose::Batch, 0, 0);
        let mut values = Vec::new();
        for place in places {
            for _ in 0..30 {
                // The sum of twelve even draws is nearly normal with variance 1.
                values.extend(
                    place.map(|x| x + (0..12).map(|_| random.random_range(-0.5..0.5)).sum::<f32>()),
                );
            }
        }
        values
    }

    fn chosen(values: &[f32], criterion: Criterion) -> usize {
        let points = Rows::new(values, 2).unwrap();
        let mut random = stream(1, Purpose::Centres, 0, 0);
        let cluster = |count| {
            let runs = (0..10).map(|_| lloyd(points, plus_plus(points, count, &mut random), 50));
            runs.min_by(|a, b| a.total_inertia().total_cmp(&b.total_inertia()))
                .unwrap()
        };
        choose(points, 6, criterion, cluster).len()
    }

    #[test]
    fn both_criteria_count_clear_blobs() {
        let four = [[0.0, 0.0], [20.0, 0.0], [0.0, 20.0], [20.0, 20.0]];
        for count in 2..=4 {
            let values = blobs(&four[..count]);
            for criterion in [Criterion::Silhouette, Criterion::Bic] {
                assert_eq!(chosen(&values, criterion), count, "{criterion:?}");
            }
        }
    }

    #[test]
    fn one_blob_stays_one_for_bic_and_equal_points_for_both() {
        assert_eq!(chosen(&blobs(&[[3.0, 4.0]]), Criterion::Bic), 1);
        for criterion in [Criterion::Silhouette, Criterion::Bic] {
            assert_eq!(chosen(&[2.0; 20], criterion), 1, "{criterion:?}");
            assert_eq!(chosen(&[1.0, 2.0], criterion), 1, "{criterion:?}");
        }
    }

    #[test]
    fn the_silhouette_of_two_pairs_by_hand() {
        // Points 0, 2, 10, 12 with centres 1 and 11: a = 1 for all, b = 11, 9, 9, 11.
        let values = [0.0, 2.0, 10.0, 12.0];
        let points = Rows::new(&values, 1).unwrap();
        let found = lloyd(points, vec![1.0, 11.0], 5);
        let expected = (10.0 / 11.0 + 8.0 / 9.0) / 2.0;
        assert!((silhouette(points, &found) - expected).abs() < 1e-6);
    }
}
