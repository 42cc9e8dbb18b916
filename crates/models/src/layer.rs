//! The few kinds of layer that a trunk is built from, and what each costs.

use burn::module::Module;
use burn::tensor::Tensor;
use lodestone_kernels::{concatenate, fork};

use crate::conv_unit::ConvUnit;
use crate::layer_cost::LayerCost;
use crate::local_norm::LocalNorm;
use crate::pool::{AveragePool, MaxPool};
use crate::rescale::Rescale;
use crate::residual::Residual;
use crate::weights::Slot;

/// One layer of a trunk.
#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a network has a hundred layers, most of them convolutions"
)]
pub(crate) enum Layer {
    Conv(ConvUnit),
    MaxPool(MaxPool),
    AveragePool(AveragePool),
    LocalNorm(LocalNorm),
    Rescale(Rescale),
    Branches(Branches),
    Residual(Residual),
}

/// Parallel chains of layers on the same input, concatenated along channels.
#[derive(Module, Debug)]
pub(crate) struct Branches {
    chains: Vec<Vec<Layer>>,
}

impl Layer {
    /// Parallel chains whose outputs are concatenated in this order.
    pub(crate) fn branches(chains: Vec<Vec<Self>>) -> Self {
        Self::Branches(Branches { chains })
    }

    pub(crate) fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Conv(unit) => unit.forward(input),
            Self::MaxPool(pool) => pool.forward(input),
            Self::AveragePool(pool) => pool.forward(input),
            Self::LocalNorm(norm) => norm.forward(input),
            Self::Rescale(rescale) => rescale.forward(input),
            Self::Residual(residual) => residual.forward(input),
            Self::Branches(Branches { chains }) => {
                let inputs = fork(input, chains.len());
                let outputs = chains
                    .iter()
                    .zip(inputs)
                    .map(|(chain, input)| forward_chain(chain, input));
                concatenate(outputs.collect())
            }
        }
    }

    /// [`ConvUnit::forward_apart`] through all layers.
    #[cfg(test)]
    pub(crate) fn forward_apart(&self, input: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Conv(unit) => unit.forward_apart(input),
            Self::Residual(residual) => residual.forward_apart(input),
            Self::Branches(Branches { chains }) => {
                let outputs = chains.iter().map(|chain| {
                    let layers = chain.iter();
                    layers.fold(input.clone(), |maps, layer| layer.forward_apart(maps))
                });
                concatenate(outputs.collect())
            }
            other => other.forward(input),
        }
    }

    /// Output `[channels, height, width]` for one input of that form, and the cost of every layer with parameters.
    ///
    /// None if a window does not fit into its input.
    pub(crate) fn trace(
        &self,
        shape: [usize; 3],
        costs: &mut Vec<LayerCost>,
    ) -> Option<[usize; 3]> {
        match self {
            Self::Conv(unit) => unit.trace(shape, costs),
            Self::Residual(residual) => residual.trace(shape, costs),
            Self::MaxPool(pool) => pool.trace(shape),
            Self::AveragePool(pool) => pool.trace(shape),
            Self::LocalNorm(_) | Self::Rescale(_) => Some(shape),
            Self::Branches(Branches { chains }) => {
                let outputs: Option<Vec<[usize; 3]>> = chains
                    .iter()
                    .map(|chain| trace_chain(chain, shape, costs))
                    .collect();
                let outputs = outputs?;
                let channels = outputs.iter().map(|[channels, ..]| channels).sum();
                Some([channels, outputs[0][1], outputs[0][2]])
            }
        }
    }

    /// Calls `visit` with every convolution unit, in the order of the forward pass.
    pub(crate) fn for_each_unit<'a>(&'a mut self, visit: &mut impl FnMut(&'a mut ConvUnit)) {
        match self {
            Self::Conv(unit) => visit(unit),
            Self::Residual(residual) => residual.for_each_unit(visit),
            Self::MaxPool(_) | Self::AveragePool(_) | Self::LocalNorm(_) | Self::Rescale(_) => {}
            Self::Branches(Branches { chains }) => {
                for layer in chains.iter_mut().flatten() {
                    layer.for_each_unit(visit);
                }
            }
        }
    }

    pub(crate) fn slots<'a>(&'a mut self, slots: &mut Vec<Slot<'a>>) {
        self.for_each_unit(&mut |unit| unit.slots(slots));
    }
}

/// Runs layers one after the other.
pub(crate) fn forward_chain(chain: &[Layer], input: Tensor<4>) -> Tensor<4> {
    chain.iter().fold(input, |maps, layer| layer.forward(maps))
}

/// [`Layer::trace`] for layers one after the other.
pub(crate) fn trace_chain(
    chain: &[Layer],
    shape: [usize; 3],
    costs: &mut Vec<LayerCost>,
) -> Option<[usize; 3]> {
    chain
        .iter()
        .try_fold(shape, |shape, layer| layer.trace(shape, costs))
}
