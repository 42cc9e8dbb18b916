//! Importance-weighted magnet losses: neighbourhoods drawn from any proposal, weighted so that the expectation is that
//! of the paper's sampler. Not part of the paper; a variant under its own name.

use burn::module::Module;
use burn::tensor::{IndexingUpdateOp, Tensor};
use serde::{Deserialize, Serialize};

use super::terms::terms;
use crate::error::{ConfigError, require};
use crate::output::{LossOutput, Statistic, Statistics};
use crate::tensors::{constant, indices, mean_of, share, widen};

/// Effective share of neighbourhoods below which weights are clipped.
const LEAST_EFFECTIVE: f64 = 0.2;

/// How the weighted losses of the neighbourhoods are averaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightedMean {
    /// `Σ w L / S`: expectation exactly that of the paper's sampler, with a larger spread.
    Unbiased,
    /// `Σ w L / Σ w`: bias of order 1/S, free of the weights' scale.
    #[default]
    SelfNormalised,
}

/// Settings of [`ImportanceMagnetLoss`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImportanceMagnetLossConfig {
    /// Cluster separation gap α, in nats. Default 1.
    pub gap: f64,
    /// How the neighbourhoods are averaged. Default [`WeightedMean::SelfNormalised`].
    pub mean: WeightedMean,
    /// Clip the largest weights when the effective sample size falls below a fifth of the neighbourhoods, which trades
    /// spread for bias. Default `true`.
    pub clip: bool,
}

impl Default for ImportanceMagnetLossConfig {
    fn default() -> Self {
        ImportanceMagnetLossConfig {
            gap: 1.0,
            mean: WeightedMean::SelfNormalised,
            clip: true,
        }
    }
}

impl ImportanceMagnetLossConfig {
    /// Makes the loss. It has no parameters.
    pub fn init(&self) -> ImportanceMagnetLoss {
        ImportanceMagnetLoss {
            gap: self.gap,
            mean: self.mean,
            clip: self.clip,
        }
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// A gap that is negative or no number.
    pub fn validate(&self) -> Result<(), ConfigError> {
        require(
            self.gap >= 0.0 && self.gap.is_finite(),
            "gap",
            self.gap,
            "must be a number, 0 or more",
        )
    }
}

/// One neighbourhood of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbourhood {
    /// Positions of its clusters among those of the batch: the seed and its nearest imposters.
    pub clusters: Vec<usize>,
    /// Probability with which the paper's sampler would draw this seed.
    pub probability: f64,
    /// Probability with which it was drawn.
    pub proposal: f64,
}

/// Magnet loss of several neighbourhoods, each weighted by `w = probability / proposal`.
///
/// ```text
/// L = Σ_s w_s L_s / Σ_s w_s      or      Σ_s w_s L_s / S
/// ```
///
/// where `L_s` is the magnet loss of neighbourhood `s` alone, with its own means and its own variance. Weights are
/// constants. Neighbourhoods may be disjoint, or share clusters of a **union batch**, loaded and embedded once: then the
/// expectation is the same and the terms are correlated. An example in several neighbourhoods reports the mean of its
/// losses; one in none reports 0. Half precision is widened to f32 first.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use lodestone_losses::{ImportanceMagnetLossConfig, Neighbourhood, Statistic};
///
/// let device = Device::flex();
/// let rows = [[0.0, 0.0], [2.0, 0.0], [1.0, 1.0], [3.0, 1.0], [0.0, 2.0], [2.0, 2.0]];
/// let embeddings = Tensor::<2>::from_data(rows, &device);
/// // Two seeds drawn uniformly among four clusters; the second shares cluster 1 with the first.
/// let drawn = |clusters: &[usize], probability| Neighbourhood { clusters: clusters.to_vec(), probability, proposal: 0.25 };
/// let neighbourhoods = [drawn(&[0, 1], 0.4), drawn(&[2, 1], 0.1)];
/// let loss = ImportanceMagnetLossConfig::default().init();
/// let output = loss.forward(embeddings, &[0, 0, 1, 1, 2, 2], &[0, 1, 2], &neighbourhoods).read();
/// // (1.6 + 0.4)² / (1.6² + 0.4²)
/// assert!((output.get(Statistic::EffectiveSampleSize).unwrap() - 1.470588).abs() < 1e-5);
/// ```
#[derive(Module, Debug)]
pub struct ImportanceMagnetLoss {
    gap: f64,
    #[module(skip)]
    mean: WeightedMean,
    clip: bool,
}

