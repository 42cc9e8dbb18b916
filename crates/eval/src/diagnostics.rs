//! Is the space used, or has it collapsed? Numbers to watch, never to rank models by.
//!
//! - Roth et al., *Revisiting Training Strategies and Generalization Performance in Deep Metric Learning*, ICML 2020: spectral
//!   decay and the ratio of inner to outer class distances.
//! - Wang, Isola, *Understanding Contrastive Representation Learning through Alignment and Uniformity*, ICML 2020.
//! - Roy, Vetterli, *The effective rank*, EUSIPCO 2007.

use serde::{Deserialize, Serialize};

use crate::eigenvalues::symmetric_eigenvalues;
use crate::labelled::class_means;
use crate::{EvalError, Labelled};

/// The shape of an embedding cloud.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Diagnostics {
    /// Mean of `‖row‖`.
    pub norm_mean: f64,
    /// Standard deviation of `‖row‖`.
    pub norm_deviation: f64,
    /// Mean squared distance over all pairs of different rows.
    pub mean_squared_distance: f64,
    /// `exp(H(p))` with `p` the shares of the covariance's eigenvalues: how many directions are in use, 1 to dim.
    pub effective_rank: f64,
    /// `KL(uniform ‖ p)` in nats over the singular values' shares of the centred rows: 0 if all directions carry alike.
    /// Directions that carry nothing count with a share of 1e-12.
    pub spectral_decay: f64,
    /// Mean distance of two rows of one class divided by the mean distance of two class means, both Euclidean; absent if there is
    /// one class only or no class has two rows.
    pub intra_over_inter: Option<f64>,
    /// Mean squared distance between unit-length rows of one class: alignment, lower is tighter. Absent if no class has two
    /// rows.
    pub alignment: Option<f64>,
    /// `ln mean exp(-2 ‖x - y‖²)` over pairs of unit-length rows: uniformity, lower is more even.
    pub uniformity: f64,
    /// What a reader must know, or nothing.
    pub collapse: Option<Collapse>,
}

/// How an embedding has stopped to tell things apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Collapse {
    /// All rows are the same point, up to rounding.
    Point,
    /// All rows lie on one line through the cloud although there are more dimensions and more than two classes.
    Line,
}

impl Collapse {
    /// A sentence for the report.
    pub fn warning(self) -> &'static str {
        match self {
            Self::Point => "the embeddings have collapsed to one point",
            Self::Line => "the embeddings have collapsed to a line (effective rank below 1.5)",
        }
    }
}

/// Most pairs from which a mean over pairs is taken; beyond that every row meets the same number of partners.
const PAIRS: usize = 2_000_000;

/// Measures the cloud. Pair means use all pairs up to two million, else an even subset that depends on nothing but the rows'
/// order.
///
/// # Errors
/// If there are fewer than two rows.
///
/// # Example
/// ```
/// use lodestone_eval::{Labelled, diagnostics};
///
/// // A square: both axes carry alike.
/// let rows = Labelled::new(&[1.0, 1.0, 1.0, -1.0, -1.0, 1.0, -1.0, -1.0], 2, &[0, 0, 1, 1])?;
/// let shape = diagnostics(rows)?;
/// assert!((shape.effective_rank - 2.0).abs() < 1e-9 && shape.spectral_decay.abs() < 1e-9);
/// assert_eq!(shape.intra_over_inter, Some(1.0));
/// # Ok::<(), lodestone_eval::EvalError>(())
/// ```
pub fn diagnostics(rows: Labelled) -> Result<Diagnostics, EvalError> {
    let (n, dim) = (rows.len(), rows.rows().dim());
    if n < 2 {
        return Err(EvalError::Empty("second row"));
    }
    let norms: Vec<f64> = rows.rows().iter().map(|row| dot(row, row).sqrt()).collect();
    let norm_mean = norms.iter().sum::<f64>() / n as f64;
    let norm_deviation =
        (norms.iter().map(|x| (x - norm_mean).powi(2)).sum::<f64>() / n as f64).sqrt();

    let covariance = covariance(rows, dim);
    let variance: f64 = (0..dim).map(|i| covariance[i * dim + i]).sum();
    // Rounding can leave a flat direction slightly below zero.
    let eigenvalues: Vec<f64> = symmetric_eigenvalues(covariance, dim)
        .into_iter()
        .map(|x| x.max(0.0))
        .collect();
    let effective_rank = match shares(&eigenvalues) {
        Some(shares) => shares
            .iter()
            .filter(|p| **p > 0.0)
            .map(|p| -p * p.ln())
            .sum::<f64>()
            .exp(),
        None => 0.0,
    };
    let singular: Vec<f64> = eigenvalues.iter().map(|x| x.sqrt()).collect();
    let even = 1.0 / dim as f64;
    let spectral_decay = shares(&singular).map_or(0.0, |shares| {
        shares
            .iter()
            .map(|p| even * (even / p.max(1e-12)).ln())
            .sum()
    });

    let pairs = PairMeans::new(rows, &norms);
    let rounding = 1e-12 * norm_mean.powi(2);
    let collapse = if variance <= rounding {
        Some(Collapse::Point)
    } else if dim > 2 && rows.classes().len() > 2 && effective_rank < 1.5 {
        Some(Collapse::Line)
    } else {
        None
    };
    Ok(Diagnostics {
        norm_mean,
        norm_deviation,
        // The mean over ordered pairs of different rows is 2n/(n-1) times the variance.
        mean_squared_distance: 2.0 * n as f64 / (n - 1) as f64 * variance,
        effective_rank,
        spectral_decay,
        intra_over_inter: pairs
            .intra
            .zip(inter(rows))
            .map(|(intra, inter)| intra / inter),
        alignment: pairs.alignment,
        uniformity: pairs.uniformity,
        collapse,
    })
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(&x, &y)| f64::from(x) * f64::from(y))
        .sum()
}

