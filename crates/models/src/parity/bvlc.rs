//! The pretrained network of 2014 on four photographs, against its outputs elsewhere.

use burn::tensor::{Device, Tensor, TensorData};

use prost::Message;

use super::close::assert_within;
use super::{argmax, floats, shared};
use crate::weights::caffe::{Blob, LayerOfVersion1, Net};
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
    let within = |_| 1e-4;
    assert_within("pool5", &features, &golden.values("pool5").unwrap(), within);
    assert_within("logits", &logits, &golden.values("logits").unwrap(), within);
    let classes: Vec<usize> = logits.chunks(1000).map(argmax).collect();
    assert_eq!(classes, [285, 284, 207, 208]);
}

#[test]
fn bvlc_googlenet_is_the_same_from_the_format_that_caffe_wrote() {
    let Some(weights) = shared("weights/bvlc_googlenet.safetensors") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bvlc_googlenet.caffemodel");
    let file = WeightFile::read(&weights).unwrap();
    let published = as_caffe(&file).encode_to_vec();
    lodestone_files::write_whole(&path, |file| file.write_all(&published)).unwrap();

    let device = Device::flex();
    let features = |path: &std::path::Path| {
        let network = NetworkConfig::GoogLeNet(GoogLeNetConfig::new(GoogLeNetForm::Bvlc));
        let head = HeadConfig::new(1000);
        let mut embedder = EmbedderConfig { network, head }.init(0, &device);
        let report = embedder
            .load_pretrained(path, LoadOptions::default())
            .unwrap();
        let ramp = (0..3 * 64 * 64).map(|place| (place % 251) as f32 - 125.0);
        let input = TensorData::new(ramp.collect::<Vec<f32>>(), [1, 3, 64, 64]);
        (
            report,
            floats(embedder.forward(Tensor::from_data(input, &device))),
        )
    };
    let (published, ours) = (features(&path), features(&weights));
    assert_eq!(published.1, ours.1);
    assert_eq!((published.0.loaded, ours.0.loaded), (116, 116));
    // The published file also holds the classifiers that helped in training.
    assert_eq!(
        published.0.skipped,
        ["loss1/conv.bias", "loss1/conv.weight"]
    );
}

/// The tensors of a file as Caffe published them: layers of the first version, four extents for each blob, and beside them a
/// layer that was needed in training only.
fn as_caffe(file: &WeightFile) -> Net {
    let blob = |key: &str| {
        let mut extents = file.tensors[key].shape.clone();
        while extents.len() < 4 {
            extents.insert(0, 1);
        }
        let extent = |place: usize| i32::try_from(extents[place]).ok();
        Blob {
            num: extent(0),
            channels: extent(1),
            height: extent(2),
            width: extent(3),
            data: file.values(key).unwrap(),
            shape: None,
        }
    };
    let layer = |name: &str, blobs| LayerOfVersion1 {
        name: Some(name.to_owned()),
        blobs,
    };
    let names = file
        .tensors
        .keys()
        .filter_map(|key| key.strip_suffix(".weight"));
    let mut layers: Vec<LayerOfVersion1> = names
        .map(|name| {
            layer(
                name,
                vec![
                    blob(&format!("{name}.weight")),
                    blob(&format!("{name}.bias")),
                ],
            )
        })
        .collect();
    let blobs = ["weight", "bias"].map(|part| blob(&format!("conv2/3x3_reduce.{part}")));
    layers.push(layer("loss1/conv", blobs.to_vec()));
    Net {
        name: Some("GoogleNet".to_owned()),
        first: layers,
        second: Vec::new(),
    }
}
