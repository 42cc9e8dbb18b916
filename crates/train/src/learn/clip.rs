//! Shortening a gradient by its norm over all parameters together.
//!
//! burn clips each parameter by itself, which turns the gradient; a bound on the whole keeps its direction (Pascanu,
//! Mikolov, Bengio, *On the difficulty of training recurrent neural networks*, ICML 2013).

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

/// Sum of the squared entries of a module's gradients `[1]`, on the device; absent if no parameter has one.
pub(crate) fn squared_norm<M: Module>(
    module: &M,
    gradients: &GradientsParams,
) -> Option<Tensor<1>> {
    struct Sum<'a> {
        gradients: &'a GradientsParams,
        total: Option<Tensor<1>>,
    }
    impl ModuleVisitor for Sum<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.get::<D>(param.id) {
                let sum = gradient.square().sum();
                self.total = Some(match self.total.take() {
                    Some(total) => total + sum,
                    None => sum,
                });
            }
        }
    }
    let mut sum = Sum {
        gradients,
        total: None,
    };
    module.visit(&mut sum);
    sum.total
}

/// What every gradient is multiplied with so that the whole norm is at most `bound`: `min(1, bound / norm)`, `[1]`.
pub(crate) fn factor(
    squared_norms: impl IntoIterator<Item = Tensor<1>>,
    bound: f64,
) -> Option<Tensor<1>> {
    let total = squared_norms.into_iter().reduce(|total, sum| total + sum)?;
    // The floor keeps a zero gradient from giving 0 / 0; it is far below any norm that could need shortening.
    Some(
        total
            .sqrt()
            .clamp_min(1e-12)
            .recip()
            .mul_scalar(bound)
            .clamp_max(1.0),
    )
}

/// Multiplies every gradient of a module with `factor` `[1]`.
pub(crate) fn scale<M: Module>(
    module: &M,
    gradients: GradientsParams,
    factor: &Tensor<1>,
) -> GradientsParams {
    struct Scale<'a> {
        gradients: GradientsParams,
        factor: &'a Tensor<1>,
    }
    impl ModuleVisitor for Scale<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.remove::<D>(param.id) {
                let scaled = gradient * self.factor.clone().unsqueeze();
                self.gradients.register(param.id, scaled);
            }
        }
    }
    let mut scale = Scale { gradients, factor };
    module.visit(&mut scale);
    scale.gradients
}

#[cfg(test)]
mod tests {
    use burn::nn::LinearConfig;
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn the_whole_gradient_is_shortened_to_the_bound_and_keeps_its_direction() {
        let device = Device::flex().autodiff();
        let layer = LinearConfig::new(3, 2).init(&device);
        let input = Tensor::<2>::from_data([[1.0, 2.0, 2.0]], &device);
        let gradients = |scale: f32| {
            let output = layer.forward(input.clone()).sum() * scale;
            GradientsParams::from_grads(output.backward(), &layer)
        };
        // d/dW of the sum is the input in both columns, d/db is 1: squared norm 2 (1 + 4 + 4) + 2 = 20.
        for (scale_of_loss, expected) in [(1.0, 20.0_f32), (0.1, 0.2)] {
            let raw = gradients(scale_of_loss);
            let norm = squared_norm(&layer, &raw).unwrap();
            assert!((norm.clone().into_scalar::<f32>() - expected).abs() < 1e-5);
            let shortened = scale(&layer, raw, &factor([norm], 2.0).unwrap());
            let left = squared_norm(&layer, &shortened)
                .unwrap()
                .into_scalar::<f32>();
            assert!((left - expected.min(4.0)).abs() < 1e-5, "{left}");
            let weight = shortened
                .get::<2>(layer.weight.id)
                .unwrap()
                .into_data()
                .try_into_vec::<f32>()
                .unwrap();
            assert!((weight[2] / weight[0] - 2.0).abs() < 1e-5);
        }
    }
}
