//! Anchors, and the examples that they may be paired with: those of their batch, or of a memory besides.

use burn::tensor::{Device, Tensor};

use crate::relation::Relation;
use crate::tensors::unit_rows;

/// Embeddings in the form that is compared, with the relation of their labels.
#[derive(Clone, Debug)]
pub(crate) struct Candidates<'a> {
    /// Anchors `[batch, dim]`.
    pub(crate) rows: Tensor<2>,
    /// What they may be paired with: themselves, then the memory, `[columns, dim]`.
    pub(crate) columns: Tensor<2>,
    pub(crate) relation: Relation<'a>,
}

impl<'a> Candidates<'a> {
    /// A batch against itself.
    pub(crate) fn within(x: Tensor<2>, labels: &'a [usize]) -> Self {
        Candidates::new(x.clone(), x, labels, labels)
    }

    /// A batch against itself and more: the columns start with the rows.
    pub(crate) fn new(
        rows: Tensor<2>,
        columns: Tensor<2>,
        row_labels: &'a [usize],
        column_labels: &'a [usize],
    ) -> Self {
        for (x, labels) in [(&rows, row_labels), (&columns, column_labels)] {
            let [n, _] = x.dims();
            assert_eq!(n, labels.len(), "{n} embeddings, {} labels", labels.len());
        }
        let relation = Relation::new(row_labels, column_labels, &rows.device());
        Candidates {
            rows,
            columns,
            relation,
        }
    }

    /// The same with rows and columns of length 1, outside any graph: for choices that are defined by angles.
    pub(crate) fn of_unit_length(&self) -> Self {
        Candidates {
            rows: unit_rows(self.rows.clone().inner()),
            columns: unit_rows(self.columns.clone().inner()),
            relation: self.relation.clone(),
        }
    }

    /// Number of anchors and of columns.
    pub(crate) fn shape(&self) -> [usize; 2] {
        [self.relation.rows.len(), self.relation.columns.len()]
    }

    /// Where masks and lists of what was chosen live: the device, outside any graph.
    pub(crate) fn device(&self) -> Device {
        self.rows.device().inner()
    }
}