impl ImportanceMagnetLoss {
    /// Loss of a batch of neighbourhoods.
    ///
    /// Reports [`Statistic::EffectiveSampleSize`] of the weights before any clipping, [`Statistic::Variance`], on average
    /// over the neighbourhoods, and [`Statistic::HingedOut`].
    ///
    /// # Shapes
    /// - embeddings: `[batch, dim]`, not normalised
    /// - clusters: `[batch]`, position of the example's cluster in `cluster_classes`
    /// - cluster_classes: class of each cluster
    ///
    /// # Panics
    /// If there is no neighbourhood, a proposal is not above 0, all weights are 0, or a neighbourhood is one that
    /// [`MagnetLoss::forward`](crate::MagnetLoss::forward) refuses.
    pub fn forward(
        &self,
        embeddings: Tensor<2>,
        clusters: &[usize],
        cluster_classes: &[usize],
        neighbourhoods: &[Neighbourhood],
    ) -> LossOutput {
        let x = widen(embeddings);
        let [n, _] = x.dims();
        let device = x.device();
        let like = (&device.clone().inner(), x.dtype());
        let (weights, effective) = self.weights(neighbourhoods);

        let mut mean: Option<Tensor<1>> = None;
        let mut sums = Tensor::<1>::zeros([n], like);
        let mut visits = Tensor::<1>::zeros([n], like);
        let mut variances = Tensor::<1>::zeros([1], like);
        for (neighbourhood, weight) in neighbourhoods.iter().zip(weights) {
            let slice = Slice::new(neighbourhood, clusters, cluster_classes);
            let rows = indices(&slice.rows, &device);
            let part = terms(
                x.clone().select(0, rows.clone()),
                &slice.clusters,
                &slice.classes,
                self.gap,
                false,
            );
            let weighted = part.hinged.clone().mean() * weight;
            mean = Some(match mean {
                None => weighted,
                Some(so_far) => so_far + weighted,
            });
            let values = part.hinged.inner();
            visits =
                visits.select_assign(0, rows.clone(), values.ones_like(), IndexingUpdateOp::Add);
            sums = sums.select_assign(0, rows, values, IndexingUpdateOp::Add);
            variances = variances + part.variance.inner();
        }
        let per_example = mean_of(sums, visits);
        let effective = constant(vec![effective as f32], [1, 1], &x).reshape([1]);
        LossOutput {
            mean: mean.expect("the weights of at least one neighbourhood were checked"),
            statistics: Statistics::default()
                .with(Statistic::EffectiveSampleSize, effective)
                .with(Statistic::Variance, variances / neighbourhoods.len() as f64)
                .with(
                    Statistic::HingedOut,
                    share(per_example.clone().equal_scalar(0.0)),
                ),
            per_example,
        }
    }

    /// Weight of each neighbourhood, such that the loss is the plain weighted sum, and the effective sample size.
    fn weights(&self, neighbourhoods: &[Neighbourhood]) -> (Vec<f64>, f64) {
        assert!(!neighbourhoods.is_empty(), "there is no neighbourhood");
        let wrong = neighbourhoods
            .iter()
            .find(|n| n.proposal <= 0.0 || n.probability < 0.0);
        assert!(
            wrong.is_none(),
            "probabilities must not be negative and proposals above 0: {wrong:?}"
        );
        let mut weights = neighbourhoods
            .iter()
            .map(|n| n.probability / n.proposal)
            .collect::<Vec<_>>();
        let effective = effective_sample_size(&weights);
        assert!(effective > 0.0, "all weights are 0");
        if self.clip {
            clip(&mut weights);
        }
        let divisor = match self.mean {
            WeightedMean::Unbiased => weights.len() as f64,
            WeightedMean::SelfNormalised => weights.iter().sum(),
        };
        (weights.iter().map(|w| w / divisor).collect(), effective)
    }
}

/// `(Σ w)² / Σ w²`: how many equally weighted draws the weighted ones are worth. 0 if all weights are 0.
///
/// # Example
/// ```
/// assert_eq!(lodestone_losses::effective_sample_size(&[2.0, 2.0, 2.0]), 3.0);
/// assert_eq!(lodestone_losses::effective_sample_size(&[1.0, 0.0, 0.0]), 1.0);
/// ```
pub fn effective_sample_size(weights: &[f64]) -> f64 {
    let (sum, squares) = weights
        .iter()
        .fold((0.0, 0.0), |(sum, squares), w| (sum + w, squares + w * w));
    if squares > 0.0 {
        sum * sum / squares
    } else {
        0.0
    }
}

/// Lowers the largest weights until the effective share is reached.
fn clip(weights: &mut [f64]) {
    let least = LEAST_EFFECTIVE * weights.len() as f64;
    let mut descending = weights.to_vec();
    descending.sort_by(|a, b| b.total_cmp(a));
    // Each next weight as the cap is lower than the last, and all weights equal have the full share.
    for cap in descending {
        if effective_sample_size(weights) >= least || cap == 0.0 {
            return;
        }
        weights.iter_mut().for_each(|w| *w = w.min(cap));
    }
}

