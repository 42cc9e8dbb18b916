//! The operators on tensors: fast ones on the CPU backend, burn's own on every other device.

use std::cell::Cell;

use burn::tensor::activation::relu;
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};
use burn::tensor::{DType, Tensor, module};

#[cfg(feature = "cpu")]
use crate::{
    flex::{Bias, FastBackend, Fork, Joined, is_fast},
    pool::PoolWindow,
};
#[cfg(feature = "cpu")]
use burn::backend::Dispatch;

thread_local! {
    /// Set by [`with_burn_operators`].
    static BURN_OPERATORS: Cell<bool> = const { Cell::new(false) };
}

/// Setting of [`local_response_norm`]: `x / (bias + alpha / size * Σ x²)^beta`, the sum over the `size` neighbouring channels, fewer at the ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResponseNorm {
    /// Odd number of channels in the sum, the channel itself in their middle.
    pub size: usize,
    /// Weight of the mean square.
    pub alpha: f32,
    /// Exponent.
    pub beta: f32,
    /// What the base is without any activity.
    pub bias: f32,
}

/// What is applied to the sums of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// `max(0, x)`
    Relu,
}

/// Convolution, bias and activation in one operator.
///
/// On the CPU backend, for one group, no dilation, the same padding on both sides and `f32`, the images pass through once:
/// the output is written after bias and activation, with adjacent channels in memory, and the next operator of this crate
/// reads it so. All else runs burn's own operators. Gradients flow to all three tensors.
///
/// # Shapes
/// - input: `[batch, in channels, height, width]`
/// - weights: `[out channels, in channels, kernel height, kernel width]`
/// - bias: `[out channels]`
/// - returns `[batch, out channels, height', width']`
///
/// # Panics
/// If shapes disagree or the kernel does not fit.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor, ops::ConvOptions};
/// use lodestone_kernels::{Activation, conv2d};
///
/// let device = Device::flex();
/// let image = Tensor::<4>::from_data([[[[1.0, 2.0], [3.0, 4.0]]]], &device);
/// let weights = Tensor::<4>::from_data([[[[1.0, -1.0]]]], &device);
/// let options = ConvOptions::new([1, 1], [0, 1], [1, 1], 1);
/// let output = conv2d(image, weights, None, options, Activation::Relu);
/// // Rows of 0 1 2 0 and 0 3 4 0: each value minus its right neighbour, cut at zero.
/// assert_eq!(output.into_data().try_to_vec::<f32>().unwrap(), [0.0, 0.0, 2.0, 0.0, 0.0, 4.0]);
/// ```
pub fn conv2d(
    input: Tensor<4>,
    weights: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
    activation: Activation,
) -> Tensor<4> {
    assert_eq!(
        (
            weights.dtype(),
            bias.as_ref().map_or(input.dtype(), Tensor::dtype)
        ),
        (input.dtype(), input.dtype()),
        "types of weights and bias, beside that of the input"
    );
    #[cfg(feature = "cpu")]
    if let Some(padding) = same_sides(options.padding)
        && options.dilation == [1, 1]
        && options.groups == 1
        && runs_fast(&input)
    {
        let bias = match bias {
            Some(bias) => Bias::Present(bias.into_dispatch()),
            None => Bias::Absent,
        };
        let (input, weights) = (input.into_dispatch(), weights.into_dispatch());
        let relu = activation == Activation::Relu;
        let output = Dispatch::convolve(input, weights, bias, options.stride, padding, relu);
        return Tensor::from_dispatch(output);
    }
    let output = module::conv2d(input, weights, bias, options);
    match activation {
        Activation::None => output,
        Activation::Relu => relu(output),
    }
}

