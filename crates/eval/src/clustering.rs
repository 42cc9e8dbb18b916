//! How well a clustering agrees with the classes: NMI, AMI and purity of given assignments.
//!
//! Vinh, Epps, Bailey, *Information Theoretic Measures for Clusterings Comparison*, JMLR 11, 2010. Logarithms are natural,
//! normalisers are arithmetic means, as scikit-learn's defaults.

use serde::{Deserialize, Serialize};

use crate::EvalError;
use crate::labelled::distinct;

/// Agreement of a clustering with class labels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClusteringScores {
    /// `2 I / (H(labels) + H(clusters))`. 1 if both sides are one single group, 0 if only one of them is.
    pub nmi: f64,
    /// `(I - E[I]) / ((H(labels) + H(clusters))/2 - E[I])`, E over all permutations of the rows. About 0 for a random
    /// clustering, however many clusters it has.
    pub ami: f64,
    /// Share of rows that belong to the largest class of their cluster. 1 when every row is a cluster by itself.
    pub purity: f64,
    /// Number of rows.
    pub rows: usize,
    /// Number of clusters that hold a row.
    pub clusters: usize,
}

/// Compares `clusters` with `labels`; the numbers that name clusters and classes carry no meaning.
///
/// # Errors
/// If there is no row, or the two have different lengths.
///
/// # Example
/// ```
/// let scores = lodestone_eval::clustering_scores(&[0, 0, 1, 1], &[7, 7, 3, 3])?;
/// assert_eq!((scores.nmi, scores.ami, scores.purity), (1.0, 1.0, 1.0));
/// # Ok::<(), lodestone_eval::EvalError>(())
/// ```
pub fn clustering_scores(
    labels: &[usize],
    clusters: &[usize],
) -> Result<ClusteringScores, EvalError> {
    if labels.is_empty() {
        return Err(EvalError::Empty("rows"));
    }
    if labels.len() != clusters.len() {
        return Err(EvalError::Count {
            what: "cluster numbers",
            entries: clusters.len(),
            rows: labels.len(),
        });
    }
    let table = Contingency::new(labels, clusters);
    let (labels_entropy, clusters_entropy) =
        (table.entropy(&table.rows), table.entropy(&table.columns));
    let (information, mean_entropy) = (
        table.information(),
        0.5 * (labels_entropy + clusters_entropy),
    );
    let (nmi, ami) = match (table.rows.len(), table.columns.len()) {
        (1, 1) => (1.0, 1.0),
        (1, _) | (_, 1) => (0.0, 0.0),
        _ => {
            let expected = table.expected_information();
            let room = mean_entropy - expected;
            // Two partitions into single rows leave no room, and are the same partition.
            let ami = match room.abs() < 1e-12 * mean_entropy {
                true => 1.0,
                false => (information - expected) / room,
            };
            (information / mean_entropy, ami)
        }
    };
    Ok(ClusteringScores {
        nmi,
        ami: if table.is_renaming() { 1.0 } else { ami },
        purity: table.purity(),
        rows: labels.len(),
        clusters: table.columns.len(),
    })
}

/// How many rows each pair of class and cluster shares.
struct Contingency {
    /// Rows of each class.
    rows: Vec<usize>,
    /// Rows of each cluster.
    columns: Vec<usize>,
    /// (class, cluster, rows) of the pairs that share any.
    cells: Vec<(usize, usize, usize)>,
    total: usize,
}

impl Contingency {
    fn new(labels: &[usize], clusters: &[usize]) -> Self {
        let (classes, names) = (distinct(labels), distinct(clusters));
        let mut pairs: Vec<(usize, usize)> = labels
            .iter()
            .zip(clusters)
            .map(|(label, cluster)| {
                (
                    classes.partition_point(|c| c < label),
                    names.partition_point(|c| c < cluster),
                )
            })
            .collect();
        pairs.sort_unstable();
        let cells: Vec<_> = pairs
            .chunk_by(|a, b| a == b)
            .map(|c| (c[0].0, c[0].1, c.len()))
            .collect();
        let (mut rows, mut columns) = (vec![0; classes.len()], vec![0; names.len()]);
        for &(row, column, count) in &cells {
            rows[row] += count;
            columns[column] += count;
        }
        Self {
            rows,
            columns,
            cells,
            total: labels.len(),
        }
    }

    /// Whether each class is exactly one cluster.
    fn is_renaming(&self) -> bool {
        self.cells.len() == self.rows.len() && self.cells.len() == self.columns.len()
    }

    fn entropy(&self, sizes: &[usize]) -> f64 {
        let n = self.total as f64;
        sizes
            .iter()
            .map(|&size| size as f64 / n)
            .map(|p| -p * p.ln())
            .sum()
    }

    /// I = Σ p(c, k) ln(p(c, k) / p(c) p(k)).
    fn information(&self) -> f64 {
        let n = self.total as f64;
        let cell = |&(row, column, count): &(usize, usize, usize)| {
            let independent = self.rows[row] as f64 * self.columns[column] as f64;
            count as f64 / n * (n * count as f64 / independent).ln()
        };
        self.cells.iter().map(cell).sum::<f64>().max(0.0)
    }

