//! What a table says of some of its rows, beside their embeddings.

use lodestone_data::Split;
use lodestone_eval::Rows;

use crate::error::TrainError;

/// Embeddings of one part of the data, with their labels.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// `[n, dim]`, row-major.
    pub embeddings: &'a [f32],
    /// The classes that training sees, `[n]`; those of other images have numbers that no training image has.
    pub labels: &'a [usize],
    /// The fine classes, where training merged them.
    pub fine: Option<&'a [usize]>,
    /// Sequences: an image does not look for those of its own.
    pub sequences: Option<&'a [usize]>,
}

/// What a table says of some rows, beside their embeddings.
pub(crate) struct Columns {
    pub(crate) labels: Vec<usize>,
    pub(crate) fine: Option<Vec<usize>>,
    pub(crate) sequences: Option<Vec<usize>>,
}

impl Columns {
    /// With the embeddings of the rows, `[n, dim]`.
    pub(crate) fn part<'a>(&'a self, embeddings: &'a [f32]) -> Part<'a> {
        Part {
            embeddings,
            labels: &self.labels,
            fine: self.fine.as_deref(),
            sequences: self.sequences.as_deref(),
        }
    }
}

/// What a reader of embeddings wants to know of a row, beside what the report needs.
#[derive(Clone, Debug)]
pub(crate) struct Photograph {
    pub(crate) path: String,
    pub(crate) class_name: String,
    pub(crate) split: Split,
}

/// `values` as rows of `dim`.
pub(crate) fn rows_of(values: &[f32], dim: usize) -> Result<Rows<'_>, TrainError> {
    Rows::new(values, dim).map_err(|error| TrainError::Setting {
        reason: error.to_string(),
    })
}
