//! From a batch to its gradients: at once, in parts that fit into memory, or on several devices that share it.

use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use lodestone_losses::LossOutput;

use crate::config::run_config::RunConfig;
use crate::input::source::Input;
use crate::learn::gradients::{Differentiated, GroupGradients};
use crate::learn::learner::Learner;
use crate::learn::workers;

/// Embeds a batch, takes its loss and differentiates it: at once, in parts as the run file says, or with `workers` that share it.
///
/// `seeds` gives each part what the device draws from; `scale` is what the loss is multiplied with on its way back;
/// `forward_done` is called between forward and backward pass, where there is one of each.
pub(crate) fn differentiate(
    learner: &Learner,
    input: Input,
    labels: &[usize],
    config: &RunConfig,
    device: &Device,
    workers: &[Device],
    seeds: impl Fn(usize) -> u64,
    scale: f32,
    forward: impl Fn(Tensor<2>) -> LossOutput,
    mut forward_done: impl FnMut(),
) -> Differentiated {
    if !workers.is_empty() {
        return workers::differentiate(
            learner, &input, config, device, workers, seeds, scale, forward,
        );
    }
    if config.train.part_size > 0 {
        return in_parts(
            learner, &input, labels, config, device, seeds, scale, forward,
        );
    }
    device.seed(seeds(0));
    let encoded = learner.encode(input, config);
    let output = forward(encoded.embeddings.clone());
    let mean = match &config.model.auxiliary {
        Some(auxiliary) => auxiliary.add_to(output.mean.clone(), &encoded.auxiliary, labels),
        None => output.mean.clone(),
    };
    forward_done();
    Differentiated {
        gradients: GroupGradients::of(learner, &mean, encoded.segments, scale),
        embeddings: encoded.embeddings.inner(),
        output,
    }
}

/// Embeds a batch in parts of `train.part_size` images and gives the gradient of the loss over the whole batch.
///
/// The first pass keeps embeddings only, the loss is differentiated by them, and the second pass embeds each part again and
/// pulls that derivative through it: `dL/dw = Σ_parts (dL/de)ᵀ de/dw`. The graph of one part is in memory at a time. `seeds`
/// gives each part what the device draws from, so that dropout falls on the same features in both passes.
///
/// Gao, Zhang, Han, Callan, *Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup*, RepL4NLP 2021.
fn in_parts(
    learner: &Learner,
    input: &Input,
    labels: &[usize],
    config: &RunConfig,
    device: &Device,
    seeds: impl Fn(usize) -> u64,
    scale: f32,
    forward: impl Fn(Tensor<2>) -> LossOutput,
) -> Differentiated {
    let images = labels.len();
    let size = config.train.part_size;
    let parts: Vec<(usize, usize)> = (0..images)
        .step_by(size)
        .map(|first| (first, size.min(images - first)))
        .collect();
    let encode = |number: usize, (first, length): (usize, usize)| {
        device.seed(seeds(number));
        learner.encode(input.part(first, length), config)
    };
    let whole = (parts.iter().enumerate())
        .map(|(number, &part)| encode(number, part).embeddings.detach())
        .collect();
    let embeddings = Tensor::cat(whole, 0).detach().require_grad();
    let output = forward(embeddings.clone());
    let mut gradients = output.mean.backward();
    let own = GradientsParams::from_module(&mut gradients, &learner.loss);
    let plain = embeddings.clone().inner();
    let pull = embeddings
        .grad_remove(&mut gradients)
        .unwrap_or_else(|| plain.zeros_like());

    let mut total = GroupGradients::of_loss(own);
    for (number, &(first, length)) in parts.iter().enumerate() {
        let part = encode(number, (first, length));
        let pull = Tensor::from_inner(pull.clone().narrow(0, first, length));
        let mut sum = (part.embeddings.clone() * pull).sum();
        if let Some(auxiliary) = &config.model.auxiliary {
            // Its cross-entropy is a mean over the images of the part.
            let share = length as f64 / images as f64;
            let labels = &labels[first..first + length];
            let alone = auxiliary.add_to(sum.zeros_like(), &part.auxiliary, labels);
            sum = sum + alone * share;
        }
        let found = GroupGradients::of(learner, &sum, part.segments, scale);
        total = total.add(found, learner);
    }
    Differentiated {
        embeddings: plain,
        output,
        gradients: total,
    }
}

#[cfg(test)]
mod tests {
    use burn::module::{Module, ModuleVisitor, Param};
    use burn::tensor::Distribution;
    use lodestone_losses::Labels;
    use lodestone_models::AuxiliaryClassifiers;

