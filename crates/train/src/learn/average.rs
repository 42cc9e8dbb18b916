//! An exponential moving average of the weights, which is judged in place of the weights themselves.
//!
//! Polyak, Juditsky, *Acceleration of Stochastic Approximation by Averaging*, SIAM J. Control Optim. 1992, in the
//! exponential form that is usual today.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use lodestone_losses::Loss;
use lodestone_models::Embedder;

/// Averaged network and loss, without gradients.
#[derive(Clone, Debug)]
pub(crate) struct Average {
    pub(crate) embedder: Embedder,
    pub(crate) loss: Loss,
}

impl Average {
    /// Starts at the weights as they are.
    pub(crate) fn new(embedder: &Embedder, loss: &Loss) -> Self {
        Self {
            embedder: embedder.valid(),
            loss: loss.valid(),
        }
    }

    /// A copy with running statistics of its own.
    pub(crate) fn valid(&self) -> Self {
        Self::new(&self.embedder, &self.loss)
    }

    /// Moves every weight and every running statistic towards the newest one after `step` steps:
    ///
    /// ```text
    /// a ← d a + (1 - d) w,   d = min(decay, step / (step + 9))
    /// ```
    ///
    /// The first steps count more, so that the start is forgotten.
    pub(crate) fn follow(self, embedder: &Embedder, loss: &Loss, decay: f64, step: usize) -> Self {
        let decay = decay.min(step as f64 / (step + 9) as f64);
        Self {
            embedder: towards(self.embedder, embedder, decay),
            loss: towards(self.loss, loss, decay),
        }
    }
}

fn towards<M: Module>(average: M, newest: &M, decay: f64) -> M {
    struct Collect(GradientsParams);
    impl ModuleVisitor for Collect {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            // Tensors by the identity of their parameter, which is what this container is, whatever its name.
            self.0.register(param.id, param.val().without_autodiff());
        }
    }
    struct Move {
        newest: GradientsParams,
        decay: f64,
    }
    impl ModuleMapper for Move {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let newest = self.newest.remove::<D>(param.id);
            let decay = self.decay;
            param.map(|average| match newest {
                Some(newest) => average * decay + newest * (1.0 - decay),
                None => average,
            })
        }
    }
    let mut collect = Collect(GradientsParams::new());
    newest.visit(&mut collect);
    average.map(&mut Move {
        newest: collect.0,
        decay,
    })
}

#[cfg(test)]
mod tests {
    use burn::nn::LinearConfig;
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn the_average_is_the_weighted_sum_of_what_it_saw() {
        let device = Device::flex().autodiff();
        let layer = |value: f32| {
            let mut layer = LinearConfig::new(1, 1).init(&device);
            layer.weight = layer
                .weight
                .map(|weight| (weight.zeros_like() + value).detach().require_grad());
            layer
        };
        let first = layer(1.0);
        let mut second = first.clone();
        second.weight = second
            .weight
            .map(|weight| (weight.zeros_like() + 5.0).detach().require_grad());
        // 0.75 · 1 + 0.25 · 5
        let average = towards(first.valid(), &second, 0.75);
        assert_eq!(average.weight.val().into_scalar::<f32>(), 2.0);
        // The weights themselves are not touched.
        assert_eq!(second.weight.val().into_scalar::<f32>(), 5.0);
    }
}
