//! Local response normalisation across channels (Krizhevsky et al. 2012), in the one setting GoogLeNet of 2014 uses.

use burn::module::Module;
use burn::tensor::{Tensor, ops::PadMode};

const CHANNELS: usize = 5;
const ALPHA: f64 = 1e-4;

/// `x / (1 + alpha / 5 * sum of x² over the 5 neighbouring channels) ^ 0.75`, with alpha 1e-4 and fewer neighbours at the
/// ends.
#[derive(Module, Debug)]
pub(crate) struct LocalNorm {}

impl LocalNorm {
    /// `[n, c, h, w]` to the same shape.
    pub(crate) fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let channels = input.dims()[1];
        let reach = CHANNELS / 2;
        let squares = input.clone() * input.clone();
        let padded = squares.pad([(reach, reach), (0, 0), (0, 0)], PadMode::Constant(0.0));
        let sum = (1..CHANNELS).fold(padded.clone().narrow(1, 0, channels), |sum, offset| {
            sum + padded.clone().narrow(1, offset, channels)
        });
        let base = sum.mul_scalar(ALPHA / CHANNELS as f64).add_scalar(1.0);
        // base^0.75 by two square roots: a general power costs many times as much.
        let root = base.sqrt();
        input / (root.clone() * root.sqrt())
    }
}
