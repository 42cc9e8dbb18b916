//! What miners return.

use burn::tensor::{Bool, Device, IndexingUpdateOp, Int, Tensor};

use crate::tensors::indices;

/// Chosen pairs of a batch, as two masks. Pairs are ordered: `(i, j)` and `(j, i)` are chosen apart.
#[derive(Clone, Debug)]
pub struct Pairs {
    /// Chosen pairs of one class, `[batch, batch]`; never an example with itself.
    pub positive: Tensor<2, Bool>,
    /// Chosen pairs of different classes, `[batch, batch]`.
    pub negative: Tensor<2, Bool>,
}

/// Chosen triplets of a batch, as a list of fixed length, so that nothing has to be read back from the device.
#[derive(Clone, Debug)]
pub struct Triplets {
    /// Row of each anchor.
    pub anchors: Tensor<1, Int>,
    /// Row of each positive.
    pub positives: Tensor<1, Int>,
    /// Row of each negative.
    pub negatives: Tensor<1, Int>,
    /// Whether the triplet counts; a miner that finds nothing for an anchor says so here.
    pub keep: Tensor<1, Bool>,
}

impl Triplets {
    /// Length of the list, with the triplets that do not count.
    pub fn len(&self) -> usize {
        self.anchors.dims()[0]
    }

    /// Whether the list has no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pairs that occur in these triplets of a batch of `examples`.
    pub fn to_pairs(&self, examples: usize) -> Pairs {
        self.to_pairs_of([examples, examples])
    }

    /// The same where the columns of the pair matrix are not only its rows.
    pub(crate) fn to_pairs_of(&self, shape: [usize; 2]) -> Pairs {
        let mut flags = PairFlags::new(shape, &self.anchors.device());
        flags.add_positive(
            self.anchors.clone(),
            self.positives.clone(),
            self.keep.clone(),
        );
        flags.add_negative(
            self.anchors.clone(),
            self.negatives.clone(),
            self.keep.clone(),
        );
        flags.into_pairs()
    }

    /// One list after the other.
    pub(crate) fn join(parts: Vec<Triplets>, device: &Device) -> Self {
        if parts.is_empty() {
            // One entry that does not count, since devices dislike empty arrays.
            let zero = indices(&[0], device);
            let keep = zero.clone().equal_scalar(1);
            return Triplets {
                anchors: zero.clone(),
                positives: zero.clone(),
                negatives: zero,
                keep,
            };
        }
        let of = |field: fn(&Triplets) -> Tensor<1, Int>| {
            Tensor::cat(parts.iter().map(field).collect(), 0)
        };
        Triplets {
            anchors: of(|part| part.anchors.clone()),
            positives: of(|part| part.positives.clone()),
            negatives: of(|part| part.negatives.clone()),
            keep: Tensor::cat(parts.iter().map(|part| part.keep.clone()).collect(), 0),
        }
    }
}

/// Pairs under construction: how often each was chosen.
pub(crate) struct PairFlags {
    pub(crate) positive: Tensor<2>,
    pub(crate) negative: Tensor<2>,
}

impl PairFlags {
    pub(crate) fn new(shape: [usize; 2], device: &Device) -> Self {
        let none = || Tensor::zeros(shape, device);
        PairFlags {
            positive: none(),
            negative: none(),
        }
    }

    pub(crate) fn add_positive(
        &mut self,
        rows: Tensor<1, Int>,
        columns: Tensor<1, Int>,
        keep: Tensor<1, Bool>,
    ) {
        self.positive = mark(self.positive.clone(), rows, columns, keep);
    }

    pub(crate) fn add_negative(
        &mut self,
        rows: Tensor<1, Int>,
        columns: Tensor<1, Int>,
        keep: Tensor<1, Bool>,
    ) {
        self.negative = mark(self.negative.clone(), rows, columns, keep);
    }

    pub(crate) fn into_pairs(self) -> Pairs {
        Pairs {
            positive: self.positive.greater_scalar(0.0),
            negative: self.negative.greater_scalar(0.0),
        }
    }
}

/// Adds 1 to the entries that are kept.
fn mark(
    flags: Tensor<2>,
    rows: Tensor<1, Int>,
    columns: Tensor<1, Int>,
    keep: Tensor<1, Bool>,
) -> Tensor<2> {
    let [n, m] = flags.dims();
    // Positions that a search returned and those made from a list may differ in width.
    let at = rows.clone() * m as i64 + columns.cast(rows.dtype());
    flags
        .reshape([n * m])
        .select_assign(0, at, keep.float(), IndexingUpdateOp::Add)
        .reshape([n, m])
}