/// Weights that make the losses of **clusters** instead of neighbourhoods match the paper's sampler on average.
///
/// A cluster is trained as seed and as imposter: with probability `visit = Σ p(seed)` over the seeds whose neighbourhood
/// holds it, out of `M` clusters a neighbourhood. Drawn with `proposal`, its loss needs the weight
/// `visit / (M · proposal)`; the seed probability over the proposal would be another objective.
///
/// # Panics
/// If the lengths differ or a neighbourhood is empty.
///
/// # Example
/// ```
/// // Four clusters, each with its one nearest imposter: 0 → 1, 1 → 0, 2 → 3, 3 → 1.
/// let neighbourhoods = [vec![0, 1], vec![1, 0], vec![2, 3], vec![3, 1]];
/// let weights = lodestone_losses::cluster_weights(&[0.125, 0.375, 0.0, 0.5], &neighbourhoods, &[0.25; 4]);
/// assert_eq!(weights, [1.0, 2.0, 0.0, 1.0]);
/// ```
pub fn cluster_weights(
    probabilities: &[f64],
    neighbourhoods: &[Vec<usize>],
    proposals: &[f64],
) -> Vec<f64> {
    assert_eq!(
        probabilities.len(),
        neighbourhoods.len(),
        "one neighbourhood per cluster"
    );
    assert_eq!(
        probabilities.len(),
        proposals.len(),
        "one proposal per cluster"
    );
    let mut weights = vec![0.0; probabilities.len()];
    for (probability, neighbourhood) in probabilities.iter().zip(neighbourhoods) {
        for &cluster in neighbourhood {
            weights[cluster] += probability / neighbourhood.len() as f64;
        }
    }
    weights
        .iter()
        .zip(proposals)
        .map(|(weight, proposal)| weight / proposal)
        .collect()
}

/// The part of a batch that one neighbourhood sees.
struct Slice {
    rows: Vec<usize>,
    clusters: Vec<usize>,
    classes: Vec<usize>,
}

