//! Batch normalisation of channels-last images with ReLU, and its gradient, on slices (Ioffe and Szegedy, arXiv 1502.03167).

use rayon::prelude::*;

use crate::memory::Buffer;
use crate::rectify::add_then_cut;
use crate::simd::{Level, for_level};

/// Floats of a piece of work, which stays in a core's second-level cache while it is read twice. The pieces depend on the
/// sizes only, and their sums are combined in order.
const PIECE: usize = 64 * 1024;

/// Mean and biased variance of each channel.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Statistics {
    pub(crate) mean: Vec<f32>,
    pub(crate) variance: Vec<f32>,
}

/// Statistics of the columns of `[rows, channels]`.
///
/// Each piece is centred at its own mean before it is squared, and pieces are combined in double precision (Chan et al.
/// 1983), so that a channel with a large mean keeps its variance.
pub(crate) fn statistics(level: Level, values: &[f32], channels: usize) -> Statistics {
    let piece = (PIECE / channels).max(1) * channels;
    let pieces: Vec<[Vec<f32>; 2]> = values
        .par_chunks(piece)
        .map(|values| {
            let (mut mean, mut squares) = (vec![0.0; channels], vec![0.0; channels]);
            piece_statistics(level, values, &mut mean, &mut squares);
            [mean, squares]
        })
        .collect();
    let (mut mean, mut squares) = (vec![0.0f64; channels], vec![0.0f64; channels]);
    let mut rows = 0.0;
    for ([piece_mean, piece_squares], values) in pieces.iter().zip(values.chunks(piece)) {
        let more = (values.len() / channels) as f64;
        let total = rows + more;
        for channel in 0..channels {
            let step = f64::from(piece_mean[channel]) - mean[channel];
            mean[channel] += step * more / total;
            squares[channel] +=
                f64::from(piece_squares[channel]) + step * step * rows * more / total;
        }
        rows = total;
    }
    let narrow = |values: Vec<f64>, divisor: f64| {
        values
            .into_iter()
            .map(|value| (value / divisor) as f32)
            .collect()
    };
    Statistics {
        mean: narrow(mean, 1.0),
        variance: narrow(squares, rows.max(1.0)),
    }
}

for_level! {
    /// Mean, and sum of squared distances to it.
    fn piece_statistics(values: &[f32], mean: &mut [f32], squares: &mut [f32]) {
        let channels = mean.len();
        for row in values.chunks_exact(channels) {
            for (sum, value) in mean.iter_mut().zip(row) {
                *sum += value;
            }
        }
        let share = channels as f32 / values.len() as f32;
        mean.iter_mut().for_each(|sum| *sum *= share);
        for row in values.chunks_exact(channels) {
            for ((sum, value), mean) in squares.iter_mut().zip(row).zip(&*mean) {
                *sum += (value - mean) * (value - mean);
            }
        }
    }
}

/// A normalisation `scale * x + shift` of each channel, then a cut at zero.
#[derive(Clone, Debug)]
pub(crate) struct Affine {
    pub(crate) scale: Vec<f32>,
    pub(crate) shift: Vec<f32>,
    pub(crate) relu: bool,
}

impl Affine {
    /// `gamma * (x - mean) / sqrt(variance + epsilon) + beta`
    pub(crate) fn new(
        statistics: &Statistics,
        gamma: &[f32],
        beta: &[f32],
        epsilon: f32,
        relu: bool,
    ) -> Self {
        let inverse = statistics
            .variance
            .iter()
            .map(|variance| 1.0 / (variance + epsilon).sqrt());
        let scale: Vec<f32> = gamma
            .iter()
            .zip(inverse)
            .map(|(gamma, inverse)| gamma * inverse)
            .collect();
        let shift = beta.iter().zip(&statistics.mean).zip(&scale);
        let shift = shift
            .map(|((beta, mean), scale)| beta - mean * scale)
            .collect();
        Self { scale, shift, relu }
    }

    /// Of `[rows, channels]`.
    pub(crate) fn apply(&self, level: Level, values: &[f32]) -> Buffer {
        let channels = self.scale.len();
        let piece = (PIECE / channels).max(1) * channels;
        let mut output = Buffer::stale(values.len());
        output
            .par_chunks_mut(piece)
            .zip(values.par_chunks(piece))
            .for_each(|(output, values)| {
                apply(level, &self.scale, &self.shift, self.relu, values, output);
            });
        output
    }

