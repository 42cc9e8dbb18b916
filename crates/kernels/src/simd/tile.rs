//! The product of a few rows and a few vectors, its sums held in registers.
#![expect(
    unsafe_code,
    reason = "reads its operands through pointers that the caller has checked"
)]

use super::lanes::Lanes;
use super::operands::{Finish, Left, Right};

/// `out[i][j] = finish(Σ_{b,s,k} left(i, b, s, k) · right(b, s, k, j))` for all rows `i < count` and columns `j < columns`.
///
/// # Safety
/// The instructions of `S` are there. `left`, `right`, `out` and the bias in `finish` are valid for every index above,
/// `right` moreover for the columns up to the next multiple of 16.
#[inline(always)]
pub(super) unsafe fn multiply<S: Lanes>(
    left: *const f32,
    left_steps: Left,
    count: usize,
    right: *const f32,
    right_steps: Right,
    out: *mut f32,
    out_row: usize,
    columns: usize,
    finish: Finish<'_>,
) {
    // Rows in tiles of nearly equal height: 9 rows are 5 + 4, not 8 + 1, whose second tile would wait on memory.
    let tiles = count.div_ceil(S::MAX_ROWS);
    let wide = S::MAX_VECTORS * S::WIDTH;
    let mut row = 0;
    for tile in 0..tiles {
        let rows = (count - row).div_ceil(tiles - tile);
        let mut column = 0;
        while column < columns {
            let vectors = (columns - column).min(wide).div_ceil(S::WIDTH);
            // SAFETY: the rows and columns of this tile are within those that the caller vouches for.
            unsafe {
                let job = Tile {
                    // Sums of no terms read neither operand, which may then be shorter than this.
                    left: left.wrapping_add(row * left_steps.row),
                    left_steps,
                    right: right.wrapping_add(column),
                    right_steps,
                    out: out.add(row * out_row + column),
                    out_row,
                    columns: (columns - column).min(wide),
                    finish,
                    column,
                };
                match vectors {
                    1 => job.rows::<S, 1>(rows),
                    2 => job.rows::<S, 2>(rows),
                    _ => job.rows::<S, 3>(rows),
                }
            }
            column += wide;
        }
        row += rows;
    }
}

struct Tile<'a> {
    left: *const f32,
    left_steps: Left,
    right: *const f32,
    right_steps: Right,
    out: *mut f32,
    out_row: usize,
    columns: usize,
    finish: Finish<'a>,
    /// Of the panel, where the tile begins.
    column: usize,
}

impl Tile<'_> {
    // SAFETY: as for `multiply`, of whose product this is a part.
    #[inline(always)]
    unsafe fn rows<S: Lanes, const VECTORS: usize>(&self, rows: usize) {
        unsafe {
            match rows {
                1 => self.run::<S, 1, VECTORS>(),
                2 => self.run::<S, 2, VECTORS>(),
                3 => self.run::<S, 3, VECTORS>(),
                4 => self.run::<S, 4, VECTORS>(),
                5 => self.run::<S, 5, VECTORS>(),
                6 => self.run::<S, 6, VECTORS>(),
                7 => self.run::<S, 7, VECTORS>(),
                _ => self.run::<S, 8, VECTORS>(),
            }
        }
    }

    // SAFETY: as for `multiply`, of whose product this is a part.
    #[inline(always)]
    unsafe fn run<S: Lanes, const ROWS: usize, const VECTORS: usize>(&self) {
        // Sizes that do not fit this level's registers are never asked for; they need not be compiled either.
        if const { ROWS > S::MAX_ROWS || VECTORS > S::MAX_VECTORS } {
            return;
        }
        unsafe {
            let mut sums = [[S::splat(0.0); VECTORS]; ROWS];
            let Left {
                row,
                block,
                run,
                step,
                blocks,
                runs,
                steps,
            } = self.left_steps;
            for pair in 0..blocks * runs {
                let (b, s) = (pair / runs, pair % runs);
                let mut left = self.left.wrapping_add(b * block + s * run);
                let right_start = b * self.right_steps.block + s * self.right_steps.run;
                let mut right = self.right.wrapping_add(right_start);
                for _ in 0..steps {
                    let mut vectors = [S::splat(0.0); VECTORS];
                    for j in 0..VECTORS {
                        vectors[j] = S::load(right.add(j * S::WIDTH));
                    }
                    for i in 0..ROWS {
                        let value = S::splat(*left.add(i * row));
                        for j in 0..VECTORS {
                            sums[i][j] = S::multiply_add(value, vectors[j], sums[i][j]);
                        }
                    }
                    left = left.wrapping_add(step);
                    right = right.wrapping_add(self.right_steps.step);
                }
            }
            for j in 0..VECTORS {
                let lanes = (self.columns - j * S::WIDTH).min(S::WIDTH);
                let start = j * S::WIDTH;
                for i in 0..ROWS {
                    let to = self.out.add(i * self.out_row + start);
                    let mut value = sums[i][j];
                    match self.finish {
                        Finish::Add => value = S::add(S::load_up_to(to, lanes), value),
                        Finish::Store { bias, relu } => {
                            if let Some(bias) = bias {
                                value = S::add(
                                    value,
                                    S::load_up_to(bias.as_ptr().add(self.column + start), lanes),
                                );
                            }
                            if relu {
                                value = S::max(S::splat(0.0), value);
                            }
                        }
                    }
                    S::store_up_to(to, value, lanes);
                }
            }
        }
    }
}
