//! Batch normalisation on or off: found by the name of its layers, wherever they are in a network.

use burn::module::{Flag, Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// What burn calls the container of such a layer.
const CONTAINER: &str = "BatchNorm";

/// The module with running statistics throughout, scale and shift as they are.
pub(crate) fn freeze<M: Module>(module: M) -> M {
    struct Freeze {
        depth: usize,
    }
    impl ModuleMapper for Freeze {
        fn enter_module(&mut self, _: &str, container: &str) {
            self.depth += usize::from(container.ends_with(CONTAINER));
        }
        fn exit_module(&mut self, _: &str, container: &str) {
            self.depth -= usize::from(container.ends_with(CONTAINER));
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            if self.depth > 0 {
                param.set_require_grad(false)
            } else {
                param
            }
        }
        fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
            if self.depth > 0 {
                flag.with_value(false)
            } else {
                flag
            }
        }
    }
    module.map(&mut Freeze { depth: 0 })
}

/// Whether any layer of the module normalises by the statistics of its batch in training.
pub(crate) fn learns<M: Module>(module: &M) -> bool {
    struct Learns {
        depth: usize,
        found: bool,
    }
    impl ModuleVisitor for Learns {
        fn enter_module(&mut self, _: &str, container: &str) {
            self.depth += usize::from(container.ends_with(CONTAINER));
        }
        fn exit_module(&mut self, _: &str, container: &str) {
            self.depth -= usize::from(container.ends_with(CONTAINER));
        }
        fn visit_flag(&mut self, flag: &Param<Flag>) {
            self.found |= self.depth > 0 && flag.is_enabled();
        }
    }
    let mut learns = Learns {
        depth: 0,
        found: false,
    };
    module.visit(&mut learns);
    learns.found
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};
    use lodestone_models::{ConvNetConfig, EmbedderConfig, HeadConfig, HeadKind, NetworkConfig};

    use super::*;

    #[test]
    fn a_frozen_network_answers_in_training_as_in_use_and_keeps_learning_elsewhere() {
        let device = Device::flex().autodiff();
        for kind in [HeadKind::Linear, HeadKind::LinearNorm] {
            let config = EmbedderConfig {
                network: NetworkConfig::ConvNet(ConvNetConfig {
                    image_channels: 1,
                    width: 4,
                }),
                head: HeadConfig {
                    kind,
                    ..HeadConfig::new(3)
                },
            };
            let images = Tensor::random([2, 1, 28, 28], Distribution::Default, &device);
            let learning = config.init(0, &device);
            assert!(learns(&learning));
            let frozen = freeze(learning);
            assert!(!learns(&frozen));
            let trained = frozen.forward(images.clone());
            let used = frozen.valid().forward(images.clone().inner());
            trained.clone().inner().into_data().assert_approx_eq::<f32>(
                &used.into_data(),
                burn::tensor::Tolerance::rel_abs(1e-5, 1e-6),
            );
            let gradients = trained.sum().backward();
            let gradients = burn::optim::GradientsParams::from_grads(gradients, &frozen);
            // Three convolutions, and weight and bias of the head's linear layer.
            assert_eq!(gradients.len(), 5);
        }
    }
}
