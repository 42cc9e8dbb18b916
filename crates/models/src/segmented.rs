//! Training in less memory: activations are kept at a few places and computed again between them.
//!
//! burn's own gradient checkpointing recomputes operators that are cheap. In these networks nearly all memory is held by
//! convolutions, which it keeps, so here whole runs of stages are recomputed instead (Chen et al., *Training deep nets with
//! sublinear memory cost*, arXiv 1604.06174). It costs one more forward pass.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Gradients, Tensor};
use lodestone_kernels::global_average;

use crate::embedder::Embedder;
use crate::trunk::Stage;

/// A forward pass that kept only the maps between segments of the trunk; see [`Embedder::forward_segmented`].
#[derive(Debug)]
pub struct SegmentedPass {
    /// `[n, embedding_size]`, the same numbers as [`Embedder::forward`] gives.
    pub embeddings: Tensor<2>,
    /// The last maps, where the graph of `embeddings` begins.
    last_maps: Tensor<4>,
    segments: Vec<Segment>,
}

/// A run of stages and the maps that go into it.
#[derive(Debug)]
struct Segment {
    /// A copy with the parameters, but with running statistics of its own: those of the network moved in the first pass.
    stages: Vec<Stage>,
    input: Tensor<4>,
}

impl Embedder {
    /// A forward pass for training that keeps the maps only where they have shrunk, and drops what lies between.
    ///
    /// A step of Inception V3 with 32 images of 299×299 pixels peaks at 1.2 GB instead of 2.5 GB on a processor (example
    /// `training_step`). Frozen stages at the bottom keep nothing. Gradients equal those of [`forward`](Self::forward) to rounding, and
    /// running statistics move once.
    ///
    /// # Shapes
    /// - images: `[n, channels, height, width]` on an autodiff device
    ///
    /// # Example
    /// ```
    /// # use burn::tensor::{Device, Tensor};
    /// # use lodestone_models::{ConvNetConfig, EmbedderConfig, HeadConfig, NetworkConfig};
    /// let device = Device::flex().autodiff();
    /// let network = NetworkConfig::ConvNet(ConvNetConfig::default());
    /// let embedder = EmbedderConfig { network, head: HeadConfig::new(16) }.init(7, &device);
    ///
    /// let pass = embedder.forward_segmented(Tensor::ones([2, 1, 28, 28], &device));
    /// let loss = pass.embeddings.clone().square().mean();
    /// // A loss with parameters of its own takes their gradients first: GradientsParams::from_module(&mut gradients, &loss).
    /// let gradients = pass.backward(&embedder, loss.backward());
    /// // Weight of three convolutions, weight and bias of their normalisations and of the head.
    /// assert_eq!(gradients.len(), 11);
    /// ```
    pub fn forward_segmented(&self, images: Tensor<4>) -> SegmentedPass {
        // Asking every stage also draws parameters that were not used yet, which copies would otherwise share undrawn.
        let trained: Vec<bool> = self.trunk.stages.iter().map(is_trained).collect();
        let lowest = trained
            .iter()
            .position(|&trained| trained)
            .unwrap_or(trained.len());
        // Without gradients no graph is built, and what a stage computes is freed at once. Running statistics are shared
        // with the network and move.
        let first = self.trunk.clone().no_grad();
        let again = self.trunk.valid().train();

        let mut segments: Vec<Segment> = Vec::new();
        let mut maps = images;
        for (i, (stage, again)) in first.stages.iter().zip(again.stages).enumerate() {
            if i >= lowest {
                match segments.last_mut() {
                    Some(segment) if !has_shrunk(&segment.input, &maps) => {
                        segment.stages.push(again);
                    }
                    _ => segments.push(Segment {
                        stages: vec![again],
                        input: maps.clone(),
                    }),
                }
            }
            maps = stage.forward(maps);
        }
        let last_maps = maps.require_grad();
        let embeddings = self.head.forward(global_average(last_maps.clone()));
        SegmentedPass {
            embeddings,
            last_maps,
            segments,
        }
    }
}

