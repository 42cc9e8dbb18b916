//! An index without extra forward passes: it clusters the embeddings that training happened to see last.
//!
//! This is not the paper's index and has its own name. The embeddings are up to one revisit old and come from augmented views;
//! [`FusedEmbeddings::drift`] says how far that takes them from fresh ones.

use lodestone_distances::Rows;
use serde::{Deserialize, Serialize};

use crate::drift::mean_distance;
use crate::index::{check_batch, check_embeddings};
use crate::{Index, SamplingError};

/// The last embedding of each training row that any forward pass produced.
///
/// It starts from a full pass, so that every row has an embedding; after that each training step brings its own rows up to date,
/// and `index.refresh(fused.embeddings())` costs no forward pass.
///
/// # Example
/// ```
/// use lodestone_sampling::{FusedEmbeddings, Rows};
///
/// let mut fused = FusedEmbeddings::new(Rows::new(&[0.0, 1.0, 2.0], 1)?, 0)?;
/// fused.record(&[2], Rows::new(&[9.0], 1)?, 5)?;
/// assert_eq!(fused.embeddings().values(), [0.0, 1.0, 9.0]);
/// // Two rows are 8 steps old, one 3.
/// assert_eq!(fused.mean_age(8), 19.0 / 3.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusedEmbeddings {
    values: Vec<f32>,
    dim: usize,
    steps: Vec<u64>,
}

impl FusedEmbeddings {
    /// Starts from the embeddings of all training rows after `step` steps.
    ///
    /// # Errors
    /// If there are none, or one is not finite.
    pub fn new(embeddings: Rows, step: u64) -> Result<Self, SamplingError> {
        if embeddings.is_empty() {
            return Err(SamplingError::NoRows);
        }
        check_embeddings(embeddings, embeddings.len())?;
        let values = embeddings.values().to_vec();
        Ok(Self {
            values,
            dim: embeddings.dim(),
            steps: vec![step; embeddings.len()],
        })
    }

    /// Stores what a training step embedded. Of a row that occurs twice the later one stays.
    ///
    /// # Errors
    /// If the counts or dimensions differ, or an embedding is not finite; nothing is stored then.
    ///
    /// # Panics
    /// If a row does not exist.
    pub fn record(
        &mut self,
        rows: &[usize],
        embeddings: Rows,
        step: u64,
    ) -> Result<(), SamplingError> {
        check_batch(embeddings, rows, self.dim)?;
        for (&row, embedding) in rows.iter().zip(embeddings.iter()) {
            self.values[row * self.dim..(row + 1) * self.dim].copy_from_slice(embedding);
            self.steps[row] = step;
        }
        Ok(())
    }

    /// The embeddings, for [`Index::refresh`].
    pub fn embeddings(&self) -> Rows<'_> {
        Rows::new(&self.values, self.dim).expect("embeddings are whole rows")
    }

    /// Mean number of steps since a row was embedded.
    pub fn mean_age(&self, step: u64) -> f64 {
        let ages = self
            .steps
            .iter()
            .map(|&seen| step.saturating_sub(seen) as f64);
        ages.sum::<f64>() / self.steps.len() as f64
    }

    /// `mean ‖r_cached - r_fresh‖ / σ` over `rows`, whose fresh embeddings come from the evaluation view; `σ²` is the variance
    /// of the index made from the cached ones.
    ///
    /// # Errors
    /// If counts or dimensions differ, or a fresh embedding is not finite.
    ///
    /// # Panics
    /// If a row does not exist.
    pub fn drift(&self, index: &Index, rows: &[usize], fresh: Rows) -> Result<f64, SamplingError> {
        check_batch(fresh, rows, self.dim)?;
        let cached = self.embeddings();
        let pairs = rows.iter().map(|&row| cached.row(row)).zip(fresh.iter());
        Ok(mean_distance(pairs, index.variance()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IndexConfig;
    use crate::testing::scattered;

    #[test]
    fn with_every_row_fresh_it_equals_the_index_of_a_full_pass() {
        let (values, classes) = scattered(3, 20, 1);
        let mut fused = FusedEmbeddings::new(Rows::new(&[0.0; 120], 2).unwrap(), 0).unwrap();
        let rows: Vec<usize> = (0..60).rev().collect();
        let reversed: Vec<f32> = values.chunks(2).rev().flatten().copied().collect();
        fused
            .record(&rows, Rows::new(&reversed, 2).unwrap(), 1)
            .unwrap();
        let build = |rows: Rows| Index::build(rows, &classes, &IndexConfig::default(), 2).unwrap();
        let full = build(Rows::new(&values, 2).unwrap());
        assert_eq!(build(fused.embeddings()), full);
        let fresh = Rows::new(&values[..20], 2).unwrap();
        let probe: Vec<usize> = (0..10).collect();
        assert_eq!(fused.drift(&full, &probe, fresh).unwrap(), 0.0);
        let moved: Vec<f32> = values[..20].iter().map(|x| x + 1.0).collect();
        let drift = fused
            .drift(&full, &probe, Rows::new(&moved, 2).unwrap())
            .unwrap();
        let expected = 2.0_f64.sqrt() / full.variance().sqrt();
        assert!(
            (drift / expected - 1.0).abs() < 1e-5,
            "{drift} instead of {expected}"
        );
    }

    #[test]
    fn a_nan_names_the_training_row_and_is_not_stored() {
        let mut fused = FusedEmbeddings::new(Rows::new(&[1.0; 6], 2).unwrap(), 0).unwrap();
        let before = fused.clone();
        let bad = [0.0, 0.0, 0.0, f32::NAN];
        let error = fused
            .record(&[0, 2], Rows::new(&bad, 2).unwrap(), 1)
            .unwrap_err();
        assert!(matches!(
            error,
            SamplingError::EmbeddingNotFinite {
                row: 2,
                dimension: 1,
                ..
            }
        ));
        assert_eq!(fused, before);
    }
}
