//! What the optimiser moves: network, loss, and an optimiser for each of the three groups of parameters.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::ModuleOptimizer;
use burn::tensor::{Device, Tensor, TensorData};
use lodestone_losses::Loss;
use lodestone_models::{AuxiliaryClassifiers, Comparison, Embedder, Model, ModelDescription};

use crate::config::run_config::RunConfig;
use crate::error::TrainError;
use crate::input::parts::Parts;
use crate::input::source::{Collected, Encoded, EvaluationSource, Input};
use crate::learn::average::Average;
use crate::record::observer::{Observer, Phase};

/// Network, loss and their optimisers.
pub(crate) struct Learner {
    pub(crate) embedder: Embedder,
    pub(crate) auxiliary: AuxiliaryClassifiers,
    pub(crate) loss: Loss,
    pub(crate) trunk_optimizer: ModuleOptimizer,
    pub(crate) head_optimizer: ModuleOptimizer,
    pub(crate) auxiliary_optimizer: ModuleOptimizer,
    pub(crate) loss_optimizer: ModuleOptimizer,
    /// What is judged instead of the weights themselves.
    pub(crate) average: Option<Average>,
}

impl Learner {
    pub(crate) fn new(
        config: &RunConfig,
        embedder: Embedder,
        auxiliary: AuxiliaryClassifiers,
        loss: Loss,
    ) -> Self {
        Self {
            trunk_optimizer: config.optimizer.init(&embedder.trunk),
            head_optimizer: config.optimizer.init(&embedder.head),
            auxiliary_optimizer: config.optimizer.init(&auxiliary),
            loss_optimizer: config.optimizer.init(&loss),
            average: (config.train.average_decay > 0.0).then(|| Average::new(&embedder, &loss)),
            embedder,
            auxiliary,
            loss,
        }
    }

    /// What the network makes of a batch that is trained on.
    pub(crate) fn encode(&self, input: Input, config: &RunConfig) -> Encoded {
        let (embedder, auxiliary) = (&self.embedder, &self.auxiliary);
        let input = input.at(config.model.precision);
        if config.model.gradient_checkpointing {
            let pass = input.embed_segmented(embedder, auxiliary);
            return Encoded {
                embeddings: pass.embeddings.clone(),
                auxiliary: pass.auxiliary.clone(),
                segments: Some(pass),
            };
        }
        let (embeddings, auxiliary) = input.embed_with(embedder, auxiliary);
        Encoded {
            embeddings,
            auxiliary,
            segments: None,
        }
    }

    /// Network and loss that are judged, without gradients: the averaged ones, where there is an average.
    pub(crate) fn judged(&self) -> Average {
        match &self.average {
            Some(average) => average.valid(),
            None => Average::new(&self.embedder, &self.loss),
        }
    }

    /// Whether every weight is a number.
    pub(crate) fn is_finite(&self) -> bool {
        struct Sums(Vec<Tensor<1>>);
        impl ModuleVisitor for Sums {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                // A sum is a number only if all its terms are.
                self.0.push(param.val().without_autodiff().sum());
            }
        }
        let mut sums = Sums(Vec::new());
        self.embedder.visit(&mut sums);
        self.loss.visit(&mut sums);
        let sums = Tensor::cat(sums.0, 0).into_data();
        sums.iter::<f32>().all(f32::is_finite)
    }

    /// Embeddings of some rows of the table in their evaluation view, `[rows, dim]`, with running statistics and no gradient,
    /// by the weights that are trained; where broken images are left out, of the others.
    pub(crate) fn embed(
        &self,
        rows: &[usize],
        phase: Phase,
        evaluation: &mut EvaluationSource,
        device: &Device,
        observer: &mut dyn Observer,
    ) -> Result<Collected, TrainError> {
        let plain = self.embedder.valid();
        evaluation.collect(rows, phase, device, observer, |input| input.embed(&plain))
    }

    /// The same by the weights that are judged.
    pub(crate) fn embed_judged(
        &self,
        rows: &[usize],
        evaluation: &mut EvaluationSource,
        device: &Device,
        observer: &mut dyn Observer,
    ) -> Result<Collected, TrainError> {
        let plain = self.judged().embedder;
        evaluation.collect(rows, Phase::Evaluation, device, observer, |input| {
            input.embed(&plain)
        })
    }

    /// Pooled features of some rows of the table in their evaluation view, `[rows, features]`.
    pub(crate) fn features(
        &self,
        rows: &[usize],
        phase: Phase,
        evaluation: &mut EvaluationSource,
        device: &Device,
        observer: &mut dyn Observer,
    ) -> Result<Collected, TrainError> {
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
        let loss = self.judged().loss;
        let logits = loss.logits(Tensor::from_data(data, device))?;
        logits.into_data().convert::<f32>().try_into_vec().ok()
    }

    /// The network as a file would hold it.
    pub(crate) fn model(&self, config: &RunConfig, parts: &Parts) -> Model {
        Model {
            embedder: self.judged().embedder,
            description: ModelDescription {
                embedder: self.embedder.config().clone(),
                preprocessing: config.preprocessing(),
                distance: if self.embedder.config().head.normalise {
                    Comparison::Cosine
                } else {
                    Comparison::Euclidean
                },
                class_names: parts.training_class_names().to_vec(),
            },
        }
    }
}
