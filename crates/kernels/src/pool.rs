//! Maximum and average over windows of channels-last images, and their gradients, on slices.

use std::ops::Range;

use rayon::prelude::*;

use crate::memory::Buffer;
use crate::simd::{Level, for_level};

/// The windows of a pool. Pairs are height, width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoolWindow {
    pub(crate) size: [usize; 2],
    pub(crate) stride: [usize; 2],
    /// On each side; at most half of `size`.
    pub(crate) padding: [usize; 2],
    /// Whether a last window may hang over the edge.
    pub(crate) round_up: bool,
}

/// Sizes of a pool of `[batch, height, width, channels]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pool {
    pub(crate) batch: usize,
    pub(crate) input: [usize; 2],
    pub(crate) output: [usize; 2],
    pub(crate) channels: usize,
    pub(crate) window: PoolWindow,
}

impl Pool {
    /// # Panics
    /// If no window fits.
    pub(crate) fn new(
        batch: usize,
        input: [usize; 2],
        channels: usize,
        window: PoolWindow,
    ) -> Self {
        let output = [0, 1].map(|axis| windows(input[axis], window, axis));
        Self {
            batch,
            input,
            output,
            channels,
            window,
        }
    }

    /// Input pixels under the window of output index `at` along an axis, without padding.
    fn span(&self, axis: usize, at: usize) -> Range<usize> {
        let start = at * self.window.stride[axis];
        let end = (start + self.window.size[axis]).saturating_sub(self.window.padding[axis]);
        start.saturating_sub(self.window.padding[axis])..end.min(self.input[axis])
    }

    /// Length of that window, padding included but not what hangs over it.
    fn padded_len(&self, axis: usize, at: usize) -> usize {
        let start = at * self.window.stride[axis];
        let end = self.input[axis] + 2 * self.window.padding[axis];
        (start + self.window.size[axis]).min(end) - start
    }

    fn row(&self) -> usize {
        self.output[1] * self.channels
    }

    fn input_image(&self) -> usize {
        self.input[0] * self.input[1] * self.channels
    }

    /// One over the values that a window's mean is taken of.
    fn share(&self, row: usize, column: usize, count_padding: bool) -> f32 {
        let len = |axis: usize, at: usize| {
            if count_padding {
                self.padded_len(axis, at)
            } else {
                self.span(axis, at).len()
            }
        };
        1.0 / (len(0, row) * len(1, column)).max(1) as f32
    }
}

/// Number of windows along an axis, torch's rule: a window that hangs over must begin inside the image or its left padding.
fn windows(len: usize, window: PoolWindow, axis: usize) -> usize {
    let PoolWindow {
        size,
        stride,
        padding,
        round_up,
    } = window;
    let (size, stride, padding) = (size[axis], stride[axis], padding[axis]);
    let Some(room) = (len + 2 * padding).checked_sub(size) else {
        panic!("a window of {size} does not fit in {len} padded by {padding}")
    };
    if !round_up {
        return room / stride + 1;
    }
    let count = room.div_ceil(stride) + 1;
    if (count - 1) * stride >= len + padding {
        count - 1
    } else {
        count
    }
}

/// Maxima, and for each the number of its pixel within the window (row-major, padding counted), the first of equal ones.
pub(crate) fn maximum(level: Level, pool: &Pool, input: &[f32]) -> (Buffer, Vec<u8>) {
    let [height, _] = pool.output;
    let mut output = Buffer::stale(pool.batch * height * pool.row());
    let mut places = vec![0u8; output.len()];
    let row_floats = pool.row().max(1);
    let rows = output
        .par_chunks_mut(row_floats)
        .zip(places.par_chunks_mut(row_floats))
        .enumerate();
    rows.for_each(|(index, (output, places))| {
        let image = &input[index / height * pool.input_image()..][..pool.input_image()];
        maximum_row(level, pool, image, index % height, output, places);
    });
    (output, places)
}

