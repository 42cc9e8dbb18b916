//! Convolution, normalisation or bias, and mostly ReLU: the one unit that all networks are made of.
//!
//! Everything that convolves goes through [`ConvUnit::forward`], so a faster kernel has one place to enter.

use burn::module::{Module, Param};
use burn::tensor::activation::relu;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};
use lodestone_kernels::{Activation, conv2d, conv2d_add};

use crate::batch_norm::BatchNorm;
use crate::initialise::Initialiser;
use crate::layer_cost::{LayerCost, window_count};
use crate::weights::Slot;

/// What follows the sums of a convolution, before ReLU.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shift {
    /// Batch normalisation with this epsilon and no bias, as torchvision's networks.
    BatchNorm(f64),
    /// A bias that starts at this value, as the networks of 2014.
    Bias(f64),
}

/// Description of a [`ConvUnit`].
#[derive(Clone, Debug)]
pub(crate) struct ConvUnitConfig {
    /// Name of the unit in weight files, for instance `inception3a.branch2.0`.
    pub(crate) name: String,
    /// Name of the normalisation in weight files where it stands beside the convolution, as `bn1` beside `conv1`, which is
    /// then `name`; without, they are `NAME.bn` and `NAME.conv`.
    pub(crate) norm_name: Option<String>,
    /// Input and output channels.
    pub(crate) channels: [usize; 2],
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: usize,
    pub(crate) padding: [usize; 2],
    pub(crate) shift: Shift,
    /// What comes last.
    pub(crate) activation: Activation,
    pub(crate) initialiser: Initialiser,
}

impl ConvUnitConfig {
    pub(crate) fn init(&self, seed: u64, device: &Device) -> ConvUnit {
        let [input, output] = self.channels;
        let [height, width] = self.kernel;
        let fan_in = input * height * width;
        let shape = [output, input, height, width];
        let weight = self
            .initialiser
            .parameter(&self.name, shape, fan_in, seed, device);
        let (norm, bias) = match self.shift {
            Shift::BatchNorm(epsilon) => (Some(BatchNorm::new(output, epsilon, device)), None),
            Shift::Bias(value) => {
                let bias = Initialiser::Constant(value);
                (
                    None,
                    Some(bias.parameter("", [output], fan_in, seed, device)),
                )
            }
        };
        let (stride, padding) = ([self.stride; 2], self.padding);
        let [conv_name, norm_name] = match (&self.norm_name, self.shift) {
            (Some(norm), _) => [self.name.clone(), norm.clone()],
            (None, Shift::BatchNorm(_)) => {
                ["conv", "bn"].map(|part| format!("{}.{part}", self.name))
            }
            (None, Shift::Bias(_)) => [self.name.clone(), String::new()],
        };
        ConvUnit {
            weight,
            bias,
            norm,
            stride,
            padding,
            name: self.name.clone(),
            conv_name,
            norm_name,
            activation: self.activation,
        }
    }
}

/// `relu(norm(conv(x)))` or `relu(conv(x) + bias)`, or the same without ReLU.
#[derive(Module, Debug)]
pub(crate) struct ConvUnit {
    /// Output, input, height, width.
    pub(crate) weight: Param<Tensor<4>>,
    pub(crate) bias: Option<Param<Tensor<1>>>,
    pub(crate) norm: Option<BatchNorm>,
    stride: [usize; 2],
    padding: [usize; 2],
    pub(crate) name: String,
    /// Names of convolution and normalisation in weight files.
    conv_name: String,
    norm_name: String,
    #[module(skip)]
    activation: Activation,
}

