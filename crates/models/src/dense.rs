//! A fully connected layer that knows its name in weight files.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use crate::initialise::Initialiser;
use crate::layer_cost::LayerCost;
use crate::weights::Slot;

/// `x · weight + bias`, with `weight` as `[input, output]`; weight files hold its transpose.
#[derive(Module, Debug)]
pub(crate) struct Dense {
    pub(crate) weight: Param<Tensor<2>>,
    pub(crate) bias: Param<Tensor<1>>,
    pub(crate) name: String,
}

impl Dense {
    pub(crate) fn new(
        name: impl Into<String>,
        [input, output]: [usize; 2],
        [weight, bias]: [Initialiser; 2],
        seed: u64,
        device: &Device,
    ) -> Self {
        let name = name.into();
        let bias_name = format!("{name}.bias");
        Self {
            weight: weight.parameter(&name, [input, output], input, seed, device),
            bias: bias.parameter(&bias_name, [output], input, seed, device),
            name,
        }
    }

    /// `[n, input]` to `[n, output]`.
    pub(crate) fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        input.matmul(self.weight.val()) + self.bias.val().unsqueeze()
    }

    /// Input and output size.
    pub(crate) fn sizes(&self) -> [usize; 2] {
        self.weight.lazy_shape().dims()
    }

    pub(crate) fn cost(&self) -> LayerCost {
        let [input, output] = self.sizes();
        LayerCost {
            name: self.name.clone(),
            output: vec![output],
            parameters: (input + 1) * output,
            multiply_adds: input * output,
        }
    }

    pub(crate) fn slots<'a>(&'a mut self, slots: &mut Vec<Slot<'a>>) {
        slots.push(Slot::matrix(
            format!("{}.weight", self.name),
            &mut self.weight,
        ));
        slots.push(Slot::vector(format!("{}.bias", self.name), &mut self.bias));
    }
}
