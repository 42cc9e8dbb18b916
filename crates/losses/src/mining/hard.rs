//! Batch-hard mining: Hermans et al., *In Defense of the Triplet Loss for Person Re-Identification*, 2017.

use burn::tensor::{Int, Tensor, TensorData};

use super::distances::for_each_block;
use super::pairs::Triplets;
use crate::relation::Relation;
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
    let device = embeddings.device().inner();
    let relation = Relation::within(labels, &device);
    let chosen = for_each_block(embeddings, |squared, rows| {
        let [positive, negative] = relation.masks(rows);
        let farthest = squared.clone().mask_fill(positive.bool_not(), -1.0).argmax(1);
        let nearest = squared.mask_fill(negative.bool_not(), f32::MAX).argmin(1);
        [farthest, nearest]
    });
    let column = |which: usize| {
        let parts = chosen.iter().map(|found: &[Tensor<2, Int>; 2]| found[which].clone()).collect();
        Tensor::cat(parts, 0).reshape([labels.len()])
    };
    let keep = (0..labels.len()).map(|row| relation.is_anchor(row)).collect::<Vec<_>>();
    Triplets {
        anchors: indices(&(0..labels.len()).collect::<Vec<_>>(), &device),
        positives: column(0),
        negatives: column(1),
        keep: Tensor::from_data(TensorData::new(keep, [labels.len()]), &device),
    }
}
