//! Values at which a magnet loss says something about the run.

/// Loss of embeddings that know nothing: the expected value when the batch is one cloud and its clusters are random
/// parts of it, whatever the cloud's spread. For a temperature of 1, the paper's loss.
///
/// ```text
/// gap + ln(M - 1) - ((M·D - 1) / (M·D)) / (D - 1)      M clusters of M classes, D examples each
/// ```
///
/// A sane run starts near this level; draw it beside the loss.
///
/// # Panics
/// If there are fewer than 2 clusters or fewer than 2 examples per cluster.
///
/// # Example
/// ```
/// let level = lodestone_losses::uninformed_level(2.43, 12, 4);
/// assert!((level - 4.502).abs() < 1e-3);
/// ```
///
/// Source: expectation of eq. 5 of Rippel et al. 2016 for identically distributed rows; simulation agrees to 0.003.
pub fn uninformed_level(gap: f64, clusters: usize, examples_per_cluster: usize) -> f64 {
    assert!(
        examples_per_cluster >= 2,
        "{examples_per_cluster} examples per cluster, at least 2 are needed"
    );
    let (m, d) = (clusters as f64, examples_per_cluster as f64);
    pinned_level(gap, clusters) - ((m * d - 1.0) / (m * d)) / (d - 1.0)
}

/// Loss when all exponents are about 0: `gap + ln(M - 1)`.
///
/// With the right variance this cannot happen, because an example's own exponent averages one half. A loss that stays
/// here has a variance far too large: the signature of a variance that was squared.
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
