//! The convolution.

use std::ops::Range;

use rayon::prelude::*;

use super::border::copy_bordered;
use super::geometry::{Geometry, Strip};
use super::pack::{PackedWeights, Reading};
use super::winograd::{self, TransformedWeights};
use crate::memory::Buffer;
use crate::rectify::add_then_cut;
use crate::simd::{Finish, Left, Level, Right, multiply_panel};

/// Pixels over which a strip spreads the reading of all weights, which come from the shared cache in deep layers. Few, so
/// that the small maps of deep layers still fall into enough strips for all threads.
const STRIP_PIXELS: usize = 96;

/// What follows the sums of a convolution, in this order.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct After<'a> {
    /// One value a channel.
    pub(crate) bias: Option<&'a [f32]>,
    /// Maps of the output's size, channels last.
    pub(crate) maps: Option<&'a [f32]>,
    /// The cut at zero.
    pub(crate) relu: bool,
}

/// Convolves `input` (channels last) with `weights` (`[out, in, height, width]`), then adds bias and maps and cuts at zero.
///
/// Returns the output, channels last.
pub(crate) fn convolve(
    level: Level,
    geometry: &Geometry,
    input: &[f32],
    weights: &[f32],
    after: After<'_>,
) -> Buffer {
    let [height, width] = geometry.kernel;
    let shape = [geometry.out_channels, geometry.in_channels, height, width];
    convolve_as(
        level,
        geometry,
        input,
        weights,
        Reading::forward(shape),
        after,
    )
}

/// [`convolve`] with weights that are read otherwise.
pub(super) fn convolve_as(
    level: Level,
    geometry: &Geometry,
    input: &[f32],
    weights: &[f32],
    reading: Reading,
    after: After<'_>,
) -> Buffer {
    if winograd::suits(geometry) {
        let weights = TransformedWeights::new(weights, &reading);
        return winograd::convolve(level, geometry, input, &weights, after);
    }
    let weights = &PackedWeights::new(weights, &reading);
    let pointwise = geometry.is_pointwise();
    let geometry = if pointwise {
        geometry.flattened()
    } else {
        *geometry
    };
    let mut output = Buffer::stale(geometry.batch * geometry.output_image());
    let mut parts = Vec::new();
    let mut rest = &mut *output;
    let mut start = 0;
    for strip in geometry.strips(STRIP_PIXELS) {
        let floats = geometry.pixels(&strip) * geometry.out_channels;
        let (part, behind) = rest.split_at_mut(floats);
        parts.push((strip, after.of(start..start + floats), part));
        rest = behind;
        start += floats;
    }
    parts
        .into_par_iter()
        .for_each_init(Buffer::default, |scratch, (strip, after, part)| {
            let rows = if pointwise {
                let channels = geometry.in_channels;
                &input[strip.rows.start * channels..strip.rows.end * channels]
            } else {
                let rows = geometry.bordered_height(strip.rows.len());
                let floats = rows * geometry.bordered_width() * geometry.in_channels;
                scratch.resize(strip.images.len() * floats);
                copy_bordered(&geometry, &strip, input, scratch);
                &*scratch
            };
            convolve_strip(
                level, &geometry, &strip, pointwise, rows, weights, after, part,
            );
        });
    output
}

impl<'a> After<'a> {
    /// For these values of the output.
    pub(super) fn of(self, range: Range<usize>) -> Self {
        let maps = self.maps.map(|maps| &maps[range]);
        Self { maps, ..self }
    }

    /// Whether the cut is a part of the product kernels: maps are added before it.
    pub(super) fn cuts_sums(self) -> bool {
        self.relu && self.maps.is_none()
    }

    /// Adds the maps to sums with their bias that were just written and lie in the cache, and cuts.
    pub(super) fn finish(self, level: Level, values: &mut [f32]) {
        if let Some(maps) = self.maps {
            add_then_cut(level, values, maps, self.relu);
        }
    }
}

/// One strip, whose input rows with their border are `rows`.
fn convolve_strip(
    level: Level,
    geometry: &Geometry,
    strip: &Strip,
    pointwise: bool,
    rows: &[f32],
    weights: &PackedWeights,
    after: After<'_>,
    output: &mut [f32],
) {
    let channels = geometry.in_channels;
    let row_floats = geometry.bordered_width() * channels;
    let image_floats = geometry.bordered_height(strip.rows.len()) * row_floats;
    let left = Left {
        row: geometry.stride[1] * channels,
        block: 0,
        run: row_floats,
        step: 1,
        blocks: 1,
        runs: geometry.kernel[0],
        steps: geometry.run(),
    };
    // All pixels of a pointwise strip are one row.
    let (lines, line_pixels) = if pointwise {
        (1, strip.rows.len())
    } else {
        (strip.rows.len(), geometry.output[1])
    };
    let out_row = geometry.out_channels;
    for panel in &weights.panels {
        let right = Right {
            block: 0,
            run: left.steps * panel.width,
            step: panel.width,
        };
        let bias = after.bias;
        let finish = Finish::Store {
            bias: bias.map(|bias| &bias[panel.start..panel.start + panel.columns]),
            relu: after.cuts_sums(),
        };
        let values = weights.panel(panel);
        for image in 0..strip.images.len() {
            for line in 0..lines {
                let from = &rows[image * image_floats + line * geometry.stride[0] * row_floats..];
                let to = (image * lines + line) * line_pixels * out_row + panel.start;
                let to = &mut output[to..];
                multiply_panel(
                    level,
                    from,
                    left,
                    line_pixels,
                    values,
                    right,
                    to,
                    out_row,
                    panel.columns,
                    finish,
                );
            }
        }
    }
    after.finish(level, output);
}
