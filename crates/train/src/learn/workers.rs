//! One batch on several devices.
//!
//! Each device embeds its share of the images with a copy of the network; the embeddings come together on the first device, where
//! the loss sees the whole batch. What moves a tensor between devices is recorded like any other operation, so the backward pass
//! sends each share of the gradient back to the copy that made it, and the sum over the copies is the gradient of the whole batch:
//! not that of a mean of losses on parts, which for a loss on pairs or clusters is another one.
//!
//! burn's own collective operations (`burn::tensor::distributed`) exist for CUDA with NCCL only (burn 0.22.1), while this works
//! between any devices, those of other machines included.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use lodestone_losses::LossOutput;
use lodestone_models::{Embedder, EmbedderGradients};

use crate::config::run_config::RunConfig;
use crate::error::TrainError;
use crate::input::source::Input;
use crate::learn::batch_norm;
use crate::learn::gradients::{Differentiated, GroupGradients};
use crate::learn::learner::Learner;

/// Refuses what a batch on several devices cannot do.
///
/// # Errors
/// The setting that is in the way.
pub(crate) fn check(
    workers: usize,
    config: &RunConfig,
    embedder: &Embedder,
) -> Result<(), TrainError> {
    if workers == 0 {
        return Ok(());
    }
    let in_the_way = [
        (
            batch_norm::learns(embedder),
            "model.batch_norm = \"learning\", whose statistics are those of a batch",
        ),
        (config.model.auxiliary.is_some(), "model.auxiliary"),
        (
            config.model.gradient_checkpointing,
            "model.gradient_checkpointing",
        ),
        (config.train.part_size > 0, "train.part_size"),
    ];
    match in_the_way.iter().find(|(set, _)| *set) {
        None => Ok(()),
        Some((_, setting)) => Err(TrainError::Setting {
            reason: format!(
                "{workers} further devices share each batch, which does not go with {setting}"
            ),
        }),
    }
}

/// The first and the number of images of each of `devices` shares, as equal as can be.
fn shares(images: usize, devices: usize) -> Vec<(usize, usize)> {
    let at = |number: usize| images * number / devices;
    (0..devices)
        .map(|number| (at(number), at(number + 1) - at(number)))
        .filter(|(_, length)| *length > 0)
        .collect()
}

/// As [`crate::learn::differentiate::differentiate`], on `device` and `workers` together. `seeds` gives each device what it draws from.
#[allow(clippy::too_many_arguments, reason = "those of differentiate")]
pub(crate) fn differentiate(
    learner: &Learner,
    input: &Input,
    config: &RunConfig,
    device: &Device,
    workers: &[Device],
    seeds: impl Fn(usize) -> u64,
    scale: f32,
    forward: impl Fn(Tensor<2>) -> LossOutput,
) -> Differentiated {
    let devices: Vec<Device> = std::iter::once(device.clone())
        .chain(workers.iter().map(|worker| worker.clone().autodiff()))
        .collect();
    let shares = shares(input.images(), devices.len());
    // Copies have the parameters under the same names, and a graph of their own. Running statistics are one value that all
    // copies look at, and go where the last copy is made: that is the first device.
    let mut copies: Vec<Embedder> = devices[..shares.len()]
        .iter()
        .rev()
        .map(|device| learner.embedder.clone().fork(device))
        .collect();
    copies.reverse();
    let embedded = devices.iter().zip(&copies).zip(&shares).enumerate();
    let embedded = embedded.map(|(number, ((there, copy), &(first, length)))| {
        there.seed(seeds(number));
        let share = input.part(first, length).moved_to(there);
        share
            .at(config.model.precision)
            .embed(copy)
            .to_device(device)
    });
    let embeddings = Tensor::cat(embedded.collect(), 0);
    let output = forward(embeddings.clone());
    let mut gradients = output.mean.clone().mul_scalar(scale).backward();

    // The loss has parameters on the first device alone.
    let plain = device.clone().inner();
    let own = GradientsParams::from_module(&mut gradients, &learner.loss);
    let mut total = GroupGradients::of_loss(own);
    for copy in &copies {
        let trunk = GradientsParams::from_module(&mut gradients, &copy.trunk);
        let head = GradientsParams::from_module(&mut gradients, &copy.head);
        let part = GroupGradients {
            network: EmbedderGradients {
                trunk: trunk.to_device(&plain, &copy.trunk),
                head: head.to_device(&plain, &copy.head),
                auxiliary: GradientsParams::new(),
            },
            own: GradientsParams::new(),
        };
        total = total.add(part, learner);
    }
    if scale != 1.0 {
        total = total.scale(&Tensor::from_data([1.0 / scale], &plain), learner);
    }
    Differentiated {
        embeddings: embeddings.inner(),
        output,
        gradients: total,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_after_each_other_are_the_batch() {
        assert_eq!(shares(10, 3), [(0, 3), (3, 3), (6, 4)]);
        assert_eq!(shares(2, 5), [(0, 0), (0, 1), (1, 1)].split_at(1).1);
        assert_eq!(shares(4, 1), [(0, 4)]);
    }
}