impl SegmentedPass {
    /// Gradients of all parameters of `embedder` from the gradients of a loss on [`embeddings`](Self::embeddings).
    pub fn backward(self, embedder: &Embedder, mut gradients: Gradients) -> GradientsParams {
        let mut collected = GradientsParams::from_module(&mut gradients, &embedder.head);
        let mut upstream = self.last_maps.grad_remove(&mut gradients);
        drop((gradients, self.embeddings, self.last_maps));
        for Segment { stages, input } in self.segments.into_iter().rev() {
            // A loss that does not depend on the embeddings moves nothing below them.
            let Some(above) = upstream else { break };
            let input = input.require_grad();
            let output = stages
                .iter()
                .fold(input.clone(), |maps, stage| stage.forward(maps));
            // The gradient of this sum is `above`, passed down.
            let mut gradients = (output * Tensor::from_inner(above)).sum().backward();
            upstream = input.grad_remove(&mut gradients);
            let found = GradientsParams::from_module(&mut gradients, &stages);
            stages.visit(&mut Collect {
                found,
                collected: &mut collected,
            });
        }
        collected
    }
}

/// Whether maps have at most two thirds of the side they had at the start of the segment.
fn has_shrunk(start: &Tensor<4>, maps: &Tensor<4>) -> bool {
    3 * maps.dims()[2] <= 2 * start.dims()[2]
}

fn is_trained(stage: &Stage) -> bool {
    struct Visitor(bool);
    impl ModuleVisitor for Visitor {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0 |= param.val().is_require_grad();
        }
    }
    let mut visitor = Visitor(false);
    stage.visit(&mut visitor);
    visitor.0
}

/// Moves the gradients of a segment's parameters to those of the whole.
struct Collect<'a> {
    found: GradientsParams,
    collected: &'a mut GradientsParams,
}

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.found.remove::<D>(param.id) {
            self.collected.register(param.id, gradient);
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;
    use crate::{EmbedderConfig, GoogLeNetConfig, GoogLeNetForm, HeadConfig};

    /// Gradients and running statistics of one step, by name.
    fn step(segmented: bool, frozen: Option<&str>) -> Vec<(String, Option<Vec<f32>>)> {
        let device = Device::flex().autodiff();
        let network = GoogLeNetConfig::new(GoogLeNetForm::Torchvision).into();
        let head = HeadConfig::new(8);
        let mut embedder = EmbedderConfig { network, head }.init(3, &device);
        if let Some(name) = frozen {
            let stage = embedder.trunk.stage(name).unwrap();
            embedder = embedder.freeze_until(stage);
        }
        device.seed(1);
        let images = Tensor::random([3, 3, 40, 40], Distribution::Default, &device);
        let gradients = if segmented {
            let pass = embedder.forward_segmented(images);
            let loss = pass.embeddings.clone().square().sum();
            pass.backward(&embedder, loss.backward())
        } else {
            let loss = embedder.forward(images).square().sum();
            GradientsParams::from_grads(loss.backward(), &embedder)
        };
        let slots = embedder.slots();
        let values = slots.iter().map(|slot| {
            let statistic = slot.name.contains("running").then(|| slot.values());
            (
                slot.name.clone(),
                statistic.or_else(|| slot.gradient_of(&gradients)),
            )
        });
        values.collect()
    }

    #[test]
    fn segments_give_the_gradients_and_statistics_of_the_whole() {
        for frozen in [None, Some("inception3b")] {
            let pairs = step(true, frozen).into_iter().zip(step(false, frozen));
            for ((name, got), (_, want)) in pairs {
                assert_eq!(
                    got.is_some(),
                    want.is_some(),
                    "{name}, frozen until {frozen:?}"
                );
                let (got, want) = (got.unwrap_or_default(), want.unwrap_or_default());
                let largest = want.iter().map(|value| value.abs()).fold(0.0, f32::max);
                for (got, want) in got.iter().zip(want) {
                    assert!(
                        (got - want).abs() <= 1e-4 * largest,
                        "{name}: {got} is not {want}"
                    );
                }
            }
        }
    }
}
