//! Magnet loss of one neighbourhood: Rippel et al., *Metric Learning with Adaptive Density Discrimination*, ICLR 2016.

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::terms::terms;
use crate::construct::settings;
use crate::error::{finite_above_zero, finite_not_negative};
use crate::labels::Labels;
use crate::list::{ClassRule, Listed};
use crate::output::{LossOutput, Statistic, Statistics};
use crate::tensors::{number, share, widen};

settings! {
    /// Settings of [`MagnetLoss`].
    pub struct MagnetLossConfig => MagnetLoss, without_parameters {
        /// Cluster separation gap α, in nats. Default 1, the value of the public implementations; runs tuned on pets and
        /// flowers used 7.18 and 2.43.
        pub gap: f64 = 1.0, with_gap, finite_not_negative;
        /// What the variance is multiplied by in the exponents, above 0. Default 1, the paper's loss; anything else is a
        /// variant.
        ///
        /// Exponents are squared distances over `2 · temperature · variance`, and the gap is in nats: at a tenth of the
        /// temperature the same gap is a tenth of the distance. Compare temperatures at equal `gap · temperature`, and mind that
        /// the lead of the own mean grows as the temperature falls, see `own_mean`.
        pub temperature: f64 = 1.0, with_temperature, finite_above_zero;
        /// Whether the mean of an example's own cluster contains the example. Default `plain`, the paper's loss.
        pub own_mean: OwnMean = OwnMean::Plain, with_own_mean;
        /// Treat the variance as a constant in the gradient. Default `false`: with a constant variance descent inflates
        /// all embeddings for no gain.
        pub detach_variance: bool = false, with_detach_variance;
    }
}

/// Whether the mean that attracts an example contains that example.
///
/// The mean of `D` examples lies nearer to each of them than to any other: `1 / D` of it is the example. Of embeddings
/// without class information, whose variance in all directions together is `σ²`, the squared distance to the own mean is
/// `σ² (1 - 1/D)` on average, to another mean `σ² (1 + 1/D)`. In nats, with the variance of the loss
/// `σ² (1 - 1/D) MD / (MD - 1)`, the own mean leads by
///
/// ```text
/// ((MD - 1) / MD) / (t (D - 1))      M clusters of D examples, temperature t
/// ```
///
/// which is 0.33 at `D = 4` and `t = 1`, and 3.3 at `t = 0.1`: a gap below it asks nothing of such embeddings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OwnMean {
    /// The mean of all examples of the cluster in the batch, the example among them: the paper's loss.
    #[default]
    Plain,
    /// The mean of the cluster's other examples in the batch, for the own cluster alone: a variant. Needs two examples of
    /// each cluster.
    ///
    /// `x - mean of the others = (x - mean) D / (D - 1)`, so the own squared distance is multiplied by `(D / (D - 1))²`, with
    /// the `D` of that cluster; the variance and the imposters keep the plain means. It overcorrects: a mean of `D - 1`
    /// scatters more than one of `D`, and without class information the own mean trails by `((MD - 1) / MD) / (2t (D - 1)²)`,
    /// 0.05 at `D = 4` and `t = 1`. Copies of a photograph count as examples of their own.
    LeaveOneOut,
}

/// Magnet loss: pulls each example to its own cluster's mean and away from clusters of other classes, so that a class
/// may keep several modes.
///
/// With squared distances `s[i][j]` to the batch means, own cluster `o(i)`, clusters `N(i)` of other classes, and the
/// variance `v = Σ s[i][o(i)] / (n - 1)`, and with the temperature `t`, 1 in the paper:
///
/// ```text
/// L = mean_i max(0, c(i) s[i][o(i)] / 2tv + gap + logsumexp_{j in N(i)}(-s[i][j] / 2tv))
/// ```
///
/// where `c(i)` is 1 in the paper, and with [`OwnMean::LeaveOneOut`] `(D / (D - 1))²` for the `D` examples of `o(i)`.
///
/// Means and variance come from the batch, and gradients flow through both. Siblings, clusters of the example's own
/// class, neither attract nor repel. Scaling, shifting or rotating all embeddings leaves the loss unchanged. Clusters
/// may differ in size. If every example sits on its own mean, the variance is raised to 1e-12 of the mean squared length,
/// and [`Statistic::VarianceFloored`] says so. Half precision is widened to f32 first.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use lodestone_losses::MagnetLossConfig;
///
/// let device = Device::flex();
/// let rows = [[0.0, 0.0], [2.0, 0.0], [1.0, 1.0], [3.0, 1.0], [0.0, 2.0], [2.0, 2.0]];
/// let embeddings = Tensor::<2>::from_data(rows, &device);
/// let loss = MagnetLossConfig { gap: 1.0, ..Default::default() }.init();
/// let output = loss.forward(embeddings, &[0, 0, 1, 1, 2, 2], &[0, 1, 2]).read();
/// // By hand: v = 6 / 5. Example 0 has s = 1 to its own mean and 5 to both others:
/// // 1 / 2.4 + 1 + ln(2 exp(-5 / 2.4)) = 0.026481.
/// assert!((output.per_example[0] - 0.026481).abs() < 1e-5);
/// assert!((output.mean - 0.686434).abs() < 1e-5);
/// ```
///
/// Source: eq. 5 of the paper; the hinge is that of eq. 4.
#[derive(Module, Debug)]
pub struct MagnetLoss {
    #[module(skip)]
    config: MagnetLossConfig,
}

impl Listed for MagnetLoss {
    const RULE: ClassRule = ClassRule::NearestClusters;

    fn of_batch(&self, embeddings: Tensor<2>, labels: &Labels<'_>) -> LossOutput {
        let (clusters, cluster_classes) = labels.clusters();
        self.forward(embeddings, &clusters, &cluster_classes)
    }
}

impl MagnetLoss {
    /// Loss of one neighbourhood.
    ///
    /// Reports [`Statistic::Variance`], [`Statistic::HingedOut`], [`Statistic::ImposterGap`],
    /// [`Statistic::CollapseLevel`] and [`Statistic::VarianceFloored`].
    ///
    /// # Shapes
    /// - embeddings: `[batch, dim]`, any scale, not normalised
    /// - clusters: `[batch]`, 0-based position of the example's cluster in `cluster_classes`
    /// - cluster_classes: class of each cluster
    /// - returns losses in nats
    ///
    /// # Panics
    /// If `embeddings` and `clusters` disagree on `batch`, if a cluster has no example, or one where the own mean leaves one
    /// out, or if all clusters share one class.
    pub fn forward(
        &self,
        embeddings: Tensor<2>,
        clusters: &[usize],
        cluster_classes: &[usize],
    ) -> LossOutput {
        let x = widen(embeddings);
        let terms = terms(x, clusters, cluster_classes, &self.config);
        let per_example = terms.hinged.clone().inner();
        let collapse = number(terms.collapse, &per_example);
        LossOutput {
            mean: terms.hinged.mean(),
            statistics: Statistics::default()
                .with(Statistic::Variance, terms.variance)
                .with(
                    Statistic::HingedOut,
                    share(per_example.clone().equal_scalar(0.0)),
                )
                .with(Statistic::ImposterGap, terms.lead.mean())
                .with(Statistic::CollapseLevel, collapse)
                .with(Statistic::VarianceFloored, terms.floored),
            per_example,
        }
    }
}
