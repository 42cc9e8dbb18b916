//! What the losses on pairs and triplets share: which of them count, and the calls of a training loop.

use std::borrow::Cow;

use burn::tensor::{Bool, Tensor};

use crate::candidates::Candidates;
use crate::distance::Distance;
use crate::labels::Labels;
use crate::mining::{Mined, Miner, Pairs};
use crate::output::LossOutput;
use crate::pair_matrix::{BlockLoss, PairLoss, blocks, over_blocks};
use crate::tensors::widen;

/// A loss that compares the embeddings of a batch with each other, or with a memory of earlier ones.
pub(crate) trait OnPairs {
    /// Chooses the pairs or triplets of [`OnPairs::between`].
    fn mining(&self) -> Miner;

    /// What the miner compares; neighbours are sought with the distance of the loss.
    fn distance(&self) -> Distance {
        Distance::UnitEuclidean
    }

    /// The embeddings in the form that is compared.
    fn prepare(&self, embeddings: Tensor<2>) -> Tensor<2> {
        self.distance().prepare(widen(embeddings))
    }

    /// Prepared embeddings as a miner sees them.
    fn seen<'a, 'b>(&self, among: &'b Candidates<'a>) -> Cow<'b, Candidates<'a>> {
        Cow::Borrowed(among)
    }

    /// Loss over what was chosen among prepared rows and columns.
    fn of_mined(&self, among: &Candidates<'_>, mined: &Mined) -> PairLoss;

    /// Loss over what the configured miner chooses among prepared rows and columns.
    fn between(&self, among: &Candidates<'_>, draw: u64) -> PairLoss {
        let seen = self.seen(among);
        self.of_mined(among, &self.mining().among(&seen, self.distance(), draw))
    }

    /// Loss of a batch by itself.
    fn of_batch(&self, embeddings: Tensor<2>, labels: &Labels<'_>) -> LossOutput {
        let among = Candidates::within(self.prepare(embeddings), labels.classes());
        LossOutput::of_pairs(self.between(&among, labels.draw()))
    }

    /// The same over what any miner chose.
    fn of_chosen(&self, embeddings: Tensor<2>, labels: &[usize], mined: &Mined) -> LossOutput {
        let among = Candidates::within(self.prepare(embeddings), labels);
        LossOutput::of_pairs(self.of_mined(&among, mined))
    }
}

/// Adds up a loss over the blocks of `left · rightᵀ`. `terms` gets a block `[rows of the block, columns]`, and masks of
/// its positive and its negative pairs that count.
pub(crate) fn over_pairs<const K: usize>(
    loss: &impl OnPairs,
    among: &Candidates<'_>,
    mined: &Mined,
    [left, right]: [Tensor<2>; 2],
    terms: impl Fn(Tensor<2>, [Tensor<2, Bool>; 2]) -> BlockLoss<K>,
) -> PairLoss {
    let chosen = mined.to_pairs(&loss.seen(among), loss.distance());
    let blocks = blocks(left.dims()[0], right.dims()[0]);
    over_blocks(left, right, blocks, |block, rows| {
        let masks = match &chosen {
            None => among.relation.masks(rows),
            Some(Pairs { positive, negative }) => {
                [positive, negative].map(|mask| mask.clone().narrow(0, rows.start, rows.len()))
            }
        };
        terms(block, masks)
    })
}

/// Writes `forward`, under the given documentation, and `forward_mined` of a loss that is [`OnPairs`].
macro_rules! on_pairs {
    ($(#[$doc:meta])* $loss:ident, $embeddings:literal) => {
        impl $loss {
            $(#[$doc])*
            ///
            /// # Shapes
            #[doc = concat!("- embeddings: ", $embeddings)]
            /// - labels: `[batch]`
            ///
            /// # Panics
            /// If the batch is empty or the lengths differ.
            pub fn forward<'a>(
                &self,
                embeddings: burn::tensor::Tensor<2>,
                labels: impl Into<$crate::Labels<'a>>,
            ) -> $crate::LossOutput {
                $crate::on_pairs::OnPairs::of_batch(self, embeddings, &labels.into())
            }

            /// Loss of a batch over pairs or triplets from any miner. A loss on pairs takes the pairs that occur in triplets, one
            /// on triplets the triplets whose two pairs were chosen.
            ///
            /// # Panics
            /// If the batch is empty or the lengths differ.
            pub fn forward_mined(
                &self,
                embeddings: burn::tensor::Tensor<2>,
                labels: &[usize],
                mined: &$crate::Mined,
            ) -> $crate::LossOutput {
                $crate::on_pairs::OnPairs::of_chosen(self, embeddings, labels, mined)
            }
        }

        impl $crate::list::Listed for $loss {
            const RULE: $crate::ClassRule = $crate::ClassRule::NearestNeighbours;

            fn of_batch(
                &self,
                embeddings: burn::tensor::Tensor<2>,
                labels: &$crate::Labels<'_>,
            ) -> $crate::LossOutput {
                $crate::on_pairs::OnPairs::of_batch(self, embeddings, labels)
            }
        }
    };
}

pub(crate) use on_pairs;
