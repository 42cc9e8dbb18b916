//! Embeddings with their classes, checked when they are put together.

use lodestone_distances::{RaggedRows, Rows};

use crate::{EvalError, Side};

/// Embedding rows `[n, dim]` with one class label a row.
///
/// # Example
/// ```
/// use lodestone_eval::Labelled;
///
/// let rows = Labelled::new(&[0.0, 0.0, 3.0, 4.0], 2, &[7, 9])?;
/// assert_eq!((rows.len(), rows.classes()), (2, vec![7, 9]));
/// # Ok::<(), lodestone_eval::EvalError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Labelled<'a> {
    rows: Rows<'a>,
    labels: &'a [usize],
}

impl<'a> Labelled<'a> {
    /// Reads `values` as rows of `dim` values, the class of row `i` being `labels[i]`.
    ///
    /// # Errors
    /// If there is no row, if `values` is not `labels.len() * dim` long, or if a value is not finite (the row is named).
    pub fn new(values: &'a [f32], dim: usize, labels: &'a [usize]) -> Result<Self, EvalError> {
        let rows =
            Rows::new(values, dim).map_err(|RaggedRows { values, dim }| EvalError::Count {
                what: "values",
                entries: values,
                rows: values.checked_div(dim).unwrap_or(0) + 1,
            })?;
        Self::from_rows(rows, labels)
    }

    /// The same from rows that are already cut.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_rows(rows: Rows<'a>, labels: &'a [usize]) -> Result<Self, EvalError> {
        same_count("labels", labels.len(), rows)?;
        check_finite(rows, Side::Only)?;
        Ok(Self { rows, labels })
    }

    /// The embeddings, `[n, dim]`.
    pub fn rows(&self) -> Rows<'a> {
        self.rows
    }

    /// The class of each row, `[n]`.
    pub fn labels(&self) -> &'a [usize] {
        self.labels
    }

    /// Number of rows, at least 1.
    #[allow(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// The distinct classes, ascending.
    pub fn classes(&self) -> Vec<usize> {
        distinct(self.labels)
    }

    /// `1/(n - 1) Σ ‖row - mean of its class‖²`: the variance of soft kNN when no cluster index gives one.
    ///
    /// It is summed over the dimensions, not divided by them, as the variance of the magnet loss. 0 for a single row.
    pub fn within_class_variance(&self) -> f64 {
        let (classes, means) = class_means(*self);
        let dim = self.rows.dim();
        let total: f64 = (0..self.len())
            .map(|i| {
                // Every label is among the classes, which are sorted.
                let class = classes.partition_point(|&c| c < self.labels[i]);
                let mean = &means[class * dim..(class + 1) * dim];
                let row = self.rows.row(i);
                row.iter()
                    .zip(mean)
                    .map(|(&x, m)| (f64::from(x) - m).powi(2))
                    .sum::<f64>()
            })
            .sum();
        total / self.len().saturating_sub(1).max(1) as f64
    }
}

/// The distinct values of `labels`, ascending.
pub(crate) fn distinct(labels: &[usize]) -> Vec<usize> {
    let mut classes = labels.to_vec();
    classes.sort_unstable();
    classes.dedup();
    classes
}

/// The distinct classes, ascending, and the mean embedding of each, `[classes, dim]`, in f64.
pub(crate) fn class_means(rows: Labelled) -> (Vec<usize>, Vec<f64>) {
    let (classes, dim) = (rows.classes(), rows.rows.dim());
    let mut means = vec![0.0; classes.len() * dim];
    let mut counts = vec![0_usize; classes.len()];
    for (row, label) in rows.rows.iter().zip(rows.labels) {
        let class = classes.partition_point(|c| c < label);
        counts[class] += 1;
        for (sum, &x) in means[class * dim..].iter_mut().zip(row) {
            *sum += f64::from(x);
        }
    }
    for (mean, &count) in means.chunks_exact_mut(dim).zip(&counts) {
        mean.iter_mut().for_each(|x| *x /= count as f64);
    }
    (classes, means)
}

/// `entries` things were given for `rows`, of which there must be at least one.
pub(crate) fn same_count(what: &'static str, entries: usize, rows: Rows) -> Result<(), EvalError> {
    if rows.is_empty() {
        return Err(EvalError::Empty("rows"));
    }
    match entries == rows.len() {
        true => Ok(()),
        false => Err(EvalError::Count {
            what,
            entries,
            rows: rows.len(),
        }),
    }
}

/// Names the first value that is not finite or whose square would not be.
pub(crate) fn check_finite(rows: Rows, side: Side) -> Result<(), EvalError> {
    // Sums of up to 2^24 squares of such values, and four times that, stay finite in f32.
    const LARGEST: f32 = 1e15;
    let bad = |x: &f32| x.is_nan() || x.abs() > LARGEST;
    match rows.values().iter().position(bad) {
        None => Ok(()),
        Some(at) => Err(EvalError::NotFinite {
            side,
            row: at / rows.dim(),
            column: at % rows.dim(),
            value: rows.values()[at],
        }),
    }
}
