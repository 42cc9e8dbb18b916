//! Local response normalisation and its gradient.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};

use super::pixels::Pixels;
use crate::ResponseNorm;
use crate::response_norm::{gradient, normalise};
use crate::simd::Level;

pub(super) fn forward(input: FlexTensor, setting: ResponseNorm) -> FlexTensor {
    run(&Pixels::of(input), setting)
}

fn run(input: &Pixels, setting: ResponseNorm) -> FlexTensor {
    let values = normalise(Level::best(), setting, input.channels, input.values());
    Pixels::new(values, input.batch, input.size, input.channels).into_tensor()
}

pub(super) fn tracked<C: CheckpointStrategy>(
    input: FloatTensor<Autodiff<Flex>>,
    setting: ResponseNorm,
) -> FloatTensor<Autodiff<Flex>> {
    let (input, node) = input.into_parts();
    let input = Pixels::of(input);
    let output = run(&input, setting);
    match Normalisation
        .prepare::<C>([node])
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prep) => prep.finish((input, setting), output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    }
}

#[derive(Debug)]
struct Normalisation;

impl Backward<Flex, 1> for Normalisation {
    type State = (Pixels, ResponseNorm);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let (input, setting) = ops.state;
        let output = Pixels::of(gradients.consume::<Flex>(&ops.node));
        if let [Some(node)] = ops.parents {
            let level = Level::best();
            let values = gradient(
                level,
                setting,
                input.channels,
                input.values(),
                output.values(),
            );
            let values = Pixels::new(values, input.batch, input.size, input.channels);
            gradients.register::<Flex>(node.id, values.into_tensor());
        }
    }
}
