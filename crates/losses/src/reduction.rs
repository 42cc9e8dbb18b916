//! How the losses of many pairs or triplets become one number.

use burn::tensor::{Bool, Tensor};
use serde::{Deserialize, Serialize};

/// What the sum of the losses is divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// Number of pairs or triplets that count.
    Mean,
    /// Number of those with a loss above 0, so that satisfied ones do not dilute the rest.
    #[default]
    Nonzero,
}

impl Reduction {
    /// The entries that are divided by, of those that count and those with a loss above 0.
    pub(crate) fn divisor<const D: usize>(
        self,
        counted: &Tensor<D, Bool>,
        active: &Tensor<D, Bool>,
    ) -> Tensor<D, Bool> {
        match self {
            Reduction::Mean => counted.clone(),
            Reduction::Nonzero => active.clone(),
        }
    }
}
