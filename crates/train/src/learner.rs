//! What the optimiser moves: network, loss, and an optimiser for each of the three groups of parameters.

use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use lodestone_losses::Loss;
use lodestone_models::{Distance, Embedder, Model, ModelDescription};

use crate::clip;
use crate::config::RunConfig;
use crate::error::TrainError;
use crate::observer::{Observer, Phase};
use crate::setup::Parts;
use crate::source::EvaluationSource;

/// Network, loss and their optimisers.
pub(crate) struct Learner {
    pub(crate) embedder: Embedder,
    pub(crate) loss: Loss,
    pub(crate) trunk_optimizer: ModuleOptimizer,
    pub(crate) head_optimizer: ModuleOptimizer,
    pub(crate) loss_optimizer: ModuleOptimizer,
}

impl Learner {
    pub(crate) fn new(config: &RunConfig, embedder: Embedder, loss: Loss) -> Self {
        Self {
            trunk_optimizer: config.optimizer.init(&embedder.trunk),
            head_optimizer: config.optimizer.init(&embedder.head),
            loss_optimizer: config.optimizer.init(&loss),
            embedder,
            loss,
        }
    }

    /// Differentiates `mean` and moves each group at its own rate times `factor`.
    pub(crate) fn step(mut self, mean: Tensor<1>, config: &RunConfig, factor: f64) -> Self {
        let mut gradients = mean.backward();
        let mut trunk = GradientsParams::from_module(&mut gradients, &self.embedder.trunk);
        let mut head = GradientsParams::from_module(&mut gradients, &self.embedder.head);
        let mut own = GradientsParams::from_module(&mut gradients, &self.loss);
        let optimizer = &config.optimizer;
        if optimizer.clip_norm > 0.0 {
            let norms = [
                clip::squared_norm(&self.embedder.trunk, &trunk),
                clip::squared_norm(&self.embedder.head, &head),
                clip::squared_norm(&self.loss, &own),
            ];
            if let Some(shorten) = clip::factor(norms.into_iter().flatten(), optimizer.clip_norm) {
                trunk = clip::scale(&self.embedder.trunk, trunk, &shorten);
                head = clip::scale(&self.embedder.head, head, &shorten);
                own = clip::scale(&self.loss, own, &shorten);
            }
        }
        let rate = |base: f64| base * factor;
        self.embedder.trunk =
            self.trunk_optimizer
                .step(rate(optimizer.trunk_rate), self.embedder.trunk, trunk);
        self.embedder.head =
            self.head_optimizer
                .step(rate(optimizer.head_rate), self.embedder.head, head);
        let loss_rate = optimizer.loss_rate * config.loss.learning_rate_factor();
        self.loss = self.loss_optimizer.step(rate(loss_rate), self.loss, own);
        self
    }

    /// Embeddings of some rows of the table in their evaluation view, `[rows, dim]`, with running statistics and no gradient.
    pub(crate) fn embed(
        &self,
        rows: &[usize],
        phase: Phase,
        evaluation: &mut EvaluationSource,
        device: &Device,
        observer: &mut dyn Observer,
    ) -> Result<Vec<f32>, TrainError> {
        let plain = self.embedder.valid();
        evaluation.collect(rows, phase, device, observer, |input| input.embed(&plain))
    }

    /// Pooled features of some rows of the table in their evaluation view, `[rows, features]`.
    pub(crate) fn features(
        &self,
        rows: &[usize],
        phase: Phase,
        evaluation: &mut EvaluationSource,
        device: &Device,
        observer: &mut dyn Observer,
    ) -> Result<Vec<f32>, TrainError> {
        let plain = self.embedder.valid();
        evaluation.collect(rows, phase, device, observer, |input| {
            input.features(&plain)
        })
    }

    /// Class scores of embeddings on the host, for losses that learn a classifier.
    pub(crate) fn logits(
        &self,
        embeddings: &[f32],
        dim: usize,
        device: &Device,
    ) -> Option<Vec<f32>> {
        let data = TensorData::new(embeddings.to_vec(), [embeddings.len() / dim, dim]);
        let logits = self.loss.valid().logits(Tensor::from_data(data, device))?;
        logits.into_data().convert::<f32>().try_into_vec().ok()
    }

    /// The network as a file would hold it.
    pub(crate) fn model(&self, parts: &Parts) -> Model {
        let network = &self.embedder.config().network;
        Model {
            embedder: self.embedder.valid(),
            description: ModelDescription {
                embedder: self.embedder.config().clone(),
                preprocessing: network.preprocessing(),
                distance: if self.embedder.config().head.normalise {
                    Distance::Cosine
                } else {
                    Distance::Euclidean
                },
                class_names: parts.class_names().to_vec(),
            },
        }
    }
}