    /// `E[I]` when the rows are permuted at random: the count of each cell is then hypergeometric.
    fn expected_information(&self) -> f64 {
        let n = self.total;
        let mut ln_factorial = vec![0.0; n + 1];
        for i in 1..=n {
            ln_factorial[i] = ln_factorial[i - 1] + (i as f64).ln();
        }
        let f = |i: usize| ln_factorial[i];
        // Cells of equal margins have equal terms, and there are few different sizes.
        let (row_sizes, column_sizes) = (with_counts(&self.rows), with_counts(&self.columns));
        let mut expected = 0.0;
        for &(a, of_a) in &row_sizes {
            for &(b, of_b) in &column_sizes {
                let fixed = f(a) + f(b) + f(n - a) + f(n - b) - f(n);
                let independent = a as f64 * b as f64;
                let mut cell = 0.0;
                for shared in (a + b).saturating_sub(n).max(1)..=a.min(b) {
                    let ways = f(shared) + f(a - shared) + f(b - shared) + f(n + shared - a - b);
                    let information =
                        shared as f64 / n as f64 * (n as f64 * shared as f64 / independent).ln();
                    cell += information * (fixed - ways).exp();
                }
                expected += cell * (of_a * of_b) as f64;
            }
        }
        expected
    }

    fn purity(&self) -> f64 {
        let mut largest = vec![0; self.columns.len()];
        for &(_, column, count) in &self.cells {
            largest[column] = largest[column].max(count);
        }
        largest.iter().sum::<usize>() as f64 / self.total as f64
    }
}

/// Each distinct size and how often it occurs.
fn with_counts(sizes: &[usize]) -> Vec<(usize, usize)> {
    let mut sorted = sizes.to_vec();
    sorted.sort_unstable();
    sorted
        .chunk_by(|a, b| a == b)
        .map(|group| (group[0], group.len()))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn trivial_partitions_have_defined_scores() {
        for (labels, clusters, nmi, ami, purity) in [
            ([1, 1, 1, 1], [5, 5, 5, 5], 1.0, 1.0, 1.0),
            ([1, 1, 2, 2], [5, 5, 5, 5], 0.0, 0.0, 0.5),
            ([1, 1, 1, 1], [5, 5, 6, 6], 0.0, 0.0, 1.0),
            ([1, 2, 3, 4], [4, 3, 2, 1], 1.0, 1.0, 1.0),
            ([1, 1, 2, 2], [9, 9, 0, 0], 1.0, 1.0, 1.0),
        ] {
            let scores = clustering_scores(&labels, &clusters).unwrap();
            assert_eq!(
                (scores.nmi, scores.ami, scores.purity),
                (nmi, ami, purity),
                "{labels:?} {clusters:?}"
            );
        }
        assert!(clustering_scores(&[], &[]).is_err());
        assert!(clustering_scores(&[1], &[1, 2]).is_err());
    }

    /// By hand: cells 2, 1, 1 of 4 rows; I = 1/2 ln(4·2/(3·2)) + 1/4 ln(4/(3·2)) + 1/4 ln(4/(1·2)) = 0.215762.
    #[test]
    fn a_small_case_by_hand() {
        let scores = clustering_scores(&[0, 0, 0, 1], &[0, 0, 1, 1]).unwrap();
        let entropies = 0.562335 + 2.0_f64.ln();
        assert!((scores.nmi - 2.0 * 0.215762 / entropies).abs() < 1e-5);
        // The lone row of class 1 lands in either pair alike, so every permutation has this I.
        assert!(scores.ami.abs() < 1e-12);
        assert_eq!(scores.purity, 0.75);
    }

    /// The expectation by drawing up every permutation of five rows.
    #[test]
    fn chance_is_the_mean_over_all_permutations() {
        let (labels, clusters) = ([0, 0, 0, 1, 2], [0, 1, 1, 1, 0]);
        let (mut sum, mut count) = (0.0, 0.0);
        for code in 0..5_usize.pow(5) {
            let order: Vec<usize> = (0..5).map(|i| code / 5_usize.pow(i) % 5).collect();
            if distinct(&order).len() == 5 {
                let permuted: Vec<usize> = order.iter().map(|&i| clusters[i]).collect();
                sum += Contingency::new(&labels, &permuted).information();
                count += 1.0;
            }
        }
        assert_eq!(count, 120.0);
        let expected = Contingency::new(&labels, &clusters).expected_information();
        assert!(
            (expected - sum / count).abs() < 1e-12,
            "{expected} instead of {}",
            sum / count
        );
    }

    proptest! {
        #[test]
        fn scores_are_symmetric_and_blind_to_names(pairs in prop::collection::vec((0_usize..6, 0_usize..4), 1..60)) {
            let (labels, clusters): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
            let renamed: Vec<usize> = clusters.iter().map(|c| 100 - 7 * c).collect();
            let scores = clustering_scores(&labels, &clusters).unwrap();
            let swapped = clustering_scores(&clusters, &labels).unwrap();
            let other = clustering_scores(&labels, &renamed).unwrap();
            prop_assert!((scores.nmi - swapped.nmi).abs() < 1e-9 && (scores.ami - swapped.ami).abs() < 1e-9);
            prop_assert!((scores.nmi - other.nmi).abs() < 1e-9 && (scores.ami - other.ami).abs() < 1e-9);
            prop_assert!((0.0..=1.0 + 1e-9).contains(&scores.nmi) && scores.ami <= 1.0 + 1e-9);
            prop_assert_eq!(scores.purity, other.purity);
        }
    }
}
