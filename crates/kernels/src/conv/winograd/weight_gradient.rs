//! Gradient of the weights.

use rayon::prelude::*;

use super::super::geometry::Geometry;
use super::super::shares::{Group, Shares};
use super::convolve::transform_strip;
use super::tiling::{Sizes, TiledStrip, Tiling, plane};
use crate::memory::Buffer;
use crate::simd::{
    Finish, Left, Level, PLANES, Right, for_level, multiply_panel, transform_gradient,
};

/// Many tiles, whose planes are read in order from beyond the second-level cache, because every strip reads and writes the
/// whole partial sum once.
const SIZES: Sizes = Sizes {
    floats: 640 * 1024,
    fewest: 96,
    most: 256,
};
/// Tiles over which the writing of one partial sum is spread.
const PART_TILES: usize = 128;
/// Output channels that are summed together: a cache line of a partial sum.
const LINE: usize = 16;

/// Memory of one thread.
#[derive(Default)]
struct Work {
    rows: Buffer,
    inputs: Buffer,
    gradients: Buffer,
}

/// Gradient `[out, in, 3, 3]` of the weights, given the input and the output's gradient, both channels last.
///
/// With the sums `S` over all tiles of `(Bᵀ d B) ⊙ (A g Aᵀ)` it is `Gᵀ S G`. As in the plain gradient, partial
/// sums that depend on the sizes only are added in order.
pub(in super::super) fn weight_gradient(
    level: Level,
    geometry: &Geometry,
    input: &[f32],
    output_gradient: &[f32],
) -> Buffer {
    let tiling = Tiling::new(geometry, SIZES);
    let tiles = geometry.batch * tiling.even.output[0] * tiling.even.output[1] / 4;
    let rows = PLANES * geometry.in_channels;
    let shares = Shares::new(rows, geometry.out_channels, tiling.len(), tiles, PART_TILES);
    let sums: Vec<Buffer> = shares
        .pieces()
        .into_par_iter()
        .map_init(Work::default, |work, (group, strips)| {
            let mut sum = match strips.is_empty() {
                true => Buffer::zeros(rows * group.width),
                false => Buffer::stale(rows * group.width),
            };
            for index in strips.clone() {
                let finish = match index == strips.start {
                    true => Finish::PLAIN,
                    false => Finish::Add,
                };
                let job = Job {
                    level,
                    even: &tiling.even,
                    geometry,
                    group,
                    finish,
                };
                let strip = tiling.strip(index);
                add_strip(&job, &strip, input, output_gradient, work, &mut sum);
            }
            sum
        })
        .collect();
    let mut weights = Buffer::stale(geometry.out_channels * geometry.in_channels * 9);
    weights
        .par_chunks_mut((LINE * geometry.in_channels * 9).max(1))
        .enumerate()
        .for_each(|(line, weights)| {
            let (partial, column, width) = shares.partial(&sums, line * LINE);
            finish(level, partial, geometry.in_channels, width, column, weights);
        });
    weights
}

/// What is the same for all strips of a piece of work, and what happens to the sums.
struct Job<'a> {
    level: Level,
    even: &'a Geometry,
    geometry: &'a Geometry,
    group: &'a Group,
    finish: Finish<'a>,
}

fn add_strip(
    job: &Job<'_>,
    strip: &TiledStrip,
    input: &[f32],
    output_gradient: &[f32],
    work: &mut Work,
    sum: &mut [f32],
) {
    let Work {
        rows,
        inputs,
        gradients,
    } = work;
    let Job {
        level,
        even,
        geometry,
        group,
        finish,
    } = *job;
    let count = strip.tiles.count();
    let channels = geometry.in_channels;
    transform_strip(level, even, strip, input, rows, inputs);
    let input_plane = plane(count * channels);
    let width = group.width;
    let gradient_plane = plane(count * width);
    gradients.resize(PLANES * gradient_plane);
    let [height, columns] = geometry.output;
    let start = (strip.strip.images.start * height + strip.strip.rows.start) * columns;
    let pixels = strip.outputs(geometry.out_channels);
    transform_gradient(
        level,
        strip.tiles,
        pixels,
        &output_gradient[start * geometry.out_channels..],
        group.start,
        &group.panels,
        gradients,
        gradient_plane,
    );
    let left = Left {
        row: 1,
        block: 0,
        run: 0,
        step: channels,
        blocks: 1,
        runs: 1,
        steps: count,
    };
    for index in 0..PLANES {
        for panel in &group.panels {
            let right = Right {
                block: 0,
                run: 0,
                step: panel.width,
            };
            multiply_panel(
                level,
                &inputs[index * input_plane..],
                left,
                channels,
                &gradients[index * gradient_plane + panel.start * count..],
                right,
                &mut sum[index * channels * width + panel.start..],
                width,
                panel.width,
                finish,
            );
        }
    }
}

for_level! {
    /// Adds the partial sums of [`LINE`] output channels in order, and brings them to `[out, in, 3, 3]`.
    fn finish(
        partial: &[Buffer],
        channels: usize,
        width: usize,
        start: usize,
        weights: &mut [f32],
    ) {
        let columns = weights.len() / (channels * 9);
        for channel in 0..channels {
            let mut sums = [[0.0; LINE]; PLANES];
            for part in partial {
                for index in 0..PLANES {
                    let from = &part[(index * channels + channel) * width + start..][..LINE];
                    for lane in 0..LINE {
                        sums[index][lane] += from[lane];
                    }
                }
            }
            let mut half = [[[0.0; LINE]; 4]; 3];
            for column in 0..4 {
                let t = gathered([sums[column], sums[4 + column], sums[8 + column], sums[12 + column]]);
                for row in 0..3 {
                    half[row][column] = t[row];
                }
            }
            for row in 0..3 {
                let t = gathered(half[row]);
                for column in 0..columns {
                    let to = &mut weights[(column * channels + channel) * 9 + 3 * row..][..3];
                    for index in 0..3 {
                        to[index] = t[index][column];
                    }
                }
            }
        }
    }
}

/// `Gᵀ s`
#[inline(always)]
fn gathered([a, b, c, d]: [[f32; LINE]; 4]) -> [[f32; LINE]; 3] {
    let mut out = [[0.0; LINE]; 3];
    for lane in 0..LINE {
        let (plus, minus) = (0.5 * (b[lane] + c[lane]), 0.5 * (b[lane] - c[lane]));
        out[0][lane] = a[lane] + plus;
        out[1][lane] = minus;
        out[2][lane] = plus + d[lane];
    }
    out
}
