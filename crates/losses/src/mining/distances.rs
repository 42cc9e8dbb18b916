//! Distances of a batch for the eyes of a miner: no gradient, a block of rows at a time.

use std::ops::Range;

use burn::tensor::{Int, Tensor};

use crate::distance::{Distance, SquaredDistances};
use crate::pair_matrix::{blocks, blocks_of_anchors};
use crate::relation::Relation;
use crate::tensors::indices;

/// Calls `look` with blocks `[rows, batch]` of the squared distances within a batch.
pub(crate) fn for_each_block<T>(
    x: Tensor<2>,
    look: impl FnMut(Tensor<2>, Range<usize>) -> T,
) -> Vec<T> {
    let [n, _] = x.dims();
    in_blocks(x, blocks(n, n), look)
}

fn in_blocks<T>(
    x: Tensor<2>,
    blocks: Vec<Range<usize>>,
    mut look: impl FnMut(Tensor<2>, Range<usize>) -> T,
) -> Vec<T> {
    let x = x.inner();
    let factors = SquaredDistances::new(x.clone(), x);
    let right = factors.right.transpose();
    let block = |rows: &Range<usize>| {
        factors
            .left
            .clone()
            .narrow(0, rows.start, rows.len())
            .matmul(right.clone())
    };
    blocks
        .into_iter()
        .map(|rows| look(block(&rows).clamp_min(0.0), rows))
        .collect()
}

/// The positive pairs of a block of anchors, with the distances of each pair's anchor to the whole batch.
pub(crate) struct PositivePairs {
    pub(crate) anchors: Tensor<1, Int>,
    pub(crate) positives: Tensor<1, Int>,
    /// `[pairs, batch]`
    pub(crate) distances: Tensor<2>,
    /// Distance to the positive, `[pairs, 1]`.
    pub(crate) own: Tensor<2>,
}

/// Calls `look` with the positive pairs of anchors that also have a negative, ordered by anchor, then positive.
pub(crate) fn for_each_positive<T>(
    x: Tensor<2>,
    distance: Distance,
    relation: &Relation<'_>,
    mut look: impl FnMut(PositivePairs) -> T,
) -> Vec<T> {
    let device = x.device().inner();
    let zero = Tensor::<1>::zeros([1], (&device, x.dtype()));
    let positives = relation.positives();
    let of_anchors = blocks_of_anchors(&positives, relation.columns.len());
    let found = in_blocks(x, of_anchors, |squared, rows| {
        let anchors = rows.clone().filter(|&row| relation.is_anchor(row));
        let pairs =
            anchors.flat_map(|row| positives[row].iter().map(move |&positive| (row, positive)));
        let (anchors, positives): (Vec<_>, Vec<_>) = pairs.unzip();
        if anchors.is_empty() {
            return None;
        }
        let in_block = anchors
            .iter()
            .map(|row| row - rows.start)
            .collect::<Vec<_>>();
        let distances = distance
            .of_squared(squared, zero.clone())
            .select(0, indices(&in_block, &device));
        let positives = indices(&positives, &device);
        let own = distances
            .clone()
            .gather(1, positives.clone().reshape([anchors.len(), 1]));
        Some(look(PositivePairs {
            anchors: indices(&anchors, &device),
            positives,
            distances,
            own,
        }))
    });
    found.into_iter().flatten().collect()
}