/// Each value's part of their sum; `None` if that is 0.
fn shares(values: &[f64]) -> Option<Vec<f64>> {
    let sum: f64 = values.iter().sum();
    (sum > 0.0).then(|| values.iter().map(|x| x / sum).collect())
}

/// `1/n Σ (row - mean)(row - mean)ᵀ`, `[dim, dim]`.
fn covariance(rows: Labelled, dim: usize) -> Vec<f64> {
    use rayon::prelude::*;
    let n = rows.len() as f64;
    let mut mean = vec![0.0; dim];
    for row in rows.rows().iter() {
        mean.iter_mut()
            .zip(row)
            .for_each(|(m, &x)| *m += f64::from(x) / n);
    }
    let mut covariance = vec![0.0; dim * dim];
    // Each thread owns some lines of the result and reads all rows, so that the sums have one order.
    covariance
        .par_chunks_mut(16 * dim)
        .enumerate()
        .for_each(|(block, lines)| {
            for row in rows.rows().iter() {
                for (i, line) in lines.chunks_exact_mut(dim).enumerate() {
                    let own = (f64::from(row[16 * block + i]) - mean[16 * block + i]) / n;
                    for ((c, &x), m) in line.iter_mut().zip(row).zip(&mean) {
                        *c += own * (f64::from(x) - m);
                    }
                }
            }
        });
    covariance
}

/// Mean distance of two class means.
fn inter(rows: Labelled) -> Option<f64> {
    let (classes, means) = class_means(rows);
    let dim = rows.rows().dim();
    let mean = |c: usize| &means[c * dim..(c + 1) * dim];
    let pairs = evenly(classes.len());
    let distances: Vec<f64> = pairs
        .map(|(a, b)| {
            mean(a)
                .iter()
                .zip(mean(b))
                .map(|(x, y)| (x - y).powi(2))
                .sum::<f64>()
                .sqrt()
        })
        .collect();
    average(&distances).filter(|mean| *mean > 0.0)
}

