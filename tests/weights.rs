//! Weight files on the command line: looked into, converted, loaded in part, refused.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use image::RgbImage;
use lodestone_models::{Auxiliary, ClassifierConfig, ConvNetConfig, NetworkConfig, WeightFile};

use crate::lodestone::{SHORT, fails, lodestone, succeeds};

/// Published weights of a small network with a classifier over five classes, as `.safetensors`.
fn published(folder: &Path) -> PathBuf {
    let path = folder.join("published.safetensors");
    let config = ClassifierConfig {
        network: NetworkConfig::ConvNet(ConvNetConfig::default()),
        classes: 5,
        dropout: 0.0,
        auxiliary: Auxiliary::Without,
    };
    let classifier = config.init(1, &Device::flex());
    classifier
        .write_weights(&path, &Default::default())
        .unwrap();
    path
}

/// The same file without one of its tensors.
fn incomplete(folder: &Path) -> PathBuf {
    let mut file = WeightFile::read(&published(folder)).unwrap();
    file.tensors.remove("block2.bn.weight").unwrap();
    let path = folder.join("incomplete.safetensors");
    file.write(&path).unwrap();
    path
}

fn images(folder: &Path) -> PathBuf {
    let images = folder.join("images");
    fs::create_dir_all(&images).unwrap();
    for level in [0, 120, 240] {
        RgbImage::from_fn(40, 30, |x, _| image::Rgb([level, level, (x * 5) as u8]))
            .save(images.join(format!("{level}.png")))
            .unwrap();
    }
    images
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn weights_become_a_file_that_embeds_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (from, images) = (published(folder.path()), images(folder.path()));
    let (model, out) = (
        folder.path().join("model.safetensors"),
        folder.path().join("embeddings.npy"),
    );
    let cases: [(&[&str], usize, &str); 3] = [
        (&[], 128, "15 tensors loaded; 2 skipped: fc.bias, fc.weight"),
        (&["--classifier"], 5, "17 tensors loaded"),
        (&["--size", "20"], 128, "images of 20×20 pixels"),
    ];
    for (more, width, said) in cases {
        let mut arguments = vec!["weights", "convert", "--force", text(&from), text(&model)];
        arguments.extend(["--network", "convnet"]);
        arguments.extend(more);
        let printed = succeeds(&mut lodestone(folder.path(), &arguments));
        assert!(printed.contains(said), "{printed}");
        let arguments = ["embed", text(&model), text(&images), "-o", text(&out)];
        succeeds(&mut lodestone(folder.path(), &arguments));
        let matrix: ndarray::Array2<f32> = ndarray_npy::read_npy(&out).unwrap();
        assert_eq!(matrix.dim(), (3, width));
    }
    let inspected = succeeds(&mut lodestone(
        folder.path(),
        &["weights", "inspect", text(&model)],
    ));
    for line in [
        "block3.conv.weight  F32  [128, 64, 3, 3]",
        "embedder.network.architecture = convnet",
        "embedder.head.kind = features",
        "preprocessing.crop = 20",
        "preprocessing.channel_order = grey",
        "distance = euclidean",
    ] {
        assert!(inspected.contains(line), "{inspected}");
    }
}

#[test]
fn a_wrapped_network_is_shown_and_converted_under_its_own_names() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = WeightFile::read(&published(folder.path())).unwrap();
    let wrap = |prefix: &str, file: &mut WeightFile| {
        let named = std::mem::take(&mut file.tensors).into_iter();
        let wrapped = named.map(|(name, tensor)| (format!("{prefix}{name}"), tensor));
        file.tensors = wrapped.collect();
        let path = folder.path().join("wrapped.safetensors");
        file.write(&path).unwrap();
        path
    };
    let from = wrap("module._orig_mod.", &mut file);
    let inspect = ["weights", "inspect", text(&from)];
    let inspected = succeeds(&mut lodestone(folder.path(), &inspect));
    assert!(
        inspected.starts_with("block1.bn.bias  F32  ["),
        "{inspected}"
    );
    let to = folder.path().join("model.safetensors");
    let convert = [
        "weights",
        "convert",
        text(&from),
        text(&to),
        "--network",
        "convnet",
        "--force",
    ];
    succeeds(&mut lodestone(folder.path(), &convert));

    wrap("backbone.", &mut file);
    let error = fails(&mut lodestone(folder.path(), &convert));
    for part in [
        "`backbone.module._orig_mod.` stands before the network's names; 15 missing: block1.bn.bias,",
        " and 12 more; 17 unexpected: backbone.module._orig_mod.block1.bn.bias,",
    ] {
        assert!(error.contains(part), "{error}");
    }
    assert!(error.len() < 500, "{error}");
}

