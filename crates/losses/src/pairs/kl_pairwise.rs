//! Pairwise KL loss: Hsu & Kira, *Neural Network-based Clustering using Pairwise Constraints*, 2016.

use std::borrow::Cow;

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::{log_softmax, relu};

use crate::candidates::Candidates;
use crate::construct::settings;
use crate::error::finite_above_zero;
use crate::mining::{Mined, Miner};
use crate::on_pairs::{OnPairs, on_pairs, over_pairs};
use crate::pair_matrix::{BlockLoss, PairLoss};
use crate::reduction::Reduction;
use crate::tensors::{unit_rows, widen};

settings! {
    /// Settings of [`KlPairwiseLoss`].
    pub struct KlPairwiseLossConfig => KlPairwiseLoss, without_parameters {
        /// Divergence, in nats, beyond which a negative pair costs nothing. Default 2, as in the paper.
        pub margin: f64 = 2.0, with_margin, finite_above_zero;
        /// Treat the first distribution of each divergence as a constant in the gradient, as some codes do. Default `false`.
        pub detach_first: bool = false, with_detach_first;
        /// Which pairs count. Default [`Miner::All`], as in the paper.
        pub mining: Miner = Miner::All, with_mining, Miner::validate;
    }
}

/// Pairwise KL loss: each embedding is a distribution over clusters, `p = softmax(x)`; those of one class should agree,
/// those of different classes diverge.
///
/// ```text
/// same class:   KL(p_i, p_j) + KL(p_j, p_i)
/// other class:  max(0, margin - KL(p_i, p_j)) + max(0, margin - KL(p_j, p_i))
/// ```
///
/// Mean over the n(n - 1) / 2 pairs, in nats. Per example: mean over its n - 1 pairs. A miner chooses ordered pairs, each of
/// which stands for its one direction, and compares the distributions by the angle between them. Half precision is
/// widened to f32 first.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use lodestone_losses::KlPairwiseLossConfig;
///
/// let device = Device::flex();
/// let loss = KlPairwiseLossConfig::default().init();
/// // Equal distributions of different classes cost the margin, in both directions.
/// let equal = Tensor::<2>::from_data([[1.0, 2.0], [1.0, 2.0]], &device);
/// assert!((loss.forward(equal.clone(), &[0, 1]).read().mean - 4.0).abs() < 1e-5);
/// assert!(loss.forward(equal, &[0, 0]).read().mean.abs() < 1e-5);
/// ```
///
/// Source: Hsu & Kira, *Neural Network-based Clustering using Pairwise Constraints*, 2016, arXiv 1511.06321.
#[derive(Module, Debug)]
pub struct KlPairwiseLoss {
    #[module(skip)]
    config: KlPairwiseLossConfig,
}

on_pairs! {
    /// Loss of a batch. Reports [`Statistic::Active`](crate::Statistic::Active) and
    /// [`Statistic::Counted`](crate::Statistic::Counted).
    KlPairwiseLoss, "`[batch, clusters]`, unnormalised logits"
}

impl OnPairs for KlPairwiseLoss {
    fn mining(&self) -> Miner {
        self.config.mining
    }

    /// Logarithms of the distributions.
    fn prepare(&self, embeddings: Tensor<2>) -> Tensor<2> {
        log_softmax(widen(embeddings), 1)
    }

    /// The distributions, without gradient.
    fn seen<'a, 'b>(&self, among: &'b Candidates<'a>) -> Cow<'b, Candidates<'a>> {
        let seen = |log_p: &Tensor<2>| unit_rows(log_p.clone().inner().exp());
        Cow::Owned(Candidates {
            rows: seen(&among.rows),
            columns: seen(&among.columns),
            relation: among.relation.clone(),
        })
    }

    fn of_mined(&self, among: &Candidates<'_>, mined: &Mined) -> PairLoss {
        let first = if self.config.detach_first {
            among.rows.clone().detach()
        } else {
            among.rows.clone()
        };
        let p = first.clone().exp();
        // KL(p_i, p_j) = Σ p_i log p_i - p_i · log p_j, as one product of [Σ p log p, -p] with [1, log p].
        let self_term = (p.clone() * first).sum_dim(1);
        let log_p = among.columns.clone();
        let ones = log_p.clone().detach().narrow(1, 0, 1).ones_like();
        let factors = [
            Tensor::cat(vec![self_term, p.neg()], 1),
            Tensor::cat(vec![ones, log_p], 1),
        ];
        over_pairs(self, among, mined, factors, |divergence, masks| {
            let [positive, negative] = masks;
            // It is 0 or more but for roundings.
            let divergence = divergence.clamp_min(0.0);
            let apart = relu(divergence.clone().neg() + self.config.margin);
            // Each unordered pair owns two entries and is counted once, so the mean over entries is taken twice.
            let value = apart.mask_where(positive.clone(), divergence) * 2.0;
            BlockLoss::of_entries(value, positive.bool_or(negative), Reduction::Mean)
        })
    }
}
