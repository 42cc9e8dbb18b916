//! Distances between anchors and candidates for the eyes of a miner: no gradient, a block of rows at a time.

use std::ops::Range;

use burn::tensor::{Int, Tensor};

use crate::candidates::Candidates;
use crate::distance::{Distance, SquaredDistances};
use crate::pair_matrix::{blocks, blocks_of_anchors};
use crate::product::product;
use crate::tensors::indices;

/// Calls `look` with blocks `[rows, columns]` of the squared distances.
pub(crate) fn for_each_block<T>(
    among: &Candidates<'_>,
    look: impl FnMut(Tensor<2>, Range<usize>) -> T,
) -> Vec<T> {
    let [rows, columns] = among.shape();
    in_blocks(among, blocks(rows, columns), look)
}

fn in_blocks<T>(
    among: &Candidates<'_>,
    blocks: Vec<Range<usize>>,
    mut look: impl FnMut(Tensor<2>, Range<usize>) -> T,
) -> Vec<T> {
    let factors = SquaredDistances::new(among.rows.clone().inner(), among.columns.clone().inner());
    let right = factors.right.transpose();
    let block = |rows: &Range<usize>| {
        let left = factors.left.clone();
        product(left.narrow(0, rows.start, rows.len()), right.clone())
    };
    blocks
        .into_iter()
        .map(|rows| look(block(&rows).clamp_min(0.0), rows))
        .collect()
}

/// The positive pairs of a block of anchors, with the distances of each pair's anchor to all columns.
pub(crate) struct PositivePairs {
    pub(crate) anchors: Tensor<1, Int>,
    pub(crate) positives: Tensor<1, Int>,
    /// `[pairs, columns]`
    pub(crate) distances: Tensor<2>,
    /// Distance to the positive, `[pairs, 1]`.
    pub(crate) own: Tensor<2>,
}

/// Calls `look` with the positive pairs of anchors that also have a negative, ordered by anchor, then positive.
pub(crate) fn for_each_positive<T>(
    among: &Candidates<'_>,
    distance: Distance,
    mut look: impl FnMut(PositivePairs) -> T,
) -> Vec<T> {
    let device = among.device();
    let zero = Tensor::<1>::zeros([1], (&device, among.rows.dtype()));
    let relation = &among.relation;
    let positives = relation.positives();
    let of_anchors = blocks_of_anchors(&positives, relation.columns.len());
    let found = in_blocks(among, of_anchors, |squared, rows| {
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