#[test]
fn missing_tensors_are_an_error_and_with_partial_a_list() {
    let folder = tempfile::tempdir().unwrap();
    let from = incomplete(folder.path());
    let to = folder.path().join("model.safetensors");
    let convert = [
        "weights",
        "convert",
        text(&from),
        text(&to),
        "--network",
        "convnet",
    ];
    let error = fails(&mut lodestone(folder.path(), &convert));
    for part in [
        "incomplete.safetensors does not fit ConvNet",
        "1 missing: block2.bn.weight",
    ] {
        assert!(error.contains(part), "{error}");
    }
    assert!(!to.exists());
    let partial = [&convert[..], &["--partial"]].concat();
    let printed = succeeds(&mut lodestone(folder.path(), &partial));
    assert!(
        printed.contains("1 missing, kept as they were: block2.bn.weight"),
        "{printed}"
    );

    let run = folder.path().join("run");
    let mut train = vec!["train", "--config", "tests/run-files/softmax.toml"];
    train.extend(["--out", text(&run), "--weights", text(&from)]);
    train.extend(SHORT);
    train.extend(["--set", "model.network.width=32"]);
    let quiet = [&train[..], &["--quiet"]].concat();
    let error = fails(&mut lodestone(folder.path(), &quiet));
    assert!(error.contains("1 missing: block2.bn.weight"), "{error}");
    train.push("--partial");
    let output = lodestone(folder.path(), &train).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    for part in [
        "1 missing, kept as they were: block2.bn.weight",
        "2 replaced: fc.bias is [5] in the file and [16] in the network",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn files_that_hold_no_weights_are_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read(published(folder.path())).unwrap();
    let call =
        b"\x80\x02}X\x05\x00\x00\x00extracposix\nsystem\nX\x0c\x00\x00\x00touch called\x85Rs.";
    let cases: [(&str, &[u8], &str); 6] = [
        ("empty.safetensors", b"", "it is empty"),
        (
            "cut.safetensors",
            &whole[..4000],
            "not a usable weight file",
        ),
        (
            "header.safetensors",
            &whole[..100],
            "not a usable weight file",
        ),
        (
            "text.pth",
            b"no weights at all",
            "neither .safetensors nor .pth",
        ),
        (
            "zip.pth",
            b"PK\x03\x04 no archive",
            "not a usable weight file",
        ),
        (
            "call.pth",
            call,
            "extra asks for posix.system, only tensors are read",
        ),
    ];
    for (name, bytes, reason) in cases {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let error = fails(&mut lodestone(
            folder.path(),
            &["weights", "inspect", text(&path)],
        ));
        assert!(error.contains(name) && error.contains(reason), "{error}");
        let to = folder.path().join("to.safetensors");
        fails(&mut lodestone(
            folder.path(),
            &["weights", "convert", text(&path), text(&to)],
        ));
        assert!(!to.exists());
    }
    assert!(!Path::new("called").exists() && !folder.path().join("called").exists());
}

#[test]
fn images_below_the_smallest_are_refused_with_both_sizes() {
    let folder = tempfile::tempdir().unwrap();
    let from = published(folder.path());
    let to = folder.path().join("model.safetensors");
    let arguments = [
        "weights",
        "convert",
        text(&from),
        text(&to),
        "--network",
        "convnet",
        "--size",
        "3",
    ];
    let error = fails(&mut lodestone(folder.path(), &arguments));
    assert!(
        error.contains("ConvNet needs images of at least 4x4 pixels, these are 3x3"),
        "{error}"
    );
    let run = folder.path().join("run");
    let mut train = vec![
        "--quiet",
        "train",
        "--config",
        "tests/run-files/softmax.toml",
    ];
    train.extend(["--out", text(&run), "--set", "model.image_size=3"]);
    train.extend(SHORT);
    let error = fails(&mut lodestone(folder.path(), &train));
    assert!(
        error.contains("at least 4x4 pixels, these are 3x3"),
        "{error}"
    );
}

#[test]
fn every_network_is_listed_with_measured_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let table = succeeds(&mut lodestone(folder.path(), &["models"]));
    for part in [
        "| Inception V3 | 3×299×299 | 2048×8×8 | 2048 | 21,785,568 | 5,711,168,096 | 75×75 |",
        "| GoogLeNet (bvlc) | 3×224×224 | 1024×7×7 | 1024 | 5,973,552 |",
        "| ResNet-50 | 3×224×224 | 2048×7×7 | 2048 | 23,508,032 | 4,087,136,256 | 1×1 |",
        "arXiv 1512.00567",
        "3×3 where the paper has 5×5",
    ] {
        assert!(table.contains(part), "{table}");
    }
    let layers = succeeds(&mut lodestone(
        folder.path(),
        &["models", "googlenet", "--size", "64"],
    ));
    assert!(
        layers.contains("| inception5b.branch2.1 | 384×2×2 |"),
        "{layers}"
    );
    let layers = succeeds(&mut lodestone(folder.path(), &["models", "resnet18"]));
    assert!(
        layers.contains("| layer2.0.downsample.0 | 128×28×28 |"),
        "{layers}"
    );
    let error = fails(&mut lodestone(
        folder.path(),
        &["models", "inception_v3", "--size", "64"],
    ));
    assert!(
        error.contains("at least 75x75 pixels, these are 64x64"),
        "{error}"
    );
}