for_level! {
    fn maximum_row(pool: &Pool, image: &[f32], row: usize, output: &mut [f32], places: &mut [u8]) {
        let channels = pool.channels;
        let (rows, top) = (pool.span(0, row), row * pool.window.stride[0]);
        let pixels = output.chunks_exact_mut(channels).zip(places.chunks_exact_mut(channels));
        for (column, (best, place)) in pixels.enumerate() {
            let left = column * pool.window.stride[1];
            best.fill(f32::NEG_INFINITY);
            for y in rows.clone() {
                for x in pool.span(1, column) {
                    let [dy, dx] = [y + pool.window.padding[0] - top, x + pool.window.padding[1] - left];
                    let number = (dy * pool.window.size[1] + dx) as u8;
                    let values = &image[(y * pool.input[1] + x) * channels..][..channels];
                    for ((best, place), &value) in best.iter_mut().zip(&mut *place).zip(values) {
                        // A NaN must not be lost, so that a broken network is seen.
                        let take = value > *best || value.is_nan();
                        *best = if take { value } else { *best };
                        *place = if take { number } else { *place };
                    }
                }
            }
        }
    }
}

/// Gradient of the input of [`maximum`].
pub(crate) fn maximum_gradient(
    level: Level,
    pool: &Pool,
    gradient: &[f32],
    places: &[u8],
) -> Buffer {
    scatter(pool, gradient, |image, gradient, input| {
        let start = image * pool.output[0] * pool.row();
        maximum_scatter(
            level,
            pool,
            gradient,
            &places[start..start + gradient.len()],
            input,
        );
    })
}

/// Runs `add` on each image's output gradient and the (zero) gradient of its input.
fn scatter(
    pool: &Pool,
    gradient: &[f32],
    add: impl Fn(usize, &[f32], &mut [f32]) + Sync,
) -> Buffer {
    let mut input = Buffer::stale(pool.batch * pool.input_image());
    let images = input.par_chunks_mut(pool.input_image().max(1));
    images
        .zip(gradient.par_chunks((pool.output[0] * pool.row()).max(1)))
        .enumerate()
        .for_each(|(image, (input, gradient))| {
            input.fill(0.0);
            add(image, gradient, input);
        });
    input
}

for_level! {
    fn maximum_scatter(pool: &Pool, gradient: &[f32], places: &[u8], input: &mut [f32]) {
        let channels = pool.channels;
        let mut pixels = gradient.chunks_exact(channels).zip(places.chunks_exact(channels));
        for row in 0..pool.output[0] {
            let (rows, top) = (pool.span(0, row), row * pool.window.stride[0]);
            for (column, (gradient, place)) in (&mut pixels).take(pool.output[1]).enumerate() {
                let left = column * pool.window.stride[1];
                for y in rows.clone() {
                    for x in pool.span(1, column) {
                        let [dy, dx] = [y + pool.window.padding[0] - top, x + pool.window.padding[1] - left];
                        let number = (dy * pool.window.size[1] + dx) as u8;
                        let to = &mut input[(y * pool.input[1] + x) * channels..][..channels];
                        for ((to, &gradient), &place) in to.iter_mut().zip(gradient).zip(place) {
                            *to += if place == number { gradient } else { 0.0 };
                        }
                    }
                }
            }
        }
    }
}

/// Means. Padding counts as zeros if `count_padding`, else a mean is taken of what exists.
pub(crate) fn average(level: Level, pool: &Pool, count_padding: bool, input: &[f32]) -> Buffer {
    let [height, _] = pool.output;
    let mut output = Buffer::stale(pool.batch * height * pool.row());
    output
        .par_chunks_mut(pool.row().max(1))
        .enumerate()
        .for_each(|(index, output)| {
            let image = &input[index / height * pool.input_image()..][..pool.input_image()];
            average_row(level, pool, count_padding, image, index % height, output);
        });
    output
}

