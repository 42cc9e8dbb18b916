//! Every row once an epoch, in random order: what a classifier is trained with.

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::error::{at_least, setting};
use crate::random::{Purpose, stream};
use crate::{Classes, SamplingError};

/// An epoch is each row exactly once, in an order that is new in every epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ShuffledConfig {
    /// Rows in a batch.
    pub batch_size: usize,
    /// Leaves out the last batch of an epoch if it is not full; batch normalisation needs more than one image.
    pub drop_last: bool,
}

impl Default for ShuffledConfig {
    fn default() -> Self {
        Self {
            batch_size: 32,
            drop_last: false,
        }
    }
}

impl ShuffledConfig {
    pub(super) fn check(&self, classes: &Classes) -> Result<(), SamplingError> {
        at_least("batch_size", self.batch_size, 1)?;
        if self.drop_last && classes.rows() < self.batch_size {
            let reason = format!("drop_last leaves no batch of {} rows", classes.rows());
            return Err(setting("batch_size", self.batch_size, reason));
        }
        Ok(())
    }

    /// Rows in a batch, on average over an epoch.
    pub(super) fn mean_batch(&self, classes: &Classes) -> f64 {
        match self.drop_last {
            true => self.batch_size as f64,
            false => classes.rows() as f64 / classes.rows().div_ceil(self.batch_size) as f64,
        }
    }

    pub(super) fn batches(&self, classes: &Classes, seed: u64, epoch: u64) -> Vec<Vec<usize>> {
        let mut rows: Vec<usize> = (0..classes.rows()).collect();
        rows.shuffle(&mut stream(seed, Purpose::EpochOrder, epoch, 0));
        if self.drop_last {
            rows.truncate(rows.len() / self.batch_size * self.batch_size);
        }
        rows.chunks(self.batch_size)
            .map(<[usize]>::to_vec)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_every_row_once_and_epochs_differ() {
        let classes = Classes::new(&[0; 103]).unwrap();
        let config = ShuffledConfig {
            batch_size: 10,
            drop_last: false,
        };
        let batches = config.batches(&classes, 1, 0);
        assert_eq!(batches.len(), 11);
        let mut rows = batches.concat();
        assert_ne!(rows, config.batches(&classes, 1, 1).concat());
        assert_ne!(rows, config.batches(&classes, 2, 0).concat());
        assert_eq!(batches, config.batches(&classes, 1, 0));
        rows.sort_unstable();
        assert_eq!(rows, (0..103).collect::<Vec<_>>());
        let config = ShuffledConfig {
            drop_last: true,
            ..config
        };
        assert!(
            config
                .batches(&classes, 1, 0)
                .iter()
                .all(|batch| batch.len() == 10)
        );
    }

    #[test]
    fn an_epoch_without_a_batch_is_an_error() {
        let classes = Classes::new(&[0; 3]).unwrap();
        let check = |batch_size, drop_last| {
            ShuffledConfig {
                batch_size,
                drop_last,
            }
            .check(&classes)
        };
        assert!(check(5, false).is_ok());
        assert_eq!(
            check(5, true).unwrap_err().to_string(),
            "batch_size is 5: drop_last leaves no batch of 3 rows"
        );
        assert_eq!(
            check(0, false).unwrap_err().to_string(),
            "batch_size is 0: must be 1 or more"
        );
    }
}
