//! Gradients of the three groups of parameters, and the step along them.

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor};
use lodestone_losses::LossOutput;
use lodestone_models::{EmbedderGradients, SegmentedPass};

use crate::config::run_config::RunConfig;
use crate::learn::clip;
use crate::learn::learner::Learner;

/// Gradients of trunk, head and auxiliary classifiers, and of the loss's own parameters.
pub(crate) struct GroupGradients {
    pub(crate) network: EmbedderGradients,
    pub(crate) own: GradientsParams,
}

impl GroupGradients {
    /// Gradients of `mean`, a loss on what [`Learner::encode`] returned. The backward pass goes through `scale` times as much, so
    /// that half precision keeps what is small; what is returned is not scaled.
    pub(crate) fn of(
        learner: &Learner,
        mean: &Tensor<1>,
        segments: Option<SegmentedPass>,
        scale: f32,
    ) -> Self {
        if scale != 1.0 {
            let scaled = Self::of(learner, &mean.clone().mul_scalar(scale), segments, 1.0);
            let back = Tensor::from_data([1.0 / scale], &mean.device().inner());
            return scaled.scale(&back, learner);
        }
        let mut gradients = mean.backward();
        let own = GradientsParams::from_module(&mut gradients, &learner.loss);
        let network = match segments {
            Some(pass) => pass.backward(&learner.embedder, &learner.auxiliary, gradients),
            None => EmbedderGradients {
                trunk: GradientsParams::from_module(&mut gradients, &learner.embedder.trunk),
                head: GradientsParams::from_module(&mut gradients, &learner.embedder.head),
                auxiliary: GradientsParams::from_module(&mut gradients, &learner.auxiliary),
            },
        };
        Self { network, own }
    }

    /// Those of the loss, before any of the network's are added.
    pub(crate) fn of_loss(own: GradientsParams) -> Self {
        Self {
            network: EmbedderGradients {
                trunk: GradientsParams::new(),
                head: GradientsParams::new(),
                auxiliary: GradientsParams::new(),
            },
            own,
        }
    }

    /// The sum of two, parameter by parameter.
    pub(crate) fn add(self, other: Self, learner: &Learner) -> Self {
        fn sum<M: Module>(
            module: &M,
            one: GradientsParams,
            other: GradientsParams,
        ) -> GradientsParams {
            let mut total = GradientsAccumulator::<M>::new();
            total.accumulate(module, one);
            total.accumulate(module, other);
            total.grads()
        }
        let (one, two) = (self.network, other.network);
        Self {
            network: EmbedderGradients {
                trunk: sum(&learner.embedder.trunk, one.trunk, two.trunk),
                head: sum(&learner.embedder.head, one.head, two.head),
                auxiliary: sum(&learner.auxiliary, one.auxiliary, two.auxiliary),
            },
            own: sum(&learner.loss, self.own, other.own),
        }
    }

    /// Multiplied with `factor` `[1]`.
    pub(crate) fn scale(self, factor: &Tensor<1>, learner: &Learner) -> Self {
        Self {
            network: EmbedderGradients {
                trunk: clip::scale(&learner.embedder.trunk, self.network.trunk, factor),
                head: clip::scale(&learner.embedder.head, self.network.head, factor),
                auxiliary: clip::scale(&learner.auxiliary, self.network.auxiliary, factor),
            },
            own: clip::scale(&learner.loss, self.own, factor),
        }
    }

    /// The mean of several batches' gradients, of which this is the sum.
    pub(crate) fn mean_of(self, batches: usize, learner: &Learner, device: &Device) -> Self {
        if batches == 1 {
            return self;
        }
        let share = Tensor::from_data([1.0 / batches as f32], &device.clone().inner());
        self.scale(&share, learner)
    }

    /// The square of the norm of each group that has gradients, `[1]` each.
    fn squared_norms(&self, learner: &Learner) -> Vec<Tensor<1>> {
        let norms = [
            clip::squared_norm(&learner.embedder.trunk, &self.network.trunk),
            clip::squared_norm(&learner.embedder.head, &self.network.head),
            clip::squared_norm(&learner.auxiliary, &self.network.auxiliary),
            clip::squared_norm(&learner.loss, &self.own),
        ];
        norms.into_iter().flatten().collect()
    }

    /// The square of the norm over all groups together `[1]`, on the device; absent if there are no gradients.
    pub(crate) fn squared_norm(&self, learner: &Learner) -> Option<Tensor<1>> {
        let norms = self.squared_norms(learner).into_iter();
        norms.reduce(|total, norm| total + norm)
    }

    /// Shortened so that the norm over all groups together is at most `bound`; 0 for no bound.
    pub(crate) fn clip(self, bound: f64, learner: &Learner) -> Self {
        if bound <= 0.0 {
            return self;
        }
        match clip::factor(self.squared_norms(learner), bound) {
            Some(shorten) => self.scale(&shorten, learner),
            None => self,
        }
    }

    /// Moves each group of parameters along its gradient at its own rate times `factor`, and the average after them; `step` counts
    /// from 0.
    pub(crate) fn step(
        self,
        mut learner: Learner,
        config: &RunConfig,
        factor: f64,
        step: usize,
    ) -> Learner {
        let Self { network, own } = self.clip(config.optimizer.clip_norm, &learner);
        let [trunk, head, loss] = config.rates(factor);
        learner.embedder.trunk =
            (learner.trunk_optimizer).step(trunk, learner.embedder.trunk, network.trunk);
        learner.embedder.head =
            (learner.head_optimizer).step(head, learner.embedder.head, network.head);
        learner.auxiliary =
            (learner.auxiliary_optimizer).step(head, learner.auxiliary, network.auxiliary);
        learner.loss = learner.loss_optimizer.step(loss, learner.loss, own);
        let decay = config.train.average_decay;
        learner.average = (learner.average)
            .map(|average| average.follow(&learner.embedder, &learner.loss, decay, step + 1));
        learner
    }
}

/// What a batch gave: its embeddings without gradient, the loss, and what the optimiser is to follow.
pub(crate) struct Differentiated {
    pub(crate) embeddings: Tensor<2>,
    pub(crate) output: LossOutput,
    pub(crate) gradients: GroupGradients,
}
