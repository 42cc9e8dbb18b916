//! Which pairs of rows and columns are positive, and which negative.

use std::collections::BTreeMap;
use std::ops::Range;

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use crate::tensors::indices;

/// Labels of the rows and of the columns of a pair matrix. Column `i` is the same example as row `i` for every row; the
/// columns may go on with others, from a memory of earlier batches.
///
/// A pair is positive if its labels agree and it is not an example with itself, negative if its labels differ.
#[derive(Clone, Debug)]
pub(crate) struct Relation<'a> {
    pub(crate) rows: &'a [usize],
    pub(crate) columns: &'a [usize],
    row_labels: Tensor<2, Int>,
    column_labels: Tensor<2, Int>,
    column_numbers: Tensor<2, Int>,
    /// Columns of each label.
    groups: BTreeMap<usize, Vec<usize>>,
}

impl<'a> Relation<'a> {
    /// A batch against itself and more: `columns` starts with `rows`.
    pub(crate) fn new(rows: &'a [usize], columns: &'a [usize], device: &Device) -> Self {
        assert!(!rows.is_empty(), "a batch without examples has no loss");
        assert!(
            columns.starts_with(rows),
            "the columns must start with the rows of the batch"
        );
        let numbers = (0..columns.len()).collect::<Vec<_>>();
        let mut groups = BTreeMap::<usize, Vec<usize>>::new();
        for (column, &label) in columns.iter().enumerate() {
            groups.entry(label).or_default().push(column);
        }
        Relation {
            groups,
            rows,
            columns,
            row_labels: indices(rows, device).reshape([rows.len(), 1]),
            column_labels: indices(columns, device).reshape([1, columns.len()]),
            column_numbers: indices(&numbers, device).reshape([1, columns.len()]),
        }
    }

    /// Positive and negative pairs of a block of rows, `[rows of the block, columns]` each.
    pub(crate) fn masks(&self, block: Range<usize>) -> [Tensor<2, Bool>; 2] {
        let same = self.label_of_rows(&block).equal(self.column_labels.clone());
        let own_number = self
            .column_numbers
            .clone()
            .narrow(1, block.start, block.len())
            .transpose();
        let other = own_number.not_equal(self.column_numbers.clone());
        [same.clone().bool_and(other), same.bool_not()]
    }

    fn label_of_rows(&self, block: &Range<usize>) -> Tensor<2, Int> {
        self.row_labels.clone().narrow(0, block.start, block.len())
    }

    /// Negative pairs of a list of anchors, `[anchors, columns]`.
    pub(crate) fn negatives_of(&self, anchors: Tensor<1, Int>) -> Tensor<2, Bool> {
        self.row_labels
            .clone()
            .select(0, anchors)
            .not_equal(self.column_labels.clone())
    }

    /// Columns that are positive for a row, in order.
    pub(crate) fn positives_of(&self, row: usize) -> impl Iterator<Item = usize> + '_ {
        self.alike(row)
            .iter()
            .copied()
            .filter(move |&column| column != row)
    }

    /// Positive columns of every row.
    pub(crate) fn positives(&self) -> Vec<Vec<usize>> {
        (0..self.rows.len())
            .map(|row| self.positives_of(row).collect())
            .collect()
    }

    /// Which rows of a block have at least one positive and one negative column, `[rows of the block]`.
    pub(crate) fn anchors(&self, block: Range<usize>) -> Tensor<1, Bool> {
        let is_anchor: Vec<bool> = block.map(|row| self.is_anchor(row)).collect();
        let count = is_anchor.len();
        let device = self.row_labels.device();
        Tensor::from_data(TensorData::new(is_anchor, [count]), &device)
    }

    /// Whether a row has at least one positive and one negative column.
    pub(crate) fn is_anchor(&self, row: usize) -> bool {
        let alike = self.alike(row).len();
        alike > 1 && alike < self.columns.len()
    }

    /// Columns with the label of a row, itself among them.
    fn alike(&self, row: usize) -> &[usize] {
        &self.groups[&self.rows[row]]
    }
}
