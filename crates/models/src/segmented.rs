//! Training in less memory: activations are kept at a few places and computed again between them.
//!
//! burn's own gradient checkpointing recomputes operators that are cheap. In these networks nearly all memory is held by
//! convolutions, which it keeps, so here whole runs of stages are recomputed instead (Chen et al., *Training deep nets with
//! sublinear memory cost*, arXiv 1604.06174). It costs one more forward pass.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Gradients, Tensor};
use lodestone_kernels::global_average;

use crate::auxiliary_classifiers::AuxiliaryClassifiers;
use crate::embedder::Embedder;
use crate::layer::Layer;
use crate::trunk::{Stage, StageId};

/// A forward pass that kept only the maps between segments of the trunk; see [`Embedder::forward_segmented`].
#[derive(Debug)]
pub struct SegmentedPass {
    /// `[n, embedding_size]`, the same numbers as [`Embedder::forward`] gives.
    pub embeddings: Tensor<2>,
    /// Scores `[n, classes]` of each auxiliary classifier, the lowest first.
    pub auxiliary: Vec<Tensor<2>>,
    /// The last maps, where the graph of `embeddings` begins.
    last_maps: Tensor<4>,
    segments: Vec<Segment>,
}

/// Gradients of a loss, by the part of the network they belong to.
#[derive(Debug)]
pub struct EmbedderGradients {
    /// Of [`Embedder::trunk`].
    pub trunk: GradientsParams,
    /// Of [`Embedder::head`].
    pub head: GradientsParams,
    /// Of the auxiliary classifiers.
    pub auxiliary: GradientsParams,
}

/// A run of stages and the maps that go into it.
#[derive(Debug)]
struct Segment {
    /// A copy with the parameters, but with running statistics of its own: those of the network moved in the first pass.
    stages: Vec<Stage>,
    input: Tensor<4>,
    /// The maps behind the segment, where the graph of an auxiliary classifier begins.
    tap: Option<Tensor<4>>,
}

impl Embedder {
    /// A forward pass for training that keeps the maps only where they have shrunk, and behind each layer of ResNet, and drops
    /// what lies between.
    ///
    /// A step of Inception V3 with 32 images of 299×299 pixels peaks at 1.54 GB instead of 2.84 GB on a processor and
    /// takes a third longer (example `training_step`, cases `segmented` and `whole`, commit e283cee, two cores); burn's own
    /// checkpointing of cheap operators leaves 2.84 GB (case `burn`). Frozen stages at the bottom keep nothing. Gradients equal
    /// those of [`forward`](Self::forward) to rounding, and running statistics move once.
    ///
    /// # Shapes
    /// - images: `[n, channels, height, width]` on an autodiff device
    ///
    /// # Example
    /// ```
    /// # use burn::tensor::{Device, Tensor};
    /// # use lodestone_models::{AuxiliaryClassifiers, ConvNetConfig, EmbedderConfig, HeadConfig, NetworkConfig};
    /// let device = Device::flex().autodiff();
    /// let network = NetworkConfig::ConvNet(ConvNetConfig::default());
    /// let embedder = EmbedderConfig { network, head: HeadConfig::new(16) }.init(7, &device);
    /// let auxiliary = AuxiliaryClassifiers::none();
    ///
    /// let pass = embedder.forward_segmented(Tensor::ones([2, 1, 28, 28], &device), &auxiliary);
    /// let loss = pass.embeddings.clone().square().mean();
    /// // A loss with parameters of its own takes their gradients first: GradientsParams::from_module(&mut gradients, &loss).
    /// let gradients = pass.backward(&embedder, &auxiliary, loss.backward());
    /// // Weight of three convolutions, weight and bias of their normalisations; weight and bias of the head.
    /// assert_eq!([gradients.trunk.len(), gradients.head.len()], [9, 2]);
    /// ```
    pub fn forward_segmented(
        &self,
        images: Tensor<4>,
        auxiliary: &AuxiliaryClassifiers,
    ) -> SegmentedPass {
        self.segmented(images, 0, auxiliary)
    }