    use super::*;
    use crate::learn::batch_norm;
    use crate::testing::small_config;

    /// All gradients of a module one after the other, absent ones as nothing.
    fn flat<M: Module>(module: &M, gradients: &GradientsParams) -> Vec<f32> {
        struct Flat<'a>(&'a GradientsParams, Vec<f32>);
        impl ModuleVisitor for Flat<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                if let Some(gradient) = self.0.get::<D>(param.id) {
                    self.1.extend(gradient.into_data().iter::<f32>());
                }
            }
        }
        let mut flat = Flat(gradients, Vec::new());
        module.visit(&mut flat);
        flat.1
    }

    /// How a batch is taken apart.
    #[derive(Clone, Copy, PartialEq)]
    enum Way {
        /// Five images after five.
        Parts,
        /// A third of it on each of three devices.
        Workers,
    }

    fn check(kind: &str, settings: &[&str]) {
        check_with(kind, settings, Way::Parts);
    }

    /// Twelve images of three classes, taken apart, against the whole batch at once.
    fn check_with(kind: &str, settings: &[&str], way: Way) {
        let device = Device::flex().autodiff();
        let kind = format!("loss={{kind=\"{kind}\"}}");
        let settings: Vec<&str> = [kind.as_str(), "train.part_size=5"]
            .into_iter()
            .chain(settings.iter().copied())
            .collect();
        let config = small_config(&settings);
        let embedder = batch_norm::freeze(config.model.embedder().init(3, &device));
        device.seed(1);
        let loss = config.loss.init(embedder.embedding_size(), 3, &device);
        let learner = Learner::new(&config, embedder, AuxiliaryClassifiers::none(), loss);
        device.seed(2);
        let images = Tensor::random([12, 1, 28, 28], Distribution::Normal(0.0, 1.0), &device);
        let labels: Vec<usize> = (0..12).map(|row| row % 3).collect();
        let forward = |embeddings| learner.loss.forward(embeddings, Labels::new(&labels));
        let seeds = |part: usize| 7 + part as u64;

        let input = Input::Images(images.clone());
        let parts = match way {
            Way::Parts => in_parts(
                &learner, &input, &labels, &config, &device, seeds, 8.0, forward,
            ),
            Way::Workers => {
                let workers = [Device::flex(), Device::flex()];
                workers::differentiate(
                    &learner, &input, &config, &device, &workers, seeds, 8.0, forward,
                )
            }
        };
        // The whole batch in one graph, with the very draws of the parts.
        let pieces = match way {
            Way::Parts => [(0, 5), (5, 5), (10, 2)],
            Way::Workers => [(0, 4), (4, 4), (8, 4)],
        };
        let pieces = pieces.into_iter().enumerate();
        let pieces = pieces.map(|(number, (first, length))| {
            device.seed(seeds(number));
            learner
                .embedder
                .forward(images.clone().narrow(0, first, length))
        });
        let output = forward(Tensor::cat(pieces.collect(), 0));
        let whole = GroupGradients::of(&learner, &output.mean, None, 1.0);
        let (ours, theirs) = (&parts.gradients.network, &whole.network);
        let pairs = [
            (
                flat(&learner.embedder.trunk, &ours.trunk),
                flat(&learner.embedder.trunk, &theirs.trunk),
            ),
            (
                flat(&learner.embedder.head, &ours.head),
                flat(&learner.embedder.head, &theirs.head),
            ),
            (
                flat(&learner.loss, &parts.gradients.own),
                flat(&learner.loss, &whole.own),
            ),
        ];
        for (ours, expected) in pairs {
            assert_eq!(ours.len(), expected.len());
            let largest = expected.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
            for (ours, expected) in ours.iter().zip(&expected) {
                assert!(ours.is_finite());
                // Sums over images are taken in another order: rounding relative to the largest entry.
                assert!(
                    (ours - expected).abs() <= 1e-5 * largest,
                    "{kind}: {ours} is not {expected}"
                );
            }
        }
    }

    #[test]
    fn devices_that_share_a_batch_give_its_gradient() {
        for kind in ["triplet", "magnet", "proxy_anchor", "softmax"] {
            check_with(kind, &[], Way::Workers);
        }
    }

    #[test]
    fn parts_give_the_gradient_of_the_whole_batch() {
        for kind in ["triplet", "magnet", "softmax"] {
            check(kind, &[]);
        }
    }

    #[test]
    fn dropout_falls_alike_in_both_passes() {
        check("magnet", &["model.head.dropout=0.5"]);
    }

    #[test]
    fn parts_and_maps_that_are_computed_again_go_together() {
        check("triplet", &["model.gradient_checkpointing=true"]);
    }
}
