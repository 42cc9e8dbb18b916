//! The operators that the CPU backend learns, and how burn finds them.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, Backend, DType, DispatchTensorKind, ExtensionType, Flex, backend_extension,
};
use burn::tensor::Tensor;

use super::fork::Fork;
use super::{concatenate, convolution, fork, norm, pooling, response_norm};
use crate::ResponseNorm;
use crate::pool::PoolWindow;

/// An optional bias: the macro routes enums of tensors, not options.
#[derive(ExtensionType)]
pub(crate) enum Bias<B: Backend> {
    Present(FloatTensor<B>),
    Absent,
}

impl<B: Backend> Bias<B> {
    fn into_option(self) -> Option<FloatTensor<B>> {
        match self {
            Self::Present(bias) => Some(bias),
            Self::Absent => None,
        }
    }
}

/// Images to join: the macro routes enums of tensors, not vectors.
#[derive(ExtensionType)]
pub(crate) enum Joined<B: Backend> {
    Two(FloatTensor<B>, FloatTensor<B>),
    Three(FloatTensor<B>, FloatTensor<B>, FloatTensor<B>),
    Four(
        FloatTensor<B>,
        FloatTensor<B>,
        FloatTensor<B>,
        FloatTensor<B>,
    ),
}

impl<B: Backend> Joined<B> {
    fn into_vec(self) -> Vec<FloatTensor<B>> {
        match self {
            Self::Two(a, b) => vec![a, b],
            Self::Three(a, b, c) => vec![a, b, c],
            Self::Four(a, b, c, d) => vec![a, b, c, d],
        }
    }
}

/// Fast operators of a backend. Images are `[batch, channels, height, width]` with adjacent channels in memory; other
/// layouts are copied first.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait FastBackend: Backend {
    /// See [`crate::conv2d`].
    fn convolve(
        input: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        #[extension_type] bias: Bias<Self>,
        stride: [usize; 2],
        padding: [usize; 2],
        relu: bool,
    ) -> FloatTensor<Self>;
    /// See [`crate::max_pool2d`].
    fn maximum_pool(input: FloatTensor<Self>, window: PoolWindow) -> FloatTensor<Self>;
    /// See [`crate::avg_pool2d`].
    fn average_pool(
        input: FloatTensor<Self>,
        window: PoolWindow,
        count_padding: bool,
    ) -> FloatTensor<Self>;
    /// See [`crate::global_average`], but `[batch, channels, 1, 1]`.
    fn global_average(input: FloatTensor<Self>) -> FloatTensor<Self>;
    /// See [`crate::batch_norm`]. Output, mean and biased variance.
    fn batch_norm_own(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
        relu: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    /// See [`crate::conv2d_add`].
    fn convolve_added(
        input: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        more: FloatTensor<Self>,
        stride: [usize; 2],
        padding: [usize; 2],
    ) -> FloatTensor<Self>;
    /// See [`crate::batch_norm_add`]. Output, mean and biased variance.
    fn batch_norm_added(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        more: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    /// See [`crate::local_response_norm`].
    fn response_norm(input: FloatTensor<Self>, setting: ResponseNorm) -> FloatTensor<Self>;
    /// One of the tensors that [`crate::fork`] returns.
    fn fork(input: FloatTensor<Self>, fork: Fork) -> FloatTensor<Self>;
    /// See [`crate::concatenate`].
    fn concatenate(#[extension_type] inputs: Joined<Self>) -> FloatTensor<Self>;
}

/// Whether the operators above exist for a tensor: `f32` on the CPU backend, tracked or not.
pub(crate) fn is_fast(tensor: &Tensor<4>) -> bool {
    let on_flex = match tensor.clone().into_dispatch().kind {
        DispatchTensorKind::Flex(_) => true,
        DispatchTensorKind::Autodiff(inner) => matches!(*inner, DispatchTensorKind::Flex(_)),
        // There are others when other backends are compiled in.
        #[allow(unreachable_patterns)]
        _ => false,
    };
    on_flex && tensor.dtype() == DType::F32
}

impl FastBackend for Flex {
    fn convolve(
        input: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        bias: Bias<Self>,
        stride: [usize; 2],
        padding: [usize; 2],
        relu: bool,
    ) -> FloatTensor<Self> {
        let bias = bias.into_option();
        convolution::forward(input, &weights, bias.as_ref(), stride, padding, relu).into_tensor()
    }

    fn maximum_pool(input: FloatTensor<Self>, window: PoolWindow) -> FloatTensor<Self> {
        pooling::maximum(input, window)
    }

    fn average_pool(
        input: FloatTensor<Self>,
        window: PoolWindow,
        count_padding: bool,
    ) -> FloatTensor<Self> {
        pooling::average(input, window, count_padding)
    }

    fn global_average(input: FloatTensor<Self>) -> FloatTensor<Self> {
        pooling::global_average(input)
    }

    fn batch_norm_own(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
        relu: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        norm::forward(input, &gamma, &beta, epsilon, relu)
    }

    fn convolve_added(
        input: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        more: FloatTensor<Self>,
        stride: [usize; 2],
        padding: [usize; 2],
    ) -> FloatTensor<Self> {
        convolution::forward_added(input, &weights, &bias, more, stride, padding).into_tensor()
    }

    fn batch_norm_added(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        more: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        norm::forward_added(input, &gamma, &beta, more, epsilon)
    }

    fn response_norm(input: FloatTensor<Self>, setting: ResponseNorm) -> FloatTensor<Self> {
        response_norm::forward(input, setting)
    }

    fn fork(input: FloatTensor<Self>, _fork: Fork) -> FloatTensor<Self> {
        input
    }

    fn concatenate(inputs: Joined<Self>) -> FloatTensor<Self> {
        concatenate::forward(inputs.into_vec())
    }
}

impl<C: CheckpointStrategy> FastBackend for Autodiff<Flex, C> {
    fn convolve(
        input: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        bias: Bias<Self>,
        stride: [usize; 2],
        padding: [usize; 2],
        relu: bool,
    ) -> FloatTensor<Self> {
        convolution::tracked::<C>(input, weights, bias.into_option(), stride, padding, relu)
    }

    fn maximum_pool(input: FloatTensor<Self>, window: PoolWindow) -> FloatTensor<Self> {
        pooling::tracked_maximum::<C>(input, window)
    }

    fn average_pool(
        input: FloatTensor<Self>,
        window: PoolWindow,
        count_padding: bool,
    ) -> FloatTensor<Self> {
        pooling::tracked_average::<C>(input, window, count_padding)
    }

    fn global_average(input: FloatTensor<Self>) -> FloatTensor<Self> {
        pooling::tracked_global_average::<C>(input)
    }

    fn batch_norm_own(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
        relu: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        norm::tracked::<C>(input, gamma, beta, epsilon, relu)
    }

    fn convolve_added(
        input: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        more: FloatTensor<Self>,
        stride: [usize; 2],
        padding: [usize; 2],
    ) -> FloatTensor<Self> {
        convolution::tracked_added::<C>(input, weights, bias, more, stride, padding)
    }

    fn batch_norm_added(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        more: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        norm::tracked_added::<C>(input, gamma, beta, more, epsilon)
    }

    fn response_norm(input: FloatTensor<Self>, setting: ResponseNorm) -> FloatTensor<Self> {
        response_norm::tracked::<C>(input, setting)
    }

    fn fork(input: FloatTensor<Self>, fork: Fork) -> FloatTensor<Self> {
        fork::tracked::<C>(input, fork)
    }

    fn concatenate(inputs: Joined<Self>) -> FloatTensor<Self> {
        concatenate::tracked::<C>(inputs)
    }
}
