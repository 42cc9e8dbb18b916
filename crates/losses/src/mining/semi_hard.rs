//! Semi-hard mining, one negative per positive pair: Schroff et al., *FaceNet*, CVPR 2015.

use burn::tensor::{Bool, Int, Tensor, TensorData};

use super::distances::for_each_block;
use super::pairs::Triplets;
use crate::distance::Distance;
use crate::relation::Relation;
use crate::tensors::indices;

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
/// The list has one entry per ordered positive pair, ordered by anchor, then positive.
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
    let device = embeddings.device().inner();
    let relation = Relation::within(labels, &device);
    let zero = Tensor::<1>::zeros([1], (&device, embeddings.dtype()));
    let (mut anchors, mut positives) = (Vec::new(), Vec::new());
    let chosen = for_each_block(embeddings, |squared, rows| {
        let start = anchors.len();
        for row in rows.clone() {
            // Without any negative there is nothing to choose from.
            let of_row = relation.positives_of(row).filter(|_| relation.is_anchor(row));
            positives.extend(of_row);
            anchors.resize(positives.len(), row);
        }
        let in_block = anchors[start..].iter().map(|row| row - rows.start).collect::<Vec<_>>();
        (!in_block.is_empty()).then(|| {
            let distances = distance.of_squared(squared, zero.clone());
            let own = indices(&anchors[start..], &device);
            let positive = indices(&positives[start..], &device);
            per_pair(distances.select(0, indices(&in_block, &device)), positive, relation.negatives_of(own), rest)
        })
    });
    let chosen = chosen.into_iter().flatten().collect::<Vec<_>>();
    if chosen.is_empty() {
        return Triplets::none(&device);
    }
    let (negatives, keep): (Vec<_>, Vec<_>) = chosen.into_iter().unzip();
    Triplets {
        anchors: indices(&anchors, &device),
        positives: indices(&positives, &device),
        negatives: Tensor::cat(negatives, 0),
        keep: Tensor::cat(keep, 0),
    }
}

/// The negative of each positive pair, and whether the pair counts. `distances` has a row per pair.
fn per_pair(
    distances: Tensor<2>,
    positive: Tensor<1, Int>,
    negatives: Tensor<2, Bool>,
    rest: SemiHardRest,
) -> (Tensor<1, Int>, Tensor<1, Bool>) {
    let [pairs, _] = distances.dims();
    let own = distances.clone().gather(1, positive.reshape([pairs, 1]));
    let farther = negatives.clone().bool_and(distances.clone().greater(own.clone()));
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
            let all = Tensor::<2, Bool>::from_data(TensorData::new(vec![true; pairs], [pairs, 1]), &any.device());
            (farthest.mask_where(any, nearest), all)
        }
    };
    (negative.reshape([pairs]), keep.reshape([pairs]))
}
