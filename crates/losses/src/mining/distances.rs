//! Squared distances of a batch for the eyes of a miner: no gradient, a block of rows at a time.

use std::ops::Range;

use burn::tensor::Tensor;

use crate::distance::SquaredDistances;
use crate::pair_matrix::blocks;

/// Calls `look` with blocks `[rows, batch]` of the squared distances within a batch.
pub(crate) fn for_each_block<T>(x: Tensor<2>, mut look: impl FnMut(Tensor<2>, Range<usize>) -> T) -> Vec<T> {
    let x = x.inner();
    let [n, _] = x.dims();
    let factors = SquaredDistances::new(x.clone(), x);
    let right = factors.right.transpose();
    let block = |rows: &Range<usize>| factors.left.clone().narrow(0, rows.start, rows.len()).matmul(right.clone());
    blocks(n, n).into_iter().map(|rows| look(block(&rows).clamp_min(0.0), rows)).collect()
}
