//! Sums of the points of each cluster, which follow the points that move instead of being added up in every pass.

use lodestone_distances::Rows;

/// `Σ point` and the number of points of each cluster. Sums are in f64, so that the size of a cluster does not matter.
#[derive(Debug, Default)]
pub(crate) struct ClusterSums {
    sums: Vec<f64>,
    sizes: Vec<usize>,
}

impl ClusterSums {
    /// Adds up all points.
    pub(crate) fn of(points: Rows, assignment: &[usize], clusters: usize) -> Self {
        let mut sums = Self {
            sums: vec![0.0; clusters * points.dim()],
            sizes: vec![0; clusters],
        };
        for (point, &cluster) in points.iter().zip(assignment) {
            sums.add(cluster, point);
        }
        sums
    }

    /// Takes the points that changed their cluster along; false if none did.
    pub(crate) fn follow(&mut self, points: Rows, before: &[usize], after: &[usize]) -> bool {
        let mut any = false;
        for (point, (&before, &after)) in points.iter().zip(before.iter().zip(after)) {
            if before != after {
                any = true;
                self.sizes[before] -= 1;
                for (sum, &value) in self.part(before, point.len()).iter_mut().zip(point) {
                    *sum -= f64::from(value);
                }
                self.add(after, point);
            }
        }
        any
    }

    /// Moves `centres`, `[clusters, dim]`, to the means. No cluster may be empty.
    pub(crate) fn write_means(&self, centres: &mut [f32]) {
        let dim = centres.len() / self.sizes.len();
        let lines = centres
            .chunks_exact_mut(dim)
            .zip(self.sums.chunks_exact(dim));
        for ((centre, sum), &size) in lines.zip(&self.sizes) {
            for (centre, sum) in centre.iter_mut().zip(sum) {
                *centre = (sum / size as f64) as f32;
            }
        }
    }

    fn add(&mut self, cluster: usize, point: &[f32]) {
        self.sizes[cluster] += 1;
        for (sum, &value) in self.part(cluster, point.len()).iter_mut().zip(point) {
            *sum += f64::from(value);
        }
    }

    fn part(&mut self, cluster: usize, dim: usize) -> &mut [f64] {
        &mut self.sums[cluster * dim..(cluster + 1) * dim]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn followed_sums_equal_sums_taken_anew() {
        let values: Vec<f32> = (0..20).map(|i| (i * i % 13) as f32).collect();
        let points = Rows::new(&values, 2).unwrap();
        let before = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0];
        let after = [0, 1, 1, 0, 2, 2, 0, 1, 0, 2];
        let mut sums = ClusterSums::of(points, &before, 3);
        assert!(sums.follow(points, &before, &after));
        assert!(!sums.follow(points, &after, &after));
        let (mut followed, mut anew) = ([0.0; 6], [0.0; 6]);
        sums.write_means(&mut followed);
        ClusterSums::of(points, &after, 3).write_means(&mut anew);
        assert_eq!(followed, anew);
    }
}
