//! One tensor for several readers, whose gradients are added by all threads.
//!
//! burn adds the gradients of a tensor that is read more than once by one thread, and layouts other than its own slowly.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};

use super::pixels::Pixels;
use crate::rectify::add_in_place;
use crate::simd::Level;

/// What the readers of one tensor share: whether one of them has passed its gradient on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fork(Arc<AtomicBool>);

pub(super) fn tracked<C: CheckpointStrategy>(
    input: FloatTensor<Autodiff<Flex>>,
    fork: Fork,
) -> FloatTensor<Autodiff<Flex>> {
    let (input, node) = input.into_parts();
    match Reader.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(fork, input),
        OpsKind::UnTracked(prep) => prep.finish(input),
    }
}

#[derive(Debug)]
struct Reader;

impl Backward<Flex, 1> for Reader {
    type State = Fork;

    fn backward(
        self,
        ops: Ops<Fork, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<Flex>(&ops.node);
        let [Some(node)] = ops.parents else { return };
        let later = ops.state.0.swap(true, Ordering::Relaxed);
        // Consuming takes the sum so far out of the container, except for a leaf, whose gradient is kept for the user.
        if !later || node.parents.is_empty() {
            gradients.register::<Flex>(node.id, gradient);
            return;
        }
        let mut sum = Pixels::of(gradients.consume::<Flex>(&node)).into_unique();
        let gradient = Pixels::of(gradient);
        let values = sum.values_mut().expect("no other tensor shares it");
        add_in_place(Level::best(), values, gradient.values());
        gradients.register::<Flex>(node.id, sum.into_tensor());
    }
}
