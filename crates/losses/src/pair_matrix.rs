//! The matrix of all pairs of a batch, worked through in blocks of rows.
//!
//! A loss on pairs is a function of an n×n matrix `left · rightᵀ`. Recorded as one graph it would keep a dozen such
//! matrices until the backward pass; at 4096 examples each takes 64 MiB. Here a block of rows at a time is computed and
//! differentiated **with respect to the block's entries**, only these slopes are kept, and one pair of matrix products
//! turns them into gradients of `left` and `right`. The loss of a block stays a plain formula that burn differentiates.

use std::ops::Range;

use burn::tensor::{Bool, Tensor};

use crate::product::product;
use crate::reduction::Reduction;
use crate::tensors::{count, mean_of};

/// Numbers in a block: 4 MiB of f32, so that the handful of temporaries of one block stay near the cache.
const BLOCK: usize = 1 << 20;

/// What a loss says about one block of rows. `sums[k] / counts[k]`, totalled over the blocks, is its `k`-th term.
pub(crate) struct BlockLoss<const K: usize> {
    /// Sums `[1]` that carry a gradient.
    pub(crate) sums: [Tensor<1>; K],
    /// What each sum is divided by, `[1]`.
    pub(crate) counts: [Tensor<1>; K],
    /// Loss of each row of the block.
    pub(crate) per_row: Tensor<1>,
    /// How many pairs or triplets of the block have a loss above 0, and how many count, `[1]` each.
    pub(crate) active: [Tensor<1>; 2],
}

impl BlockLoss<1> {
    /// A block whose entries have a loss of their own, 0 where they do not count.
    pub(crate) fn of_entries(
        value: Tensor<2>,
        counted: Tensor<2, Bool>,
        reduction: Reduction,
    ) -> Self {
        let [rows, _] = value.dims();
        let dtype = value.dtype();
        let value = value.mask_fill(counted.clone().bool_not(), 0.0);
        let active = value.clone().inner().greater_scalar(0.0);
        let divisor = reduction.divisor(&counted, &active);
        let divisor = divisor.float().cast(dtype).sum_dim(1);
        let per_row = mean_of(value.clone().inner().sum_dim(1), divisor.clone());
        BlockLoss {
            sums: [value.sum()],
            counts: [divisor.sum()],
            per_row: per_row.reshape([rows]),
            active: [count(active, dtype), count(counted, dtype)],
        }
    }

    /// The loss of a block with two terms.
    pub(crate) fn and(self, other: Self) -> BlockLoss<2> {
        let ([sum], [count]) = (self.sums, self.counts);
        let ([other_sum], [other_count]) = (other.sums, other.counts);
        BlockLoss {
            sums: [sum, other_sum],
            counts: [count, other_count],
            per_row: self.per_row + other.per_row,
            active: add(self.active, other.active),
        }
    }
}

/// The whole matrix's loss.
pub(crate) struct PairLoss {
    /// `[1]`, with gradient.
    pub(crate) mean: Tensor<1>,
    /// `[rows]`, without.
    pub(crate) per_row: Tensor<1>,
    /// Share of active among counted pairs or triplets `[1]`.
    pub(crate) active: Tensor<1>,
    /// Number of counted pairs or triplets `[1]`.
    pub(crate) counted: Tensor<1>,
}

/// Equal blocks of rows that keep a block within [`BLOCK`] numbers.
pub(crate) fn blocks(rows: usize, columns: usize) -> Vec<Range<usize>> {
    let step = (BLOCK / columns.max(1)).max(1);
    (0..rows)
        .step_by(step)
        .map(|start| start..(start + step).min(rows))
        .collect()
}

/// Blocks of anchors whose positive pairs × columns stay within [`BLOCK`] numbers, unless a single anchor has more.
pub(crate) fn blocks_of_anchors(positives: &[Vec<usize>], columns: usize) -> Vec<Range<usize>> {
    let mut blocks = Vec::new();
    let (mut start, mut numbers) = (0, 0);
    for (row, positives) in positives.iter().enumerate() {
        // A row counts at least once: the block of distances has it even if it is no anchor.
        let more = positives.len().max(1) * columns;
        if numbers + more > BLOCK && row > start {
            blocks.push(start..row);
            (start, numbers) = (row, 0);
        }
        numbers += more;
    }
    blocks.push(start..positives.len());
    blocks
}

