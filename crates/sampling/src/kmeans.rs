//! K-means of the points of one class: Lloyd's iterations, with empty clusters repaired.
//!
//! Deterministic: equal distances go to the lower cluster number, sums run in row order, and the only random draws are those
//! of the seeding. Points are expected to be centred on their mean (see `lodestone_distances`, accuracy).
//!
//! Sources: Lloyd, *Least squares quantization in PCM*, 1982; Arthur and Vassilvitskii, *k-means++: the advantages of
//! careful seeding*, SODA 2007.

use lodestone_distances::{
    Rows, fill_empty, squared_distance, squared_distances_to_columns, squared_norms,
};

use crate::cluster_sums::ClusterSums;

/// Clusters of one set of points. Every cluster has at least one member and its centre is the mean of its members.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Clustering {
    /// `[clusters, dim]`, row-major.
    pub(crate) centres: Vec<f32>,
    /// Cluster of each point.
    pub(crate) assignment: Vec<usize>,
    /// `Σ ‖point - centre‖²` of each cluster.
    pub(crate) inertia: Vec<f64>,
    /// Assignment passes made.
    pub(crate) iterations: usize,
    /// Empty clusters that were given a new point.
    pub(crate) repaired: usize,
    /// For each cluster its position among the centres it started from; shorter than those if some could not be filled.
    pub(crate) origin: Vec<usize>,
}

impl Clustering {
    /// `Σ ‖point - centre‖²` over all points.
    pub(crate) fn total_inertia(&self) -> f64 {
        self.inertia.iter().sum()
    }

    /// Number of clusters.
    pub(crate) fn len(&self) -> usize {
        self.inertia.len()
    }
}

/// Lloyd's iterations from `centres` until no point changes its cluster, at most `iterations` of them.
///
/// # Panics
/// If there are no points, no centres, or no iterations.
pub(crate) fn lloyd(points: Rows, mut centres: Vec<f32>, iterations: usize) -> Clustering {
    let dim = points.dim();
    let mut origin: Vec<usize> = (0..centres.len() / dim).collect();
    assert!(!points.is_empty() && !origin.is_empty() && iterations > 0);
    let norms = squared_norms(points);
    let columns = by_columns(points);
    let mut assignment = Vec::new();
    let mut sums = ClusterSums::default();
    let mut tile = vec![0.0; points.len() * origin.len()];
    let (mut passes, mut repaired) = (0, 0);
    while passes < iterations {
        passes += 1;
        let rows = Rows::new(&centres, dim).expect("centres are whole rows");
        squared_distances_to_columns(rows, &columns, &norms, &mut tile);
        let mut next = nearest_centres(&tile, points.len());
        // By subtraction: a point on its centre must be at distance 0, or copies of one point would be split among clusters.
        let repair = fill_empty(rows.len(), &mut next, |point, cluster| {
            f64::from(squared_distance(points.row(point), rows.row(cluster)))
        });
        repaired += repair.moved.len();
        let first = assignment.is_empty();
        let previous = std::mem::replace(&mut assignment, next);
        if !repair.unfilled.is_empty() {
            drop_clusters(
                &repair.unfilled,
                dim,
                &mut centres,
                &mut assignment,
                &mut origin,
            );
            tile.truncate(points.len() * origin.len());
        }
        if first || !repair.unfilled.is_empty() {
            sums = ClusterSums::of(points, &assignment, origin.len());
        } else if !sums.follow(points, &previous, &assignment) {
            break;
        }
        sums.write_means(&mut centres);
    }
    // Sums that followed many moves carry their roundings; the result does not.
    ClusterSums::of(points, &assignment, origin.len()).write_means(&mut centres);
    let mut inertia = vec![0.0; origin.len()];
    for (point, &cluster) in points.iter().zip(&assignment) {
        let centre = &centres[cluster * dim..(cluster + 1) * dim];
        inertia[cluster] += f64::from(squared_distance(point, centre));
    }
    Clustering {
        centres,
        assignment,
        inertia,
        iterations: passes,
        repaired,
        origin,
    }
}

/// The points coordinate by coordinate, `[dim, points]`, in blocks that stay in the cache on both sides.
fn by_columns(points: Rows) -> Vec<f32> {
    const BLOCK: usize = 16;
    let (count, dim) = (points.len(), points.dim());
    let mut columns = vec![0.0; count * dim];
    for first in (0..count).step_by(BLOCK) {
        let rows = first..(first + BLOCK).min(count);
        for value in 0..dim {
            for row in rows.clone() {
                columns[value * count + row] = points.row(row)[value];
            }
        }
    }
    columns
}

/// Nearest centre of each point; `tile` is `[centres, points]`. Ties go to the lower number.
fn nearest_centres(tile: &[f32], points: usize) -> Vec<usize> {
    let mut nearest = vec![0; points];
    let mut distances = tile[..points].to_vec();
    for (cluster, line) in tile.chunks_exact(points).enumerate().skip(1) {
        for point in 0..points {
            if line[point] < distances[point] {
                distances[point] = line[point];
                nearest[point] = cluster;
            }
        }
    }
    nearest
}