for_level! {
    fn average_row(pool: &Pool, count_padding: bool, image: &[f32], row: usize, output: &mut [f32]) {
        let channels = pool.channels;
        for (column, sums) in output.chunks_exact_mut(channels).enumerate() {
            sums.fill(0.0);
            for y in pool.span(0, row) {
                for x in pool.span(1, column) {
                    let values = &image[(y * pool.input[1] + x) * channels..][..channels];
                    for (sum, value) in sums.iter_mut().zip(values) {
                        *sum += value;
                    }
                }
            }
            let share = pool.share(row, column, count_padding);
            sums.iter_mut().for_each(|sum| *sum *= share);
        }
    }
}

/// Gradient of the input of [`average`].
pub(crate) fn average_gradient(
    level: Level,
    pool: &Pool,
    count_padding: bool,
    gradient: &[f32],
) -> Buffer {
    scatter(pool, gradient, |_, gradient, input| {
        average_scatter(level, pool, count_padding, gradient, input);
    })
}

for_level! {
    fn average_scatter(pool: &Pool, count_padding: bool, gradient: &[f32], input: &mut [f32]) {
        let channels = pool.channels;
        for (index, gradient) in gradient.chunks_exact(channels).enumerate() {
            let [row, column] = [index / pool.output[1], index % pool.output[1]];
            let share = pool.share(row, column, count_padding);
            for y in pool.span(0, row) {
                for x in pool.span(1, column) {
                    let to = &mut input[(y * pool.input[1] + x) * channels..][..channels];
                    for (to, gradient) in to.iter_mut().zip(gradient) {
                        *to += gradient * share;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_may_hang_over_only_if_it_begins_inside() {
        let count = |len, size, stride, padding, round_up| {
            let pair = |value| [value; 2];
            let (size, stride, padding) = (pair(size), pair(stride), pair(padding));
            windows(
                len,
                PoolWindow {
                    size,
                    stride,
                    padding,
                    round_up,
                },
                0,
            )
        };
        assert_eq!(count(112, 3, 2, 0, true), 56);
        assert_eq!(count(112, 3, 2, 0, false), 55);
        assert_eq!(count(4, 2, 2, 1, true), 3);
        assert_eq!(count(3, 1, 2, 0, true), 2);
        assert_eq!(count(5, 2, 4, 1, true), 2);
        // Would begin in the padding on the right.
        assert_eq!(count(4, 1, 5, 0, true), 1);
    }

    #[test]
    fn the_first_of_equal_maxima_takes_the_gradient() {
        let window = PoolWindow {
            size: [2, 2],
            stride: [2, 2],
            padding: [0, 0],
            round_up: false,
        };
        let pool = Pool::new(1, [2, 2], 1, window);
        for level in Level::ALL.into_iter().filter(|level| level.is_available()) {
            let (output, places) = maximum(level, &pool, &[5.0, 7.0, 7.0, 1.0]);
            assert_eq!((&*output, &*places), (&[7.0][..], &[1][..]));
            let gradient = maximum_gradient(level, &pool, &[2.0], &places);
            assert_eq!(*gradient, [0.0, 2.0, 0.0, 0.0]);
        }
    }

    #[test]
    fn padding_counts_in_a_mean_only_if_asked() {
        // Of one pixel under a window with a border of one, 2 × 2 of the window lie on padding to the left and above.
        let window = PoolWindow {
            size: [3, 3],
            stride: [1, 1],
            padding: [1, 1],
            round_up: false,
        };
        let pool = Pool::new(1, [1, 1], 1, window);
        assert_eq!(*average(Level::Portable, &pool, false, &[9.0]), [9.0]);
        assert_eq!(*average(Level::Portable, &pool, true, &[9.0]), [1.0]);
        assert_eq!(
            *average_gradient(Level::Portable, &pool, true, &[9.0]),
            [1.0]
        );
    }
}
