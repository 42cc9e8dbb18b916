//! The terms of eq. 5 for one neighbourhood: means, variance, and the loss of every example.

use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use super::{MagnetLossConfig, OwnMean};
use crate::product::product;
use crate::tensors::{constant, indices, logsumexp, mask};

/// Above this many numbers the differences `[n, M, p]` are not held in memory; see [`squared_distances`].
const DIRECT: usize = 1 << 24;

/// Smallest variance, relative to the mean squared length of the embeddings.
const VARIANCE_FLOOR: f64 = 1e-12;

/// What eq. 5 says about each example of a neighbourhood; `[n]` unless noted.
pub(crate) struct Terms {
    /// Loss after the hinge, with gradient.
    pub(crate) hinged: Tensor<1>,
    /// Variance `[1]`.
    pub(crate) variance: Tensor<1>,
    /// 1 where the variance was raised to its floor `[1]`.
    pub(crate) floored: Tensor<1>,
    /// Lead of the own mean over the nearest imposter, in nats.
    pub(crate) lead: Tensor<1>,
    /// Mean loss if all exponents were 0, in nats.
    pub(crate) collapse: f64,
}

/// Computes the terms. `clusters` holds each row's position in `classes`.
pub(crate) fn terms(
    x: Tensor<2>,
    clusters: &[usize],
    classes: &[usize],
    settings: &MagnetLossConfig,
) -> Terms {
    let [n, _] = x.dims();
    let sizes = check(n, clusters, classes);
    let device = x.device();

    let means = means(&x, clusters, &sizes);
    let own_mean = means.clone().select(0, indices(clusters, &device));
    let own = (x.clone() - own_mean).square().sum_dim(1);
    let (variance, floored) = variance(&x, own.clone(), settings.detach_variance);
    let twice = (variance.clone() * (2.0 * settings.temperature)).reshape([1, 1]);
    let own = match settings.own_mean {
        OwnMean::Plain => own,
        OwnMean::LeaveOneOut => own.clone() * without_the_example(clusters, &sizes, &own),
    };

    let squared = squared_distances(x, means);
    let other = mask([n, classes.len()], &device, |row, j| {
        classes[clusters[row]] != classes[j]
    });
    let log_denominator = logsumexp(squared.clone().neg() / twice.clone(), &other);
    let unhinged = own.clone() / twice.clone() + log_denominator + settings.gap;

    let nearest = squared.inner().mask_fill(other.bool_not(), 1e30).min_dim(1);
    let lead = (nearest - own.inner()) / twice.inner();
    Terms {
        hinged: relu(unhinged).reshape([n]),
        variance,
        floored,
        lead: lead.reshape([n]),
        collapse: collapse_level(&sizes, classes, settings.gap),
    }
}

/// Mean over the examples of `gap + ln(clusters of other classes)`.
fn collapse_level(sizes: &[usize], classes: &[usize], gap: f64) -> f64 {
    let level = |class: usize| {
        let others = classes.iter().filter(|&&other| other != class).count();
        gap + (others as f64).ln()
    };
    let total = sizes.iter().zip(classes);
    let total = total.map(|(&size, &class)| size as f64 * level(class));
    total.sum::<f64>() / sizes.iter().sum::<usize>() as f64
}

/// Mean of each cluster, `[M, p]`.
pub(crate) fn means(x: &Tensor<2>, clusters: &[usize], sizes: &[usize]) -> Tensor<2> {
    let [n, _] = x.dims();
    // In f64, so that embeddings in f64 get the mean of three to the last digit; f32 gets the same thirds as from f32.
    let mut averaging = vec![0.0; sizes.len() * n];
    for (row, &cluster) in clusters.iter().enumerate() {
        averaging[cluster * n + row] = 1.0 / sizes[cluster] as f64;
    }
    product(constant(averaging, [sizes.len(), n], x), x.clone())
}

/// What takes each squared distance to the mean of its cluster of `D` to that to the mean of the others, `(D / (D - 1))²`,
/// `[n, 1]`.
fn without_the_example(clusters: &[usize], sizes: &[usize], like: &Tensor<2>) -> Tensor<2> {
    let alone = sizes.iter().position(|&size| size < 2);
    assert!(
        alone.is_none(),
        "cluster {alone:?} of the batch has one example, so that there is no mean of its others"
    );
    let factors = clusters.iter().map(|&cluster| {
        let size = sizes[cluster] as f64;
        (size / (size - 1.0)).powi(2)
    });
    constant(factors.collect(), [clusters.len(), 1], like)
}

/// Size of each cluster.
fn check(n: usize, clusters: &[usize], classes: &[usize]) -> Vec<usize> {
    assert_eq!(
        n,
        clusters.len(),
        "{n} embeddings, {} clusters",
        clusters.len()
    );
    let mut sizes = vec![0; classes.len()];
    for &cluster in clusters {
        sizes[cluster] += 1;
    }
    let empty = sizes.iter().position(|&size| size == 0);
    assert!(
        empty.is_none(),
        "cluster {empty:?} of the batch has no example"
    );
    assert!(
        classes.iter().any(|&class| class != classes[0]),
        "all {} clusters of the batch share one class, so that there is no imposter",
        classes.len()
    );
    sizes
}

/// `Σ s_own / (n - 1)` and whether it had to be raised to the floor.
fn variance(x: &Tensor<2>, own: Tensor<2>, detach: bool) -> (Tensor<1>, Tensor<1>) {
    let [n, _] = x.dims();
    let variance = own.sum() / (n - 1) as f64;
    let variance = if detach { variance.detach() } else { variance };
    let length = x.clone().inner().square().sum_dim(1).mean();
    // The second floor serves a batch of zeros only.
    let floor = (length * VARIANCE_FLOOR).clamp_min(1e-30);
    let low = variance.clone().inner().lower(floor.clone());
    (variance.mask_where(low.clone(), floor), low.float())
}

/// Squared distances `[n, M]` of rows to means.
///
/// As sums of squared differences, which lose nothing to cancellation. Where those would fill memory (a union batch of
/// thousands of rows), as |x|² + |m|² − 2 x·m about the common centre, clamped at 0.
fn squared_distances(x: Tensor<2>, means: Tensor<2>) -> Tensor<2> {
    let ([n, p], [m, _]) = (x.dims(), means.dims());
    if n * m * p <= DIRECT {
        let difference = x.unsqueeze_dim::<3>(1) - means.unsqueeze_dim::<3>(0);
        return difference.square().sum_dim(2).reshape([n, m]);
    }
    let centre = x.clone().detach().mean_dim(0);
    let (x, means) = (x - centre.clone(), means - centre);
    let (rows, columns) = (
        x.clone().square().sum_dim(1),
        means.clone().square().sum_dim(1).transpose(),
    );
    (rows + columns - product(x, means.transpose()) * 2.0).clamp_min(0.0)
}
