//! A residual block: convolutions whose outcome is added to what went in.

use burn::module::Module;
use burn::tensor::Tensor;
use lodestone_kernels::fork;

use crate::conv_unit::ConvUnit;
use crate::layer_cost::LayerCost;

/// `relu(last(first(x)) + shortcut(x))`, the last unit and the shortcut without a ReLU of their own.
#[derive(Module, Debug)]
pub(crate) struct Residual {
    pub(crate) first: Vec<ConvUnit>,
    pub(crate) last: ConvUnit,
    /// A 1×1 convolution where channels or size change; elsewhere the input itself is added.
    pub(crate) shortcut: Option<ConvUnit>,
}

impl Residual {
    pub(crate) fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let mut readers = fork(input, 2);
        let shortcut = readers.swap_remove(1);
        let shortcut = match &self.shortcut {
            Some(unit) => unit.forward(shortcut),
            None => shortcut,
        };
        let units = self.first.iter();
        let maps = units.fold(readers.swap_remove(0), |maps, unit| unit.forward(maps));
        self.last.forward_added(maps, shortcut)
    }

    /// [`ConvUnit::forward_apart`] through all units.
    #[cfg(test)]
    pub(crate) fn forward_apart(&self, input: Tensor<4>) -> Tensor<4> {
        let shortcut = match &self.shortcut {
            Some(unit) => unit.forward_apart(input.clone()),
            None => input.clone(),
        };
        let units = self.first.iter().chain([&self.last]);
        let maps = units.fold(input, |maps, unit| unit.forward_apart(maps));
        burn::tensor::activation::relu(maps + shortcut)
    }

    /// Output shape for one input of `[channels, height, width]` and the cost of every unit; none if a kernel does not fit.
    pub(crate) fn trace(
        &self,
        shape: [usize; 3],
        costs: &mut Vec<LayerCost>,
    ) -> Option<[usize; 3]> {
        let mut units = self.first.iter().chain([&self.last]);
        let output = units.try_fold(shape, |shape, unit| unit.trace(shape, costs))?;
        if let Some(unit) = &self.shortcut {
            unit.trace(shape, costs)?;
        }
        Some(output)
    }

    /// Calls `visit` with every unit, in the order of weight files.
    pub(crate) fn for_each_unit<'a>(&'a mut self, visit: &mut impl FnMut(&'a mut ConvUnit)) {
        self.first.iter_mut().for_each(&mut *visit);
        visit(&mut self.last);
        self.shortcut.iter_mut().for_each(visit);
    }
}
