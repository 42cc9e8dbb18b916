//! Values at which a magnet loss says something about the run.

use super::{MagnetLossConfig, OwnMean};

/// Loss of embeddings that know nothing, before the hinge: its expectation when the batch is one cloud and its clusters are
/// random parts of it, whatever the cloud's spread.
///
/// ```text
/// gap + ln(M - 1) - r / (t (D - 1))           the own mean with the example, as in the paper
/// gap + ln(M - 1) + r / (2t (D - 1)²)         the own mean without it
/// ```
///
/// for `M` clusters of `M` classes with `D` examples each, `r = (MD - 1) / MD` and the temperature `t`. The terms behind the
/// logarithm are the expected own exponent less that of an imposter, see [`OwnMean`]. Over few directions exponents scatter,
/// and their log-sum lies above that of the mean exponent: with `p` directions of equal variance by about
/// `D / (2p (t (D - 1))²)`, which is 0.003 at `D = 4`, `p = 64` and `t = 1`, and 0.35 at `t = 0.1`. Where the level is near 0
/// or below, the hinge keeps the loss above it.
///
/// A sane run starts near this level; draw it beside the loss.
///
/// # Panics
/// If there are fewer than 2 clusters or fewer than 2 examples per cluster.
///
/// # Example
/// ```
/// use lodestone_losses::{MagnetLossConfig, OwnMean, uninformed_level};
///
/// let paper = MagnetLossConfig { gap: 2.43, ..Default::default() };
/// assert!((uninformed_level(&paper, 12, 4) - 4.502).abs() < 1e-3);
/// let other = MagnetLossConfig { own_mean: OwnMean::LeaveOneOut, ..paper };
/// assert!((uninformed_level(&other, 12, 4) - 4.882).abs() < 1e-3);
/// ```
///
/// Source: expectation of eq. 5 of Rippel et al. 2016 for identically distributed rows; simulation agrees to 0.003 where
/// `p` is large.
pub fn uninformed_level(
    config: &MagnetLossConfig,
    clusters: usize,
    examples_per_cluster: usize,
) -> f64 {
    assert!(
        examples_per_cluster >= 2,
        "{examples_per_cluster} examples per cluster, at least 2 are needed"
    );
    let (n, others) = (
        (clusters * examples_per_cluster) as f64,
        (examples_per_cluster - 1) as f64,
    );
    let trail = match config.own_mean {
        OwnMean::Plain => -1.0 / others,
        OwnMean::LeaveOneOut => 1.0 / (2.0 * others * others),
    };
    pinned_level(config.gap, clusters) + (n - 1.0) / n * trail / config.temperature
}

/// Loss when all exponents are about 0: `gap + ln(M - 1)`, whatever the temperature and the own mean.
///
/// With the right variance this cannot happen at a temperature of about 1, because an example's own exponent averages
/// `1 / 2t`, and more without the example. A loss that stays here has a variance far too large: the signature of a variance
/// that was squared. Where `t (D - 1)` is large, a loss that knows nothing stands near this level as well, see
/// [`uninformed_level`].
///
/// # Panics
/// If there are fewer than 2 clusters.
///
/// # Example
/// ```
/// let level = lodestone_losses::pinned_level(2.43, 12);
/// assert!((level - 4.828).abs() < 1e-3);
/// ```
pub fn pinned_level(gap: f64, clusters: usize) -> f64 {
    assert!(clusters >= 2, "{clusters} clusters, at least 2 are needed");
    gap + ((clusters - 1) as f64).ln()
}
