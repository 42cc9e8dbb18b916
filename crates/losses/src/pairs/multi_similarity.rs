//! Multi-similarity loss: Wang et al., *Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning*, CVPR
//! 2019.

use burn::module::Module;

use crate::candidates::Candidates;
use crate::construct::settings;
use crate::error::{above_zero, finite};
use crate::mining::{Mined, Miner};
use crate::on_pairs::{OnPairs, on_pairs, over_pairs};
use crate::pair_matrix::{BlockLoss, PairLoss};
use crate::tensors::{count, log1p_sumexp};

settings! {
    /// Settings of [`MultiSimilarityLoss`].
    pub struct MultiSimilarityLossConfig => MultiSimilarityLoss, without_parameters {
        /// Sharpness for positive pairs. Default 2, as in the paper.
        pub alpha: f64 = 2.0, with_alpha, above_zero;
        /// Sharpness for negative pairs. Default 50, as in the paper.
        pub beta: f64 = 50.0, with_beta, above_zero;
        /// Cosine similarity that positives should exceed and negatives stay below. Default 0.5, as in the authors' code.
        pub base: f64 = 0.5, with_base, finite;
        /// Which pairs count. Default: the paper's miner with ε = 0.1.
        pub mining: Miner = Miner::MultiSimilarity { epsilon: 0.1 }, with_mining, Miner::validate;
    }
}

/// Multi-similarity loss, on cosine similarities `s`:
///
/// ```text
/// L = mean_i( log(1 + Σ_{positive j} exp(-alpha (s_ij - base))) / alpha
///           + log(1 + Σ_{negative j} exp( beta (s_ij - base))) / beta )
/// ```
///
/// The mean is over all examples, in units of cosine similarity; one without pairs counts as 0. Half precision is widened to f32 first.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use lodestone_losses::{Labels, Miner, MultiSimilarityLossConfig};
///
/// let device = Device::flex();
/// let embeddings = Tensor::<2>::from_data([[1.0, 0.0], [3.0, 0.0]], &device);
/// let config = MultiSimilarityLossConfig { mining: Miner::All, ..Default::default() };
/// let value = config.init().forward(embeddings, &Labels::new(&[0, 0])).read().mean;
/// // One positive with s = 1: log(1 + exp(-2 · 0.5)) / 2.
/// assert!((value - 0.156631).abs() < 1e-5);
/// ```
///
/// Source: Wang et al., *Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning*, CVPR 2019.
#[derive(Module, Debug)]
pub struct MultiSimilarityLoss {
    #[module(skip)]
    config: MultiSimilarityLossConfig,
}

on_pairs! {
    /// Loss of a batch over the pairs of the configured miner.
    ///
    /// Reports [`Statistic::Active`](crate::Statistic::Active), the share of examples with a loss, and
    /// [`Statistic::Counted`](crate::Statistic::Counted), the number of examples.
    MultiSimilarityLoss, "`[batch, dim]`, of any length"
}

impl OnPairs for MultiSimilarityLoss {
    fn mining(&self) -> Miner {
        self.config.mining
    }

    fn of_mined(&self, among: &Candidates<'_>, mined: &Mined) -> PairLoss {
        let MultiSimilarityLossConfig {
            alpha, beta, base, ..
        } = self.config;
        let factors = [among.rows.clone(), among.columns.clone()];
        over_pairs(self, among, mined, factors, |similarity, masks| {
            let [positive, negative] = masks;
            let [rows, _] = similarity.dims();
            let dtype = similarity.dtype();
            let above = similarity - base;
            let pull = log1p_sumexp(above.clone() * -alpha, &positive) / alpha;
            let push = log1p_sumexp(above * beta, &negative) / beta;
            let per_row = (pull + push).reshape([rows]);
            let all = per_row.clone().inner().ones_like().sum();
            let active = count(per_row.clone().inner().greater_scalar(0.0), dtype);
            BlockLoss {
                sums: [per_row.clone().sum()],
                counts: [all.clone()],
                per_row,
                active: [active, all],
            }
        })
    }
}
