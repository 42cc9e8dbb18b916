//! Local response normalisation across channels (Krizhevsky et al. 2012), in the one setting GoogLeNet of 2014 uses.

use burn::module::Module;
use burn::tensor::Tensor;
use lodestone_kernels::{ResponseNorm, local_response_norm};

const SETTING: ResponseNorm = ResponseNorm {
    size: 5,
    alpha: 1e-4,
    beta: 0.75,
    bias: 1.0,
};

/// `x / (1 + alpha / 5 * sum of x² over the 5 neighbouring channels) ^ 0.75`, with alpha 1e-4 and fewer neighbours at the
/// ends.
#[derive(Module, Debug)]
pub(crate) struct LocalNorm {}

impl LocalNorm {
    /// `[n, c, h, w]` to the same shape.
    pub(crate) fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        local_response_norm(input, SETTING)
    }
}
