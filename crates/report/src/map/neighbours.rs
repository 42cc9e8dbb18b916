//! A map by neighbours: weights as in UMAP (McInnes, Healy, Melville, arXiv 1802.03426, section 3.1), forces of the kernel
//! `1 / (1 + d²)` with negative samples as in LargeVis (Tang et al., WWW 2016), from the principal components.
//!
//! Own code, because the crates that draw such maps take their random numbers from the clock: here equal seeds give equal
//! maps, and the neighbours come from the exact search that the rest of the page uses.

use lodestone_eval::{Neighbour, Rows, Search};
use rayon::prelude::*;

use crate::ReportError;

/// Neighbours that pull.
const NEIGHBOURS: usize = 15;
/// Strangers that push at each pull.
const STRANGERS: usize = 4;
/// Half of the side of the square that the map starts in.
const START: f32 = 10.0;
/// Longest move along a coordinate at one pull or push.
const LONGEST: f32 = 4.0;

/// Moves the `start` coordinates until neighbours are together.
pub(super) fn arrange(
    rows: Rows,
    start: Vec<[f32; 2]>,
    seed: u64,
) -> Result<Vec<[f32; 2]>, ReportError> {
    if rows.len() < 4 {
        return Ok(start);
    }
    let nearest = Search::leave_one_out(rows)?.nearest(NEIGHBOURS)?;
    let edges = edges(&nearest);
    let epochs = if rows.len() > 10_000 { 150 } else { 400 };
    let mut points = scaled(start, seed);
    let mut random = Random(seed);
    let strongest = edges
        .iter()
        .map(|edge| edge.weight)
        .fold(f32::MIN_POSITIVE, f32::max);
    // Each edge is due as often as it is strong.
    let mut due: Vec<f32> = edges.iter().map(|edge| strongest / edge.weight).collect();
    for epoch in 0..epochs {
        let rate = 1.0 - epoch as f32 / epochs as f32;
        for (edge, due) in edges.iter().zip(&mut due) {
            if *due > (epoch + 1) as f32 {
                continue;
            }
            *due += strongest / edge.weight;
            pull(&mut points, edge.ends, rate);
            for end in edge.ends {
                for _ in 0..STRANGERS / 2 {
                    let stranger = random.below(points.len());
                    push(&mut points, end, stranger, rate);
                }
            }
        }
    }
    Ok(points)
}

/// Two rows of which at least one is near to the other.
struct Edge {
    ends: [usize; 2],
    weight: f32,
}

/// Weights of both directions joined: `a + b - ab`.
fn edges(nearest: &[Vec<Neighbour>]) -> Vec<Edge> {
    let weighted: Vec<Vec<f32>> = nearest.par_iter().map(|list| weights(list)).collect();
    let mut directed: Vec<(usize, usize, f32)> = Vec::new();
    for (row, (list, weights)) in nearest.iter().zip(&weighted).enumerate() {
        for (neighbour, &weight) in list.iter().zip(weights) {
            let (low, high) = (row.min(neighbour.row), row.max(neighbour.row));
            directed.push((low, high, weight));
        }
    }
    directed.sort_by_key(|&(low, high, _)| (low, high));
    directed
        .chunk_by(|a, b| (a.0, a.1) == (b.0, b.1))
        .map(|both| Edge {
            ends: [both[0].0, both[0].1],
            weight: match both {
                [(_, _, a), (_, _, b)] => a + b - a * b,
                _ => both[0].2,
            },
        })
        // Weaker ones would never be due.
        .filter(|edge| edge.weight > 1e-4)
        .collect()
}

/// `exp(-(d - ρ) / σ)`, with ρ the distance of the nearest and σ such that the weights add up to log₂ of their number.
fn weights(list: &[Neighbour]) -> Vec<f32> {
    let distances: Vec<f64> = list.iter().map(|n| n.squared_distance.sqrt()).collect();
    let nearest = distances.first().copied().unwrap_or(0.0);
    let wanted = (list.len().max(2) as f64).log2();
    let total = |scale: f64| {
        let weight = |d: &f64| (-(d - nearest) / scale).exp();
        distances.iter().map(weight).sum::<f64>()
    };
    let farthest = distances.last().copied().unwrap_or(0.0);
    let (mut low, mut high) = (1e-9, (farthest - nearest).max(1e-6) * 100.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        match total(middle) < wanted {
            true => low = middle,
            false => high = middle,
        }
    }
    let weight = |d: &f64| (-(d - nearest) / high).exp() as f32;
    distances.iter().map(weight).collect()
}