fn average(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Pairs `(i, j)` of `n` things, each with its next neighbours in cyclic order: all pairs if they are few enough.
fn evenly(n: usize) -> impl Iterator<Item = (usize, usize)> {
    let all = n.saturating_sub(1) / 2;
    let steps = all.min((PAIRS / n.max(1)).max(1));
    let near = (1..=steps).flat_map(move |step| (0..n).map(move |i| (i, (i + step) % n)));
    // With an even number of things, opposite ones meet once.
    let opposite = (n.is_multiple_of(2) && steps == all).then_some(n / 2);
    near.chain(
        opposite
            .into_iter()
            .flat_map(|half| (0..half).map(move |i| (i, i + half))),
    )
}

/// Means over pairs of rows.
struct PairMeans {
    intra: Option<f64>,
    alignment: Option<f64>,
    uniformity: f64,
}

impl PairMeans {
    fn new(rows: Labelled, norms: &[f64]) -> Self {
        // Squared distance of the rows scaled to unit length; a row of zeros stays where it is.
        let unit = |a: usize, b: usize| {
            let length = |i: usize| if norms[i] > 0.0 { norms[i] } else { 1.0 };
            let (a_row, b_row) = (rows.rows().row(a), rows.rows().row(b));
            let scaled = |x: f32, i: usize| f64::from(x) / length(i);
            a_row
                .iter()
                .zip(b_row)
                .map(|(&x, &y)| (scaled(x, a) - scaled(y, b)).powi(2))
                .sum::<f64>()
        };
        let plain = |a: usize, b: usize| {
            crate::search::exact_squared_distance(rows.rows().row(a), rows.rows().row(b)).sqrt()
        };
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|&i| rows.labels()[i]);
        let (mut intra, mut alignment) = (Vec::new(), Vec::new());
        for class in order.chunk_by(|&a, &b| rows.labels()[a] == rows.labels()[b]) {
            // A class takes its share of the pairs that are affordable in all.
            let most = (PAIRS / 4).max(1) * class.len() / rows.len();
            for (a, b) in evenly(class.len()).take(most.max(class.len())) {
                intra.push(plain(class[a], class[b]));
                alignment.push(unit(class[a], class[b]));
            }
        }
        let (mut sum, mut count) = (0.0, 0.0);
        for (a, b) in evenly(rows.len()).take(PAIRS / 2) {
            sum += (-2.0 * unit(a, b)).exp();
            count += 1.0;
        }
        Self {
            intra: average(&intra),
            alignment: average(&alignment),
            uniformity: f64::ln(sum / count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_all_of_them_while_they_are_few() {
        for n in 0..9_usize {
            let mut pairs: Vec<(usize, usize)> =
                evenly(n).map(|(a, b)| (a.min(b), a.max(b))).collect();
            pairs.sort_unstable();
            let mut expected = Vec::new();
            for a in 0..n {
                expected.extend((a + 1..n).map(|b| (a, b)));
            }
            assert_eq!(pairs, expected, "{n}");
        }
        assert!(evenly(10_000).count() <= PAIRS);
    }

    #[test]
    fn a_square_by_hand() {
        let values = [1.0, 1.0, 1.0, -1.0, -1.0, 1.0, -1.0, -1.0];
        let shape = diagnostics(Labelled::new(&values, 2, &[0, 0, 1, 1]).unwrap()).unwrap();
        let near =
            |got: f64, expected: f64| assert!((got - expected).abs() < 1e-9, "{got} {expected}");
        near(shape.norm_mean, 2.0_f64.sqrt());
        near(shape.norm_deviation, 0.0);
        // Four sides of 4 and two diagonals of 8.
        near(shape.mean_squared_distance, 32.0 / 6.0);
        // On the unit circle the sides are 2 and the diagonals 4.
        near(shape.alignment.unwrap(), 2.0);
        near(
            shape.uniformity,
            ((4.0 * (-4.0_f64).exp() + 2.0 * (-8.0_f64).exp()) / 6.0).ln(),
        );
        assert_eq!(shape.collapse, None);
    }

    #[test]
    fn a_collapsed_cloud_is_called_so() {
        let point = [0.3; 12];
        let shape = diagnostics(Labelled::new(&point, 3, &[0, 1, 2, 2]).unwrap()).unwrap();
        assert_eq!(shape.collapse, Some(Collapse::Point));
        assert_eq!((shape.intra_over_inter, shape.alignment), (None, Some(0.0)));
        let line: Vec<f32> = (0..10)
            .flat_map(|i| [i as f32, 2.0 * i as f32, -(i as f32)])
            .collect();
        let labels: Vec<usize> = (0..10).map(|i| i / 3).collect();
        let shape = diagnostics(Labelled::new(&line, 3, &labels).unwrap()).unwrap();
        assert_eq!(shape.collapse, Some(Collapse::Line));
        assert!((shape.effective_rank - 1.0).abs() < 1e-6);
        assert!(diagnostics(Labelled::new(&[1.0], 1, &[0]).unwrap()).is_err());
    }
}