/// Convolution, bias, sum with other maps and ReLU in one operator: the end of a residual block whose normalisation has
/// become a part of its last convolution.
///
/// ```text
/// y = max(0, conv(input) + bias + more)
/// ```
///
/// Fast where [`conv2d`] is. Gradients flow to all four tensors.
///
/// # Shapes
/// - input: `[batch, in channels, height, width]`
/// - weights: `[out channels, in channels, kernel height, kernel width]`
/// - bias: `[out channels]`
/// - more: `[batch, out channels, height', width']`, and the same is returned
///
/// # Panics
/// If shapes or types disagree or the kernel does not fit.
///
/// Source: He et al., *Deep residual learning for image recognition*, CVPR 2016, section 3.2.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor, ops::ConvOptions};
/// use lodestone_kernels::conv2d_add;
///
/// let device = Device::flex();
/// let image = Tensor::<4>::from_data([[[[1.0, 2.0]]]], &device);
/// let weights = Tensor::<4>::from_data([[[[2.0]]]], &device);
/// let bias = Tensor::<1>::from_data([0.5], &device);
/// let more = Tensor::<4>::from_data([[[[1.0, -9.0]]]], &device);
/// let options = ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
/// let output = conv2d_add(image, weights, bias, more, options);
/// assert_eq!(output.into_data().try_to_vec::<f32>().unwrap(), [3.5, 0.0]);
/// ```
pub fn conv2d_add(
    input: Tensor<4>,
    weights: Tensor<4>,
    bias: Tensor<1>,
    more: Tensor<4>,
    options: ConvOptions<2>,
) -> Tensor<4> {
    assert_eq!(
        (weights.dtype(), bias.dtype(), more.dtype()),
        (input.dtype(), input.dtype(), input.dtype()),
        "types of weights, bias and the maps to add, beside that of the input"
    );
    #[cfg(feature = "cpu")]
    if let Some(padding) = same_sides(options.padding)
        && options.dilation == [1, 1]
        && options.groups == 1
        && runs_fast(&input)
    {
        let (input, weights) = (input.into_dispatch(), weights.into_dispatch());
        let (bias, more) = (bias.into_dispatch(), more.into_dispatch());
        let output = Dispatch::convolve_added(input, weights, bias, more, options.stride, padding);
        return Tensor::from_dispatch(output);
    }
    relu(module::conv2d(input, weights, Some(bias), options) + more)
}

/// Maximum over windows; burn's `max_pool2d`, faster on the CPU backend, its output with adjacent channels in memory.
///
/// A NaN in a window is its maximum. Of equal maxima the first, row by row, takes the gradient.
///
/// # Shapes
/// - input: `[batch, channels, height, width]`
/// - returns `[batch, channels, height', width']`
///
/// # Panics
/// If a window does not fit.
pub fn max_pool2d(input: Tensor<4>, options: MaxPoolOptions<2>) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if let Some(padding) = same_sides(options.padding)
        && options.dilation == [1, 1]
        // A place within a window is kept in a byte.
        && options.kernel_size[0] * options.kernel_size[1] <= 256
        && runs_fast(&input)
    {
        let (size, stride, round_up) = (options.kernel_size, options.stride, options.ceil_mode);
        let window = PoolWindow {
            size,
            stride,
            padding,
            round_up,
        };
        return Tensor::from_dispatch(Dispatch::maximum_pool(input.into_dispatch(), window));
    }
    module::max_pool2d(input, options)
}

/// Mean over windows; burn's `avg_pool2d`, faster on the CPU backend, its output with adjacent channels in memory.
///
/// # Shapes
/// - input: `[batch, channels, height, width]`
/// - returns `[batch, channels, height', width']`
///
/// # Panics
/// If a window does not fit.
pub fn avg_pool2d(input: Tensor<4>, options: AvgPoolOptions<2>) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if let Some(padding) = same_sides(options.padding)
        && runs_fast(&input)
    {
        let (size, stride, round_up) = (options.kernel_size, options.stride, options.ceil_mode);
        let window = PoolWindow {
            size,
            stride,
            padding,
            round_up,
        };
        let input = input.into_dispatch();
        let output = Dispatch::average_pool(input, window, options.count_include_pad);
        return Tensor::from_dispatch(output);
    }
    module::avg_pool2d(input, options)
}

/// Mean of each channel's map, whatever its size.
///
/// # Shapes
/// - input: `[batch, channels, height, width]`
/// - returns `[batch, channels]`, in `f32` whatever the input is
pub fn global_average(input: Tensor<4>) -> Tensor<2> {
    let input = input.cast(DType::F32);
    let [batch, channels, height, width] = input.dims();
    #[cfg(feature = "cpu")]
    if runs_fast(&input) {
        let means = Tensor::<4>::from_dispatch(Dispatch::global_average(input.into_dispatch()));
        return means.reshape([batch, channels]);
    }
    input
        .reshape([batch, channels, height * width])
        .mean_dim(2)
        .reshape([batch, channels])
}

