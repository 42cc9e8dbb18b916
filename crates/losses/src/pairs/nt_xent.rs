//! Normalised temperature-scaled cross-entropy: Sohn, *Improved Deep Metric Learning with Multi-class N-pair Loss
//! Objective*, NIPS 2016, in the form of Chen et al., *SimCLR*, ICML 2020.

use burn::module::Module;

use crate::candidates::Candidates;
use crate::construct::settings;
use crate::error::above_zero;
use crate::mining::{Mined, Miner};
use crate::on_pairs::{OnPairs, on_pairs, over_pairs};
use crate::pair_matrix::{BlockLoss, PairLoss};
use crate::reduction::Reduction;
use crate::tensors::{logsumexp, softplus};

settings! {
    /// Settings of [`NtXentLoss`].
    pub struct NtXentLossConfig => NtXentLoss, without_parameters {
        /// What cosine similarities are divided by. Default 0.07, as in pytorch-metric-learning.
        pub temperature: f64 = 0.07, with_temperature, above_zero;
        /// Which pairs count. Default [`Miner::All`], as in the papers.
        pub mining: Miner = Miner::All, with_mining, Miner::validate;
    }
}

/// NT-Xent loss, on cosine similarities `s` over the temperature `t`: one term per positive pair `(i, j)`,
///
/// ```text
/// log( exp(s_ij / t) + Σ_{negative k} exp(s_ik / t) ) - s_ij / t
/// ```
///
/// so that the anchor's other positives are not in the denominator. Mean over the pairs, in nats; per example over its own.
/// Half precision is widened to f32 first.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use lodestone_losses::{Labels, NtXentLossConfig};
///
/// let device = Device::flex();
/// let embeddings = Tensor::<2>::from_data([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]], &device);
/// let loss = NtXentLossConfig { temperature: 1.0, ..Default::default() }.init();
/// // Both positive pairs have s = 1 and one negative with s = 0: log(e + 1) - 1.
/// let value = loss.forward(embeddings, &Labels::new(&[0, 0, 1])).read().mean;
/// assert!((value - 0.313262).abs() < 1e-5);
/// ```
///
/// Source: Sohn, *Improved Deep Metric Learning with Multi-class N-pair Loss Objective*, NIPS 2016; Chen et al., *SimCLR*, ICML
/// 2020.
#[derive(Module, Debug)]
pub struct NtXentLoss {
    #[module(skip)]
    config: NtXentLossConfig,
}

on_pairs! {
    /// Loss of a batch over the pairs of the configured miner.
    ///
    /// Reports [`Statistic::Active`](crate::Statistic::Active) and [`Statistic::Counted`](crate::Statistic::Counted),
    /// of positive pairs.
    NtXentLoss, "`[batch, dim]`, of any length"
}

impl OnPairs for NtXentLoss {
    fn mining(&self) -> Miner {
        self.config.mining
    }

    fn of_mined(&self, among: &Candidates<'_>, mined: &Mined) -> PairLoss {
        let scaled = among.rows.clone() / self.config.temperature;
        let factors = [scaled, among.columns.clone()];
        over_pairs(self, among, mined, factors, |similarity, masks| {
            let [positive, negative] = masks;
            let negatives = logsumexp(similarity.clone(), &negative);
            // log(exp(s) + exp(n)) - s is softplus(n - s).
            BlockLoss::of_entries(softplus(negatives - similarity), positive, Reduction::Mean)
        })
    }
}
