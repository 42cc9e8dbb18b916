//! Weights in the order in which the product kernel reads them.

use rayon::prelude::*;

use crate::buffer::Scratch;
use crate::simd::{Panel, panels};

/// Weights `[out channels, in channels, height, width]` of a convolution, in panels of output channels; inside a panel
/// one row for each `(kernel row, kernel column, input channel)`.
pub(super) struct PackedWeights {
    pub(super) values: Scratch,
    pub(super) panels: Vec<Panel>,
    /// Rows of a panel.
    pub(super) rows: usize,
}

/// How the four axes of a weight are read.
struct Strides {
    column: usize,
    channel: usize,
    height: usize,
    width: usize,
    /// Reads the kernel from its last row and column to its first.
    flipped: bool,
}

impl PackedWeights {
    /// For the convolution itself.
    pub(super) fn forward(weights: &[f32], [output, input, height, width]: [usize; 4]) -> Self {
        let area = height * width;
        let strides = Strides {
            column: input * area,
            channel: area,
            height: width,
            width: 1,
            flipped: false,
        };
        pack(weights, output, input, [height, width], strides)
    }

    /// For the gradient of its input, which is a convolution with the flipped kernel, input and output exchanged.
    pub(super) fn transposed(weights: &[f32], [output, input, height, width]: [usize; 4]) -> Self {
        let area = height * width;
        let strides = Strides {
            column: area,
            channel: input * area,
            height: width,
            width: 1,
            flipped: true,
        };
        pack(weights, input, output, [height, width], strides)
    }

    pub(super) fn panel(&self, panel: &Panel) -> &[f32] {
        &self.values[panel.start * self.rows..][..panel.width * self.rows]
    }
}

fn pack(
    weights: &[f32],
    columns: usize,
    channels: usize,
    [height, width]: [usize; 2],
    strides: Strides,
) -> PackedWeights {
    let panels = panels(columns);
    let rows = height * width * channels;
    let mut values = Scratch::zeros(panels.iter().map(|panel| panel.width * rows).sum());
    let mut parts = Vec::new();
    let mut rest = &mut *values;
    for panel in &panels {
        let (part, after) = rest.split_at_mut(panel.width * rows);
        parts.push((panel, part));
        rest = after;
    }
    parts.into_par_iter().for_each(|(panel, part)| {
        for position in 0..height * width {
            let read = if strides.flipped {
                height * width - 1 - position
            } else {
                position
            };
            let offset = read / width * strides.height + read % width * strides.width;
            let part = &mut part[position * channels * panel.width..][..channels * panel.width];
            for column in 0..panel.columns {
                let from = &weights[(panel.start + column) * strides.column + offset..];
                for channel in 0..channels {
                    part[channel * panel.width + column] = from[channel * strides.channel];
                }
            }
        }
    });
    PackedWeights {
        values,
        panels,
        rows,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_kernel_positions_then_channels() {
        // Two output channels, one input channel, a kernel of one row and two columns.
        let weights = [1.0, 2.0, 3.0, 4.0];
        let packed = PackedWeights::forward(&weights, [2, 1, 1, 2]);
        assert_eq!(packed.rows, 2);
        assert_eq!(
            (packed.values[0], packed.values[1], packed.values[2]),
            (1.0, 3.0, 0.0)
        );
        assert_eq!((packed.values[16], packed.values[17]), (2.0, 4.0));

        let packed = PackedWeights::transposed(&weights, [2, 1, 1, 2]);
        // One column; rows: last column of the kernel first, output channels inside.
        let rows: Vec<f32> = packed.values.iter().step_by(16).copied().collect();
        assert_eq!(rows, [2.0, 4.0, 1.0, 3.0]);
    }
}
