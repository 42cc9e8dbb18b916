//! Supervised contrastive loss: Khosla et al., *Supervised Contrastive Learning*, NeurIPS 2020.

use burn::module::Module;

use crate::candidates::Candidates;
use crate::construct::settings;
use crate::error::above_zero;
use crate::mining::{Mined, Miner};
use crate::on_pairs::{OnPairs, on_pairs, over_pairs};
use crate::pair_matrix::{BlockLoss, PairLoss};
use crate::reduction::Reduction;
use crate::tensors::{count, logsumexp, mean_of};

settings! {
    /// Settings of [`SupConLoss`].
    pub struct SupConLossConfig => SupConLoss, without_parameters {
        /// What cosine similarities are divided by. Default 0.1, as in the paper.
        pub temperature: f64 = 0.1, with_temperature, above_zero;
        /// Divide by all examples or by those with a loss. Default [`Reduction::Nonzero`], as in pytorch-metric-learning:
        /// it leaves out an example without positives.
        pub reduction: Reduction = Reduction::Nonzero, with_reduction;
        /// Which pairs count. Default [`Miner::All`], as in the paper.
        pub mining: Miner = Miner::All, with_mining, Miner::validate;
    }
}

/// Supervised contrastive loss, on cosine similarities `s` over the temperature `t`:
///
/// ```text
/// L_i = logsumexp_{j ≠ i}(s_ij / t) - mean_{positive j}(s_ij / t)        the form L_out of the paper
/// ```
///
/// Mean over the examples, in nats; one without positives has loss 0. Half precision is widened to f32 first.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use lodestone_losses::{Labels, SupConLossConfig};
///
/// let device = Device::flex();
/// let embeddings = Tensor::<2>::from_data([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]], &device);
/// let loss = SupConLossConfig { temperature: 1.0, ..Default::default() }.init();
/// // Both examples of class 0 have s = 1 and 0: log(e + 1) - 1. The lone example is left out.
/// let value = loss.forward(embeddings, &Labels::new(&[0, 0, 1])).read().mean;
/// assert!((value - 0.313262).abs() < 1e-5);
/// ```
///
/// Source: Khosla et al., *Supervised Contrastive Learning*, NeurIPS 2020, the form L_out.
#[derive(Module, Debug)]
pub struct SupConLoss {
    #[module(skip)]
    config: SupConLossConfig,
}

on_pairs! {
    /// Loss of a batch over the pairs of the configured miner.
    ///
    /// Reports [`Statistic::Active`](crate::Statistic::Active) and [`Statistic::Counted`](crate::Statistic::Counted),
    /// of examples.
    SupConLoss, "`[batch, dim]`, of any length"
}

impl OnPairs for SupConLoss {
    fn mining(&self) -> Miner {
        self.config.mining
    }

    fn of_mined(&self, among: &Candidates<'_>, mined: &Mined) -> PairLoss {
        let scaled = among.rows.clone() / self.config.temperature;
        let factors = [scaled, among.columns.clone()];
        over_pairs(self, among, mined, factors, |similarity, masks| {
            let [positive, negative] = masks;
            let [rows, _] = similarity.dims();
            let dtype = similarity.dtype();
            let denominator = logsumexp(similarity.clone(), &positive.clone().bool_or(negative));
            let positives = positive.clone().float().cast(dtype).sum_dim(1);
            let attraction = similarity.mask_fill(positive.bool_not(), 0.0).sum_dim(1);
            let lone = positives.clone().equal_scalar(0.0);
            let value = (denominator - mean_of(attraction, positives)).mask_fill(lone.clone(), 0.0);
            let active = value.clone().inner().greater_scalar(0.0);
            let all = lone.clone().bool_or(lone.clone().bool_not());
            let divisor = self.config.reduction.divisor(&all, &active);
            BlockLoss {
                sums: [value.clone().sum()],
                counts: [count(divisor, dtype)],
                per_row: value.reshape([rows]),
                active: [count(active, dtype), count(lone.bool_not(), dtype)],
            }
        })
    }
}
