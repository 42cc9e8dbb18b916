//! Gradient of a convolution's weights.

use rayon::prelude::*;

use super::border::copy_bordered;
use super::geometry::{Geometry, Strip};
use crate::buffer::Scratch;
use crate::simd::{Finish, Left, Level, Panel, Right, multiply_panel, panels};

/// Floats of all partial sums together, beyond which fewer of them are kept.
const PARTIAL_FLOATS: usize = 4 * 1024 * 1024;
/// Pixels over which a strip spreads reading and writing its partial sum.
const STRIP_PIXELS: usize = 192;
/// Pixels whose packed output gradients (24 KiB for a full panel) are read from the first-level cache.
const PIECE_PIXELS: usize = 128;
/// Pixels over which the clearing and adding of one partial sum is spread.
const PART_PIXELS: usize = 512;
/// Partial sums of one gradient, which bounds the threads that work on it.
const MOST_PARTS: usize = 16;

/// Gradient `[out, in, height, width]` of the weights, given the input and the output's gradient, both channels last.
///
/// The strips of the output are dealt to a number of partial sums that depends on the sizes only, and these are added in
/// order, so that the result does not depend on the number of threads.
pub(crate) fn weight_gradient(
    level: Level,
    geometry: &Geometry,
    input: &[f32],
    output_gradient: &[f32],
) -> Vec<f32> {
    let pointwise = geometry.is_pointwise();
    let flat = if pointwise {
        geometry.flattened()
    } else {
        *geometry
    };
    let rows = flat.kernel[0] * flat.run();
    let panels = panels(flat.out_channels);
    let width: usize = panels.iter().map(|panel| panel.width).sum();
    let strips = flat.strips(STRIP_PIXELS);
    let pixels = flat.batch * flat.output[0] * flat.output[1];
    let parts = (PARTIAL_FLOATS / (rows * width).max(1)).min(pixels / PART_PIXELS);
    let parts = parts.clamp(2, MOST_PARTS);
    let share = strips.len().div_ceil(parts).max(1);
    let partial: Vec<Scratch> = strips
        .par_chunks(share)
        .map(|strips| {
            let mut sum = Scratch::zeros(rows * width);
            let (mut rows_scratch, mut packed) = (Scratch::default(), Scratch::default());
            for strip in strips {
                if pointwise {
                    // A tile reads a few channels of many pixels; from a copy that was read in order, because
                    // memory is slow to deliver single lines.
                    let pixels =
                        strip.rows.start * flat.in_channels..strip.rows.end * flat.in_channels;
                    rows_scratch.resize(pixels.len());
                    rows_scratch.copy_from_slice(&input[pixels]);
                } else {
                    let height = flat.bordered_height(strip.rows.len());
                    let floats = height * flat.bordered_width() * flat.in_channels;
                    rows_scratch.resize(strip.images.len() * floats);
                    copy_bordered(&flat, strip, input, &mut rows_scratch);
                }
                let start =
                    (strip.images.start * flat.output[0] + strip.rows.start) * flat.output[1];
                let gradient = &output_gradient[start * flat.out_channels..]
                    [..flat.pixels(strip) * flat.out_channels];
                add_strip(
                    level,
                    &flat,
                    strip,
                    pointwise,
                    &rows_scratch,
                    gradient,
                    &panels,
                    &mut packed,
                    &mut sum,
                );
            }
            sum
        })
        .collect();
    unpack(&partial, geometry, width)
}

/// Adds the products of one strip, whose input rows with their border are `rows`, to `sum`.
fn add_strip(
    level: Level,
    geometry: &Geometry,
    strip: &Strip,
    pointwise: bool,
    rows: &[f32],
    gradient: &[f32],
    panels: &[Panel],
    packed: &mut Scratch,
    sum: &mut [f32],
) {
    let pixels = geometry.pixels(strip);
    pack_gradient(gradient, geometry.out_channels, panels, packed);
    let row_floats = geometry.bordered_width() * geometry.in_channels;
    let image_floats = geometry.bordered_height(strip.rows.len()) * row_floats;
    let out_row: usize = panels.iter().map(|panel| panel.width).sum();
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
        for kernel_row in 0..geometry.kernel[0] {
            let from = &rows[kernel_row * row_floats + start * left.step..];
            for panel in panels {
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
                    level,
                    from,
                    left,
                    count,
                    values,
                    right,
                    to,
                    out_row,
                    columns,
                    Finish::Add,
                );
            }
        }
    }
}

/// Copies `[pixels, channels]` into panels of channels, so that the rows of a panel are adjacent.
fn pack_gradient(gradient: &[f32], channels: usize, panels: &[Panel], packed: &mut Scratch) {
    let pixels = gradient.len() / channels;
    packed.resize(pixels * panels.iter().map(|panel| panel.width).sum::<usize>());
    for panel in panels {
        let to = packed[panel.start * pixels..].chunks_exact_mut(panel.width);
        for (to, from) in to.zip(gradient.chunks_exact(channels)) {
            to[..panel.columns].copy_from_slice(&from[panel.start..panel.start + panel.columns]);
            to[panel.columns..].fill(0.0);
        }
    }
}

/// Adds the partial sums in order and brings them from `[height, width, in, out]` to `[out, in, height, width]`.
fn unpack(partial: &[Scratch], geometry: &Geometry, width: usize) -> Vec<f32> {
    let [kernel_height, kernel_width] = geometry.kernel;
    let area = kernel_height * kernel_width;
    let channels = geometry.in_channels;
    let mut weights = vec![0.0; geometry.out_channels * channels * area];
    // Sixteen output channels are one cache line of a partial sum.
    weights
        .par_chunks_mut((16 * channels * area).max(1))
        .enumerate()
        .for_each(|(line, weights)| {
            let columns = weights.len() / (channels * area);
            for channel in 0..channels {
                for position in 0..area {
                    let mut sums = [0.0; 16];
                    for part in partial {
                        let from =
                            &part[(position * channels + channel) * width + line * 16..][..16];
                        for column in 0..16 {
                            sums[column] += from[column];
                        }
                    }
                    for column in 0..columns {
                        weights[(column * channels + channel) * area + position] = sums[column];
                    }
                }
            }
        });
    weights
}