impl ConvUnit {
    /// `[n, input channels, h, w]` to `[n, output channels, h', w']`.
    pub(crate) fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.run(input, None)
    }

    /// `relu(norm(conv(x)) + more)`, whatever the unit's own activation is.
    pub(crate) fn forward_added(&self, input: Tensor<4>, more: Tensor<4>) -> Tensor<4> {
        self.run(input, Some(more))
    }

    fn run(&self, input: Tensor<4>, more: Option<Tensor<4>>) -> Tensor<4> {
        let options = ConvOptions::new(self.stride, self.padding, [1, 1], 1);
        // The maps say in which type the layer computes; parameters and statistics stay in f32, and so do their gradients.
        let dtype = input.dtype();
        let weight = self.weight.val();
        let (weight, bias) = match &self.norm {
            Some(norm) if norm.learns_from(&input) => {
                let weight = weight.cast(dtype);
                let sums = conv2d(input, weight, None, options, Activation::None);
                return norm.by_batch(sums, self.activation, more);
            }
            // Fixed statistics make the normalisation a part of the convolution: one pass over the maps instead of two.
            Some(norm) => {
                let [scale, shift] = norm.fixed();
                (weight * scale.reshape([-1, 1, 1, 1]), Some(shift))
            }
            None => (weight, self.bias.as_ref().map(Param::val)),
        };
        let (weight, bias) = (weight.cast(dtype), bias.map(|bias| bias.cast(dtype)));
        match (more, bias) {
            (None, bias) => conv2d(input, weight, bias, options, self.activation),
            (Some(more), Some(bias)) => conv2d_add(input, weight, bias, more, options),
            (Some(more), None) => {
                relu(conv2d(input, weight, None, options, Activation::None) + more)
            }
        }
    }

    /// As [`forward`](Self::forward) in use, with normalisation and ReLU in passes of their own: what folding is measured
    /// against.
    #[cfg(test)]
    pub(crate) fn forward_apart(&self, input: Tensor<4>) -> Tensor<4> {
        let Some(norm) = &self.norm else {
            return self.forward(input);
        };
        let options = ConvOptions::new(self.stride, self.padding, [1, 1], 1);
        let sums = conv2d(input, self.weight.val(), None, options, Activation::None);
        let [scale, shift] = norm.fixed().map(|values| values.reshape([1, -1, 1, 1]));
        match self.activation {
            Activation::None => sums * scale + shift,
            Activation::Relu => relu(sums * scale + shift),
        }
    }

    /// Output shape and cost for one input of `[channels, height, width]`; none if the kernel does not fit.
    pub(crate) fn trace(
        &self,
        shape: [usize; 3],
        costs: &mut Vec<LayerCost>,
    ) -> Option<[usize; 3]> {
        let [output, input, height, width] = self.weight.lazy_shape().dims();
        assert_eq!(
            shape[0], input,
            "{} expects {input} channels, got {}",
            self.name, shape[0]
        );
        let rows = window_count(shape[1], height, self.stride[0], self.padding[0], false)?;
        let columns = window_count(shape[2], width, self.stride[1], self.padding[1], false)?;
        costs.push(LayerCost {
            name: self.name.clone(),
            output: vec![output, rows, columns],
            parameters: self.num_parameters(),
            multiply_adds: output * input * height * width * rows * columns,
        });
        Some([output, rows, columns])
    }

    /// Values an optimiser may move: running statistics are not counted, as in torch.
    fn num_parameters(&self) -> usize {
        let shape: [usize; 4] = self.weight.lazy_shape().dims();
        let per_channel = match (&self.norm, &self.bias) {
            (Some(_), _) => 2,
            (None, Some(_)) => 1,
            (None, None) => 0,
        };
        shape.iter().product::<usize>() + per_channel * shape[0]
    }

    pub(crate) fn slots<'a>(&'a mut self, slots: &mut Vec<Slot<'a>>) {
        let name = &self.conv_name;
        slots.push(Slot::kernel(format!("{name}.weight"), &mut self.weight));
        match (&mut self.norm, &mut self.bias) {
            (Some(norm), _) => norm.slots(&self.norm_name, slots),
            (None, bias) => slots.extend(
                bias.as_mut()
                    .map(|b| Slot::vector(format!("{name}.bias"), b)),
            ),
        }
    }
}
