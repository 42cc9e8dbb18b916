//! The weights of 3 × 3 kernels, transformed.

use rayon::prelude::*;

use super::super::pack::Reading;
use crate::memory::Buffer;
use crate::simd::{PLANES, Panel, panels};

/// Lanes that are transformed together.
const LANES: usize = 16;

/// `G g Gᵀ` of all kernels in panels of output channels; inside a panel 16 planes, in each one row for each input channel.
pub(in super::super) struct TransformedWeights {
    values: Buffer,
    pub(super) panels: Vec<Panel>,
    channels: usize,
}

impl TransformedWeights {
    /// `reading` says which weight an output channel, input channel and kernel position have.
    pub(in super::super) fn new(weights: &[f32], reading: &Reading) -> Self {
        let (columns, channels) = (reading.columns, reading.channels);
        let panels = panels(columns);
        let rows = PLANES * channels;
        let mut values = Buffer::stale(panels.iter().map(|panel| panel.width * rows).sum());
        // One piece of work for each cache line of output channels of each panel.
        let mut parts = Vec::new();
        let mut rest = &mut *values;
        for panel in &panels {
            let (part, after) = rest.split_at_mut(panel.width * rows);
            parts.push((panel, part));
            rest = after;
        }
        parts.into_par_iter().for_each(|(panel, part)| {
            for channel in 0..channels {
                for start in (0..panel.width).step_by(LANES) {
                    let kernels = gather(weights, reading, panel, start, channel);
                    for (index, values) in transformed(&kernels).into_iter().enumerate() {
                        let at = (index * channels + channel) * panel.width + start;
                        part[at..at + LANES].copy_from_slice(&values);
                    }
                }
            }
        });
        Self {
            values,
            panels,
            channels,
        }
    }

    /// One plane of a panel: a row of the panel's width for each input channel.
    pub(super) fn plane(&self, panel: &Panel, index: usize) -> &[f32] {
        let rows = PLANES * self.channels;
        let floats = self.channels * panel.width;
        &self.values[panel.start * rows + index * floats..][..floats]
    }

    /// Floats of all panels' rows together.
    pub(super) fn width(&self) -> usize {
        self.panels.iter().map(|panel| panel.width).sum()
    }
}

/// The kernels of one input channel and the output channels of a panel from `start`, zero beyond them.
fn gather(
    weights: &[f32],
    reading: &Reading,
    panel: &Panel,
    start: usize,
    channel: usize,
) -> [[f32; LANES]; 9] {
    let mut kernels = [[0.0; LANES]; 9];
    let columns = panel.columns.saturating_sub(start).min(LANES);
    for lane in 0..columns {
        let column = panel.start + start + lane;
        let from = &weights[column * reading.column + channel * reading.channel..];
        for (kernel, &position) in kernels.iter_mut().zip(&reading.positions) {
            kernel[lane] = from[position];
        }
    }
    kernels
}

fn transformed(kernels: &[[f32; LANES]; 9]) -> [[f32; LANES]; PLANES] {
    let mut half = [[[0.0; LANES]; 3]; 4];
    for column in 0..3 {
        let t = spread([kernels[column], kernels[3 + column], kernels[6 + column]]);
        for row in 0..4 {
            half[row][column] = t[row];
        }
    }
    let mut planes = [[0.0; LANES]; PLANES];
    for row in 0..4 {
        planes[4 * row..4 * row + 4].copy_from_slice(&spread(half[row]));
    }
    planes
}

/// `G g`
fn spread([a, b, c]: [[f32; LANES]; 3]) -> [[f32; LANES]; 4] {
    let (mut plus, mut minus) = ([0.0; LANES], [0.0; LANES]);
    for lane in 0..LANES {
        let outer = a[lane] + c[lane];
        plus[lane] = 0.5 * (outer + b[lane]);
        minus[lane] = 0.5 * (outer - b[lane]);
    }
    [a, plus, minus, c]
}
