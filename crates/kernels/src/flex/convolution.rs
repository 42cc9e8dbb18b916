//! Convolution, bias, sum with other maps and ReLU in one operator, and its gradients.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{Bytes, Shape};

use super::pixels::{Contiguous, Pixels, contiguous, dims};
use crate::conv::{After, Geometry, convolve, input_gradient, weight_gradient};
use crate::rectify::column_sums;
use crate::simd::Level;

pub(super) fn forward(
    input: FlexTensor,
    weights: &FlexTensor,
    bias: Option<&FlexTensor>,
    stride: [usize; 2],
    padding: [usize; 2],
    relu: bool,
) -> Pixels {
    let input = Pixels::of(input);
    let geometry = geometry(&input, dims(weights), stride, padding);
    run(&input, &geometry, weights, bias, None, relu)
}

/// With a cut at zero.
pub(super) fn forward_added(
    input: FlexTensor,
    weights: &FlexTensor,
    bias: &FlexTensor,
    more: FlexTensor,
    stride: [usize; 2],
    padding: [usize; 2],
) -> Pixels {
    let (input, more) = (Pixels::of(input), Pixels::of(more));
    let geometry = geometry(&input, dims(weights), stride, padding);
    run(&input, &geometry, weights, Some(bias), Some(&more), true)
}

fn run(
    input: &Pixels,
    geometry: &Geometry,
    weights: &FlexTensor,
    bias: Option<&FlexTensor>,
    more: Option<&Pixels>,
    relu: bool,
) -> Pixels {
    if let Some(more) = more {
        assert_eq!(
            (more.batch, more.channels, more.size),
            (geometry.batch, geometry.out_channels, geometry.output),
            "images, channels and size of the maps to add, and of the convolution's"
        );
    }
    let weights = Contiguous::of(weights);
    let bias = bias.map(Contiguous::of);
    let bias = bias.as_ref().map(Contiguous::values);
    let level = Level::best();
    let after = After {
        bias,
        maps: more.map(Pixels::values),
        relu,
    };
    let output = convolve(level, geometry, input.values(), weights.values(), after);
    Pixels::new(
        output,
        geometry.batch,
        geometry.output,
        geometry.out_channels,
    )
}

fn geometry(
    input: &Pixels,
    [out_channels, in_channels, height, width]: [usize; 4],
    stride: [usize; 2],
    padding: [usize; 2],
) -> Geometry {
    assert_eq!(
        input.channels, in_channels,
        "channels of the input and of the weights"
    );
    let kernel = [height, width];
    let output = Geometry::output_size(input.size, kernel, stride, padding);
    let Some(output) = output else {
        panic!(
            "a kernel of {kernel:?} does not fit in {:?} padded by {padding:?}",
            input.size
        )
    };
    Geometry {
        batch: input.batch,
        input: input.size,
        in_channels,
        output,
        out_channels,
        kernel,
        stride,
        padding: padding.map(|padding| padding as isize),
    }
}

pub(super) fn tracked<C: CheckpointStrategy>(
    input: FloatTensor<Autodiff<Flex>>,
    weights: FloatTensor<Autodiff<Flex>>,
    bias: Option<FloatTensor<Autodiff<Flex>>>,
    stride: [usize; 2],
    padding: [usize; 2],
    relu: bool,
) -> FloatTensor<Autodiff<Flex>> {
    let (input, input_node) = input.into_parts();
    let (weights, weights_node) = weights.into_parts();
    let input = Pixels::of(input);
    let geometry = geometry(&input, dims(&weights), stride, padding);
    let finish = |output: &Pixels| Saved {
        input: input.clone(),
        weights: weights.clone(),
        output: relu.then(|| output.clone()),
        geometry,
    };
    match bias {
        Some(bias) => {
            let (bias, bias_node) = bias.into_parts();
            let output = run(&input, &geometry, &weights, Some(&bias), None, relu);
            let nodes = [input_node, weights_node, bias_node];
            match Convolution.prepare::<C>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish(finish(&output), output.into_tensor()),
                OpsKind::UnTracked(prep) => prep.finish(output.into_tensor()),
            }
        }
        None => {
            let output = run(&input, &geometry, &weights, None, None, relu);
            match Convolution
                .prepare::<C>([input_node, weights_node])
                .compute_bound()
                .stateful()
            {
                OpsKind::Tracked(prep) => prep.finish(finish(&output), output.into_tensor()),
                OpsKind::UnTracked(prep) => prep.finish(output.into_tensor()),
            }
        }
    }
}

/// [`forward_added`] with gradients.
pub(super) fn tracked_added<C: CheckpointStrategy>(
    input: FloatTensor<Autodiff<Flex>>,
    weights: FloatTensor<Autodiff<Flex>>,
    bias: FloatTensor<Autodiff<Flex>>,
    more: FloatTensor<Autodiff<Flex>>,
    stride: [usize; 2],
    padding: [usize; 2],
) -> FloatTensor<Autodiff<Flex>> {
    let (input, input_node) = input.into_parts();
    let (weights, weights_node) = weights.into_parts();
    let (bias, bias_node) = bias.into_parts();
    let (more, more_node) = more.into_parts();
    let (input, more) = (Pixels::of(input), Pixels::of(more));
    let geometry = geometry(&input, dims(&weights), stride, padding);
    let output = run(&input, &geometry, &weights, Some(&bias), Some(&more), true);
    let nodes = [input_node, weights_node, bias_node, more_node];
    match Convolution.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let saved = Saved {
                input,
                weights,
                output: Some(output.clone()),
                geometry,
            };
            prep.finish(saved, output.into_tensor())
        }
        OpsKind::UnTracked(prep) => prep.finish(output.into_tensor()),
    }
}

#[derive(Debug)]
struct Convolution;

#[derive(Clone, Debug)]
struct Saved {
    input: Pixels,
    weights: FlexTensor,
    /// After the cut at zero, which says where the gradient passes; none without one.
    output: Option<Pixels>,
    geometry: Geometry,
}

/// Parents are the input, the weights, from `N = 3` on the bias, and for `N = 4` the maps that were added.
impl<const N: usize> Backward<Flex, N> for Convolution {
    type State = Saved;

    fn backward(
        self,
        ops: Ops<Saved, N>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let level = Level::best();
        let Saved {
            input,
            weights,
            output,
            geometry,
        } = ops.state;
        let mut gradient = Pixels::of(gradients.consume::<Flex>(&ops.node));
        if let Some(output) = output {
            gradient = gradient.where_positive(&output);
        }
        if let Some(Some(node)) = ops.parents.get(3) {
            gradients.register::<Flex>(node.id, gradient.clone().into_tensor());
        }
        if let Some(Some(node)) = ops.parents.get(2) {
            let sums = column_sums(level, gradient.values(), geometry.out_channels);
            let shape = Shape::from([geometry.out_channels]);
            gradients.register::<Flex>(node.id, contiguous(Bytes::from_elems(sums), shape));
        }
        if let Some(node) = &ops.parents[1] {
            let values = weight_gradient(level, &geometry, input.values(), gradient.values());
            let shape = weights.layout().shape().clone();
            gradients.register::<Flex>(node.id, contiguous(values.into_bytes(), shape));
        }
        if let Some(node) = &ops.parents[0] {
            let weights = Contiguous::of(&weights);
            let values = input_gradient(level, &geometry, gradient.values(), weights.values());
            let values = Pixels::new(values, input.batch, input.size, input.channels);
            gradients.register::<Flex>(node.id, values.into_tensor());
        }
    }
}