/// The start in a square, with a little noise so that equal rows can part.
fn scaled(mut points: Vec<[f32; 2]>, seed: u64) -> Vec<[f32; 2]> {
    let widest = points
        .iter()
        .flatten()
        .fold(f32::MIN_POSITIVE, |most, x| most.max(x.abs()));
    let mut random = Random(seed ^ 0x5eed);
    for point in &mut points {
        for x in point {
            *x = *x / widest * START + 1e-2 * (random.share() - 0.5);
        }
    }
    points
}

fn pull(points: &mut [[f32; 2]], [a, b]: [usize; 2], rate: f32) {
    let (x, y) = difference(points, a, b);
    let force = -2.0 / (1.0 + x * x + y * y);
    let (x, y) = step(force, x, y, rate);
    for (at, sign) in [(a, 1.0), (b, -1.0)] {
        points[at][0] += sign * x;
        points[at][1] += sign * y;
    }
}

fn push(points: &mut [[f32; 2]], at: usize, stranger: usize, rate: f32) {
    let (x, y) = difference(points, at, stranger);
    let squared = x * x + y * y;
    let force = 2.0 / ((0.001 + squared) * (1.0 + squared));
    let (x, y) = step(force, x, y, rate);
    points[at][0] += x;
    points[at][1] += y;
}

fn difference(points: &[[f32; 2]], a: usize, b: usize) -> (f32, f32) {
    (points[a][0] - points[b][0], points[a][1] - points[b][1])
}

fn step(force: f32, x: f32, y: f32, rate: f32) -> (f32, f32) {
    let along = |x: f32| (force * x).clamp(-LONGEST, LONGEST) * rate;
    (along(x), along(y))
}

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): hundreds of millions of draws that need to be quick and no more.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// A number below `count`, which is below 2³².
    fn below(&mut self, count: usize) -> usize {
        (((self.next() >> 32) * count as u64) >> 32) as usize
    }

    fn share(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u32 << 24) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layout, map};

    /// `count` rows in each of four far corners, the corners of a space that no plane shows at once.
    fn corners(count: usize) -> Vec<f32> {
        let mut random = Random(5);
        let mut values = Vec::new();
        for row in 0..4 * count {
            values.extend((0..8).map(|at| {
                let corner = if at == row % 4 { 20.0 } else { 0.0 };
                corner + random.share()
            }));
        }
        values
    }

    #[test]
    fn rows_of_a_corner_stay_together_and_corners_part() {
        let values = corners(40);
        let rows = Rows::new(&values, 8).unwrap();
        let points = map(rows, Layout::Neighbours, 3).unwrap();
        let squared = |a: usize, b: usize| {
            let (x, y) = difference(&points, a, b);
            x * x + y * y
        };
        for row in 0..points.len() {
            let nearest = (0..points.len())
                .filter(|&other| other != row)
                .min_by(|&a, &b| squared(row, a).total_cmp(&squared(row, b)));
            assert_eq!(nearest.unwrap() % 4, row % 4, "{row}");
        }
        assert_eq!(points, map(rows, Layout::Neighbours, 3).unwrap());
    }

    #[test]
    fn few_and_equal_rows_have_a_map() {
        for count in [1, 3, 6] {
            let values = vec![1.0; 2 * count];
            let points = map(Rows::new(&values, 2).unwrap(), Layout::Neighbours, 0).unwrap();
            assert_eq!(points.len(), count);
            assert!(points.iter().flatten().all(|x| x.is_finite()), "{points:?}");
        }
    }

    #[test]
    fn weights_add_up_to_the_logarithm_of_their_number() {
        let list: Vec<Neighbour> = (1..=8)
            .map(|row| Neighbour {
                squared_distance: f64::from(row * row),
                row: row as usize,
            })
            .collect();
        let weights = weights(&list);
        assert_eq!(weights[0], 1.0);
        assert!(
            (weights.iter().sum::<f32>() - 3.0).abs() < 1e-3,
            "{weights:?}"
        );
    }
}
