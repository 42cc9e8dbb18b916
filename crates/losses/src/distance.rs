//! How far apart two embeddings are, for losses that compare pairs.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::tensors::{epsilon, unit_rows};

/// A distance between embeddings; it shrinks as they come closer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Distance {
    /// `‖a - b‖`.
    Euclidean,
    /// `‖a - b‖²`.
    SquaredEuclidean,
    /// `‖a/‖a‖ - b/‖b‖‖`, between 0 and 2.
    #[default]
    UnitEuclidean,
}

impl Distance {
    /// The embeddings in the form that is compared.
    pub(crate) fn prepare(self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Distance::Euclidean | Distance::SquaredEuclidean => x,
            Distance::UnitEuclidean => unit_rows(x),
        }
    }

    /// Distances from squared ones. Squares of at most `floor` are rounding errors of equal points: they become 0, with
    /// no gradient, where the root has no slope.
    pub(crate) fn of_squared<const D: usize>(
        self,
        squared: Tensor<D>,
        floor: Tensor<1>,
    ) -> Tensor<D> {
        match self {
            Distance::SquaredEuclidean => squared.clamp_min(0.0),
            Distance::Euclidean | Distance::UnitEuclidean => {
                let equal = squared.clone().inner().lower_equal(floor.reshape([1; D]));
                squared
                    .mask_fill(equal.clone(), 1.0)
                    .sqrt()
                    .mask_fill(equal, 0.0)
            }
        }
    }

    /// Distance between the rows of two matrices, pair by pair, `[n]`, from differences.
    pub(crate) fn between_rows(self, a: Tensor<2>, b: Tensor<2>) -> Tensor<1> {
        let [n, _] = a.dims();
        let squared = (a - b).square().sum_dim(1).reshape([n]);
        let floor = Tensor::zeros([1], (&squared.device().inner(), squared.dtype()));
        self.of_squared(squared, floor)
    }
}

/// Two matrices whose product `left · rightᵀ` holds the squared distances between `rows` and `columns`.
pub(crate) struct SquaredDistances {
    pub(crate) left: Tensor<2>,
    pub(crate) right: Tensor<2>,
    /// Squares of at most this, `[1]`, are no more than rounding errors.
    pub(crate) floor: Tensor<1>,
}

impl SquaredDistances {
    /// `|a|² + |b|² - 2 a·b` as one product: `[-2a, |a|², 1] · [b, 1, |b|²]`, about the centre of the columns, so that a
    /// cloud far from the origin keeps its digits.
    pub(crate) fn new(rows: Tensor<2>, columns: Tensor<2>) -> Self {
        let centre = columns.clone().detach().mean_dim(0);
        let (rows, columns) = (rows - centre.clone(), columns - centre);
        let row_squares = rows.clone().square().sum_dim(1);
        let column_squares = columns.clone().square().sum_dim(1);
        // A few units in the last place of the numbers that cancel.
        let floor = column_squares.clone().inner().mean() * (4.0 * epsilon(columns.dtype()));
        let row_ones = row_squares.clone().detach().ones_like();
        let column_ones = column_squares.clone().detach().ones_like();
        SquaredDistances {
            left: Tensor::cat(vec![rows * -2.0, row_squares, row_ones], 1),
            right: Tensor::cat(vec![columns, column_ones, column_squares], 1),
            floor,
        }
    }
}
