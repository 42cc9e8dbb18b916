//! Local response normalisation across the channels of channels-last images (Krizhevsky et al. 2012), on slices.

use rayon::prelude::*;

use crate::ResponseNorm;
use crate::memory::Buffer;
use crate::simd::{Level, for_level};

/// Pixels of a piece of work.
const PIXELS: usize = 256;

/// Normalises `[pixels, channels]`.
pub(crate) fn normalise(
    level: Level,
    setting: ResponseNorm,
    channels: usize,
    input: &[f32],
) -> Buffer {
    let mut output = Buffer::stale(input.len());
    let piece = (PIXELS * channels).max(1);
    output
        .par_chunks_mut(piece)
        .zip(input.par_chunks(piece))
        .for_each(|(output, input)| {
            let mut padded = vec![0.0; channels + setting.size - 1];
            let mut base = vec![0.0; channels];
            for (output, input) in output
                .chunks_exact_mut(channels)
                .zip(input.chunks_exact(channels))
            {
                normalise_pixel(level, setting, input, &mut padded, &mut base, output);
            }
        });
    output
}

/// Gradient of the input of [`normalise`].
///
/// With `b` the base at each channel, it is `g b^-beta - 2 alpha beta / size x Σ g x b^(-beta - 1)`, the sum over the same
/// neighbours.
pub(crate) fn gradient(
    level: Level,
    setting: ResponseNorm,
    channels: usize,
    input: &[f32],
    gradient: &[f32],
) -> Buffer {
    let mut output = Buffer::stale(input.len());
    let piece = (PIXELS * channels).max(1);
    let pieces = output.par_chunks_mut(piece).zip(input.par_chunks(piece));
    pieces
        .zip(gradient.par_chunks(piece))
        .for_each(|((output, input), gradient)| {
            let mut padded = vec![0.0; channels + setting.size - 1];
            let (mut base, mut power) = (vec![0.0; channels], vec![0.0; channels]);
            let pixels = output
                .chunks_exact_mut(channels)
                .zip(input.chunks_exact(channels));
            for ((output, input), gradient) in pixels.zip(gradient.chunks_exact(channels)) {
                gradient_pixel(
                    level,
                    setting,
                    input,
                    gradient,
                    &mut padded,
                    &mut base,
                    &mut power,
                    output,
                );
            }
        });
    output
}

for_level! {
    fn normalise_pixel(
        setting: ResponseNorm,
        input: &[f32],
        padded: &mut [f32],
        base: &mut [f32],
        output: &mut [f32],
    ) {
        base_of(setting, input, padded, base);
        power_of(setting.beta, base, output);
        for (output, input) in output.iter_mut().zip(input) {
            *output *= input;
        }
    }
}

for_level! {
    fn gradient_pixel(
        setting: ResponseNorm,
        input: &[f32],
        gradient: &[f32],
        padded: &mut [f32],
        base: &mut [f32],
        power: &mut [f32],
        output: &mut [f32],
    ) {
        base_of(setting, input, padded, base);
        power_of(setting.beta, base, power);
        let reach = setting.size / 2;
        for channel in 0..input.len() {
            padded[reach + channel] = gradient[channel] * input[channel] * power[channel] / base[channel];
        }
        neighbour_sums(setting.size, padded, base);
        let factor = -2.0 * setting.alpha * setting.beta / setting.size as f32;
        for channel in 0..input.len() {
            output[channel] = gradient[channel] * power[channel] + factor * input[channel] * base[channel];
        }
    }
}

/// The base of the power at each channel. The ends of `padded` must be zero and stay so.
#[inline(always)]
fn base_of(setting: ResponseNorm, input: &[f32], padded: &mut [f32], base: &mut [f32]) {
    let reach = setting.size / 2;
    for (square, value) in padded[reach..reach + input.len()].iter_mut().zip(input) {
        *square = value * value;
    }
    neighbour_sums(setting.size, padded, base);
    let weight = setting.alpha / setting.size as f32;
    for base in base {
        *base = setting.bias + weight * *base;
    }
}

/// `sums[i] = Σ padded[i..i + size]`
#[inline(always)]
fn neighbour_sums(size: usize, padded: &[f32], sums: &mut [f32]) {
    sums.copy_from_slice(&padded[..sums.len()]);
    for offset in 1..size {
        for (sum, value) in sums.iter_mut().zip(&padded[offset..]) {
            *sum += value;
        }
    }
}

/// `base^-beta`
#[inline(always)]
fn power_of(beta: f32, base: &[f32], power: &mut [f32]) {
    if beta == 0.75 {
        // The exponent of all published networks, by two square roots: a general power costs many times as much.
        for (power, base) in power.iter_mut().zip(base) {
            let root = base.sqrt();
            *power = 1.0 / (root * root.sqrt());
        }
    } else {
        for (power, base) in power.iter_mut().zip(base) {
            *power = base.powf(-beta);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTING: ResponseNorm = ResponseNorm {
        size: 3,
        alpha: 0.3,
        beta: 0.75,
        bias: 2.0,
    };

    #[test]
    fn every_channel_is_divided_by_its_neighbours() {
        let output = normalise(Level::best(), SETTING, 3, &[1.0, 2.0, 3.0]);
        // Sums of squares 1 + 4, 1 + 4 + 9 and 4 + 9, times 0.1, plus 2.
        let expected = [
            1.0 / 2.5f32.powf(0.75),
            2.0 / 3.4f32.powf(0.75),
            3.0 / 3.3f32.powf(0.75),
        ];
        for (output, expected) in output.iter().zip(expected) {
            assert!(
                (output - expected).abs() < 1e-6,
                "{output} is not {expected}"
            );
        }
    }

    #[test]
    fn the_gradient_is_the_slope() {
        let input = [0.5, -1.0, 2.0, 0.1, 3.0];
        let weights = [1.0, -2.0, 0.5, 3.0, -1.0];
        for setting in [
            SETTING,
            ResponseNorm {
                beta: 0.6,
                ..SETTING
            },
        ] {
            for level in Level::ALL.into_iter().filter(|level| level.is_available()) {
                let value = |input: &[f32]| -> f64 {
                    let output = normalise(level, setting, 5, input);
                    output
                        .iter()
                        .zip(weights)
                        .map(|(a, b)| f64::from(a * b))
                        .sum()
                };
                let slopes = gradient(level, setting, 5, &input, &weights);
                for channel in 0..5 {
                    let (mut above, mut below) = (input, input);
                    above[channel] += 1e-2;
                    below[channel] -= 1e-2;
                    let slope = (value(&above) - value(&below)) / 2e-2;
                    // Central differences of single precision values are good to about 1e-4.
                    assert!(
                        (slope - f64::from(slopes[channel])).abs() < 5e-4,
                        "{level:?} {channel}"
                    );
                }
            }
        }
    }
}
