//! What miners return.

use burn::tensor::{Bool, Device, Int, Tensor};

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
    /// No triplet: one entry that does not count, since devices dislike empty arrays.
    pub(crate) fn none(device: &Device) -> Self {
        let zero = indices(&[0], device);
        Triplets {
            anchors: zero.clone(),
            positives: zero.clone(),
            negatives: zero.clone(),
            keep: zero.equal_scalar(1),
        }
    }

    /// Length of the list, with the triplets that do not count.
    pub fn len(&self) -> usize {
        self.anchors.dims()[0]
    }

    /// Whether the list has no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
