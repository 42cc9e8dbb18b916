//! Gradient of a convolution's weights.

use rayon::prelude::*;

use super::border::copy_bordered;
use super::geometry::{Geometry, Strip};
use super::shares::{Group, Shares};
use super::winograd;
use crate::memory::Buffer;
use crate::simd::{Finish, Left, Level, Right, multiply_panel};

/// Pixels over which a strip spreads reading and writing its partial sum.
const STRIP_PIXELS: usize = 192;
/// Pixels whose packed output gradients (24 KiB for a full panel) are read from the first-level cache.
const PIECE_PIXELS: usize = 128;
/// Input channels of a gradient that are brought over together.
const BLOCK: usize = 16;
/// Pixels over which the writing of one partial sum is spread.
const PART_PIXELS: usize = 512;

/// Gradient `[out, in, height, width]` of the weights, given the input and the output's gradient, both channels last.
///
/// The output's channels and strips are dealt to partial sums that depend on the sizes only, and these are added in order,
/// so that the result does not depend on the number of threads.
pub(crate) fn weight_gradient(
    level: Level,
    geometry: &Geometry,
    input: &[f32],
    output_gradient: &[f32],
) -> Buffer {
    if winograd::suits(geometry) {
        return winograd::weight_gradient(level, geometry, input, output_gradient);
    }
    let pointwise = geometry.is_pointwise();
    let flat = if pointwise {
        geometry.flattened()
    } else {
        *geometry
    };
    let rows = flat.kernel[0] * flat.run();
    let strips = flat.strips(STRIP_PIXELS);
    let pixels = flat.batch * flat.output[0] * flat.output[1];
    let shares = Shares::new(rows, flat.out_channels, strips.len(), pixels, PART_PIXELS);
    let sums: Vec<Buffer> = shares
        .pieces()
        .into_par_iter()
        .map_init(
            <[Buffer; 2]>::default,
            |[scratch, packed], (group, range)| {
                let mut sum = match range.is_empty() {
                    true => Buffer::zeros(rows * group.width),
                    false => Buffer::stale(rows * group.width),
                };
                for index in range.clone() {
                    let strip = &strips[index];
                    if pointwise {
                        // A tile reads a few channels of many pixels; from a copy that was read in order, because
                        // memory is slow to deliver single lines.
                        let pixels =
                            strip.rows.start * flat.in_channels..strip.rows.end * flat.in_channels;
                        scratch.resize(pixels.len());
                        scratch.copy_from_slice(&input[pixels]);
                    } else {
                        let height = flat.bordered_height(strip.rows.len());
                        let floats = height * flat.bordered_width() * flat.in_channels;
                        scratch.resize(strip.images.len() * floats);
                        copy_bordered(&flat, strip, input, scratch);
                    }
                    let start =
                        (strip.images.start * flat.output[0] + strip.rows.start) * flat.output[1];
                    let gradient = &output_gradient[start * flat.out_channels..]
                        [..flat.pixels(strip) * flat.out_channels];
                    let first = index == range.start;
                    add_strip(
                        level, &flat, strip, pointwise, scratch, gradient, group, packed, first,
                        &mut sum,
                    );
                }
                sum
            },
        )
        .collect();
    unpack(&shares, &sums, geometry)
}

/// Adds the products of one strip, whose input rows with their border are `rows`, to `sum`; the first strip replaces it.
fn add_strip(
    level: Level,
    geometry: &Geometry,
    strip: &Strip,
    pointwise: bool,
    rows: &[f32],
    gradient: &[f32],
    group: &Group,
    packed: &mut Buffer,
    first: bool,
    sum: &mut [f32],
) {
    let pixels = geometry.pixels(strip);
    pack_gradient(gradient, geometry.out_channels, group, packed);
    let row_floats = geometry.bordered_width() * geometry.in_channels;
    let image_floats = geometry.bordered_height(strip.rows.len()) * row_floats;
    let out_row = group.width;
    // A pointwise strip is one long row; in pieces, a panel's part stays in the first-level cache for all its tiles.
    let (lines, line) = if pointwise {
        (1, pixels)
    } else {
        (strip.rows.len(), geometry.output[1])
    };
    let piece = if pointwise {
        line.min(PIECE_PIXELS)
    } else {
        line
    };
    for start in (0..line).step_by(piece.max(1)) {
        let left = Left {
            row: 1,
            block: image_floats,
            run: geometry.stride[0] * row_floats,
            step: geometry.stride[1] * geometry.in_channels,
            blocks: if pointwise { 1 } else { strip.images.len() },
            runs: lines,
            steps: piece.min(line - start),
        };
        let finish = match first && start == 0 {
            true => Finish::PLAIN,
            false => Finish::Add,
        };
        for kernel_row in 0..geometry.kernel[0] {
            let from = &rows[kernel_row * row_floats + start * left.step..];
            for panel in &group.panels {
                let (count, columns) = (geometry.run(), panel.width);
                let run = line * columns;
                let right = Right {
                    block: lines * run,
                    run,
                    step: columns,
                };
                let values = &packed[panel.start * pixels + start * columns..];
                let to = &mut sum[kernel_row * geometry.run() * out_row + panel.start..];
                multiply_panel(
                    level, from, left, count, values, right, to, out_row, columns, finish,
                );
            }
        }
    }
}

/// Copies the channels of a group from `[pixels, channels]` into panels, so that the rows of a panel are adjacent.
fn pack_gradient(gradient: &[f32], channels: usize, group: &Group, packed: &mut Buffer) {
    let pixels = gradient.len() / channels;
    packed.resize(pixels * group.width);
    for panel in &group.panels {
        let start = group.start + panel.start;
        let to = packed[panel.start * pixels..].chunks_exact_mut(panel.width);
        for (to, from) in to.zip(gradient.chunks_exact(channels)) {
            to[..panel.columns].copy_from_slice(&from[start..start + panel.columns]);
            to[panel.columns..].fill(0.0);
        }
    }
}

/// Adds the partial sums in order and brings them from `[height, width, in, out]` to `[out, in, height, width]`.
fn unpack(shares: &Shares, sums: &[Buffer], geometry: &Geometry) -> Buffer {
    let [kernel_height, kernel_width] = geometry.kernel;
    let area = kernel_height * kernel_width;
    let channels = geometry.in_channels;
    let mut weights = Buffer::stale(geometry.out_channels * channels * area);
    // Sixteen output channels are one cache line of a partial sum.
    weights
        .par_chunks_mut((16 * channels * area).max(1))
        .enumerate()
        .for_each(|(line, weights)| {
            let columns = weights.len() / (channels * area);
            let (partial, start, width) = shares.partial(sums, line * 16);
            let mut block = vec![[0.0; 16]; BLOCK * area];
            for first in (0..channels).step_by(BLOCK) {
                let count = (channels - first).min(BLOCK);
                for position in 0..area {
                    for channel in 0..count {
                        let row = (position * channels + first + channel) * width + start;
                        let mut sums = [0.0; 16];
                        for part in partial {
                            let from = &part[row..][..16];
                            for column in 0..16 {
                                sums[column] += from[column];
                            }
                        }
                        block[channel * area + position] = sums;
                    }
                }
                for column in 0..columns {
                    let to = &mut weights[(column * channels + first) * area..][..count * area];
                    for (to, sums) in to.iter_mut().zip(&block) {
                        *to = sums[column];
                    }
                }
            }
        });
    weights
}
