//! Ways to train a network that a run file chooses: less memory, auxiliary classifiers, another image size.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use burn::tensor::Device;
use lodestone_models::{Auxiliary, ClassifierConfig, NetworkConfig, ResNetConfig, WeightFile};

use crate::lodestone::{SHORT, fails, lodestone, succeeds};

fn train<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["--quiet", "train", "--out", out];
    arguments.extend(["--config", "tests/run-files/softmax.toml"]);
    arguments.extend(SHORT);
    arguments.extend(more);
    arguments
}

/// The column `loss` of a run's log.
fn losses(run: &Path) -> Vec<f64> {
    let log = fs::read_to_string(run.join("log.csv")).unwrap();
    let mut lines = log.lines();
    let names = lines.next().unwrap().split(',');
    let column = names.into_iter().position(|name| name == "loss").unwrap();
    let value = |line: &str| line.split(',').nth(column).unwrap().parse().unwrap();
    lines.map(value).collect()
}

#[test]
fn gradient_checkpointing_gives_the_same_steps() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, more: &[&str]| {
        let out = folder.path().join(name);
        succeeds(&mut lodestone(
            folder.path(),
            &train(out.to_str().unwrap(), more),
        ));
        losses(&out)
    };
    let whole = run("whole", &[]);
    let segmented = run("segmented", &["--set", "model.gradient_checkpointing=true"]);
    assert_eq!(whole.len(), segmented.len());
    assert!(whole.first() > whole.last(), "{whole:?}");
    // Sums in another order round differently, and steps carry that on.
    for (step, (one, other)) in whole.iter().zip(&segmented).enumerate() {
        assert!(
            (one - other).abs() <= 1e-3 * one.abs(),
            "step {step}: {one} and {other}"
        );
    }
}

#[test]
fn auxiliary_classifiers_train_beside_the_loss_and_are_left_out_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let command = train(
        out.to_str().unwrap(),
        &[
            "--set",
            "train.images=96",
            "--set",
            "model.network={architecture=\"googlenet\",form=\"torchvision\"}",
            "--set",
            "model.image_size=32",
            "--set",
            "model.auxiliary={weight=0.3}",
        ],
    );
    succeeds(&mut lodestone(folder.path(), &command));
    assert!(losses(&out).iter().all(|loss| loss.is_finite()));
    let file = WeightFile::read(&out.join("model.safetensors")).unwrap();
    assert!(file.tensors.keys().all(|name| !name.starts_with("aux")));
    assert_eq!(file.metadata["preprocessing.crop"], "32");

    for (setting, reason) in [
        (
            "model.network={architecture=\"convnet\",image_channels=1,width=8}",
            "ConvNet has no auxiliary classifiers",
        ),
        ("model.auxiliary.weight=-1", "model.auxiliary.weight is -1"),
        ("model.freeze_until=conv1", "model.freeze_until is conv1"),
        (
            "model.network={architecture=\"inception_v3\"}",
            "needs images of at least 75x75 pixels, these are 32x32",
        ),
    ] {
        let mut wrong = command.clone();
        wrong.extend(["--force", "--set", setting]);
        let error = fails(&mut lodestone(folder.path(), &wrong));
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn a_published_resnet_is_trained_above_a_stage_and_embeds() {
    let folder = tempfile::tempdir().unwrap();
    let weights = folder.path().join("resnet50.safetensors");
    let config = ClassifierConfig {
        network: NetworkConfig::ResNet50(ResNetConfig {}),
        classes: 1000,
        dropout: 0.0,
        auxiliary: Auxiliary::Without,
    };
    let published = config.init(7, &Device::flex());
    published.write_weights(&weights, &BTreeMap::new()).unwrap();
    let out = folder.path().join("run");
    let network = "model.network={architecture=\"resnet50\"}";
    let weights_key = format!("model.weights={:?}", weights.to_str().unwrap());
    let command = train(
        out.to_str().unwrap(),
        &[
            "--set",
            "train.images=96",
            "--set",
            network,
            "--set",
            "model.image_size=32",
            "--set",
            &weights_key,
            "--set",
            "model.freeze_until=layer3",
        ],
    );
    succeeds(&mut lodestone(folder.path(), &command));
    assert!(losses(&out).iter().all(|loss| loss.is_finite()));

    let [before, after] =
        [&weights, &out.join("model.safetensors")].map(|path| WeightFile::read(path).unwrap());
    let moved = |name: &str| before.values(name).unwrap() != after.values(name).unwrap();
    assert!(!moved("conv1.weight"));
    assert!(!moved("layer3.5.bn3.running_var"));
    assert!(moved("layer4.0.downsample.0.weight"));
    assert!(moved("layer4.2.bn3.running_var"));

    let images = folder.path().join("images");
    fs::create_dir_all(&images).unwrap();
    for level in [0, 120, 240] {
        image::RgbImage::from_fn(40, 30, |x, _| image::Rgb([level, level, (x * 5) as u8]))
            .save(images.join(format!("{level}.png")))
            .unwrap();
    }
    let matrix = folder.path().join("embeddings.npy");
    let [run, images, to] = [&out, &images, &matrix].map(|path| path.to_str().unwrap());
    let arguments = ["--quiet", "embed", run, images, "-o", to];
    succeeds(&mut lodestone(folder.path(), &arguments));
    let matrix: ndarray::Array2<f32> = ndarray_npy::read_npy(&matrix).unwrap();
    assert_eq!(matrix.nrows(), 3);
    assert!(matrix.iter().all(|value| value.is_finite()));
    assert!(matrix.row(0) != matrix.row(2));

    let mut wrong = command.clone();
    wrong.extend([
        "--force",
        "--set",
        "model.network={architecture=\"resnet18\"}",
    ]);
    let error = fails(&mut lodestone(folder.path(), &wrong));
    assert!(error.contains("does not fit ResNet-18"), "{error}");
    let mut wrong = command.clone();
    wrong.extend(["--force", "--set", "model.freeze_until=layer5"]);
    let error = fails(&mut lodestone(folder.path(), &wrong));
    let stages = "conv1, maxpool, layer1, layer2, layer3, layer4";
    assert!(error.contains(stages), "{error}");
}
