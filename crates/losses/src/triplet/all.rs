//! All triplets of a batch, or all that satisfy a condition, without ever holding them at once.
//!
//! The triplets of an anchor are its positive pairs × its negatives: a matrix with a row per positive pair. Blocks of
//! anchors keep such matrices small; there is no array of n³ numbers.

use std::ops::Range;

use burn::tensor::{Bool, IndexingUpdateOp, Int, Tensor};

use super::loss::TripletLoss;
use crate::candidates::Candidates;
use crate::distance::SquaredDistances;
use crate::mining::{Pairs, PositivePairs};
use crate::pair_matrix::{BlockLoss, PairLoss, blocks_of_anchors, over_blocks};
use crate::relation::Relation;
use crate::tensors::{count, mean_of};

/// Which triplets count.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Choice<'a> {
    /// Every one.
    All,
    /// Negative farther than the positive, by at most this margin.
    SemiHard(f64),
    /// Both of its pairs were chosen.
    Pairs(&'a Pairs),
}

/// Loss over the triplets whose anchors are rows and whose other corners are columns.
pub(crate) fn all_triplets(
    loss: &TripletLoss,
    among: &Candidates<'_>,
    choice: Choice<'_>,
) -> PairLoss {
    let squared = SquaredDistances::new(among.rows.clone(), among.columns.clone());
    let relation = &among.relation;
    let positives = relation.positives();
    let blocks = blocks_of_anchors(&positives, relation.columns.len());
    over_blocks(squared.left, squared.right, blocks, |block, rows| {
        let distance = loss
            .config
            .distance
            .of_squared(block, squared.floor.clone());
        block_loss(loss, distance, rows, &positives, relation, choice)
    })
}

fn block_loss(
    loss: &TripletLoss,
    distance: Tensor<2>,
    rows: Range<usize>,
    positives: &[Vec<usize>],
    relation: &Relation<'_>,
    choice: Choice<'_>,
) -> BlockLoss<1> {
    let device = distance.device().inner();
    let like = (&device, distance.dtype());
    let count_of_rows = rows.len();
    let Some(pairs) = PositivePairs::of_block(distance, rows, positives, |_| true) else {
        let nothing = Tensor::<1>::zeros([1], like);
        return BlockLoss {
            sums: [nothing.clone()],
            counts: [nothing.clone()],
            per_row: Tensor::zeros([count_of_rows], like),
            active: [nothing.clone(), nothing],
        };
    };
    let PositivePairs {
        anchors,
        in_block,
        positives,
        distances,
        own,
    } = pairs;
    let [pairs, _] = distances.dims();
    let lead = distances - own;
    let negatives = relation.negatives_of(anchors.clone());
    let counted = match choice {
        Choice::All => negatives,
        Choice::SemiHard(margin) => {
            let lead = lead.clone().inner();
            negatives
                .bool_and(lead.clone().greater_scalar(0.0))
                .bool_and(lead.lower_equal_scalar(margin))
        }
        Choice::Pairs(pairs) => chosen(pairs, anchors, positives),
    };
    let value = loss
        .of_lead(lead)
        .mask_fill(counted.clone().bool_not(), 0.0);
    let active = value.clone().inner().greater_scalar(0.0);
    let divisor = loss
        .config
        .reduction
        .divisor(&counted, &active)
        .float()
        .cast(like.1);

    // Back from positive pairs to anchors.
    let per_anchor = |of_pairs: Tensor<2>| {
        let zeros = Tensor::<1>::zeros([count_of_rows], (&device, of_pairs.dtype()));
        zeros.select_assign(
            0,
            in_block.clone(),
            of_pairs.sum_dim(1).reshape([pairs]),
            IndexingUpdateOp::Add,
        )
    };
    BlockLoss {
        per_row: mean_of(
            per_anchor(value.clone().inner()),
            per_anchor(divisor.clone()),
        ),
        sums: [value.sum()],
        counts: [divisor.sum()],
        active: [count(active, like.1), count(counted, like.1)],
    }
}

/// Triplets of chosen pairs, a row per positive pair.
fn chosen(pairs: &Pairs, anchors: Tensor<1, Int>, positives: Tensor<1, Int>) -> Tensor<2, Bool> {
    let [length] = positives.dims();
    let positive = pairs.positive.clone().select(0, anchors.clone());
    let positive = positive.gather(1, positives.reshape([length, 1]));
    let negative = pairs.negative.clone().select(0, anchors);
    // Not every device repeats a column of a mask by itself.
    let positive = positive.expand(negative.dims());
    negative.bool_and(positive)
}