impl Slice {
    fn new(neighbourhood: &Neighbourhood, clusters: &[usize], cluster_classes: &[usize]) -> Self {
        let mut position = vec![None; cluster_classes.len()];
        for (at, &cluster) in neighbourhood.clusters.iter().enumerate() {
            position[cluster] = Some(at);
        }
        let members = clusters
            .iter()
            .enumerate()
            .filter_map(|(row, &cluster)| Some((row, position[cluster]?)));
        let (rows, clusters) = members.unzip();
        let classes = neighbourhood
            .clusters
            .iter()
            .map(|&cluster| cluster_classes[cluster])
            .collect();
        Slice {
            rows,
            clusters,
            classes,
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::DType;

    use super::*;
    use crate::MagnetLossConfig;
    use crate::testing::{
        Matrix, assert_close, assert_close_to_largest, assert_gradient_is_slope, differentiate,
    };

    /// Five clusters of three, the last two of one class, with the two nearest imposters of each as seed.
    fn index() -> (Matrix, Vec<usize>, Vec<usize>, Vec<Vec<usize>>) {
        let clusters = (0..15).map(|row| row % 5).collect();
        let neighbourhoods = vec![
            vec![0, 1, 3],
            vec![1, 0, 4],
            vec![2, 0, 1],
            vec![3, 2, 0],
            vec![4, 1, 2],
        ];
        (
            Matrix::random(15, 3, 17),
            clusters,
            vec![0, 1, 2, 3, 3],
            neighbourhoods,
        )
    }

    const P: [f64; 5] = [0.1, 0.3, 0.05, 0.25, 0.3];

    /// Magnet loss of one neighbourhood alone.
    fn alone(x: &Matrix, clusters: &[usize], classes: &[usize], seen: &[usize]) -> (f64, Matrix) {
        let rows = (0..x.rows)
            .filter(|&row| seen.contains(&clusters[row]))
            .collect::<Vec<_>>();
        let of_rows = rows
            .iter()
            .map(|&row| seen.iter().position(|&c| c == clusters[row]).unwrap())
            .collect::<Vec<_>>();
        let classes = seen.iter().map(|&c| classes[c]).collect::<Vec<_>>();
        let loss = MagnetLossConfig::default().init();
        let (value, slope) = differentiate(&x.select(&rows), |x| {
            loss.forward(x, &of_rows, &classes).mean
        });
        let mut full = Matrix::new(x.rows, x.columns, vec![0.0; x.values.len()]);
        for (at, row) in rows.into_iter().enumerate() {
            full.values[row * x.columns..(row + 1) * x.columns].copy_from_slice(slope.row(at));
        }
        (value, full)
    }

    fn config(mean: WeightedMean) -> ImportanceMagnetLossConfig {
        ImportanceMagnetLossConfig {
            gap: 1.0,
            mean,
            clip: false,
        }
    }

    #[test]
    fn with_every_seed_enumerated_the_unbiased_mean_is_the_sampled_objective() {
        let (x, clusters, classes, neighbourhoods) = index();
        // Uniform seeds, each exactly once: the mean over the draws is the expectation.
        let drawn = neighbourhoods
            .iter()
            .zip(P)
            .map(|(clusters, probability)| Neighbourhood {
                clusters: clusters.clone(),
                probability,
                proposal: 0.2,
            });
        let drawn = drawn.collect::<Vec<_>>();
        let (mut want, mut slope) = (0.0, vec![0.0; x.values.len()]);
        for (seen, p) in neighbourhoods.iter().zip(P) {
            let (value, gradient) = alone(&x, &clusters, &classes, seen);
            want += p * value;
            slope
                .iter_mut()
                .zip(gradient.values)
                .for_each(|(total, g)| *total += p * g);
        }
        for mean in [WeightedMean::Unbiased, WeightedMean::SelfNormalised] {
            let loss = config(mean).init();
            let (value, gradient) =
                differentiate(&x, |x| loss.forward(x, &clusters, &classes, &drawn).mean);
            assert_close(&[value], &[want], 1e-5, 0.0);
            assert_close_to_largest("union batch", &gradient.values, &slope, 2e-5);
        }
    }

    #[test]
    fn drawn_by_the_papers_own_probabilities_nothing_is_weighted() {
        let (x, clusters, classes, neighbourhoods) = index();
        let drawn = [1, 4].map(|seed| Neighbourhood {
            clusters: neighbourhoods[seed].clone(),
            probability: P[seed],
            proposal: P[seed],
        });
        let want = [1, 4].map(|seed| alone(&x, &clusters, &classes, &neighbourhoods[seed]).0);
        let loss = config(WeightedMean::Unbiased).init();
        let output = loss
            .forward(x.leaf(DType::F32), &clusters, &classes, &drawn)
            .read();
        assert_close(
            &[output.mean.into()],
            &[(want[0] + want[1]) / 2.0],
            1e-5,
            0.0,
        );
        assert_eq!(output.get(Statistic::EffectiveSampleSize), Some(2.0));
    }

    #[test]
    fn gradient_is_the_slope_with_constant_weights() {
        let (x, clusters, classes, neighbourhoods) = index();
        let drawn = [0, 3].map(|seed| Neighbourhood {
            clusters: neighbourhoods[seed].clone(),
            probability: P[seed],
            proposal: 0.2,
        });
        let loss = config(WeightedMean::SelfNormalised).init();
        assert_gradient_is_slope(&x, |x| loss.forward(x, &clusters, &classes, &drawn).mean);
    }

    #[test]
    fn an_example_reports_the_mean_of_its_losses_and_zero_where_it_has_none() {
        let (x, clusters, classes, neighbourhoods) = index();
        let drawn = |seeds: &[usize]| {
            let one = |&seed: &usize| Neighbourhood {
                clusters: neighbourhoods[seed].clone(),
                probability: 0.2,
                proposal: 0.2,
            };
            let drawn = seeds.iter().map(one).collect::<Vec<_>>();
            config(WeightedMean::Unbiased)
                .init()
                .forward(x.leaf(DType::F32), &clusters, &classes, &drawn)
                .read()
                .per_example
        };
        let (first, second, both) = (drawn(&[0]), drawn(&[1]), drawn(&[0, 1]));
        for row in 0..x.rows {
            let want = match clusters[row] {
                0 | 1 => (first[row] + second[row]) / 2.0,
                3 => first[row],
                4 => second[row],
                _ => 0.0,
            };
            assert_close(&[both[row].into()], &[want.into()], 1e-6, 1e-7);
        }
    }

    #[test]
    fn clipping_lifts_the_effective_share_to_a_fifth() {
        let mut weights = vec![100.0, 1.0, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1];
        assert!(effective_sample_size(&weights) < 0.2 * 12.0);
        clip(&mut weights);
        assert!(effective_sample_size(&weights) >= 0.2 * 12.0);
        assert_eq!(weights[11], 0.1);
        let mut even = vec![1.0, 2.0, 3.0];
        clip(&mut even);
        assert_eq!(even, [1.0, 2.0, 3.0]);
    }

    #[test]
    fn the_loss_of_a_whole_set_is_the_objective() {
        let (x, clusters, classes, _) = index();
        let (value, _) = differentiate(&x, |x| {
            MagnetLossConfig::default()
                .init()
                .forward(x, &clusters, &classes)
                .mean
        });
        let objective = crate::magnet_objective(&x.values, 3, &clusters, &classes, 1.0);
        assert_close(&[value], &[objective], 1e-5, 0.0);
    }
}
