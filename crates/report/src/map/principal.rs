//! Principal components by orthogonal iteration (Golub and Van Loan, *Matrix Computations*, section 8.2.4).
//!
//! Two directions are wanted, of vectors with up to thousands of values: a few passes over a sample of the rows find them
//! without a covariance matrix.

use lodestone_eval::Rows;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Rows that directions are found on.
const SAMPLE: usize = 10_000;
/// Passes; after so many the two directions of any picture are where they stay.
const PASSES: usize = 40;
/// Rows whose sums are added up by one thread, so that the order of additions never depends on the threads.
const PART: usize = 1024;

/// The rows on the two directions of largest variance, their mean at the origin.
pub(super) fn project(rows: Rows, seed: u64) -> Vec<[f32; 2]> {
    let dim = rows.dim();
    let stride = rows.len().div_ceil(SAMPLE).max(1);
    let sample: Vec<&[f32]> = rows.iter().step_by(stride).collect();
    let mean = mean(&sample, dim);
    let mut directions = start(dim, seed);
    for _ in 0..PASSES {
        directions = orthonormal(spread(&sample, &mean, &directions));
    }
    let place = |row: &[f32]| {
        let along = |direction: &[f64]| {
            let terms = row.iter().zip(&mean).zip(direction);
            terms
                .map(|((&x, m), d)| (f64::from(x) - m) * d)
                .sum::<f64>()
        };
        [along(&directions[0]) as f32, along(&directions[1]) as f32]
    };
    let all: Vec<&[f32]> = rows.iter().collect();
    all.into_par_iter().map(place).collect()
}

fn mean(sample: &[&[f32]], dim: usize) -> Vec<f64> {
    let mut mean = vec![0.0; dim];
    for row in sample {
        for (sum, &x) in mean.iter_mut().zip(*row) {
            *sum += f64::from(x);
        }
    }
    mean.iter_mut().for_each(|sum| *sum /= sample.len() as f64);
    mean
}

fn start(dim: usize, seed: u64) -> [Vec<f64>; 2] {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = || (0..dim).map(|_| random.random::<f64>() - 0.5).collect();
    orthonormal([draw(), draw()])
}

/// The covariance of the sample times each direction.
fn spread(sample: &[&[f32]], mean: &[f64], directions: &[Vec<f64>; 2]) -> [Vec<f64>; 2] {
    let of_part = |part: &[&[f32]]| {
        let mut sums = [vec![0.0; mean.len()], vec![0.0; mean.len()]];
        let mut centred = vec![0.0; mean.len()];
        for row in part {
            for ((to, &x), m) in centred.iter_mut().zip(*row).zip(mean) {
                *to = f64::from(x) - m;
            }
            for (sum, direction) in sums.iter_mut().zip(directions) {
                let along: f64 = centred.iter().zip(direction).map(|(x, d)| x * d).sum();
                for (to, x) in sum.iter_mut().zip(&centred) {
                    *to += along * x;
                }
            }
        }
        sums
    };
    let parts: Vec<[Vec<f64>; 2]> = sample.par_chunks(PART).map(of_part).collect();
    let mut total = [vec![0.0; mean.len()], vec![0.0; mean.len()]];
    for part in parts {
        for (sum, of_part) in total.iter_mut().zip(part) {
            for (to, x) in sum.iter_mut().zip(of_part) {
                *to += x;
            }
        }
    }
    total
}

/// Length 1 each, the second at a right angle to the first; a direction without variance becomes zero.
fn orthonormal([mut first, mut second]: [Vec<f64>; 2]) -> [Vec<f64>; 2] {
    let scaled = |vector: &mut Vec<f64>, least: f64| {
        let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        let factor = if length > least { 1.0 / length } else { 0.0 };
        vector.iter_mut().for_each(|x| *x *= factor);
        length
    };
    let longest = scaled(&mut first, 0.0);
    let shared: f64 = first.iter().zip(&second).map(|(a, b)| a * b).sum();
    for (to, along) in second.iter_mut().zip(&first) {
        *to -= shared * along;
    }
    // What rounding alone leaves is no direction.
    scaled(&mut second, 1e-12 * longest);
    [first, second]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_direction_comes_first_and_a_flat_one_is_zero() {
        // Ten points along (3, 4, 0) / 5 at ±1 in the third coordinate.
        let values: Vec<f32> = (0..20)
            .flat_map(|i| {
                let t = (i / 2) as f32;
                [3.0 * t, 4.0 * t, if i % 2 == 0 { 1.0 } else { -1.0 }]
            })
            .collect();
        let points = project(Rows::new(&values, 3).unwrap(), 1);
        let steps: Vec<f32> = points.chunks(2).map(|pair| pair[0][0]).collect();
        for pair in steps.windows(2) {
            assert!(((pair[1] - pair[0]).abs() - 5.0).abs() < 1e-3, "{steps:?}");
        }
        assert!(points.iter().all(|p| (p[1].abs() - 1.0).abs() < 1e-3));

        let line = project(Rows::new(&[0.0, 0.0, 1.0, 1.0, 2.0, 2.0], 2).unwrap(), 1);
        assert!(line.iter().all(|p| p[1].abs() < 1e-6), "{line:?}");
        let one = project(Rows::new(&[7.0], 1).unwrap(), 1);
        assert_eq!(one, [[0.0, 0.0]]);
    }
}
