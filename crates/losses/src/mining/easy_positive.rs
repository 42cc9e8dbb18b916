//! Easy positive mining: Xuan et al., *Improved Embeddings with Easy Positive Triplet Mining*, WACV 2020.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::distances::for_each_block;
use super::pairs::Triplets;
use crate::candidates::Candidates;
use crate::tensors::indices;

/// Which negative goes with an easy positive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum NegativeChoice {
    /// The nearest one.
    Hard,
    /// The nearest one that is farther than the positive; an anchor without such a negative does not count.
    #[default]
    SemiHard,
}

/// For each anchor the **nearest** positive, so that a class may keep several modes, with one negative.
///
/// The list has one entry per row of the batch; rows without a positive or without a negative do not count.
///
/// # Shapes
/// - embeddings: `[batch, dim]`, of unit length in the paper; no gradient flows through the choice
/// - labels: `[batch]`
///
/// # Panics
/// If the batch is empty or the lengths differ.
pub fn easy_positive(
    embeddings: Tensor<2>,
    labels: &[usize],
    negatives: NegativeChoice,
) -> Triplets {
    easy(&Candidates::within(embeddings, labels), negatives)
}

/// For each anchor the nearest positive and one negative among the candidates.
pub(super) fn easy(among: &Candidates<'_>, negatives: NegativeChoice) -> Triplets {
    let device = among.device();
    let relation = &among.relation;
    let parts = for_each_block(among, |squared, rows| {
        let count = rows.len();
        let [positive, negative] = relation.masks(rows.clone());
        let to_positive = squared.clone().mask_fill(positive.bool_not(), f32::MAX);
        let wanted = match negatives {
            NegativeChoice::Hard => negative,
            NegativeChoice::SemiHard => {
                negative.bool_and(squared.clone().greater(to_positive.clone().min_dim(1)))
            }
        };
        let any = wanted.clone().any_dim(1).reshape([count]);
        let keep = any.bool_and(relation.anchors(rows.clone()));
        Triplets {
            anchors: indices(&rows.collect::<Vec<_>>(), &device),
            positives: to_positive.argmin(1).reshape([count]),
            negatives: squared
                .mask_fill(wanted.bool_not(), f32::MAX)
                .argmin(1)
                .reshape([count]),
            keep,
        }
    });
    Triplets::join(parts, &device)
}
