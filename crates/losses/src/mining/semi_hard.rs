//! Semi-hard mining: Schroff et al., *FaceNet*, CVPR 2015.

use burn::tensor::{Bool, IndexingUpdateOp, Int, Tensor, TensorData};

use super::distances::{PositivePairs, for_each_positive};
use super::pairs::{PairFlags, Pairs, Triplets};
use crate::candidates::Candidates;
use crate::distance::Distance;

/// What becomes of a positive pair without a semi-hard negative.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SemiHardRest {
    /// It is left out, and so is a pair whose negative lies outside the margin.
    Dropped {
        /// Margin, in units of the distance.
        margin: f64,
    },
    /// It takes the farthest negative, and every pair counts.
    FarthestNegative,
}

/// For each anchor and each of its positives, the nearest negative that is farther than the positive.
///
/// The list has one entry per ordered positive pair whose anchor has a negative, ordered by anchor, then positive.
///
/// # Shapes
/// - embeddings: `[batch, dim]`, already in the form that `distance` compares
/// - labels: `[batch]`
///
/// # Panics
/// If the batch is empty or the lengths differ.
pub fn semi_hard_per_pair(
    embeddings: Tensor<2>,
    labels: &[usize],
    distance: Distance,
    rest: SemiHardRest,
) -> Triplets {
    per_positive(&Candidates::within(embeddings, labels), distance, rest)
}

/// For each anchor and each of its positives, the nearest negative beyond it among the candidates.
pub(super) fn per_positive(
    among: &Candidates<'_>,
    distance: Distance,
    rest: SemiHardRest,
) -> Triplets {
    let device = among.device();
    let parts = for_each_positive(among, distance, |pairs| {
        let negatives = among.relation.negatives_of(pairs.anchors.clone());
        let (negative, keep) = per_pair(pairs.distances, pairs.own, negatives, rest);
        Triplets {
            anchors: pairs.anchors,
            positives: pairs.positives,
            negatives: negative,
            keep,
        }
    });
    Triplets::join(parts, &device)
}

/// The negative of each positive pair, and whether the pair counts.
fn per_pair(
    distances: Tensor<2>,
    own: Tensor<2>,
    negatives: Tensor<2, Bool>,
    rest: SemiHardRest,
) -> (Tensor<1, Int>, Tensor<1, Bool>) {
    let [pairs, _] = distances.dims();
    let farther = negatives
        .clone()
        .bool_and(distances.clone().greater(own.clone()));
    let any = farther.clone().any_dim(1);
    let among = distances.clone().mask_fill(farther.bool_not(), f32::MAX);
    let nearest = among.clone().argmin(1);
    let (negative, keep) = match rest {
        SemiHardRest::Dropped { margin } => {
            let inside = (among.min_dim(1) - own).lower_scalar(margin);
            (nearest, any.bool_and(inside))
        }
        SemiHardRest::FarthestNegative => {
            let farthest = distances.mask_fill(negatives.bool_not(), -1.0).argmax(1);
            let all = Tensor::<2, Bool>::from_data(
                TensorData::new(vec![true; pairs], [pairs, 1]),
                &any.device(),
            );
            (farthest.mask_where(any, nearest), all)
        }
    };
    (negative.reshape([pairs]), keep.reshape([pairs]))
}

/// The pairs that occur in a triplet whose negative is farther than the positive, by at most the margin.
///
/// # Shapes
/// As [`semi_hard_per_pair`].
///
/// # Panics
/// As [`semi_hard_per_pair`].
pub fn semi_hard_pairs(
    embeddings: Tensor<2>,
    labels: &[usize],
    distance: Distance,
    margin: f64,
) -> Pairs {
    within_margin(&Candidates::within(embeddings, labels), distance, margin)
}

/// The pairs of the semi-hard triplets among the candidates.
pub(super) fn within_margin(among: &Candidates<'_>, distance: Distance, margin: f64) -> Pairs {
    let mut flags = PairFlags::new(among.shape(), &among.device());
    for_each_positive(among, distance, |pairs| {
        let PositivePairs {
            anchors,
            positives,
            distances,
            own,
            ..
        } = pairs;
        let lead = distances - own;
        let inside = lead
            .clone()
            .greater_scalar(0.0)
            .bool_and(lead.lower_equal_scalar(margin));
        let inside = inside.bool_and(among.relation.negatives_of(anchors.clone()));
        let any = inside.clone().any_dim(1).reshape([anchors.dims()[0]]);
        flags.add_positive(anchors.clone(), positives, any);
        let rows = flags.negative.clone();
        flags.negative = rows.select_assign(0, anchors, inside.float(), IndexingUpdateOp::Add);
    });
    flags.into_pairs()
}
