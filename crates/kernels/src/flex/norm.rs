//! Batch normalisation with the batch's own statistics, sum with other maps and ReLU in one operator, and its gradients.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{Bytes, Shape};

use super::pixels::{Contiguous, Pixels, contiguous};
use crate::norm::{Affine, Statistics, gradient_in_place, statistics};
use crate::simd::Level;

/// A tensor that automatic differentiation knows.
type Tracked = FloatTensor<Autodiff<Flex>>;

/// Output, mean and biased variance.
pub(super) fn forward(
    input: FlexTensor,
    gamma: &FlexTensor,
    beta: &FlexTensor,
    epsilon: f32,
    relu: bool,
) -> (FlexTensor, FlexTensor, FlexTensor) {
    let (output, saved) = run(&Pixels::of(input), gamma, beta, None, epsilon, relu);
    let (mean, variance) = vectors(&saved.statistics);
    (output.into_tensor(), mean, variance)
}

/// As [`forward`], of the sum with `more` cut at zero.
pub(super) fn forward_added(
    input: FlexTensor,
    gamma: &FlexTensor,
    beta: &FlexTensor,
    more: FlexTensor,
    epsilon: f32,
) -> (FlexTensor, FlexTensor, FlexTensor) {
    let (input, more) = (Pixels::of(input), Pixels::of(more));
    let (output, saved) = run(&input, gamma, beta, Some(&more), epsilon, false);
    let (mean, variance) = vectors(&saved.statistics);
    (output.into_tensor(), mean, variance)
}

#[derive(Clone, Debug)]
struct Normalised {
    statistics: Statistics,
    affine: Affine,
}

fn run(
    input: &Pixels,
    gamma: &FlexTensor,
    beta: &FlexTensor,
    more: Option<&Pixels>,
    epsilon: f32,
    relu: bool,
) -> (Pixels, Normalised) {
    let level = Level::best();
    let (gamma, beta) = (Contiguous::of(gamma), Contiguous::of(beta));
    let statistics = statistics(level, input.values(), input.channels);
    let affine = Affine::new(&statistics, gamma.values(), beta.values(), epsilon, relu);
    let output = match more {
        None => affine.apply(level, input.values()),
        Some(more) => {
            assert_eq!(
                (more.batch, more.channels, more.size),
                (input.batch, input.channels, input.size),
                "images, channels and size of the maps to add, and of those that are normalised"
            );
            affine.apply_then_add(level, input.values(), more.values())
        }
    };
    let output = Pixels::new(output, input.batch, input.size, input.channels);
    (output, Normalised { statistics, affine })
}

fn vectors(statistics: &Statistics) -> (FlexTensor, FlexTensor) {
    let Statistics { mean, variance } = statistics.clone();
    (vector(mean), vector(variance))
}

fn vector(values: Vec<f32>) -> FlexTensor {
    let shape = Shape::from([values.len()]);
    contiguous(Bytes::from_elems(values), shape)
}

pub(super) fn tracked<C: CheckpointStrategy>(
    input: Tracked,
    gamma: Tracked,
    beta: Tracked,
    epsilon: f32,
    relu: bool,
) -> (Tracked, Tracked, Tracked) {
    let (input, input_node) = input.into_parts();
    let (gamma, gamma_node) = gamma.into_parts();
    let (beta, beta_node) = beta.into_parts();
    let input = Pixels::of(input);
    let (output, normalised) = run(&input, &gamma, &beta, None, epsilon, relu);
    let output = output.into_tensor();
    let (mean, variance) = vectors(&normalised.statistics);
    let nodes = [input_node, gamma_node, beta_node];
    let output = match Normalisation.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let saved = Saved {
                input,
                normalised,
                epsilon,
                output: None,
            };
            prep.finish(saved, output)
        }
        OpsKind::UnTracked(prep) => prep.finish(output),
    };
    // The statistics carry no gradient: they only feed running averages.
    (output, Tracked::new(mean), Tracked::new(variance))
}

/// [`forward_added`] with gradients.
pub(super) fn tracked_added<C: CheckpointStrategy>(
    input: Tracked,
    gamma: Tracked,
    beta: Tracked,
    more: Tracked,
    epsilon: f32,
) -> (Tracked, Tracked, Tracked) {
    let (input, input_node) = input.into_parts();
    let (gamma, gamma_node) = gamma.into_parts();
    let (beta, beta_node) = beta.into_parts();
    let (more, more_node) = more.into_parts();
    let (input, more) = (Pixels::of(input), Pixels::of(more));
    let (output, normalised) = run(&input, &gamma, &beta, Some(&more), epsilon, false);
    let (mean, variance) = vectors(&normalised.statistics);
    let nodes = [input_node, gamma_node, beta_node, more_node];
    let output = match Normalisation.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let saved = Saved {
                input,
                normalised,
                epsilon,
                output: Some(output.clone()),
            };
            prep.finish(saved, output.into_tensor())
        }
        OpsKind::UnTracked(prep) => prep.finish(output.into_tensor()),
    };
    (output, Tracked::new(mean), Tracked::new(variance))
}

#[derive(Debug)]
struct Normalisation;

#[derive(Clone, Debug)]
struct Saved {
    input: Pixels,
    normalised: Normalised,
    epsilon: f32,
    /// Of a sum with other maps, whose cut at zero says where the gradient passes.
    output: Option<Pixels>,
}

/// Parents are the input, gamma, beta and, for `N = 4`, the maps that were added.
impl<const N: usize> Backward<Flex, N> for Normalisation {
    type State = Saved;

    fn backward(
        self,
        ops: Ops<Saved, N>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let Saved {
            input,
            normalised: Normalised { statistics, affine },
            epsilon,
            output,
        } = ops.state;
        let mut gradient = Pixels::of(gradients.consume::<Flex>(&ops.node));
        if let Some(output) = output {
            gradient = gradient.where_positive(&output);
        }
        if let Some(Some(node)) = ops.parents.get(3) {
            gradients.register::<Flex>(node.id, gradient.clone().into_tensor());
        }
        let mut gradient = gradient.into_unique();
        let values = gradient.values_mut().expect("no other tensor shares it");
        let level = Level::best();
        let parameters =
            gradient_in_place(level, &affine, &statistics, epsilon, input.values(), values);
        if let Some(node) = &ops.parents[1] {
            gradients.register::<Flex>(node.id, vector(parameters.gamma));
        }
        if let Some(node) = &ops.parents[2] {
            gradients.register::<Flex>(node.id, vector(parameters.beta));
        }
        if let Some(node) = &ops.parents[0] {
            gradients.register::<Flex>(node.id, gradient.into_tensor());
        }
    }
}
