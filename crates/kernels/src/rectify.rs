//! Sums of maps with a cut at zero, the gradients of a ReLU and of a bias, and sums of gradients.

use rayon::prelude::*;

use crate::memory::Buffer;
use crate::simd::{Level, for_level};

/// Floats of a piece of work: two operands of this size fit in a core's first-level cache several times over, and a
/// thread has enough to do.
const PIECE: usize = 64 * 1024;

/// `gradient` where the ReLU's output is positive, 0 elsewhere.
pub(crate) fn masked(level: Level, gradient: &[f32], output: &[f32]) -> Buffer {
    let mut values = Buffer::stale(gradient.len());
    let pieces = values.par_chunks_mut(PIECE).zip(gradient.par_chunks(PIECE));
    pieces
        .zip(output.par_chunks(PIECE))
        .for_each(|((values, gradient), output)| {
            values.copy_from_slice(gradient);
            mask(level, values, output);
        });
    values
}

/// [`masked`] in the gradient's own memory.
pub(crate) fn masked_in_place(level: Level, gradient: &mut [f32], output: &[f32]) {
    let pieces = gradient.par_chunks_mut(PIECE).zip(output.par_chunks(PIECE));
    pieces.for_each(|(gradient, output)| mask(level, gradient, output));
}

for_level! {
    fn mask(gradient: &mut [f32], output: &[f32]) {
        for (gradient, &output) in gradient.iter_mut().zip(output) {
            *gradient = if output > 0.0 { *gradient } else { 0.0 };
        }
    }
}

/// Adds `more` to `values`.
pub(crate) fn add_in_place(level: Level, values: &mut [f32], more: &[f32]) {
    let pieces = values.par_chunks_mut(PIECE).zip(more.par_chunks(PIECE));
    pieces.for_each(|(values, more)| add(level, values, more));
}

for_level! {
    fn add(values: &mut [f32], more: &[f32]) {
        for (value, more) in values.iter_mut().zip(more) {
            *value += more;
        }
    }
}

for_level! {
    /// Adds `more` to a piece of `values`, then cuts at zero if wanted.
    pub(crate) fn add_then_cut(values: &mut [f32], more: &[f32], relu: bool) {
        for (value, more) in values.iter_mut().zip(more) {
            let sum = *value + more;
            *value = if relu && sum < 0.0 { 0.0 } else { sum };
        }
    }
}

/// Sums of the columns of `[rows, columns]`. Added in pieces that depend on the sizes only.
pub(crate) fn column_sums(level: Level, values: &[f32], columns: usize) -> Vec<f32> {
    let rows = (PIECE / columns.max(1)).max(1);
    let partial: Vec<Vec<f32>> = values
        .par_chunks((rows * columns).max(1))
        .map(|values| {
            let mut sums = vec![0.0; columns];
            add_rows(level, values, &mut sums);
            sums
        })
        .collect();
    let mut sums = vec![0.0; columns];
    partial
        .iter()
        .for_each(|partial| add_rows(level, partial, &mut sums));
    sums
}

for_level! {
    fn add_rows(values: &[f32], sums: &mut [f32]) {
        for row in values.chunks_exact(sums.len()) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_passes_where_the_output_is_positive() {
        let (mut gradient, output) = ([1.0, 2.0, 3.0, 4.0], [0.5, 0.0, 2.0, 0.0]);
        for level in Level::ALL.into_iter().filter(|level| level.is_available()) {
            assert_eq!(*masked(level, &gradient, &output), [1.0, 0.0, 3.0, 0.0]);
        }
        masked_in_place(Level::Portable, &mut gradient, &output);
        assert_eq!(gradient, [1.0, 0.0, 3.0, 0.0]);
    }

    #[test]
    fn columns_are_summed_over_all_pieces() {
        let rows = 70_000;
        let values: Vec<f32> = (0..rows * 3).map(|index| (index % 3) as f32).collect();
        for level in Level::ALL.into_iter().filter(|level| level.is_available()) {
            assert_eq!(
                column_sums(level, &values, 3),
                [0.0, rows as f32, 2.0 * rows as f32]
            );
        }
    }
}
