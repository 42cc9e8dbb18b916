//! The pretrained network of 2014 on four photographs, against its outputs elsewhere.

use burn::tensor::{Device, Tensor, TensorData};

use super::{argmax, assert_close, floats, shared};
use crate::{
    EmbedderConfig, GoogLeNetConfig, GoogLeNetForm, HeadConfig, LoadOptions, NetworkConfig,
    WeightFile,
};

#[test]
fn bvlc_googlenet_gives_the_published_features_and_classes() {
    let Some(weights) = shared("weights/bvlc_googlenet.safetensors") else {
        return;
    };
    let Some(golden) = shared("parity/bvlc_googlenet_golden.safetensors") else {
        return;
    };
    let golden = WeightFile::read(&golden).unwrap();
    let device = Device::flex();
    let network = NetworkConfig::GoogLeNet(GoogLeNetConfig::new(GoogLeNetForm::Bvlc));
    // A linear head over 1000 classes is the classifier.
    let mut embedder = EmbedderConfig {
        network,
        head: HeadConfig::new(1000),
    }
    .init(0, &device);
    let report = embedder
        .load_pretrained(&weights, LoadOptions::default())
        .unwrap();
    assert_eq!(report.loaded, 116);

    let input = TensorData::new(golden.values("input").unwrap(), [4, 3, 224, 224]);
    let stage = embedder.trunk.stage("inception4e").unwrap();
    let maps = embedder
        .trunk
        .forward_until(Tensor::from_data(input, &device), stage);
    let features = embedder.trunk.forward_from(maps, stage);
    let logits = floats(embedder.head.forward(features.clone()));
    let features = floats(features);
    // Largest values 12.5 and 21.5: 1e-4 is the tolerance that two other implementations meet with a margin of ten.
    assert_close("pool5", &features, &golden.values("pool5").unwrap(), 1e-4);
    assert_close("logits", &logits, &golden.values("logits").unwrap(), 1e-4);
    let classes: Vec<usize> = logits.chunks(1000).map(argmax).collect();
    assert_eq!(classes, [285, 284, 207, 208]);
}