    /// [`apply`](Self::apply), then the sum with `more` cut at zero, while the piece is in the cache.
    pub(crate) fn apply_then_add(&self, level: Level, values: &[f32], more: &[f32]) -> Buffer {
        let channels = self.scale.len();
        let piece = (PIECE / channels).max(1) * channels;
        let mut output = Buffer::stale(values.len());
        let pieces = output.par_chunks_mut(piece).zip(values.par_chunks(piece));
        pieces
            .zip(more.par_chunks(piece))
            .for_each(|((output, values), more)| {
                apply(level, &self.scale, &self.shift, self.relu, values, output);
                add_then_cut(level, output, more, true);
            });
        output
    }
}

for_level! {
    fn apply(scale: &[f32], shift: &[f32], relu: bool, values: &[f32], output: &mut [f32]) {
        let channels = scale.len();
        for (output, values) in output.chunks_exact_mut(channels).zip(values.chunks_exact(channels)) {
            for channel in 0..channels {
                let value = values[channel] * scale[channel] + shift[channel];
                output[channel] = if relu && value < 0.0 { 0.0 } else { value };
            }
        }
    }
}

/// Gradients of batch normalisation with the statistics of `input`.
pub(crate) struct NormGradients {
    pub(crate) gamma: Vec<f32>,
    pub(crate) beta: Vec<f32>,
}

/// Replaces the output's gradient by the input's, and returns those of the parameters.
///
/// With `g` the output's gradient where the cut passes, `h` the normalised input and `n` the rows:
/// `gradient = gamma / sqrt(variance + epsilon) * (g - Σg / n - h Σ(g h) / n)`.
pub(crate) fn gradient_in_place(
    level: Level,
    affine: &Affine,
    statistics: &Statistics,
    epsilon: f32,
    input: &[f32],
    gradient: &mut [f32],
) -> NormGradients {
    let channels = affine.scale.len();
    let piece = (PIECE / channels).max(1) * channels;
    let scale = &affine.scale;
    let Statistics { mean, variance } = statistics;
    let pieces: Vec<[Vec<f32>; 2]> = gradient
        .par_chunks(piece)
        .zip(input.par_chunks(piece))
        .map(|(gradient, input)| {
            let (mut sums, mut products) = (vec![0.0; channels], vec![0.0; channels]);
            sum_products(
                level,
                affine,
                mean,
                input,
                gradient,
                &mut sums,
                &mut products,
            );
            [sums, products]
        })
        .collect();
    let (mut sums, mut products) = (vec![0.0f64; channels], vec![0.0f64; channels]);
    for [piece_sums, piece_products] in &pieces {
        for channel in 0..channels {
            sums[channel] += f64::from(piece_sums[channel]);
            products[channel] += f64::from(piece_products[channel]);
        }
    }
    // gradient = scale * g + slope * x + offset
    let rows = (input.len() / channels).max(1) as f64;
    let (mut slope, mut offset) = (vec![0.0; channels], vec![0.0; channels]);
    let mut gamma = vec![0.0; channels];
    for channel in 0..channels {
        let deviation = f64::from(variance[channel] + epsilon).sqrt();
        // Σ(g h): the products were taken with the distance to the mean.
        let product = products[channel] / deviation;
        let scale = f64::from(scale[channel]);
        let tilt = -scale * product / deviation / rows;
        gamma[channel] = product as f32;
        slope[channel] = tilt as f32;
        offset[channel] = (-scale * sums[channel] / rows - tilt * f64::from(mean[channel])) as f32;
    }
    gradient
        .par_chunks_mut(piece)
        .zip(input.par_chunks(piece))
        .for_each(|(gradient, input)| {
            combine(level, affine, &slope, &offset, input, gradient);
        });
    NormGradients {
        gamma,
        beta: sums.into_iter().map(|sum| sum as f32).collect(),
    }
}

