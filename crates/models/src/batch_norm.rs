//! Batch normalisation whose running variance follows torch (Ioffe and Szegedy, arXiv 1502.03167).
//!
//! burn's own layer moves the running variance towards the biased batch variance, torch towards the unbiased one. A network
//! that is trained here and continued there would jump, most where few values are averaged, so this layer multiplies by
//! `n / (n - 1)` as torch does.

use burn::module::{Flag, Module, Param, RunningState};
use burn::tensor::{Device, Tensor};
use lodestone_kernels::{Activation, batch_norm, batch_norm_add};

use crate::initialise::Initialiser;
use crate::weights::Slot;

/// Share of the newest batch in the running statistics, torch's default.
const MOMENTUM: f64 = 0.1;

/// `weight * (x - mean) / sqrt(variance + epsilon) + bias`, per channel.
///
/// Mean and variance are those of the batch when the input is on an autodiff device and the layer is not frozen, and the
/// running ones otherwise.
#[derive(Module, Debug)]
pub(crate) struct BatchNorm {
    pub(crate) weight: Param<Tensor<1>>,
    pub(crate) bias: Param<Tensor<1>>,
    pub(crate) running_mean: RunningState<Tensor<1>>,
    pub(crate) running_var: RunningState<Tensor<1>>,
    /// Cleared by [`Module::freeze`].
    training: Param<Flag>,
    pub(crate) epsilon: f64,
}

impl BatchNorm {
    pub(crate) fn new(channels: usize, epsilon: f64, device: &Device) -> Self {
        Self {
            weight: Initialiser::Constant(1.0).parameter("", [channels], 1, 0, device),
            bias: Initialiser::Constant(0.0).parameter("", [channels], 1, 0, device),
            running_mean: RunningState::new(Tensor::zeros([channels], device)),
            running_var: RunningState::new(Tensor::ones([channels], device)),
            training: Param::from_bool(true),
            epsilon,
        }
    }

    /// Whether an input is normalised by its own statistics, which then move the running ones.
    pub(crate) fn learns_from<const D: usize>(&self, input: &Tensor<D>) -> bool {
        input.device().is_autodiff() && self.training.is_enabled()
    }

    /// Normalises `[n, channels, h, w]` by its own mean and variance, and moves the running ones.
    ///
    /// The sum with `more`, where there are such maps, is cut at zero whatever the activation is.
    pub(crate) fn by_batch(
        &self,
        input: Tensor<4>,
        activation: Activation,
        more: Option<Tensor<4>>,
    ) -> Tensor<4> {
        let [images, _, height, width] = input.dims();
        // One value per channel has no spread; torch refuses it, here its variance counts as it is.
        let count = images * height * width;
        let unbiased = count as f64 / count.saturating_sub(1).max(1) as f64;
        let (weight, bias) = (self.weight.val(), self.bias.val());
        let batch = match more {
            None => batch_norm(input, weight, bias, self.epsilon, activation),
            Some(more) => batch_norm_add(input, weight, bias, self.epsilon, more),
        };
        follow(&self.running_mean, batch.mean, MOMENTUM);
        follow(
            &self.running_var,
            batch.variance.mul_scalar(unbiased),
            MOMENTUM,
        );
        batch.output
    }

    /// Scale and shift `[channels]` that the running statistics amount to.
    pub(crate) fn fixed(&self) -> [Tensor<1>; 2] {
        let weight = self.weight.val();
        let device = weight.device();
        let mean = self.running_mean.value().to_device(&device);
        let variance = self.running_var.value().to_device(&device);
        let scale = weight / variance.add_scalar(self.epsilon).sqrt();
        let shift = self.bias.val() - mean * scale.clone();
        [scale, shift]
    }

    /// Normalises rows `[n, channels]`.
    pub(crate) fn forward_rows(&self, rows: Tensor<2>) -> Tensor<2> {
        let [count, channels] = rows.dims();
        if self.learns_from(&rows) {
            let maps = rows.reshape([count, channels, 1, 1]);
            return self
                .by_batch(maps, Activation::None, None)
                .reshape([count, channels]);
        }
        let [scale, shift] = self.fixed();
        rows * scale.unsqueeze() + shift.unsqueeze()
    }

    pub(crate) fn slots<'a>(&'a mut self, name: &str, slots: &mut Vec<Slot<'a>>) {
        slots.push(Slot::vector(format!("{name}.weight"), &mut self.weight));
        slots.push(Slot::vector(format!("{name}.bias"), &mut self.bias));
        slots.push(Slot::statistic(
            format!("{name}.running_mean"),
            &mut self.running_mean,
        ));
        slots.push(Slot::statistic(
            format!("{name}.running_var"),
            &mut self.running_var,
        ));
    }
}

/// Moves a running value towards the newest one.
fn follow(running: &RunningState<Tensor<1>>, newest: Tensor<1>, momentum: f64) {
    let device = newest.device();
    let value = running
        .value_sync()
        .to_device(&device)
        .mul_scalar(1.0 - momentum);
    running.update((value + newest.detach().mul_scalar(momentum)).detach());
    // Folds the update in at once: a record or a copy of the module that is taken next must not lag one step behind.
    running.value_sync();
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;

    #[test]
    fn the_running_variance_moves_towards_the_unbiased_one() {
        let device = Device::flex().autodiff();
        let norm = BatchNorm::new(1, 1e-3, &device);
        // Values 1 and 3: mean 2, biased variance 1, unbiased 2.
        norm.forward_rows(Tensor::from_data([[1.0], [3.0]], &device));
        let close = |state: &RunningState<Tensor<1>>, want: f32| {
            let got: f32 = state.value().into_scalar();
            assert!((got - want).abs() < 1e-6, "{got} is not {want}");
        };
        close(&norm.running_mean, 0.9 * 0.0 + 0.1 * 2.0);
        close(&norm.running_var, 0.9 * 1.0 + 0.1 * 2.0);
    }

    #[test]
    fn a_frozen_layer_keeps_its_statistics() {
        let device = Device::flex().autodiff();
        let norm = BatchNorm::new(1, 1e-3, &device).freeze();
        let output = norm.forward_rows(Tensor::from_data([[1.0], [3.0]], &device));
        assert_eq!(
            norm.running_mean.value().into_data(),
            TensorData::from([0.0f32])
        );
        // 3 / sqrt(1 + 0.001)
        assert!((output.into_data().try_to_vec::<f32>().unwrap()[1] - 2.998_501).abs() < 1e-5);
    }
}
