//! Batch normalisation with the batch's own statistics and ReLU in one operator, and its gradients.

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
    let (output, saved) = run(&Pixels::of(input), gamma, beta, epsilon, relu);
    let (mean, variance) = vectors(&saved.statistics);
    (output, mean, variance)
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
    epsilon: f32,
    relu: bool,
) -> (FlexTensor, Normalised) {
    let level = Level::best();
    let (gamma, beta) = (Contiguous::of(gamma), Contiguous::of(beta));
    let statistics = statistics(level, input.values(), input.channels);
    let affine = Affine::new(&statistics, gamma.values(), beta.values(), epsilon, relu);
    let output = affine.apply(level, input.values());
    let output = Pixels::new(output, input.batch, input.size, input.channels).into_tensor();
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
    let (output, normalised) = run(&input, &gamma, &beta, epsilon, relu);
    let (mean, variance) = vectors(&normalised.statistics);
    let nodes = [input_node, gamma_node, beta_node];
    let output = match Normalisation.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish((input, normalised, epsilon), output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    };
    // The statistics carry no gradient: they only feed running averages.
    (output, Tracked::new(mean), Tracked::new(variance))
}

#[derive(Debug)]
struct Normalisation;

impl Backward<Flex, 3> for Normalisation {
    type State = (Pixels, Normalised, f32);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let (input, Normalised { statistics, affine }, epsilon) = ops.state;
        let mut gradient = Pixels::of(gradients.consume::<Flex>(&ops.node)).into_unique();
        let values = gradient.values_mut().expect("no other tensor shares it");
        let level = Level::best();
        let parameters =
            gradient_in_place(level, &affine, &statistics, epsilon, input.values(), values);
        let [input_node, gamma_node, beta_node] = ops.parents;
        if let Some(node) = gamma_node {
            gradients.register::<Flex>(node.id, vector(parameters.gamma));
        }
        if let Some(node) = beta_node {
            gradients.register::<Flex>(node.id, vector(parameters.beta));
        }
        if let Some(node) = input_node {
            gradients.register::<Flex>(node.id, gradient.into_tensor());
        }
    }
}
