//! The product of rows and a packed panel of columns, which convolutions and their gradients are made of.
#![expect(
    unsafe_code,
    reason = "checks the operands and calls the kernel of the level"
)]

use super::operands::{Finish, Left, Right};
use super::tile::multiply;
use super::{Level, for_lanes, reach};

/// Columns in a full panel: the three vectors of 16 that leave room for the sums of 8 rows in 32 registers.
const WIDEST: usize = 48;
/// Panels are a multiple of this wide, so that every row of a panel fills whole cache lines.
pub(super) const LINE: usize = 16;

/// Some columns of a matrix that are stored together, row after row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Panel {
    /// First column of the matrix.
    pub(crate) start: usize,
    /// Columns of the matrix.
    pub(crate) columns: usize,
    /// Floats that a row takes: `columns`, then zeros up to a multiple of 16.
    pub(crate) width: usize,
}

/// Panels of nearly equal width for a matrix of so many columns: 64 are 32 + 32 rather than 48 + 16, because a narrow
/// panel is bound by loads.
pub(crate) fn panels(columns: usize) -> Vec<Panel> {
    let vectors = columns.div_ceil(LINE);
    let count = columns.div_ceil(WIDEST);
    let mut start = 0;
    (0..count)
        .map(|index| {
            let width = (vectors - start / LINE).div_ceil(count - index) * LINE;
            let panel = Panel {
                start,
                columns: width.min(columns - start),
                width,
            };
            start += width;
            panel
        })
        .collect()
}

/// `out[i][j] = finish(Σ_{b,s,k} left(i, b, s, k) · right(b, s, k, j))` for all rows `i < count` and columns `j < columns`.
///
/// `out` has rows `out_row` apart; `right` has at least `columns`, rounded up to 16, floats in a row.
/// The order of the additions depends on the operands' shape only.
///
/// # Panics
/// If an operand is too short.
pub(crate) fn multiply_panel(
    level: Level,
    left: &[f32],
    left_steps: Left,
    count: usize,
    right: &[f32],
    right_steps: Right,
    out: &mut [f32],
    out_row: usize,
    columns: usize,
    finish: Finish<'_>,
) {
    let Left {
        row,
        block,
        run,
        step,
        blocks,
        runs,
        steps,
    } = left_steps;
    if count == 0 || columns == 0 {
        return;
    }
    if blocks > 0 && runs > 0 && steps > 0 {
        let (b, s, k) = (blocks - 1, runs - 1, steps - 1);
        let last = reach([(count - 1, row), (b, block), (s, run), (k, step)]);
        assert!(last < left.len(), "left operand is too short");
        let Right { block, run, step } = right_steps;
        let width = columns.next_multiple_of(LINE);
        let end = reach([(b, block), (s, run), (k, step), (1, width)]);
        assert!(end <= right.len(), "right operand is too short");
    }
    let end = reach([(count - 1, out_row), (1, columns)]);
    assert!(end <= out.len(), "output is too short");
    if let Finish::Store {
        bias: Some(bias), ..
    } = finish
    {
        assert!(columns <= bias.len(), "bias is too short");
    }
    let (left, right, out) = (left.as_ptr(), right.as_ptr(), out.as_mut_ptr());
    // SAFETY: the operands are long enough for all indices, checked above; sums of no terms read none.
    for_lanes!(
        level,
        multiply(
            left: *const f32,
            left_steps: Left,
            count: usize,
            right: *const f32,
            right_steps: Right,
            out: *mut f32,
            out_row: usize,
            columns: usize,
            finish: Finish<'_>,
        )
    );
}
