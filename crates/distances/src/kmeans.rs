//! What every K-means needs: first centres, and rows for clusters that lost all of theirs.
//!
//! Arthur and Vassilvitskii, *k-means++: the advantages of careful seeding*, SODA 2007.

use rand::RngExt;
use rayon::prelude::*;

use crate::{Rows, squared_distance};

/// K-means++: the first centre is any point, each further one a point drawn with probability proportional to its squared
/// distance to the nearest centre so far. Returns `[centres, dim]`, fewer than `count` centres when no further distinct point is
/// left.
///
/// # Panics
/// If there are no points.
///
/// # Example
/// ```
/// use lodestone_distances::{Rows, plus_plus};
/// use rand::SeedableRng;
///
/// let points = Rows::new(&[7.0, 7.0, 9.0], 1)?;
/// let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
/// let mut centres = plus_plus(points, 5, &mut random);
/// centres.sort_unstable_by(f32::total_cmp);
/// assert_eq!(centres, [7.0, 9.0]);
/// # Ok::<(), lodestone_distances::RaggedRows>(())
/// ```
pub fn plus_plus(points: Rows, count: usize, random: &mut impl RngExt) -> Vec<f32> {
    let mut centres = points.row(random.random_range(0..points.len())).to_vec();
    add_centres(points, &mut centres, count, random);
    centres
}

/// Draws further centres as K-means++ does, until there are `count` or no further distinct point is left.
pub fn add_centres(points: Rows, centres: &mut Vec<f32>, count: usize, random: &mut impl RngExt) {
    let dim = points.dim();
    let mut nearest = vec![f32::INFINITY; points.len()];
    let mut seen = 0;
    loop {
        for centre in centres[seen * dim..].chunks_exact(dim) {
            // By subtraction, so that a copy of a centre has distance 0 and can never be drawn.
            let each = nearest.par_iter_mut().with_min_len(256).enumerate();
            each.for_each(|(point, distance)| {
                *distance = distance.min(squared_distance(points.row(point), centre));
            });
        }
        seen = centres.len() / dim;
        let weights = nearest.iter().map(|&distance| f64::from(distance));
        let total: f64 = weights.clone().sum();
        if total == 0.0 {
            return;
        }
        let next = draw(weights, total, random);
        if seen >= count {
            return;
        }
        centres.extend_from_slice(points.row(next));
    }
}

/// A position drawn with probability `weight / total`; never one of weight 0.
///
/// `total` must be positive and the sum of the weights.
pub fn draw(weights: impl Iterator<Item = f64>, total: f64, random: &mut impl RngExt) -> usize {
    let mut left = random.random::<f64>() * total;
    let mut last = 0;
    for (position, weight) in weights.enumerate() {
        if weight > 0.0 {
            if left < weight {
                return position;
            }
            left -= weight;
            last = position;
        }
    }
    // Rounding may leave a crumb after the last weight.
    last
}

/// What [`fill_empty`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Repair {
    /// Points that went into an empty cluster.
    pub moved: Vec<usize>,
    /// Clusters for which no point was left that lies off its own centre.
    pub unfilled: Vec<usize>,
}

/// Gives each of `count` clusters that is empty the point that is farthest from its centre, of those that do not leave another
/// cluster empty. `assignment` `[points]` is the cluster of each point, and `distance` says how far a point is from the centre of
/// its cluster; it is asked only where a cluster is empty.
pub fn fill_empty(
    count: usize,
    assignment: &mut [usize],
    distance: impl Fn(usize, usize) -> f64,
) -> Repair {
    let mut sizes = vec![0_usize; count];
    for &cluster in assignment.iter() {
        sizes[cluster] += 1;
    }
    let mut repair = Repair::default();
    if !sizes.contains(&0) {
        return repair;
    }
    let points = assignment.iter().enumerate();
    let mut distances: Vec<f64> = points
        .map(|(point, &cluster)| distance(point, cluster))
        .collect();
    for empty in 0..count {
        if sizes[empty] > 0 {
            continue;
        }
        let mut farthest: Option<usize> = None;
        for point in 0..assignment.len() {
            let movable = sizes[assignment[point]] > 1 && distances[point] > 0.0;
            if movable && farthest.is_none_or(|best| distances[point] > distances[best]) {
                farthest = Some(point);
            }
        }
        match farthest {
            Some(point) => {
                sizes[assignment[point]] -= 1;
                sizes[empty] = 1;
                assignment[point] = empty;
                distances[point] = 0.0;
                repair.moved.push(point);
            }
            None => repair.unfilled.push(empty),
        }
    }
    repair
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn the_farthest_point_that_can_be_spared_fills_an_empty_cluster() {
        let mut clusters = [0, 0, 1];
        let distances = [1.0, 5.0, 9.0];
        let repair = fill_empty(3, &mut clusters, |point, _| distances[point]);
        // Point 2 is farther, but the only one of its cluster.
        assert_eq!(clusters, [0, 2, 1]);
        assert_eq!((repair.moved, repair.unfilled), (vec![1], vec![]));
        // Points on their centre stay.
        let repair = fill_empty(2, &mut [0, 0], |_, _| 0.0);
        assert_eq!(repair.unfilled, [1]);
    }

    #[test]
    fn a_weight_of_zero_is_never_drawn_and_others_by_their_share() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let weights = [0.0, 1.0, 0.0, 3.0, 0.0];
        let mut counts = [0; 5];
        for _ in 0..4000 {
            counts[draw(weights.into_iter(), 4.0, &mut random)] += 1;
        }
        assert_eq!(counts[0] + counts[2] + counts[4], 0);
        // 1000 expected, one standard deviation is 27.
        assert!((900..1100).contains(&counts[1]), "{counts:?}");
        // A total that rounding made too large still ends at a drawable weight.
        assert_eq!(draw([1.0, 0.0].into_iter(), 1e9, &mut random), 0);
    }
}
