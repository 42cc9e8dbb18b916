//! GoogLeNet and ResNet on the device.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use lodestone_models::{GoogLeNetConfig, GoogLeNetForm, NetworkConfig, ResNetConfig};

use crate::{assert_as_on_the_cpu, clouds, device, tolerance};

#[test]
fn googlenet_has_the_features_of_the_cpu() {
    for form in [GoogLeNetForm::Bvlc, GoogLeNetForm::Torchvision] {
        compare(&GoogLeNetConfig::new(form).into());
    }
}

#[test]
fn resnet_has_the_features_of_the_cpu() {
    compare(&NetworkConfig::ResNet18(ResNetConfig {}));
    compare(&NetworkConfig::ResNet50(ResNetConfig {}));
}

/// Through normalisation by the batch and the sums of residual blocks.
#[test]
fn resnet_has_the_gradients_of_the_cpu() {
    let Some(device) = device() else { return };
    let cpu = Device::flex();
    let pictures = TensorData::new(clouds(4 * 3 * 64, 64, 3), [4, 3, 64, 64]);
    let gradient = |device: &Device| -> Vec<f32> {
        let device = device.clone().autodiff();
        // Parameters are drawn on the host: the same seed is the same network.
        let network = NetworkConfig::ResNet18(ResNetConfig {}).init(5, &device);
        let stage = network.stage("layer1").unwrap();
        let batch = Tensor::<4>::from_data(pictures.clone(), &device).require_grad();
        // Behind one layer: further up, a ReLU that another rounding decides otherwise is more than rounding.
        let maps = network.forward_until(batch.clone(), stage);
        let gradients = maps.square().mean().backward();
        let gradient = batch.grad(&gradients).unwrap();
        gradient.into_data().try_to_vec().unwrap()
    };
    let (found, expected) = (gradient(&device), gradient(&cpu));
    let norm = |values: &[f32]| {
        let squares = values.iter().map(|&value| f64::from(value).powi(2));
        squares.sum::<f64>().sqrt()
    };
    let apart: Vec<f32> = found.iter().zip(&expected).map(|(a, b)| a - b).collect();
    let share = norm(&apart) / norm(&expected);
    assert!(
        share < f64::from(tolerance(1e-3)),
        "gradients differ by {share} of their length"
    );
}

fn compare(network: &NetworkConfig) {
    let Some(device) = device() else { return };
    let cpu = Device::flex();
    let name = network.name();
    let network = network.init(5, &cpu);
    let pictures = TensorData::new(clouds(2 * 3 * 96, 96, 3), [2, 3, 96, 96]);
    let features = |network: &lodestone_models::Trunk, device: &Device| -> Vec<f32> {
        let batch = Tensor::<4>::from_data(pictures.clone(), device);
        network.forward(batch).into_data().try_to_vec().unwrap()
    };
    let expected = features(&network, &cpu);
    let found = features(&network.to_device(&device), &device);
    assert_as_on_the_cpu(name, &found, &expected, tolerance(1e-4));
}
