//! Statistics of the embeddings of a batch, and at how evenly the next seed is drawn.

use lodestone_sampling::{Clusters, PlanConfig, SmallGroups, probabilities};

/// The shape of a batch's embeddings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BatchStats {
    /// Mean length of an embedding.
    pub(crate) norm: f64,
    /// How many directions the batch uses, see [`effective_rank`].
    pub(crate) effective_rank: f64,
    /// All values, `[batch, dim]`.
    pub(crate) values: Vec<f32>,
}

impl BatchStats {
    /// Of rows of `dim` values.
    pub(crate) fn of(values: Vec<f32>, dim: usize) -> Self {
        let norms = values.chunks_exact(dim).map(|row| dot(row, row).sqrt());
        let rows = values.len() / dim;
        Self {
            norm: norms.sum::<f64>() / rows.max(1) as f64,
            effective_rank: effective_rank(&values, dim),
            values,
        }
    }
}

/// `(Σ λ)² / Σ λ²` over the eigenvalues of the rows' covariance: 1 on a line, as many as there are directions if all carry
/// alike, 0 on a point. It is the effective rank of order 2 (the exponential of Rényi's entropy in place of Shannon's), which
/// needs no eigenvalues: both sums are traces of the matrix of inner products, `[rows, rows]`.
fn effective_rank(values: &[f32], dim: usize) -> f64 {
    let rows = values.len() / dim;
    let mut mean = vec![0.0_f64; dim];
    for row in values.chunks_exact(dim) {
        let added = mean.iter_mut().zip(row);
        added.for_each(|(mean, &x)| *mean += f64::from(x) / rows as f64);
    }
    let centred: Vec<f32> = values
        .chunks_exact(dim)
        .flat_map(|row| {
            row.iter()
                .zip(&mean)
                .map(|(&x, m)| (f64::from(x) - m) as f32)
        })
        .collect();
    let row = |i: usize| &centred[i * dim..(i + 1) * dim];
    let (mut trace, mut squares) = (0.0, 0.0);
    for i in 0..rows {
        let own = dot(row(i), row(i));
        trace += own;
        squares += own * own;
        for j in 0..i {
            squares += 2.0 * dot(row(i), row(j)).powi(2);
        }
    }
    // Rounding leaves a little even where all rows are equal.
    let length: f64 = values.chunks_exact(dim).map(|row| dot(row, row)).sum();
    if trace <= 1e-10 * length || squares == 0.0 {
        return 0.0;
    }
    trace * trace / squares
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    // Eight sums side by side are what the processor adds at once.
    let mut sums = [0.0_f32; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = (a.remainder().iter().zip(b.remainder()))
        .map(|(x, y)| x * y)
        .sum();
    for (a, b) in a.zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    f64::from(sums.iter().sum::<f32>() + rest)
}

/// Entropy of the distribution that the next seed is drawn from over its largest value, `ln` of the number of clusters: 1
/// when all clusters are equally likely, 0 when one has all. Absent for plans without seeds.
pub(crate) fn seed_entropy(plan: &PlanConfig, clusters: Option<Clusters<'_>>) -> Option<f64> {
    let (epsilon, small, examples) = match plan {
        PlanConfig::Neighbourhood(plan) => {
            (plan.epsilon, plan.small_clusters, plan.examples_per_cluster)
        }
        PlanConfig::Importance(plan) | PlanConfig::Union(plan) => {
            (plan.epsilon, plan.small_clusters, plan.examples_per_cluster)
        }
        PlanConfig::Shuffled(_)
        | PlanConfig::PerClass(_)
        | PlanConfig::Balanced(_)
        | PlanConfig::HardClasses(_) => return None,
    };
    let least = match small {
        SmallGroups::Skip => examples,
        SmallGroups::Replace | SmallGroups::Short => 2,
    };
    let clusters = clusters?;
    let shares = probabilities(clusters.losses, clusters.index, epsilon, least).ok()?;
    let entropy: f64 = shares
        .iter()
        .filter(|&&share| share > 0.0)
        .map(|share| -share * share.ln())
        .sum();
    Some(entropy / (shares.len() as f64).ln().max(f64::MIN_POSITIVE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rank_counts_the_directions_that_carry() {
        let cases: [(&str, &[f32], f64); 4] = [
            (
                "a square",
                &[1.0, 1.0, 1.0, -1.0, -1.0, 1.0, -1.0, -1.0],
                2.0,
            ),
            ("a line", &[0.0, 0.0, 1.0, 2.0, 2.0, 4.0, 3.0, 6.0], 1.0),
            ("a point", &[3.0, 4.0, 3.0, 4.0, 3.0, 4.0, 3.0, 4.0], 0.0),
            // Variances 4 and 1: (4 + 1)² / (16 + 1).
            (
                "an oblong",
                &[2.0, 1.0, 2.0, -1.0, -2.0, 1.0, -2.0, -1.0],
                25.0 / 17.0,
            ),
        ];
        for (name, values, expected) in cases {
            let found = BatchStats::of(values.to_vec(), 2).effective_rank;
            assert!((found - expected).abs() < 1e-5, "{name}: {found}");
        }
    }

    #[test]
    fn the_norm_is_the_mean_length() {
        let stats = BatchStats::of(vec![3.0, 4.0, 0.0, 1.0], 2);
        assert_eq!(stats.norm, 3.0);
    }
}
