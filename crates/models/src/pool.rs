//! Pooling: maximum, average and global average, each in the one form that the networks use.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::module::adaptive_avg_pool2d;
use burn::tensor::ops::{AvgPoolOptions, MaxPoolOptions};
use lodestone_kernels::{avg_pool2d, max_pool2d};

use crate::layer_cost::window_count;

/// Maximum over square windows.
#[derive(Module, Debug)]
pub(crate) struct MaxPool {
    pub(crate) size: usize,
    pub(crate) stride: usize,
    pub(crate) padding: usize,
    /// Whether a last window may hang over the edge; it then takes the maximum over what exists.
    pub(crate) round_up: bool,
}

impl MaxPool {
    pub(crate) fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let [.., height, width] = input.dims();
        // A window that hangs over an input smaller than itself covers that input.
        let size = match self.round_up {
            true => [height, width].map(|side| self.size.min(side + 2 * self.padding)),
            false => [self.size; 2],
        };
        let options = MaxPoolOptions::new(size)
            .with_stride([self.stride; 2])
            .with_padding([self.padding; 2])
            .with_ceil_mode(self.round_up);
        max_pool2d(input, options)
    }

    pub(crate) fn trace(&self, [channels, height, width]: [usize; 3]) -> Option<[usize; 3]> {
        let windows =
            |size| window_count(size, self.size, self.stride, self.padding, self.round_up);
        Some([channels, windows(height)?, windows(width)?])
    }
}

/// Mean over square windows; padding counts as zeros in the mean, as in torch.
#[derive(Module, Debug)]
pub(crate) struct AveragePool {
    pub(crate) size: usize,
    pub(crate) stride: usize,
    pub(crate) padding: usize,
}

impl AveragePool {
    pub(crate) fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let options = AvgPoolOptions::new([self.size; 2])
            .with_stride([self.stride; 2])
            .with_padding([self.padding; 2])
            .with_count_include_pad(true);
        avg_pool2d(input, options)
    }

    pub(crate) fn trace(&self, [channels, height, width]: [usize; 3]) -> Option<[usize; 3]> {
        let windows = |size| window_count(size, self.size, self.stride, self.padding, false);
        Some([channels, windows(height)?, windows(width)?])
    }
}

/// Means over `side`×`side` windows that cover each map evenly, overlapping where the sizes do not divide.
pub(crate) fn adaptive_average(maps: Tensor<4>, side: usize) -> Tensor<4> {
    adaptive_avg_pool2d(maps, [side; 2])
}
