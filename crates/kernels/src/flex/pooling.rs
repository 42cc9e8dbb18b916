//! Pools and their gradients.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};

use super::pixels::Pixels;
use crate::memory::Buffer;
use crate::pool::{self, Pool, PoolWindow};
use crate::simd::Level;

pub(super) fn maximum(input: FlexTensor, window: PoolWindow) -> FlexTensor {
    let input = Pixels::of(input);
    let pool = pool_of(&input, window);
    output(&pool, pool::maximum(Level::best(), &pool, input.values()).0)
}

pub(super) fn average(input: FlexTensor, window: PoolWindow, count_padding: bool) -> FlexTensor {
    let input = Pixels::of(input);
    let pool = pool_of(&input, window);
    output(
        &pool,
        pool::average(Level::best(), &pool, count_padding, input.values()),
    )
}

/// Shape `[batch, channels, 1, 1]`.
pub(super) fn global_average(input: FlexTensor) -> FlexTensor {
    let input = Pixels::of(input);
    let window = whole(input.size);
    average(input.into_tensor(), window, false)
}

/// The one window that is the whole image.
fn whole(size: [usize; 2]) -> PoolWindow {
    PoolWindow {
        size,
        stride: [1, 1],
        padding: [0, 0],
        round_up: false,
    }
}

fn pool_of(input: &Pixels, window: PoolWindow) -> Pool {
    Pool::new(input.batch, input.size, input.channels, window)
}

fn output(pool: &Pool, values: Buffer) -> FlexTensor {
    Pixels::new(values, pool.batch, pool.output, pool.channels).into_tensor()
}

pub(super) fn tracked_maximum<C: CheckpointStrategy>(
    input: FloatTensor<Autodiff<Flex>>,
    window: PoolWindow,
) -> FloatTensor<Autodiff<Flex>> {
    let (input, node) = input.into_parts();
    let input = Pixels::of(input);
    let pool = pool_of(&input, window);
    let (values, places) = pool::maximum(Level::best(), &pool, input.values());
    let values = output(&pool, values);
    match Maximum.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish((pool, places), values),
        OpsKind::UnTracked(prep) => prep.finish(values),
    }
}

pub(super) fn tracked_average<C: CheckpointStrategy>(
    input: FloatTensor<Autodiff<Flex>>,
    window: PoolWindow,
    count_padding: bool,
) -> FloatTensor<Autodiff<Flex>> {
    let (input, node) = input.into_parts();
    let input = Pixels::of(input);
    let pool = pool_of(&input, window);
    let values = pool::average(Level::best(), &pool, count_padding, input.values());
    let values = output(&pool, values);
    match Average.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish((pool, count_padding), values),
        OpsKind::UnTracked(prep) => prep.finish(values),
    }
}

pub(super) fn tracked_global_average<C: CheckpointStrategy>(
    input: FloatTensor<Autodiff<Flex>>,
) -> FloatTensor<Autodiff<Flex>> {
    let shape = input.primitive().layout().shape();
    let window = whole([shape[2], shape[3]]);
    tracked_average::<C>(input, window, false)
}

#[derive(Debug)]
struct Maximum;

impl Backward<Flex, 1> for Maximum {
    type State = (Pool, Vec<u8>);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let (pool, places) = ops.state;
        let gradient = Pixels::of(gradients.consume::<Flex>(&ops.node));
        if let [Some(node)] = ops.parents {
            let values = pool::maximum_gradient(Level::best(), &pool, gradient.values(), &places);
            let values = Pixels::new(values, pool.batch, pool.input, pool.channels);
            gradients.register::<Flex>(node.id, values.into_tensor());
        }
    }
}

#[derive(Debug)]
struct Average;

impl Backward<Flex, 1> for Average {
    type State = (Pool, bool);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let (pool, count_padding) = ops.state;
        let gradient = Pixels::of(gradients.consume::<Flex>(&ops.node));
        if let [Some(node)] = ops.parents {
            let values =
                pool::average_gradient(Level::best(), &pool, count_padding, gradient.values());
            let values = Pixels::new(values, pool.batch, pool.input, pool.channels);
            gradients.register::<Flex>(node.id, values.into_tensor());
        }
    }
}
