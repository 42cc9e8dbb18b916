//! Concatenation along channels and its gradient.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};

use super::extension::Joined;
use super::pixels::Pixels;
use crate::channels::{join, part};

pub(super) fn forward(inputs: Vec<FlexTensor>) -> FlexTensor {
    let inputs: Vec<Pixels> = inputs.into_iter().map(Pixels::of).collect();
    let parts: Vec<_> = inputs
        .iter()
        .map(|input| (input.values(), input.channels))
        .collect();
    let first = &inputs[0];
    for input in &inputs {
        let (have, want) = ((input.batch, input.size), (first.batch, first.size));
        assert_eq!(have, want, "images to concatenate differ in number or size");
    }
    let channels = parts.iter().map(|(_, channels)| channels).sum();
    Pixels::new(join(&parts), first.batch, first.size, channels).into_tensor()
}

pub(super) fn tracked<C: CheckpointStrategy>(
    inputs: Joined<Autodiff<Flex, C>>,
) -> FloatTensor<Autodiff<Flex>> {
    // The number of an operator's inputs is part of its type in burn.
    match inputs {
        Joined::Two(a, b) => tracked_of::<C, 2>([a, b]),
        Joined::Three(a, b, c) => tracked_of::<C, 3>([a, b, c]),
        Joined::Four(a, b, c, d) => tracked_of::<C, 4>([a, b, c, d]),
    }
}

fn tracked_of<C: CheckpointStrategy, const N: usize>(
    inputs: [FloatTensor<Autodiff<Flex>>; N],
) -> FloatTensor<Autodiff<Flex>> {
    let nodes = inputs.each_ref().map(|input| input.node());
    let inputs = inputs.map(|input| input.into_primitive());
    let channels = inputs
        .iter()
        .map(|input| input.layout().shape()[1])
        .collect();
    let output = forward(inputs.into());
    match Concatenation.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(channels, output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    }
}

#[derive(Debug)]
struct Concatenation;

impl<const N: usize> Backward<Flex, N> for Concatenation {
    /// Channels of each input.
    type State = Vec<usize>;

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = Pixels::of(gradients.consume::<Flex>(&ops.node));
        let mut start = 0;
        for (node, channels) in ops.parents.into_iter().zip(ops.state) {
            if let Some(node) = node {
                let values = part(gradient.values(), gradient.channels, start, channels);
                let values = Pixels::new(values, gradient.batch, gradient.size, channels);
                gradients.register::<Flex>(node.id, values.into_tensor());
            }
            start += channels;
        }
    }
}
