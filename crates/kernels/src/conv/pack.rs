//! Weights in the order in which the product kernel reads them.

use rayon::prelude::*;

use crate::memory::Buffer;
use crate::simd::{Panel, panels};

/// Weights `[out channels, in channels, height, width]` of a convolution, in panels of output channels; inside a panel
/// one row for each `(kernel row, kernel column, input channel)`.
pub(super) struct PackedWeights {
    pub(super) values: Buffer,
    pub(super) panels: Vec<Panel>,
    /// Rows of a panel.
    pub(super) rows: usize,
}

/// Which weight belongs to an output channel, an input channel and a position of the kernel.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// Output channels.
    pub(super) columns: usize,
    /// Input channels.
    pub(super) channels: usize,
    /// Distance of output channels.
    pub(super) column: usize,
    /// Distance of input channels.
    pub(super) channel: usize,
    /// Where in its kernel each position is read.
    pub(super) positions: Vec<usize>,
}

impl Reading {
    /// For the convolution itself, from the shape of its weights.
    pub(super) fn forward([output, input, height, width]: [usize; 4]) -> Self {
        let area = height * width;
        Self {
            columns: output,
            channels: input,
            column: input * area,
            channel: area,
            positions: (0..area).collect(),
        }
    }

    /// For the gradient of its input, which is a convolution with the flipped kernel, input and output exchanged. With
    /// strides, only some rows and columns of the kernel take part.
    pub(super) fn transposed(
        [output, input, height, width]: [usize; 4],
        rows: &[usize],
        columns: &[usize],
    ) -> Self {
        let area = height * width;
        let row = |&row: &usize| columns.iter().rev().map(move |column| row * width + column);
        Self {
            columns: input,
            channels: output,
            column: area,
            channel: input * area,
            positions: rows.iter().rev().flat_map(row).collect(),
        }
    }
}

/// Input channels that are brought over together: few, so that the lines they are written to stay in the first-level cache
/// until all columns are there.
const CHANNELS: usize = 8;

impl PackedWeights {
    pub(super) fn new(weights: &[f32], reading: &Reading) -> Self {
        let panels = panels(reading.columns);
        let rows = reading.positions.len() * reading.channels;
        let mut values = Buffer::stale(panels.iter().map(|panel| panel.width * rows).sum());
        let mut parts = Vec::new();
        let mut rest = &mut *values;
        for panel in &panels {
            let (part, after) = rest.split_at_mut(panel.width * rows);
            parts.push((panel, part));
            rest = after;
        }
        parts
            .into_par_iter()
            .for_each(|(panel, part)| pack(weights, reading, panel, part));
        Self {
            values,
            panels,
            rows,
        }
    }

    pub(super) fn panel(&self, panel: &Panel) -> &[f32] {
        &self.values[panel.start * self.rows..][..panel.width * self.rows]
    }
}

fn pack(weights: &[f32], reading: &Reading, panel: &Panel, part: &mut [f32]) {
    let channels = reading.channels;
    if panel.columns < panel.width {
        for row in part.chunks_exact_mut(panel.width) {
            row[panel.columns..].fill(0.0);
        }
    }
    if reading.column == 1 {
        // A pointwise kernel, transposed: its rows lie as they are wanted.
        for (channel, row) in part.chunks_exact_mut(panel.width).enumerate() {
            let from = &weights[channel * reading.channel + panel.start..];
            row[..panel.columns].copy_from_slice(&from[..panel.columns]);
        }
        return;
    }
    if reading.channel == 1 {
        // A pointwise kernel: input channels are adjacent.
        for first in (0..channels).step_by(2 * CHANNELS) {
            let count = (channels - first).min(2 * CHANNELS);
            let rows = &mut part[first * panel.width..][..count * panel.width];
            for column in 0..panel.columns {
                let start = (panel.start + column) * reading.column + first;
                let values = &weights[start..start + count];
                for (row, &value) in rows.chunks_exact_mut(panel.width).zip(values) {
                    row[column] = value;
                }
            }
        }
        return;
    }
    for first in (0..channels).step_by(CHANNELS) {
        for column in 0..panel.columns {
            for channel in first..(first + CHANNELS).min(channels) {
                let start = (panel.start + column) * reading.column + channel * reading.channel;
                for (position, offset) in reading.positions.iter().enumerate() {
                    let row = position * channels + channel;
                    part[row * panel.width + column] = weights[start + offset];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_kernel_positions_then_channels() {
        // Two output channels, one input channel, a kernel of one row and two columns.
        let weights = [1.0, 2.0, 3.0, 4.0];
        let packed = PackedWeights::new(&weights, &Reading::forward([2, 1, 1, 2]));
        assert_eq!(packed.rows, 2);
        assert_eq!(
            (packed.values[0], packed.values[1], packed.values[2]),
            (1.0, 3.0, 0.0)
        );
        assert_eq!((packed.values[16], packed.values[17]), (2.0, 4.0));

        let packed =
            PackedWeights::new(&weights, &Reading::transposed([2, 1, 1, 2], &[0], &[0, 1]));
        // One column; rows: last column of the kernel first, output channels inside.
        let rows: Vec<f32> = packed.values.iter().step_by(16).copied().collect();
        assert_eq!(rows, [2.0, 4.0, 1.0, 3.0]);
    }
}
