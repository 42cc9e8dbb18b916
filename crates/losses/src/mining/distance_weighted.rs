//! Distance-weighted sampling: Wu et al., *Sampling Matters in Deep Embedding Learning*, ICCV 2017.

use burn::tensor::{Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::distances::for_each_positive;
use super::pairs::Triplets;
use crate::candidates::Candidates;
use crate::distance::Distance;

/// Settings of [`distance_weighted`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DistanceWeighting {
    /// Distances below this count as this, so that noise among the nearest does not decide. The paper's 0.5.
    pub nearest: f64,
    /// Negatives farther than this are never drawn. The paper's 1.4, about where random points lie.
    pub farthest: f64,
    /// Seed of the draws; equal seeds draw equal triplets.
    pub seed: u64,
}

/// For each anchor and each of its positives, a negative drawn so that all **distances** are about equally likely.
///
/// Distances between random points on a unit sphere in `p` dimensions have density
/// `q(d) ~ d^(p - 2) (1 - d² / 4)^((p - 3) / 2)`; a negative at distance `d` is drawn with probability proportional to
/// `1 / q(d)`. The list has one entry per ordered positive pair; a pair whose negatives are all too far does not count.
///
/// # Shapes
/// - embeddings: `[batch, dim]`, of any length: rows are compared at length 1
/// - labels: `[batch]`
///
/// # Panics
/// If the batch is empty or the lengths differ.
pub fn distance_weighted(
    embeddings: Tensor<2>,
    labels: &[usize],
    weighting: DistanceWeighting,
) -> Triplets {
    weighted(&Candidates::within(embeddings, labels), weighting)
}

/// For each anchor and each of its positives a negative among the candidates, drawn by distance.
pub(super) fn weighted(among: &Candidates<'_>, weighting: DistanceWeighting) -> Triplets {
    // The density is that of points on a sphere.
    let among = &among.of_unit_length();
    let device = among.device();
    let [_, dim] = among.rows.dims();
    let (dim, dtype) = (dim as f64, among.rows.dtype());
    let relation = &among.relation;
    let mut draws = ChaCha8Rng::seed_from_u64(weighting.seed);
    let parts = for_each_positive(among, Distance::Euclidean, |pairs| {
        let [count] = pairs.anchors.dims();
        let far = pairs.distances.clone().greater_scalar(weighting.farthest);
        let never = relation
            .negatives_of(pairs.anchors.clone())
            .bool_not()
            .bool_or(far);
        let d = pairs.distances.clamp_min(weighting.nearest);
        // The floor keeps the logarithm finite for opposite points.
        let cap = (d.clone().square() * -0.25 + 1.0).clamp_min(1e-8);
        let log_weight = d.log() * (2.0 - dim) - cap.log() * ((dim - 3.0) / 2.0);
        let log_weight = log_weight.mask_fill(never.clone(), -1e30);
        let weight = (log_weight.clone() - log_weight.max_dim(1))
            .exp()
            .mask_fill(never.clone(), 0.0);

        let threshold = (0..count)
            .map(|_| draws.random::<f32>())
            .collect::<Vec<_>>();
        let threshold =
            Tensor::<2>::from_data(TensorData::new(threshold, [count, 1]), (&device, dtype));
        let running = weight.cumsum(1);
        let total = running.clone().max_dim(1);
        // The drawn column is the first whose running sum exceeds its share of the total.
        let drawn = running.greater(total * threshold).int().argmax(1);
        Triplets {
            anchors: pairs.anchors,
            positives: pairs.positives,
            negatives: drawn.reshape([count]),
            keep: never.bool_not().any_dim(1).reshape([count]),
        }
    });
    Triplets::join(parts, &device)
}
