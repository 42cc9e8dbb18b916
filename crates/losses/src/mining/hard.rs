//! Batch-hard mining: Hermans et al., *In Defense of the Triplet Loss for Person Re-Identification*, 2017.

use burn::tensor::Tensor;

use super::distances::for_each_block;
use super::pairs::Triplets;
use crate::candidates::Candidates;
use crate::tensors::indices;

/// For each anchor the farthest positive and the nearest negative.
///
/// The list has one entry per row of the batch; rows without a positive or without a negative do not count. Equal
/// distances go to whichever the device finds first.
///
/// # Shapes
/// - embeddings: `[batch, dim]`; no gradient flows through the choice
/// - labels: `[batch]`
///
/// # Panics
/// If the batch is empty or the lengths differ.
pub fn batch_hard(embeddings: Tensor<2>, labels: &[usize]) -> Triplets {
    hard(&Candidates::within(embeddings, labels))
}

/// For each anchor the farthest positive and the nearest negative among the candidates.
pub(super) fn hard(among: &Candidates<'_>) -> Triplets {
    let device = among.device();
    let relation = &among.relation;
    let parts = for_each_block(among, |squared, rows| {
        let count = rows.len();
        let [positive, negative] = relation.masks(rows.clone());
        let keep = relation.anchors(rows.clone());
        Triplets {
            anchors: indices(&rows.collect::<Vec<_>>(), &device),
            positives: squared
                .clone()
                .mask_fill(positive.bool_not(), -1.0)
                .argmax(1)
                .reshape([count]),
            negatives: squared
                .mask_fill(negative.bool_not(), f32::MAX)
                .argmin(1)
                .reshape([count]),
            keep,
        }
    });
    Triplets::join(parts, &device)
}