/// Local response normalisation across channels.
///
/// ```text
/// y[c] = x[c] / (bias + alpha / size * Σ_{|d - c| <= size / 2} x[d]²)^beta
/// ```
///
/// The exponent 0.75 of the published networks is much faster than others.
///
/// # Shapes
/// - input: `[batch, channels, height, width]`, and the same is returned
///
/// # Panics
/// If `setting.size` is even.
///
/// Source: Krizhevsky et al., *ImageNet Classification with Deep Convolutional Neural Networks*, NIPS 2012, section 3.3; the
/// division of alpha by the size is Caffe's and torch's.
pub fn local_response_norm(input: Tensor<4>, setting: ResponseNorm) -> Tensor<4> {
    assert!(
        setting.size % 2 == 1,
        "the size is {}, must be odd",
        setting.size
    );
    if is_half(input.dtype()) {
        // The squares of ordinary pixels are beyond what f16 holds.
        let kept = input.dtype();
        return local_response_norm(input.cast(DType::F32), setting).cast(kept);
    }
    #[cfg(feature = "cpu")]
    if runs_fast(&input) {
        return Tensor::from_dispatch(Dispatch::response_norm(input.into_dispatch(), setting));
    }
    let [batch, channels, height, width] = input.dims();
    let squares = input.clone() * input.clone();
    // Not by `pad`: under autodiff burn 0.22.1 fills the whole padded tensor on the host and uploads it, 159 MB for each batch of 48 in
    // the original GoogLeNet and most of the time of its forward pass on a GPU.
    let edge = [batch, setting.size / 2, height, width];
    let edge = Tensor::zeros(edge, (&input.device(), input.dtype()));
    let padded = Tensor::cat(vec![edge.clone(), squares, edge], 1);
    let sums = (1..setting.size).fold(padded.clone().narrow(1, 0, channels), |sums, offset| {
        sums + padded.clone().narrow(1, offset, channels)
    });
    let base = sums
        .mul_scalar(setting.alpha / setting.size as f32)
        .add_scalar(setting.bias);
    if setting.beta == 0.75 {
        let root = base.sqrt();
        input / (root.clone() * root.sqrt())
    } else {
        input / base.powf_scalar(setting.beta)
    }
}

/// What [`batch_norm`] returns.
#[derive(Clone, Debug)]
pub struct NormOutput {
    /// `[batch, channels, height, width]`
    pub output: Tensor<4>,
    /// Mean of each channel over batch, height and width: `[channels]`, without gradient.
    pub mean: Tensor<1>,
    /// Biased variance of each channel, `epsilon` not added: `[channels]`, without gradient.
    pub variance: Tensor<1>,
}

/// Normalises each channel by its own mean and variance in this batch, then applies the activation.
///
/// ```text
/// y = activation(gamma * (x - mean) / sqrt(variance + epsilon) + beta)
/// ```
///
/// Gradients flow through mean and variance. For fixed statistics, scale the weights of the convolution before and give it
/// a bias.
///
/// # Shapes
/// - input: `[batch, channels, height, width]`
/// - gamma, beta: `[channels]`
///
/// Source: Ioffe and Szegedy, *Batch Normalization*, ICML 2015.
pub fn batch_norm(
    input: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
    activation: Activation,
) -> NormOutput {
    let channels = [input.dims()[1]];
    assert_eq!(
        (gamma.dims(), beta.dims()),
        (channels, channels),
        "channels of gamma and beta"
    );
    if is_half(input.dtype()) {
        // Sums over many values, and their squares: the statistics are taken in f32 and come back as such.
        let kept = input.dtype();
        let wide = batch_norm(
            input.cast(DType::F32),
            gamma,
            beta,
            epsilon,
            Activation::None,
        );
        let output = wide.output.cast(kept);
        let output = match activation {
            Activation::None => output,
            Activation::Relu => relu(output),
        };
        return NormOutput { output, ..wide };
    }
    #[cfg(feature = "cpu")]
    if runs_fast(&input) {
        let relu = activation == Activation::Relu;
        let (gamma, beta) = (gamma.into_dispatch(), beta.into_dispatch());
        let (output, mean, variance) =
            Dispatch::batch_norm_own(input.into_dispatch(), gamma, beta, epsilon as f32, relu);
        let (mean, variance) = (Tensor::from_dispatch(mean), Tensor::from_dispatch(variance));
        return NormOutput {
            output: Tensor::from_dispatch(output),
            mean,
            variance,
        };
    }
    let result = module::batch_norm_train(input, gamma, beta, epsilon);
    let output = match activation {
        Activation::None => result.output,
        Activation::Relu => relu(result.output),
    };
    NormOutput {
        output,
        mean: result.mean,
        variance: result.variance,
    }
}