/// Removes clusters without members and closes the gaps in the numbering.
fn drop_clusters(
    gone: &[usize],
    dim: usize,
    centres: &mut Vec<f32>,
    assignment: &mut [usize],
    origin: &mut Vec<usize>,
) {
    let kept: Vec<usize> = (0..origin.len())
        .filter(|cluster| !gone.contains(cluster))
        .collect();
    for cluster in assignment.iter_mut() {
        *cluster -= gone.iter().filter(|&&lost| lost < *cluster).count();
    }
    *centres = kept
        .iter()
        .flat_map(|&c| centres[c * dim..(c + 1) * dim].to_vec())
        .collect();
    *origin = kept.iter().map(|&cluster| origin[cluster]).collect();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use lodestone_distances::plus_plus;

    use super::*;
    use crate::random::{Purpose, stream};

    fn line(values: &[f32]) -> Rows<'_> {
        Rows::new(values, 1).unwrap()
    }

    #[test]
    fn three_groups_on_a_line_are_found() {
        let values = [0.0, 1.0, 2.0, 10.0, 11.0, 12.0, 20.0, 21.0, 22.0];
        let found = lloyd(line(&values), vec![0.0, 10.0, 20.0], 20);
        assert_eq!(found.centres, [1.0, 11.0, 21.0]);
        assert_eq!(found.assignment, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
        assert_eq!(found.inertia, [2.0, 2.0, 2.0]);
        assert_eq!((found.iterations, found.repaired), (2, 0));
    }

    #[test]
    fn an_empty_cluster_takes_the_farthest_point() {
        // The centre at 100 gets nobody. 9 is farthest from its centre 0, so it opens the cluster again.
        let found = lloyd(line(&[-1.0, 0.0, 1.0, 9.0]), vec![0.0, 100.0], 20);
        assert_eq!(found.assignment, [0, 0, 0, 1]);
        assert_eq!(found.centres, [0.0, 9.0]);
        assert_eq!(found.repaired, 1);
    }

    #[test]
    fn clusters_beyond_the_distinct_points_are_dropped() {
        let found = lloyd(line(&[3.0, 3.0, 5.0, 5.0]), vec![4.0, 90.0, 80.0], 20);
        assert_eq!(found.centres.len(), 2);
        assert_eq!(found.origin, [0, 1]);
        assert_eq!(found.total_inertia(), 0.0);
        let seeds = plus_plus(line(&[7.0; 5]), 3, &mut stream(0, Purpose::Centres, 0, 0));
        assert_eq!(seeds, [7.0]);
    }

    #[test]
    fn copies_of_a_point_are_not_split_however_the_expansion_rounds() {
        // Two distinct points, ten times each, of values that have no exact products; three centres from a time before.
        let value = |i: usize, d: usize| ((i % 2 * 31 + d * 7) as f32 * 0.37).sin() * 3.3;
        let values: Vec<f32> = (0..20)
            .flat_map(|i| (0..64).map(move |d| value(i, d)))
            .collect();
        let points = Rows::new(&values, 64).unwrap();
        let centres: Vec<f32> = (0..192).map(|i| (i as f32 * 1.3).cos()).collect();
        let found = lloyd(points, centres, 20);
        assert_eq!((found.len(), found.total_inertia()), (2, 0.0));
    }

    #[test]
    fn plus_plus_prefers_far_points() {
        // Of a first centre at 0 and points at 0, 1 and 3, the next is 3 with probability 9 / 10.
        let values = [0.0, 1.0, 3.0];
        let (mut starts_at_zero, mut far) = (0, 0);
        for seed in 0..3000 {
            let mut random = stream(seed, Purpose::Centres, 0, 0);
            let centres = plus_plus(line(&values), 2, &mut random);
            if centres[0] == 0.0 {
                starts_at_zero += 1;
                far += usize::from(centres[1] == 3.0);
            }
        }
        let share = far as f64 / starts_at_zero as f64;
        // About 1000 draws: one standard deviation is 0.0095.
        assert!((share - 0.9).abs() < 0.03, "{share} of {starts_at_zero}");
    }

    proptest! {
        #[test]
        fn every_result_is_a_partition_with_means_as_centres(
            values in prop::collection::vec(-5_i32..5, 2..60),
            clusters in 1_usize..8,
            seed in 0_u64..1000,
        ) {
            let values: Vec<f32> = values[..values.len() / 2 * 2].iter().map(|&x| x as f32).collect();
            let points = Rows::new(&values, 2).unwrap();
            let start = plus_plus(points, clusters, &mut stream(seed, Purpose::Centres, 0, 0));
            let first = lloyd(points, start.clone(), 1);
            let found = lloyd(points, start, 50);
            let mut distinct: Vec<_> = points.iter().map(|p| [p[0] as i32, p[1] as i32]).collect();
            distinct.sort_unstable();
            distinct.dedup();
            prop_assert_eq!(found.len(), clusters.min(distinct.len()));
            prop_assert!(found.total_inertia() <= first.total_inertia() + 1e-4);
            for cluster in 0..found.len() {
                let members: Vec<_> =
                    (0..points.len()).filter(|&i| found.assignment[i] == cluster).collect();
                prop_assert!(!members.is_empty());
                for d in 0..2 {
                    let mean = members.iter().map(|&i| f64::from(points.row(i)[d])).sum::<f64>()
                        / members.len() as f64;
                    prop_assert_eq!(found.centres[cluster * 2 + d], mean as f32);
                }
            }
        }
    }
}