    /// The same from the maps behind a stage of the trunk, as [`Trunk::forward_until`](crate::Trunk::forward_until)
    /// returns them; classifiers on stages up to that one are left out.
    ///
    /// # Shapes
    /// - maps: `[n, maps, h, w]` on an autodiff device
    pub fn forward_segmented_from(
        &self,
        maps: Tensor<4>,
        stage: StageId,
        auxiliary: &AuxiliaryClassifiers,
    ) -> SegmentedPass {
        self.segmented(maps, stage.0 + 1, auxiliary)
    }

    fn segmented(
        &self,
        mut maps: Tensor<4>,
        begin: usize,
        auxiliary: &AuxiliaryClassifiers,
    ) -> SegmentedPass {
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
        let mut scores = Vec::new();
        let stages = first.stages.iter().zip(again.stages).enumerate();
        for (i, (stage, again)) in stages.skip(begin) {
            if i >= lowest {
                match segments.last_mut() {
                    Some(segment)
                        if segment.tap.is_none()
                            && !segment.ends_with_blocks()
                            && !has_shrunk(&segment.input, &maps) =>
                    {
                        segment.stages.push(again);
                    }
                    _ => segments.push(Segment {
                        stages: vec![again],
                        input: maps.clone(),
                        tap: None,
                    }),
                }
            }
            maps = stage.forward(maps);
            if let Some(head) = auxiliary.heads.iter().find(|head| head.stage == stage.name) {
                let tap = maps.clone().require_grad();
                scores.push(head.forward(tap.clone()));
                // A classifier on frozen stages has nothing below it to move.
                if let Some(segment) = segments.last_mut() {
                    segment.tap = Some(tap);
                }
            }
        }
        let last_maps = maps.require_grad();
        let embeddings = self.head.forward(global_average(last_maps.clone()));
        SegmentedPass {
            embeddings,
            auxiliary: scores,
            last_maps,
            segments,
        }
    }
}

impl SegmentedPass {
    /// Gradients of all parameters from those of a loss on [`embeddings`](Self::embeddings) and
    /// [`auxiliary`](Self::auxiliary) scores.
    ///
    /// `embedder` and `auxiliary` are those of the forward pass.
    pub fn backward(
        self,
        embedder: &Embedder,
        auxiliary: &AuxiliaryClassifiers,
        mut gradients: Gradients,
    ) -> EmbedderGradients {
        let head = GradientsParams::from_module(&mut gradients, &embedder.head);
        let auxiliary = GradientsParams::from_module(&mut gradients, auxiliary);
        let mut upstream = self.last_maps.grad_remove(&mut gradients);
        let taps: Vec<Option<Tensor<4>>> = self
            .segments
            .iter()
            .map(|segment| segment.tap.as_ref()?.grad_remove(&mut gradients))
            .collect();
        drop((gradients, self.embeddings, self.auxiliary, self.last_maps));
        let mut trunk = GradientsParams::new();
        for (segment, tap) in self.segments.into_iter().zip(taps).rev() {
            let above = match (upstream.take(), tap) {
                (Some(upstream), Some(tap)) => upstream + tap,
                (Some(one), None) | (None, Some(one)) => one,
                // A loss that does not depend on these maps moves nothing below them.
                (None, None) => continue,
            };
            let Segment { stages, input, .. } = segment;
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
                collected: &mut trunk,
            });
        }
        EmbedderGradients {
            trunk,
            head,
            auxiliary,
        }
    }
}

