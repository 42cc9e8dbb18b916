//! The magnet objective over a whole data set, as plain loops: what the loss of a neighbourhood estimates.

/// Full-data objective of a small set, in f64 on the host.
///
/// With the mean of every cluster, and the variance `v = Σ ‖r - μ(r)‖² / (N - 1)` over all examples:
///
/// ```text
/// L = mean_n max(0, ‖r_n - μ(r_n)‖² / 2v + gap + log Σ_{clusters m of other classes} exp(-‖r_n - μ_m‖² / 2v))
/// ```
///
/// Time grows with examples × clusters × dim: an oracle for tests and for watching a small run, not a training loss.
///
/// # Shapes
/// - embeddings: `[examples × dim]`, row by row
/// - clusters: `[examples]`, position of the example's cluster in `cluster_classes`
/// - cluster_classes: class of each cluster
///
/// # Panics
/// If the lengths do not fit, there are fewer than 2 examples, or an example has no cluster of another class.
///
/// # Example
/// ```
/// let embeddings = [0.0, 0.0, 2.0, 0.0, 1.0, 1.0, 3.0, 1.0, 0.0, 2.0, 2.0, 2.0];
/// let value = lodestone_losses::magnet_objective(&embeddings, 2, &[0, 0, 1, 1, 2, 2], &[0, 1, 2], 1.0);
/// assert!((value - 0.686434).abs() < 1e-6);
/// ```
///
/// Source: Rippel et al. 2016, eq. 4.
pub fn magnet_objective(
    embeddings: &[f64],
    dim: usize,
    clusters: &[usize],
    cluster_classes: &[usize],
    gap: f64,
) -> f64 {
    let n = clusters.len();
    assert_eq!(
        embeddings.len(),
        n * dim,
        "{} numbers for {n} × {dim}",
        embeddings.len()
    );
    assert!(n >= 2, "{n} examples have no variance");
    let row = |i: usize| &embeddings[i * dim..(i + 1) * dim];

    let mut means = vec![vec![0.0; dim]; cluster_classes.len()];
    let mut sizes = vec![0.0; cluster_classes.len()];
    for i in 0..n {
        sizes[clusters[i]] += 1.0;
        means[clusters[i]]
            .iter_mut()
            .zip(row(i))
            .for_each(|(mean, x)| *mean += x);
    }
    for (mean, size) in means.iter_mut().zip(&sizes) {
        mean.iter_mut().for_each(|m| *m /= size);
    }

    let squared = |i: usize, m: usize| {
        row(i)
            .iter()
            .zip(&means[m])
            .map(|(x, m)| (x - m).powi(2))
            .sum::<f64>()
    };
    let variance = (0..n).map(|i| squared(i, clusters[i])).sum::<f64>() / (n - 1) as f64;
    let exponent = |i: usize, m: usize| squared(i, m) / (2.0 * variance);

    let loss = |i: usize| {
        let class = cluster_classes[clusters[i]];
        let others =
            (0..cluster_classes.len()).filter(|&m| cluster_classes[m] != class && sizes[m] > 0.0);
        let exponents = others.map(|m| -exponent(i, m)).collect::<Vec<_>>();
        assert!(
            !exponents.is_empty(),
            "example {i} has no cluster of another class"
        );
        let top = exponents.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let log_denominator = top + exponents.iter().map(|e| (e - top).exp()).sum::<f64>().ln();
        f64::max(0.0, exponent(i, clusters[i]) + gap + log_denominator)
    };
    (0..n).map(loss).sum::<f64>() / n as f64
}
