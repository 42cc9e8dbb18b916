//! The convolution.

use rayon::prelude::*;

use super::super::border::copy_bordered;
use super::super::forward::After;
use super::super::geometry::Geometry;
use super::tiling::{Sizes, TiledStrip, Tiling, plane};
use super::weights::TransformedWeights;
use crate::memory::Buffer;
use crate::simd::{
    Finish, Left, Level, PLANES, Right, multiply_panel, transform_input, transform_output,
};

/// The planes fill most of a second-level cache of 1 MiB, and all tiles share one reading of the weights.
const SIZES: Sizes = Sizes {
    floats: 160 * 1024,
    fewest: 24,
    most: 128,
};

/// Memory of one thread.
#[derive(Default)]
struct Work {
    rows: Buffer,
    inputs: Buffer,
    sums: Buffer,
}

/// Convolves `input` (channels last), then adds bias and maps and cuts at zero. Returns the output, channels last.
pub(in super::super) fn convolve(
    level: Level,
    geometry: &Geometry,
    input: &[f32],
    weights: &TransformedWeights,
    after: After<'_>,
) -> Buffer {
    let tiling = Tiling::new(geometry, SIZES);
    let mut output = Buffer::stale(geometry.batch * geometry.output_image());
    let mut parts = Vec::new();
    let mut rest = &mut *output;
    let mut start = 0;
    for index in 0..tiling.len() {
        let strip = tiling.strip(index);
        let floats = strip.pixels() * geometry.out_channels;
        let (part, behind) = rest.split_at_mut(floats);
        parts.push((strip, after.of(start..start + floats), part));
        rest = behind;
        start += floats;
    }
    parts
        .into_par_iter()
        .for_each_init(Work::default, |work, (strip, after, part)| {
            convolve_strip(
                level,
                &tiling.even,
                &strip,
                input,
                weights,
                after,
                work,
                part,
            );
        });
    output
}

fn convolve_strip(
    level: Level,
    geometry: &Geometry,
    strip: &TiledStrip,
    input: &[f32],
    weights: &TransformedWeights,
    after: After<'_>,
    work: &mut Work,
    output: &mut [f32],
) {
    let Work { rows, inputs, sums } = work;
    let tiles = strip.tiles;
    let channels = geometry.in_channels;
    let input_plane = plane(tiles.count() * channels);
    transform_strip(level, geometry, strip, input, rows, inputs);
    let width = weights.width();
    let sum_plane = plane(tiles.count() * width);
    sums.resize(PLANES * sum_plane);
    let left = Left {
        row: channels,
        block: 0,
        run: 0,
        step: 1,
        blocks: 1,
        runs: 1,
        steps: channels,
    };
    for index in 0..PLANES {
        for panel in &weights.panels {
            let right = Right {
                block: 0,
                run: 0,
                step: panel.width,
            };
            multiply_panel(
                level,
                &inputs[index * input_plane..],
                left,
                tiles.count(),
                weights.plane(panel, index),
                right,
                &mut sums[index * sum_plane + panel.start..],
                width,
                panel.width,
                Finish::PLAIN,
            );
        }
    }
    let pixels = strip.outputs(geometry.out_channels);
    let (bias, relu) = (after.bias, after.cuts_sums());
    transform_output(
        level, tiles, sums, sum_plane, width, bias, relu, pixels, output,
    );
    after.finish(level, output);
}

/// Copies the rows under a strip with their border to `rows`, and transforms them into the planes of `inputs`, which lie
/// [`plane`] of a plane's floats apart.
pub(super) fn transform_strip(
    level: Level,
    geometry: &Geometry,
    strip: &TiledStrip,
    input: &[f32],
    rows: &mut Buffer,
    inputs: &mut Buffer,
) {
    let tiles = strip.tiles;
    let channels = geometry.in_channels;
    let pixels = strip.inputs(channels);
    rows.resize(tiles.images * pixels.height * pixels.width * channels);
    copy_bordered(geometry, &strip.strip, input, rows);
    let input_plane = plane(tiles.count() * channels);
    inputs.resize(PLANES * input_plane);
    transform_input(level, tiles, pixels, rows, inputs, input_plane);
}