impl Segment {
    /// Whether the last stage is a layer of ResNet, whose blocks hold about ten times what goes into the next: kept there, the
    /// maps cost little, and two layers at once would be most of the network.
    fn ends_with_blocks(&self) -> bool {
        let last = self.stages.last().and_then(|stage| stage.layers.last());
        matches!(last, Some(Layer::Residual(_)))
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
    use crate::{
        EmbedderConfig, GoogLeNetConfig, GoogLeNetForm, HeadConfig, NetworkConfig, ResNetConfig,
    };

    #[derive(Clone, Copy, Debug)]
    struct Case {
        network: fn() -> NetworkConfig,
        frozen: Option<&'static str>,
        /// Weight of the auxiliary classifiers' scores in the loss.
        auxiliary: f32,
    }

    /// Gradients and running statistics of one step, by name.
    fn step(segmented: bool, case: Case) -> Vec<(String, Option<Vec<f32>>)> {
        let device = Device::flex().autodiff();
        let network = (case.network)();
        let head = HeadConfig::new(8);
        let mut auxiliary = match case.auxiliary {
            0.0 => AuxiliaryClassifiers::none(),
            _ => network.auxiliary(4, 0.0, 3, &device),
        };
        let mut embedder = EmbedderConfig { network, head }.init(3, &device);
        if let Some(name) = case.frozen {
            let stage = embedder.trunk.stage(name).unwrap();
            embedder = embedder.freeze_until(stage);
        }
        device.seed(1);
        let images = Tensor::random([3, 3, 40, 40], Distribution::Default, &device);
        let loss = |embeddings: Tensor<2>, scores: Vec<Tensor<2>>| {
            scores
                .into_iter()
                .map(|scores| scores.square().sum() * case.auxiliary)
                .fold(embeddings.square().sum(), |sum, term| sum + term)
        };
        let gradients = if segmented {
            let pass = embedder.forward_segmented(images, &auxiliary);
            let loss = loss(pass.embeddings.clone(), pass.auxiliary.clone());
            pass.backward(&embedder, &auxiliary, loss.backward())
        } else {
            let (embeddings, scores) = embedder.forward_with(images, &auxiliary);
            let mut gradients = loss(embeddings, scores).backward();
            EmbedderGradients {
                trunk: GradientsParams::from_module(&mut gradients, &embedder.trunk),
                head: GradientsParams::from_module(&mut gradients, &embedder.head),
                auxiliary: GradientsParams::from_module(&mut gradients, &auxiliary),
            }
        };
        let (mut trunk, mut head, mut below) = (Vec::new(), Vec::new(), Vec::new());
        embedder.trunk.slots(&mut trunk);
        embedder.head.slots(&mut head);
        for classifier in &mut auxiliary.heads {
            classifier.slots(&mut below);
        }
        let parts = [
            (trunk, gradients.trunk),
            (head, gradients.head),
            (below, gradients.auxiliary),
        ];
        let mut values = Vec::new();
        for (slots, gradients) in parts {
            values.extend(slots.iter().map(|slot| {
                let statistic = slot.name.contains("running").then(|| slot.values());
                (
                    slot.name.clone(),
                    statistic.or_else(|| slot.gradient_of(&gradients)),
                )
            }));
        }
        values
    }

    #[test]
    fn segments_give_the_gradients_and_statistics_of_the_whole() {
        let whole = None;
        let googlenet = || GoogLeNetConfig::new(GoogLeNetForm::Torchvision).into();
        let resnet = || NetworkConfig::ResNet18(ResNetConfig {});
        for case in [
            Case {
                network: resnet,
                frozen: whole,
                auxiliary: 0.0,
            },
            Case {
                network: resnet,
                frozen: Some("layer2"),
                auxiliary: 0.0,
            },
            Case {
                network: googlenet,
                frozen: whole,
                auxiliary: 0.0,
            },
            Case {
                network: googlenet,
                frozen: Some("inception3b"),
                auxiliary: 0.0,
            },
            Case {
                network: googlenet,
                frozen: whole,
                auxiliary: 0.3,
            },
            // One classifier lies on frozen stages, the other above them.
            Case {
                network: googlenet,
                frozen: Some("inception4b"),
                auxiliary: 0.3,
            },
        ] {
            let pairs = step(true, case).into_iter().zip(step(false, case));
            for ((name, got), (_, want)) in pairs {
                assert_eq!(got.is_some(), want.is_some(), "{name}, {case:?}");
                let (got, want) = (got.unwrap_or_default(), want.unwrap_or_default());
                let largest = want.iter().map(|value| value.abs()).fold(0.0, f32::max);
                for (got, want) in got.iter().zip(want) {
                    assert!(
                        (got - want).abs() <= 1e-4 * largest,
                        "{case:?} {name}: {got} is not {want}"
                    );
                }
            }
        }
    }
}
