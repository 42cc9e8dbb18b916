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

/// The positive pairs of a block of anchors, ordered by anchor, then positive, with the distances of each pair's anchor to
/// all columns.
pub(crate) struct PositivePairs {
    pub(crate) anchors: Tensor<1, Int>,
    /// The anchors, counted from the first row of the block.
    pub(crate) in_block: Tensor<1, Int>,
    pub(crate) positives: Tensor<1, Int>,
    /// `[pairs, columns]`
    pub(crate) distances: Tensor<2>,
    /// Distance to the positive, `[pairs, 1]`.
    pub(crate) own: Tensor<2>,
}

impl PositivePairs {
    /// Those of a block whose anchors satisfy `counts`, from its `distances` `[rows of the block, columns]` and the positive
    /// columns of every row; `None` if there is none.
    pub(crate) fn of_block(
        distances: Tensor<2>,
        rows: Range<usize>,
        positives: &[Vec<usize>],
        counts: impl Fn(usize) -> bool,
    ) -> Option<Self> {
        let start = rows.start;
        let anchors = rows.filter(|&row| counts(row));
        let pairs =
            anchors.flat_map(|row| positives[row].iter().map(move |&positive| (row, positive)));
        let (anchors, positives): (Vec<_>, Vec<_>) = pairs.unzip();
        if anchors.is_empty() {
            return None;
        }
        let device = distances.device();
        let in_block = anchors.iter().map(|row| row - start).collect::<Vec<_>>();
        let in_block = indices(&in_block, &device);
        let positives = indices(&positives, &device);
        let distances = distances.select(0, in_block.clone());
        let column = positives.clone().reshape([anchors.len(), 1]);
        Some(PositivePairs {
            anchors: indices(&anchors, &device),
            in_block,
            own: distances.clone().gather(1, column),
            positives,
            distances,
        })
    }
}

/// Calls `look` with the positive pairs of anchors that also have a negative, a block at a time.
pub(crate) fn for_each_positive<T>(
    among: &Candidates<'_>,
    distance: Distance,
    mut look: impl FnMut(PositivePairs) -> T,
) -> Vec<T> {
    let zero = Tensor::<1>::zeros([1], (&among.device(), among.rows.dtype()));
    let relation = &among.relation;
    let positives = relation.positives();
    let of_anchors = blocks_of_anchors(&positives, relation.columns.len());
    let found = in_blocks(among, of_anchors, |squared, rows| {
        let distances = distance.of_squared(squared, zero.clone());
        let is_anchor = |row| relation.is_anchor(row);
        PositivePairs::of_block(distances, rows, &positives, is_anchor).map(&mut look)
    });
    found.into_iter().flatten().collect()
}
