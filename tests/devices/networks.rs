//! GoogLeNet on the device.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use lodestone_models::{GoogLeNetConfig, GoogLeNetForm, NetworkConfig};

use crate::{assert_as_on_the_cpu, clouds, device, tolerance};

#[test]
fn googlenet_has_the_features_of_the_cpu() {
    let Some(device) = device() else { return };
    let cpu = Device::flex();
    for form in [GoogLeNetForm::Bvlc, GoogLeNetForm::Torchvision] {
        let network = NetworkConfig::from(GoogLeNetConfig::new(form)).init(5, &cpu);
        let pictures = TensorData::new(clouds(2 * 3 * 96, 96, 3), [2, 3, 96, 96]);
        let features = |network: &lodestone_models::Trunk, device: &Device| -> Vec<f32> {
            let batch = Tensor::<4>::from_data(pictures.clone(), device);
            network.forward(batch).into_data().try_to_vec().unwrap()
        };
        let expected = features(&network, &cpu);
        let found = features(&network.to_device(&device), &device);
        assert_as_on_the_cpu(&format!("{form:?}"), &found, &expected, tolerance(1e-4));
    }
}