/// Adds up `loss` over the blocks of `left · rightᵀ`.
///
/// `loss` gets a block `[rows of the block, columns]` and the numbers of its rows.
pub(crate) fn over_blocks<const K: usize>(
    left: Tensor<2>,
    right: Tensor<2>,
    blocks: Vec<Range<usize>>,
    loss: impl Fn(Tensor<2>, Range<usize>) -> BlockLoss<K>,
) -> PairLoss {
    let tracked = left.is_tracked() || right.is_tracked();
    let (l, r) = (left.clone().inner(), right.clone().inner());
    let transposed = r.clone().transpose();

    let mut total: Option<Totals<K>> = None;
    let mut per_row = Vec::with_capacity(blocks.len());
    let mut slopes = Vec::with_capacity(blocks.len());
    for rows in &blocks {
        let block = product(
            l.clone().narrow(0, rows.start, rows.len()),
            transposed.clone(),
        );
        let said = if tracked {
            let (said, slope) = differentiate(block, |block| loss(block, rows.clone()));
            slopes.push(slope);
            said
        } else {
            loss(block, rows.clone())
        };
        per_row.push(said.per_row.clone().inner());
        let totals = Totals::of(said);
        total = Some(match total {
            None => totals,
            Some(so_far) => so_far.plus(totals),
        });
    }
    let Totals {
        sums,
        counts,
        active,
    } = total.expect("a batch has at least one row, so at least one block");

    let zipped = sums.into_iter().zip(counts.clone());
    let value = zipped
        .map(|(sum, count)| mean_of(sum, count))
        .reduce(Tensor::add);
    let value = value.expect("a loss has at least one term");
    let mean = if tracked {
        let (left_slope, right_slope) =
            gather_slopes(&l, &r, &blocks, slopes, &counts, right.is_tracked());
        with_gradient(
            value,
            [
                Some((left, left_slope)),
                right_slope.map(|slope| (right, slope)),
            ],
        )
    } else {
        value
    };
    let [active, counted] = active;
    PairLoss {
        mean,
        per_row: Tensor::cat(per_row, 0),
        active: mean_of(active, counted.clone()),
        counted,
    }
}

/// A constant `value` `[1]` whose gradient with respect to each input is the given one.
///
/// `Σ input · slope` has that gradient, and minus itself as a constant it is 0.
pub(crate) fn with_gradient<const I: usize>(
    value: Tensor<1>,
    inputs: [Option<(Tensor<2>, Tensor<2>)>; I],
) -> Tensor<1> {
    inputs
        .into_iter()
        .flatten()
        .fold(value, |value, (input, slope)| {
            let carrier = (input * slope).sum();
            carrier.clone() - carrier.detach() + value
        })
}

struct Totals<const K: usize> {
    sums: [Tensor<1>; K],
    counts: [Tensor<1>; K],
    active: [Tensor<1>; 2],
}

impl<const K: usize> Totals<K> {
    fn of(said: BlockLoss<K>) -> Self {
        Totals {
            sums: said.sums.map(Tensor::inner),
            counts: said.counts.map(Tensor::inner),
            active: said.active.map(Tensor::inner),
        }
    }

    fn plus(self, other: Self) -> Self {
        Totals {
            sums: add(self.sums, other.sums),
            counts: add(self.counts, other.counts),
            active: add(self.active, other.active),
        }
    }
}

fn add<const K: usize>(a: [Tensor<1>; K], b: [Tensor<1>; K]) -> [Tensor<1>; K] {
    let mut b = b.into_iter();
    a.map(|a| b.next().map_or(a.clone(), |b| a + b))
}

/// The loss of a block and the slope of each of its sums with respect to the block's entries.
fn differentiate<const K: usize>(
    block: Tensor<2>,
    loss: impl Fn(Tensor<2>) -> BlockLoss<K>,
) -> (BlockLoss<K>, [Tensor<2>; K]) {
    // Terms may share intermediate results, and burn walks a graph once: each term gets a graph of its own.
    let runs: [(BlockLoss<K>, Tensor<2>); K] = std::array::from_fn(|k| {
        let leaf = block.clone().autodiff().require_grad();
        let said = loss(leaf.clone());
        let slope = if said.sums[k].is_tracked() {
            leaf.grad(&said.sums[k].backward())
        } else {
            None
        };
        (said, slope.unwrap_or_else(|| block.zeros_like()))
    });
    let mut said = None;
    let slopes = runs.map(|(one, slope)| {
        said = Some(one);
        slope
    });
    (said.expect("a loss has at least one term"), slopes)
}

/// `Σ_k slope_k / count_k` of every block, times the other factor.
fn gather_slopes<const K: usize>(
    l: &Tensor<2>,
    r: &Tensor<2>,
    blocks: &[Range<usize>],
    slopes: Vec<[Tensor<2>; K]>,
    counts: &[Tensor<1>; K],
    right_is_tracked: bool,
) -> (Tensor<2>, Option<Tensor<2>>) {
    let mut left = Vec::with_capacity(blocks.len());
    let mut right: Option<Tensor<2>> = None;
    for (rows, slopes) in blocks.iter().zip(slopes) {
        let scaled = slopes
            .into_iter()
            .zip(counts)
            .map(|(slope, count)| slope / count.clone().clamp_min(1.0).reshape([1, 1]));
        let slope = scaled
            .reduce(Tensor::add)
            .expect("a loss has at least one term");
        left.push(product(slope.clone(), r.clone()));
        if right_is_tracked {
            let part = product(
                slope.transpose(),
                l.clone().narrow(0, rows.start, rows.len()),
            );
            right = Some(match right {
                None => part,
                Some(so_far) => so_far + part,
            });
        }
    }
    (Tensor::cat(left, 0), right)
}
