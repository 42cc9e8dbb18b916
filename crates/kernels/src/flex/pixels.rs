//! Tensors of the CPU backend as slices of channels-last pixels, and back.

use burn::backend::DType;
use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, Shape};
use rayon::prelude::*;

use crate::memory::Buffer;
use crate::rectify::{masked, masked_in_place};
use crate::simd::Level;

/// Floats that a thread copies at a time.
const PIECE: usize = 64 * 1024;

/// Images whose channels are adjacent in memory.
#[derive(Clone, Debug)]
pub(super) struct Pixels {
    tensor: FlexTensor,
    pub(super) batch: usize,
    pub(super) size: [usize; 2],
    pub(super) channels: usize,
}

impl Pixels {
    /// `[batch, channels, height, width]` in any layout; copied unless its channels are adjacent already.
    pub(super) fn of(tensor: FlexTensor) -> Self {
        let [batch, channels, height, width] = dims(&tensor);
        let want = strides([height, width], channels);
        let dense = tensor
            .layout()
            .shape()
            .iter()
            .zip(tensor.layout().strides())
            .zip(want);
        // An axis of length 1 may have any stride.
        let dense = dense
            .into_iter()
            .all(|((&len, &have), want)| len == 1 || have == want);
        let tensor = if dense {
            tensor
        } else if tensor.layout().is_contiguous() && height * width > 1 {
            let start = tensor.layout().start_offset();
            let values = &tensor.storage()[start..start + batch * channels * height * width];
            let values = interleaved(values, height * width, channels);
            return Self::new(values, batch, [height, width], channels);
        } else {
            let layout = tensor.layout().permute(&[0, 2, 3, 1]);
            let copy = tensor.with_layout(layout).to_contiguous();
            // A tensor that is contiguous in the new order already may be a view that begins later.
            let start = copy.layout().start_offset();
            let shape = Shape::from([batch, channels, height, width]);
            copy.with_layout(Layout::new(shape, want.to_vec(), start))
        };
        Self {
            tensor,
            batch,
            size: [height, width],
            channels,
        }
    }

    /// Takes `[batch, height, width, channels]`.
    pub(super) fn new(values: Buffer, batch: usize, size: [usize; 2], channels: usize) -> Self {
        assert_eq!(
            values.len(),
            batch * size[0] * size[1] * channels,
            "pixels of {size:?}"
        );
        let shape = Shape::from([batch, channels, size[0], size[1]]);
        let layout = Layout::new(shape, strides(size, channels).to_vec(), 0);
        let tensor = FlexTensor::new(values.into_bytes(), layout, DType::F32);
        Self {
            tensor,
            batch,
            size,
            channels,
        }
    }

    /// A view of shape `[batch, channels, height, width]`.
    pub(super) fn into_tensor(self) -> FlexTensor {
        self.tensor
    }

    pub(super) fn len(&self) -> usize {
        self.batch * self.size[0] * self.size[1] * self.channels
    }

    /// `[batch, height, width, channels]`
    pub(super) fn values(&self) -> &[f32] {
        let start = self.tensor.layout().start_offset();
        &self.tensor.storage()[start..start + self.len()]
    }

    /// A copy if another tensor shares the values.
    pub(super) fn into_unique(mut self) -> Self {
        if self.values_mut().is_some() {
            return self;
        }
        let copy = copied(self.values());
        Self::new(copy, self.batch, self.size, self.channels)
    }

    /// Itself where `output`, which a cut at zero made, is positive, and 0 elsewhere.
    pub(super) fn where_positive(mut self, output: &Self) -> Self {
        let level = Level::best();
        if let Some(values) = self.values_mut() {
            masked_in_place(level, values, output.values());
            return self;
        }
        let values = masked(level, self.values(), output.values());
        Self::new(values, self.batch, self.size, self.channels)
    }

    /// The values, if no other tensor shares them.
    pub(super) fn values_mut(&mut self) -> Option<&mut [f32]> {
        let (start, len) = (self.tensor.layout().start_offset(), self.len());
        self.tensor
            .try_storage_mut()
            .map(|values| &mut values[start..start + len])
    }
}

fn strides([height, width]: [usize; 2], channels: usize) -> [isize; 4] {
    [height * width * channels, 1, width * channels, channels].map(|stride| stride as isize)
}

/// The shape of a tensor of four axes.
pub(super) fn dims(tensor: &FlexTensor) -> [usize; 4] {
    let shape = tensor.layout().shape();
    assert_eq!(
        shape.num_dims(),
        4,
        "expected a tensor of four axes, got {shape:?}"
    );
    [shape[0], shape[1], shape[2], shape[3]]
}

/// A copy by all threads.
fn copied(values: &[f32]) -> Buffer {
    let mut copy = Buffer::stale(values.len());
    let pieces = copy.par_chunks_mut(PIECE).zip(values.par_chunks(PIECE));
    pieces.for_each(|(to, from)| to.copy_from_slice(from));
    copy
}

/// Channels-last pixels of images whose pixels are adjacent.
fn interleaved(values: &[f32], pixels: usize, channels: usize) -> Buffer {
    let mut output = Buffer::stale(values.len());
    let images = output.len() / (pixels * channels).max(1);
    // A piece reads a short run of each channel; all of it stays in the first-level cache.
    let run = (PIECE / 16 / channels).clamp(1, pixels.max(1));
    let pieces: Vec<(usize, usize)> = (0..images)
        .flat_map(|image| (0..pixels).step_by(run).map(move |start| (image, start)))
        .collect();
    let mut parts = Vec::with_capacity(pieces.len());
    let mut rest = &mut *output;
    for (image, start) in pieces {
        let len = run.min(pixels - start);
        let (part, after) = rest.split_at_mut(len * channels);
        parts.push((image * pixels * channels + start, part));
        rest = after;
    }
    parts.into_par_iter().for_each(|(start, part)| {
        for channel in 0..channels {
            let from = &values[start + channel * pixels..];
            for (pixel, to) in part.chunks_exact_mut(channels).enumerate() {
                to[channel] = from[pixel];
            }
        }
    });
    output
}

/// A contiguous tensor.
pub(super) fn contiguous(values: Bytes, shape: Shape) -> FlexTensor {
    FlexTensor::new(values, Layout::contiguous(shape), DType::F32)
}

/// The values in the order of the axes, copied if they lie otherwise.
pub(super) struct Contiguous(FlexTensor);

impl Contiguous {
    pub(super) fn of(tensor: &FlexTensor) -> Self {
        Self(tensor.to_contiguous())
    }

    pub(super) fn values(&self) -> &[f32] {
        let start = self.0.layout().start_offset();
        &self.0.storage()[start..start + self.0.layout().num_elements()]
    }
}
