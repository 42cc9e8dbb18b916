//! The miner of the multi-similarity loss: Wang et al., CVPR 2019.

use burn::tensor::Tensor;

use super::pairs::Pairs;
use crate::candidates::Candidates;
use crate::pair_matrix::blocks;
use crate::product::product;

/// Per anchor, the positives less similar than its nearest negative, and the negatives more similar than its farthest
/// positive, each with a tolerance `epsilon` of cosine similarity.
///
/// Rows without a positive or without a negative choose nothing.
///
/// # Shapes
/// - embeddings: `[batch, dim]`, of any length: rows are compared at length 1; no gradient flows through the choice
/// - labels: `[batch]`
///
/// # Panics
/// If the batch is empty or the lengths differ.
pub fn multi_similarity(embeddings: Tensor<2>, labels: &[usize], epsilon: f64) -> Pairs {
    out_of_order(&Candidates::within(embeddings, labels), epsilon)
}

/// The pairs that are not yet in order among the candidates.
pub(super) fn out_of_order(among: &Candidates<'_>, epsilon: f64) -> Pairs {
    // The tolerance is one of cosines.
    let among = &among.of_unit_length();
    let anchors = among.rows.clone().inner();
    let columns = among.columns.clone().inner().transpose();
    let (mut positives, mut negatives) = (Vec::new(), Vec::new());
    let [all, of_columns] = among.shape();
    for rows in blocks(all, of_columns) {
        let anchors = anchors.clone().narrow(0, rows.start, rows.len());
        let similarity = product(anchors, columns.clone());
        let [positive, negative] = among.relation.masks(rows);
        let nearest_negative = similarity
            .clone()
            .mask_fill(negative.clone().bool_not(), f32::MIN)
            .max_dim(1);
        let farthest_positive = similarity
            .clone()
            .mask_fill(positive.clone().bool_not(), f32::MAX)
            .min_dim(1);
        // Without a negative no positive is below f32::MIN; without a positive no negative is above f32::MAX.
        positives.push(positive.bool_and(similarity.clone().lower(nearest_negative + epsilon)));
        negatives.push(negative.bool_and(similarity.greater(farthest_positive - epsilon)));
    }
    Pairs {
        positive: Tensor::cat(positives, 0),
        negative: Tensor::cat(negatives, 0),
    }
}