for_level! {
    /// Sums of the gradient where the cut passes, and of its products with the distance to the mean.
    fn sum_products(
        affine: &Affine,
        mean: &[f32],
        input: &[f32],
        gradient: &[f32],
        sums: &mut [f32],
        products: &mut [f32],
    ) {
        let channels = mean.len();
        let Affine { scale, shift, relu } = affine;
        let (scale, shift) = (&scale[..channels], &shift[..channels]);
        let (sums, products) = (&mut sums[..channels], &mut products[..channels]);
        for (gradient, input) in gradient.chunks_exact(channels).zip(input.chunks_exact(channels)) {
            for channel in 0..channels {
                let passes = !relu || input[channel] * scale[channel] + shift[channel] > 0.0;
                let gradient = if passes { gradient[channel] } else { 0.0 };
                sums[channel] += gradient;
                products[channel] += gradient * (input[channel] - mean[channel]);
            }
        }
    }
}

for_level! {
    /// The input's gradient in place of the output's.
    fn combine(affine: &Affine, slope: &[f32], offset: &[f32], input: &[f32], gradient: &mut [f32]) {
        let Affine { scale, shift, relu } = affine;
        let channels = scale.len();
        let (slope, offset, shift) = (&slope[..channels], &offset[..channels], &shift[..channels]);
        for (gradient, input) in gradient.chunks_exact_mut(channels).zip(input.chunks_exact(channels)) {
            for channel in 0..channels {
                let passes = !relu || input[channel] * scale[channel] + shift[channel] > 0.0;
                let passed = if passes { gradient[channel] } else { 0.0 };
                gradient[channel] = scale[channel] * passed
                    + (slope[channel] * input[channel] + offset[channel]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_mean_keeps_its_variance() {
        // Values 10000 ± 1 in the first channel, 0 and 3 in the second.
        let rows = 100_000;
        let values: Vec<f32> = (0..rows)
            .flat_map(|row| {
                if row % 2 == 0 {
                    [10_001.0, 0.0]
                } else {
                    [9_999.0, 3.0]
                }
            })
            .collect();
        for level in Level::ALL.into_iter().filter(|level| level.is_available()) {
            let Statistics { mean, variance } = statistics(level, &values, 2);
            for (have, want) in mean.iter().chain(&variance).zip([10_000.0, 1.5, 1.0, 2.25]) {
                assert!(
                    (have - want).abs() <= 1e-5 * want,
                    "{level:?}: {have} is not {want}"
                );
            }
        }
    }

    #[test]
    fn the_gradient_is_the_slope() {
        let input = [0.5, -1.0, 2.0, 0.3, 3.0, 0.7, -0.2, 1.1];
        let weights = [1.0, -2.0, 0.5, 3.0, -1.0, 0.7, 0.3, -0.4];
        let (gamma, beta, epsilon) = ([1.5, -0.5], [0.2, 0.4], 1e-2);
        for level in Level::ALL.into_iter().filter(|level| level.is_available()) {
            let run = |input: &[f32], gamma: &[f32], beta: &[f32]| {
                let statistics = statistics(level, input, 2);
                let affine = Affine::new(&statistics, gamma, beta, epsilon, true);
                let output = affine.apply(level, input);
                let value: f64 = output
                    .iter()
                    .zip(weights)
                    .map(|(a, b)| f64::from(a * b))
                    .sum();
                (value, statistics, affine)
            };
            let (_, statistics, affine) = run(&input, &gamma, &beta);
            let mut gradient = weights;
            let parameters =
                gradient_in_place(level, &affine, &statistics, epsilon, &input, &mut gradient);
            let check = |what: &str, above: f64, below: f64, have: f32| {
                let slope = (above - below) / 2e-3;
                // Central differences of single precision values are good to about 1e-3.
                assert!(
                    (slope - f64::from(have)).abs() < 3e-3,
                    "{level:?} {what}: {have}, not {slope}"
                );
            };
            let moved = |values: &[f32], index: usize, by: f32| {
                let mut values = values.to_vec();
                values[index] += by;
                values
            };
            for index in 0..input.len() {
                let at = |by| run(&moved(&input, index, by), &gamma, &beta).0;
                check("input", at(1e-3), at(-1e-3), gradient[index]);
            }
            for index in 0..2 {
                let at = |by| run(&input, &moved(&gamma, index, by), &beta).0;
                check("gamma", at(1e-3), at(-1e-3), parameters.gamma[index]);
                let at = |by| run(&input, &gamma, &moved(&beta, index, by)).0;
                check("beta", at(1e-3), at(-1e-3), parameters.beta[index]);
            }
        }
    }
}
