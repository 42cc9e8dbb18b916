//! Gradient of a convolution's input.

use rayon::prelude::*;

use super::forward::{After, convolve_as};
use super::geometry::Geometry;
use super::pack::Reading;
use crate::memory::Buffer;
use crate::simd::Level;

/// Gradient of the input, channels last, given that of the output.
///
/// Without strides it is the convolution of the output's gradient with the flipped kernel. With strides, input rows whose
/// distance is the stride see the same rows of the kernel, so the input falls into phases, each with such a convolution of
/// a part of the kernel.
pub(crate) fn input_gradient(
    level: Level,
    geometry: &Geometry,
    output_gradient: &[f32],
    weights: &[f32],
) -> Buffer {
    if geometry.stride == [1, 1] {
        let phases = [0, 1].map(|axis| Phase::new(geometry, axis, 0));
        return phase_gradient(level, geometry, phases, output_gradient, weights);
    }
    let mut gradient = Buffer::zeros(geometry.batch * geometry.input_image());
    let phases = |axis: usize| {
        (0..geometry.stride[axis]).map(move |phase| Phase::new(geometry, axis, phase))
    };
    for vertical in phases(0) {
        for horizontal in phases(1) {
            // A stride beyond the kernel leaves pixels that no output reads; a small image may lack a phase.
            if [vertical, horizontal]
                .iter()
                .any(|phase| phase.kernel == 0 || phase.len == 0)
            {
                continue;
            }
            let phases = [vertical, horizontal];
            let part = phase_gradient(level, geometry, phases, output_gradient, weights);
            scatter(geometry, phases, &part, &mut gradient);
        }
    }
    gradient
}

/// The input indices `first, first + stride, ..` of an axis, which see the kernel indices `tap, tap + stride, ..`.
#[derive(Clone, Copy, Debug)]
struct Phase {
    first: usize,
    /// Number of input indices.
    len: usize,
    tap: usize,
    /// Number of kernel indices.
    kernel: usize,
    /// Output index that meets the first kernel index at the first input index.
    output: isize,
}

impl Phase {
    fn new(geometry: &Geometry, axis: usize, tap: usize) -> Self {
        let (stride, padding) = (geometry.stride[axis], geometry.padding[axis]);
        // An input index i meets tap k at output (i + padding - k) / stride.
        let first = (tap as isize - padding).rem_euclid(stride as isize) as usize;
        Self {
            first,
            len: geometry.input[axis].saturating_sub(first).div_ceil(stride),
            tap,
            kernel: geometry.kernel[axis].saturating_sub(tap).div_ceil(stride),
            output: (first as isize + padding - tap as isize) / stride as isize,
        }
    }
}

/// The input's gradient at one phase of its rows and columns, without gaps.
fn phase_gradient(
    level: Level,
    geometry: &Geometry,
    phases: [Phase; 2],
    output_gradient: &[f32],
    weights: &[f32],
) -> Buffer {
    let Geometry {
        batch,
        in_channels,
        out_channels,
        ..
    } = *geometry;
    let kernel = phases.map(|phase| phase.kernel);
    let reverse = Geometry {
        batch,
        input: geometry.output,
        in_channels: out_channels,
        output: phases.map(|phase| phase.len),
        out_channels: in_channels,
        kernel,
        stride: [1, 1],
        padding: phases.map(|phase| phase.kernel as isize - 1 - phase.output),
    };
    let [height, width] = geometry.kernel;
    let [rows, columns] = [0, 1].map(|axis| {
        let phase = phases[axis];
        let taps = (0..phase.kernel).map(|index| phase.tap + index * geometry.stride[axis]);
        taps.collect::<Vec<usize>>()
    });
    let shape = [out_channels, in_channels, height, width];
    let reading = Reading::transposed(shape, &rows, &columns);
    convolve_as(
        level,
        &reverse,
        output_gradient,
        weights,
        reading,
        After::default(),
    )
}

/// Writes the gradient of the phases to where it belongs.
fn scatter(geometry: &Geometry, phases: [Phase; 2], part: &[f32], gradient: &mut [f32]) {
    let [vertical, horizontal] = phases;
    let channels = geometry.in_channels;
    let row_floats = geometry.input[1] * channels;
    let images = gradient.par_chunks_mut(geometry.input_image());
    images
        .zip(part.par_chunks(vertical.len * horizontal.len * channels))
        .for_each(|(image, part)| {
            for (index, from) in part.chunks_exact(horizontal.len * channels).enumerate() {
                let row = vertical.first + index * geometry.stride[0];
                let to = &mut image[row * row_floats..(row + 1) * row_floats];
                for (index, from) in from.chunks_exact(channels).enumerate() {
                    let column = horizontal.first + index * geometry.stride[1];
                    to[column * channels..(column + 1) * channels].copy_from_slice(from);
                }
            }
        });
}