/// Normalises as [`batch_norm`], adds other maps, and cuts at zero: the end of a residual block in training.
///
/// ```text
/// y = max(0, gamma * (x - mean) / sqrt(variance + epsilon) + beta + more)
/// ```
///
/// Gradients flow to all four tensors, and through mean and variance.
///
/// # Shapes
/// - input, more: `[batch, channels, height, width]`
/// - gamma, beta: `[channels]`
///
/// # Panics
/// If shapes disagree.
///
/// Source: He et al., *Deep residual learning for image recognition*, CVPR 2016, section 3.2.
pub fn batch_norm_add(
    input: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
    more: Tensor<4>,
) -> NormOutput {
    assert_eq!(
        more.dims(),
        input.dims(),
        "shapes of the maps to add and of the input"
    );
    #[cfg(feature = "cpu")]
    if runs_fast(&input) {
        let channels = [input.dims()[1]];
        assert_eq!(
            (gamma.dims(), beta.dims()),
            (channels, channels),
            "channels of gamma and beta"
        );
        let (gamma, beta) = (gamma.into_dispatch(), beta.into_dispatch());
        let (input, more) = (input.into_dispatch(), more.into_dispatch());
        let (output, mean, variance) =
            Dispatch::batch_norm_added(input, gamma, beta, more, epsilon as f32);
        let (mean, variance) = (Tensor::from_dispatch(mean), Tensor::from_dispatch(variance));
        return NormOutput {
            output: Tensor::from_dispatch(output),
            mean,
            variance,
        };
    }
    let norm = batch_norm(input, gamma, beta, epsilon, Activation::None);
    NormOutput {
        output: relu(norm.output + more),
        ..norm
    }
}

/// Joins images along their channels.
///
/// # Shapes
/// - inputs: `[batch, channels of each, height, width]`, at least one
/// - returns `[batch, sum of channels, height, width]`
///
/// # Panics
/// If `inputs` is empty or the images differ in number or size.
pub fn concatenate(inputs: Vec<Tensor<4>>) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if inputs.len() > 1 && inputs.iter().all(runs_fast) {
        let mut inputs = inputs.into_iter().map(Tensor::into_dispatch);
        // Up to four at a time, the number of branches of a block in most networks.
        let mut joined = inputs.next().expect("there are at least two");
        loop {
            let parts = match (inputs.next(), inputs.next(), inputs.next()) {
                (Some(b), Some(c), Some(d)) => Joined::Four(joined, b, c, d),
                (Some(b), Some(c), None) => Joined::Three(joined, b, c),
                (Some(b), None, _) => Joined::Two(joined, b),
                (None, ..) => return Tensor::from_dispatch(joined),
            };
            joined = Dispatch::concatenate(parts);
        }
    }
    Tensor::cat(inputs, 1)
}

/// The same tensor for several readers.
///
/// Clones do the same, but burn adds their gradients by one thread.
///
/// # Shapes
/// - input: `[batch, channels, height, width]`
/// - returns `readers` of that shape
pub fn fork(input: Tensor<4>, readers: usize) -> Vec<Tensor<4>> {
    #[cfg(feature = "cpu")]
    if readers > 1 && runs_fast(&input) {
        let fork = Fork::default();
        let reader = || {
            let input = input.clone().into_dispatch();
            Tensor::from_dispatch(Dispatch::fork(input, fork.clone()))
        };
        return (0..readers).map(|_| reader()).collect();
    }
    vec![input; readers]
}

/// Calls `run` with burn's own operators instead of the fast ones on this thread: what they are tested and measured against.
pub fn with_burn_operators<T>(run: impl FnOnce() -> T) -> T {
    let before = BURN_OPERATORS.replace(true);
    let result = run();
    BURN_OPERATORS.set(before);
    result
}

/// Whether values have 16 bits.
fn is_half(dtype: DType) -> bool {
    matches!(dtype, DType::F16 | DType::BF16)
}

/// Whether the operators above exist for a tensor and are wanted.
#[cfg(feature = "cpu")]
fn runs_fast(tensor: &Tensor<4>) -> bool {
    !BURN_OPERATORS.get() && is_fast(tensor)
}

/// The padding of both sides if it is the same.
#[cfg(feature = "cpu")]
fn same_sides(padding: [(usize, usize); 2]) -> Option<[usize; 2]> {
    padding
        .iter()
        .all(|(before, after)| before == after)
        .then(|| padding.map(|(before, _)| before))
}
