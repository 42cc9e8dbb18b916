//! Importance-weighted magnet losses: neighbourhoods drawn from any proposal, weighted so that the expectation is that
//! of the paper's sampler. Not part of the paper; a variant under its own name.

use burn::module::Module;
use burn::tensor::{IndexingUpdateOp, Tensor};
use serde::{Deserialize, Serialize};

use super::terms::terms;
use super::{MagnetLossConfig, OwnMean};
use crate::construct::settings;
use crate::error::{finite_above_zero, finite_not_negative};
use crate::output::{LossOutput, Statistic, Statistics};
use crate::tensors::{indices, mean_of, number, share, widen};

/// Effective share of neighbourhoods below which weights are clipped.
const LEAST_EFFECTIVE: f64 = 0.2;

/// How the weighted losses of the neighbourhoods are averaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum WeightedMean {
    /// `Σ w L / S`: expectation exactly that of the paper's sampler, with a larger spread.
    Unbiased,
    /// `Σ w L / Σ w`: bias of order 1/S, free of the weights' scale.
    #[default]
    SelfNormalised,
}

settings! {
    /// Settings of [`ImportanceMagnetLoss`].
    pub struct ImportanceMagnetLossConfig => ImportanceMagnetLoss, without_parameters {
        /// Cluster separation gap α, in nats. Default 1, as for [`MagnetLossConfig`](crate::MagnetLossConfig).
        pub gap: f64 = 1.0, with_gap, finite_not_negative;
        /// What the variance is multiplied by in the exponents. Default 1, as for [`MagnetLossConfig`](crate::MagnetLossConfig).
        pub temperature: f64 = 1.0, with_temperature, finite_above_zero;
        /// Whether the mean of an example's own cluster contains the example. Default [`OwnMean::Plain`], as for
        /// [`MagnetLossConfig`](crate::MagnetLossConfig).
        pub own_mean: OwnMean = OwnMean::Plain, with_own_mean;
        /// How the neighbourhoods are averaged. Default [`WeightedMean::SelfNormalised`], which the
        /// scale of the losses that make the probabilities does not touch.
        pub mean: WeightedMean = WeightedMean::SelfNormalised, with_mean;
        /// Clip the largest weights when the effective sample size falls below a fifth of the neighbourhoods, which trades
        /// spread for bias. Default `true`.
        pub clip: bool = true, with_clip;
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
/// in nats, where `L_s` is the magnet loss of neighbourhood `s` alone, with its own means and its own variance: what
/// [`OwnMean`] says of the lead of the own mean holds for each of them, whatever its weight. Weights are constants. Two forms, by what a batch holds:
///
/// - **form A**, neighbourhoods apart: each is loaded and embedded by itself, whatever else the batch holds
/// - **form C1**, the union batch: neighbourhoods share clusters that are loaded and embedded once. The expectation is the
///   same; the terms are correlated.
///
/// An example in several neighbourhoods reports the mean of its losses; one in none reports 0. If all weights are 0, so are
/// loss and gradient. Half precision is widened to f32 first.
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
///
/// Source: eq. 5 of Rippel et al. 2016 for each neighbourhood; the weights are those of importance sampling, not of the paper.
#[derive(Module, Debug)]
pub struct ImportanceMagnetLoss {
    #[module(skip)]
    config: ImportanceMagnetLossConfig,
}

impl ImportanceMagnetLoss {
    /// Loss of a batch of neighbourhoods.
    ///
    /// Reports [`Statistic::EffectiveSampleSize`] of the weights before any clipping, [`Statistic::Variance`], on average
    /// over the neighbourhoods, [`Statistic::CollapseLevel`], averaged as the loss is, and [`Statistic::HingedOut`].
    ///
    /// # Shapes
    /// - embeddings: `[batch, dim]`, not normalised
    /// - clusters: `[batch]`, position of the example's cluster in `cluster_classes`
    /// - cluster_classes: class of each cluster
    ///
    /// # Panics
    /// If there is no neighbourhood, a proposal is not above 0, a probability is negative, or a neighbourhood is one that
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

        let magnet = MagnetLossConfig {
            gap: self.config.gap,
            temperature: self.config.temperature,
            own_mean: self.config.own_mean,
            detach_variance: false,
        };

        let mut mean: Option<Tensor<1>> = None;
        let mut sums = Tensor::<1>::zeros([n], like);
        let mut visits = Tensor::<1>::zeros([n], like);
        let mut variances = Tensor::<1>::zeros([1], like);
        let mut collapse = 0.0;
        for (neighbourhood, weight) in neighbourhoods.iter().zip(weights) {
            let slice = Slice::new(neighbourhood, clusters, cluster_classes);
            let rows = indices(&slice.rows, &device);
            let part = terms(
                x.clone().select(0, rows.clone()),
                &slice.clusters,
                &slice.classes,
                &magnet,
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
            collapse += part.collapse * weight;
        }
        let per_example = mean_of(sums, visits);
        LossOutput {
            mean: mean.expect("the weights of at least one neighbourhood were checked"),
            statistics: Statistics::default()
                .with(
                    Statistic::EffectiveSampleSize,
                    number(effective, &per_example),
                )
                .with(Statistic::Variance, variances / neighbourhoods.len() as f64)
                .with(Statistic::CollapseLevel, number(collapse, &per_example))
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
        if self.config.clip {
            clip(&mut weights);
        }
        let divisor = match self.config.mean {
            WeightedMean::Unbiased => weights.len() as f64,
            // If no neighbourhood has weight, the sum is 0, and so must the loss be.
            WeightedMean::SelfNormalised if effective == 0.0 => 1.0,
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
mod tests;
