//! torchvision's ResNets with filled weights: every stage, features, scores, gradients and running statistics.
//!
//! The files are made by `fixtures/parity/gen_resnets.py`. Tolerances are shares of the largest value of an array, those of
//! the other networks of torchvision.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use lodestone_kernels::{global_average, with_burn_operators};

use super::fill::{fill, symmetric};
use super::floats;
use super::torchvision::{Golden, backward, gradient, tensor};
use crate::{Auxiliary, Classifier, ClassifierConfig, NetworkConfig, ResNetConfig, WeightFile};

/// What to compare for one network.
struct Case {
    fixture: &'static str,
    network: NetworkConfig,
    /// The last is of the last block.
    gradients: [&'static str; 4],
    statistics: [&'static str; 3],
}

const RESNET_18: Case = Case {
    fixture: "resnet18",
    network: NetworkConfig::ResNet18(ResNetConfig {}),
    gradients: [
        "conv1.weight",
        "layer1.1.bn2.weight",
        "layer3.0.downsample.0.weight",
        "layer4.1.conv2.weight",
    ],
    statistics: ["bn1", "layer2.0.downsample.1", "layer4.1.bn2"],
};

const RESNET_34: Case = Case {
    fixture: "resnet34",
    network: NetworkConfig::ResNet34(ResNetConfig {}),
    gradients: [
        "conv1.weight",
        "layer1.2.bn2.weight",
        "layer3.0.downsample.0.weight",
        "layer4.2.conv2.weight",
    ],
    statistics: ["bn1", "layer2.0.downsample.1", "layer4.2.bn2"],
};

const RESNET_50: Case = Case {
    fixture: "resnet50",
    network: NetworkConfig::ResNet50(ResNetConfig {}),
    gradients: [
        "conv1.weight",
        "layer1.0.bn3.weight",
        "layer3.0.downsample.0.weight",
        "layer4.2.conv2.weight",
    ],
    statistics: ["bn1", "layer1.0.downsample.1", "layer4.2.bn3"],
};

#[test]
fn resnet18_in_use_gives_torchvisions_numbers() {
    RESNET_18.evaluation("eval", 96);
    RESNET_18.evaluation("eval65", 65);
}

#[test]
fn resnet34_in_use_gives_torchvisions_numbers() {
    RESNET_34.evaluation("eval", 96);
    RESNET_34.evaluation("eval65", 65);
}

#[test]
fn resnet50_in_use_gives_torchvisions_numbers() {
    RESNET_50.evaluation("eval", 96);
    RESNET_50.evaluation("eval65", 65);
}

#[test]
fn resnet_in_use_with_burns_operators_gives_torchvisions_numbers() {
    with_burn_operators(|| {
        RESNET_18.evaluation("eval65", 65);
        RESNET_50.evaluation("eval65", 65);
    });
}

#[test]
fn resnet18_in_training_gives_torchvisions_numbers() {
    RESNET_18.training(LAST_BLOCK);
}

#[test]
fn resnet34_in_training_gives_torchvisions_numbers() {
    RESNET_34.training(LAST_BLOCK);
}

#[test]
fn resnet50_in_training_gives_torchvisions_numbers() {
    // Winograd's sums round otherwise, so that a ReLU behind the last block, of 18 positions a channel, decides otherwise: a hundredth
    // of the largest value. With burn's operators, below, the bound of the others holds.
    RESNET_50.training([2e-2, 2e-3]);
}

#[test]
fn resnet_in_training_with_burns_operators_gives_torchvisions_numbers() {
    with_burn_operators(|| {
        RESNET_18.training(LAST_BLOCK);
        RESNET_50.training(LAST_BLOCK);
    });
}

/// Shares that a gradient of the last block may be off, of a sample's largest value and of the norm.
const LAST_BLOCK: [f32; 2] = [2e-3, 5e-4];

impl Case {
    fn evaluation(&self, mode: &str, size: usize) {
        let golden = self.golden(mode);
        let device = Device::flex().autodiff();
        // Frozen layers use running statistics; their parameters still take part in the gradient.
        let mut classifier = self.filled(&device).freeze().set_require_grad(true);
        let mut maps = symmetric("input", [2, 3, size, size], &device);
        for stage in &classifier.trunk.stages {
            maps = stage.forward(maps);
            golden.stage(&stage.name, maps.clone());
        }
        let features = global_average(maps);
        let [images, width] = features.dims();
        golden.stage("avgpool", features.clone().reshape([images, width, 1, 1]));
        let logits = floats(classifier.last.forward(features.clone()));
        golden.close("feature", &floats(features.clone()), 2e-5);
        golden.close("logits", &logits, 2e-5);
        // Without a gradient the layers take another path to the same numbers.
        let plain = classifier.valid();
        let images = symmetric("input", [2, 3, size, size], &Device::flex());
        golden.close("logits", &floats(plain.forward(images)), 2e-5);
        let gradients = backward(features);
        for name in self.gradients {
            let gradient = gradient(&mut classifier, name, &gradients);
            golden.gradient(name, &gradient, [1e-2, 2e-3]);
        }
    }

    fn training(&self, last_block: [f32; 2]) {
        let golden = self.golden("train");
        let device = Device::flex().autodiff();
        let mut classifier = self.filled(&device);
        let images: Tensor<4> = symmetric("input", [2, 3, 96, 96], &device);
        let output = classifier.forward_all(images);
        golden.close("feature", &floats(output.features.clone()), 5e-4);
        golden.close("logits", &floats(output.logits), 5e-4);
        for layer in self.statistics {
            for name in ["running_mean", "running_var"].map(|part| format!("{layer}.{part}")) {
                golden.close(&name, &tensor(&mut classifier, &name), 2e-4);
            }
        }
        let gradients = backward(output.features);
        for (index, name) in self.gradients.into_iter().enumerate() {
            let gradient = gradient(&mut classifier, name, &gradients);
            match index {
                // One value may be off for the reason given there.
                3 => golden.gradient_but_for_one(name, &gradient, last_block),
                _ => golden.gradient(name, &gradient, [0.12, 1e-2]),
            }
        }
    }

    fn filled(&self, device: &Device) -> Classifier {
        let config = ClassifierConfig {
            network: self.network.clone(),
            classes: 10,
            dropout: 0.0,
            auxiliary: Auxiliary::Without,
        };
        let mut classifier = config.init(0, device);
        fill(classifier.slots());
        classifier
    }

    fn golden(&self, mode: &str) -> Golden {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/parity");
        let path = folder.join(format!("{}.safetensors", self.fixture));
        Golden {
            file: WeightFile::read(&path).unwrap(),
            prefix: format!("{mode}.t0"),
        }
    }
}
