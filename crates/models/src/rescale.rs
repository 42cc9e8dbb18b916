//! The change of input scale that torchvision's ported networks carry inside themselves.

use burn::module::Module;
use burn::tensor::Tensor;

/// Means and deviations of ImageNet by which torchvision's loaders normalise, in red, green, blue.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

/// From ImageNet statistics to `[-1, 1]`: `x * deviation / 0.5 + (mean - 0.5) / 0.5` per channel.
///
/// The weights of torchvision come from TensorFlow, whose pictures lie in `[-1, 1]`, while torchvision's loaders normalise
/// every network's input alike.
#[derive(Module, Debug)]
pub(crate) struct Rescale {}

impl Rescale {
    /// `[n, 3, h, w]` to the same shape.
    pub(crate) fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let (device, dtype) = (input.device(), input.dtype());
        let per_channel = |values: [f32; 3]| {
            let values = Tensor::<1>::from_data(values, &device).reshape([1, 3, 1, 1]);
            values.cast(dtype)
        };
        let scale = per_channel(DEVIATION.map(|deviation| deviation / 0.5));
        let shift = per_channel(MEAN.map(|mean| (mean - 0.5) / 0.5));
        input * scale + shift
    }
}
