//! Weight files on the command line: looked into, converted, loaded in part, refused.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use image::RgbImage;
use lodestone_models::{
    Auxiliary, ClassifierConfig, ConvNetConfig, NetworkConfig, ResNetConfig, WeightFile,
};

use serde_json::Value;

use crate::data::picture;
use crate::lodestone::{SHORT, fails, lodestone, repository, succeeds};

/// Published weights of a small network with a classifier over five classes, as `.safetensors`.
fn published(folder: &Path) -> PathBuf {
    let network = NetworkConfig::ConvNet(ConvNetConfig::default());
    weights_of(network, &folder.join("published.safetensors"))
}

/// Weights as torchvision names those of ResNet-18, with a classifier over five classes.
fn resnet(folder: &Path) -> PathBuf {
    let network = NetworkConfig::ResNet18(ResNetConfig {});
    weights_of(network, &folder.join("resnet18.safetensors"))
}

fn weights_of(network: NetworkConfig, path: &Path) -> PathBuf {
    let config = ClassifierConfig {
        network,
        classes: 5,
        dropout: 0.0,
        auxiliary: Auxiliary::Without,
    };
    let classifier = config.init(1, &Device::flex());
    classifier.write_weights(path, &Default::default()).unwrap();
    path.to_path_buf()
}

/// The small network's file without one of its tensors.
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
        "distance = cosine",
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

/// Pictures in one folder, without class folders.
fn loose(folder: &Path, count: u32) -> PathBuf {
    let loose = folder.join("lose Bilder");
    fs::create_dir_all(&loose).unwrap();
    for number in 0..count {
        picture(number)
            .save(loose.join(format!("{number}.png")))
            .unwrap();
    }
    loose
}

#[test]
fn published_weights_search_photographs_without_classes_in_two_commands() {
    let folder = tempfile::tempdir().unwrap();
    let ours = |arguments: &[&str]| lodestone(folder.path(), arguments);
    let (weights, photographs) = (resnet(folder.path()), loose(folder.path(), 6));
    let index = folder.path().join("photographs.index");
    let (weights, index) = (text(&weights), text(&index));
    let build = ["-q", "index", "build", index, text(&photographs)];
    let build = [&build[..], &["--model", weights]].concat();
    let printed = succeeds(&mut ours(&build));
    assert!(
        printed.contains("6 photographs without classes, 512 values each, exact"),
        "{printed}"
    );
    let third = photographs.join("3.png");
    let search = ["search", weights, index, text(&third), "-k", "2"];
    let printed = succeeds(&mut ours(&search));
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[0], format!("{}: nearest", third.display()));
    assert_eq!(lines.len(), 3);
    assert!(lines[1].ends_with(&format!("  {}", third.display())));
    assert!(
        !printed.contains("unknown") && !printed.contains('%'),
        "{printed}"
    );
    let printed = succeeds(&mut ours(&[&search[..], &["--json"]].concat()));
    let answer: Value = serde_json::from_str(&printed).unwrap();
    assert!(answer["nearest"][0]["distance"].as_f64().unwrap() < 1e-3);
    assert_eq!(answer["classes"], Value::Array(Vec::new()));
    assert!(answer["unknown"].is_null() && answer["familiarity"].is_null());
    let said = succeeds(&mut ours(&["index", "info", index]));
    assert_eq!(said.lines().count(), 1, "{said}");

    // A further one of no class is taken; one with a class beside them is not, nor one without among some with.
    let another = folder.path().join("another.png");
    picture(40).save(&another).unwrap();
    let add = ["-q", "index", "add", index, text(&another)];
    let add = [&add[..], &["--model", weights]].concat();
    let printed = succeeds(&mut ours(&add));
    assert!(
        printed.contains("7 photographs without classes"),
        "{printed}"
    );
    let error = fails(&mut ours(&[&add[..], &["--class", "cups"]].concat()));
    assert!(
        error.contains(
            "another.png is of the class cups, but the photographs of the index have none"
        ),
        "{error}"
    );
    fs::create_dir(photographs.join("cups")).unwrap();
    picture(41).save(photographs.join("cups/41.png")).unwrap();
    let error = fails(&mut ours(&[&build[..], &["--force"]].concat()));
    assert!(
        error.contains("0.png lies in no class folder, but")
            && error.contains("41.png in that of cups: say with --class"),
        "{error}"
    );
    let error = fails(&mut ours(&["index", "remove", index, "--class", "cups"]));
    assert!(error.contains("have no classes"), "{error}");
}

#[test]
fn published_weights_embed_as_the_model_that_is_made_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let ours = |arguments: &[&str]| succeeds(&mut lodestone(folder.path(), arguments));
    let (weights, photographs) = (resnet(folder.path()), loose(folder.path(), 3));
    let (weights, photographs) = (text(&weights), text(&photographs));
    let inspected = ours(&["weights", "inspect", weights]);
    let said = "as a model: ResNet-18, embeddings of 512 values from images of 224×224 pixels, compared by cosine";
    assert!(inspected.contains(said), "{inspected}");
    let [described, model] =
        ["described", "model"].map(|name| folder.path().join(format!("{name}.safetensors")));
    let printed = ours(&["weights", "convert", weights, text(&described)]);
    assert!(printed.contains("ResNet-18"), "{printed}");
    let inspected = ours(&["weights", "inspect", text(&described)]);
    for line in [
        "fc.weight  F32  [5, 512]",
        "embedder.network.architecture = resnet18",
        "preprocessing.crop = 224",
        "distance = cosine",
    ] {
        assert!(inspected.contains(line), "{inspected}");
    }
    let convert = ["weights", "convert", weights, text(&model)];
    ours(&[&convert[..], &["--network", "resnet18"]].concat());
    let embed = |model: &str, name: &str| -> ndarray::Array2<f32> {
        let out = folder.path().join(name);
        ours(&["-q", "embed", model, photographs, "-o", text(&out)]);
        ndarray_npy::read_npy(&out).unwrap()
    };
    let embeddings = embed(weights, "e.npy");
    assert_eq!(embeddings.dim(), (3, 512));
    for row in embeddings.rows() {
        let length = row.dot(&row).sqrt();
        assert!((length - 1.0).abs() < 1e-4, "{length}");
    }
    assert_eq!(embed(text(&described), "d.npy"), embeddings);
    assert_eq!(embed(text(&model), "m.npy"), embeddings);
}

#[test]
fn published_weights_make_a_page_and_clusters_of_a_folder_and_are_judged_by_any_run_file() {
    let folder = tempfile::tempdir().unwrap();
    let ours = |arguments: &[&str]| lodestone(folder.path(), arguments);
    let weights = resnet(folder.path());
    let weights = text(&weights);
    let photographs = folder.path().join("photographs");
    for (class, name) in ["cups", "plates"].iter().enumerate() {
        fs::create_dir_all(photographs.join(name)).unwrap();
        for number in 0..5 {
            let path = photographs.join(name).join(format!("{number}.png"));
            picture(100 * class as u32 + number).save(path).unwrap();
        }
    }
    let source = text(&photographs);
    let printed = succeeds(&mut ours(&["-q", "report", source, "--model", weights]));
    assert!(
        printed.contains("photographs.html: 10 photographs, precision_at_1"),
        "{printed}"
    );
    let clusters = ["-q", "clusters", source, "--model", weights];
    let printed = succeeds(&mut ours(&[&clusters[..], &["--clusters", "2"]].concat()));
    assert!(
        printed.contains("4 clusters of 10 images in 2 classes"),
        "{printed}"
    );
    for made in ["photographs.html", "photographs.png"] {
        assert!(folder.path().join(made).exists(), "{made}");
    }
    let error = fails(&mut ours(&["report", source]));
    assert!(
        error.contains("has no run.toml, so it is no run") && error.contains("--model"),
        "{error}"
    );

    // The run file names a small network, which these weights are not of.
    let file = folder.path().join("run.toml");
    succeeds(&mut ours(&["init", source, "--out", text(&file)]));
    let evaluate = ["evaluate", "--frozen", "--json", "--config", text(&file)];
    let evaluate = [&evaluate[..], &["--weights", weights]].concat();
    let output = ours(&evaluate).current_dir(folder.path()).output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // The trunk of ResNet-18 has 20 convolutions, each with a normalisation of four tensors.
    let loaded = "resnet18.safetensors: 100 tensors loaded";
    assert!(said.contains(loaded), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["notes"]["loss"], "none: frozen features");
    assert!(!report["measures"].as_object().unwrap().is_empty());

    // Without class folders no neighbour is right or wrong.
    let loose = loose(folder.path(), 6);
    let printed = succeeds(&mut ours(&[
        "-q",
        "report",
        text(&loose),
        "--model",
        weights,
    ]));
    assert!(
        printed.contains("6 photographs;") && !printed.contains("precision"),
        "{printed}"
    );
}

#[test]
fn what_is_no_model_is_told_with_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let ours = |arguments: &[&str]| lodestone(folder.path(), arguments);
    let (weights, photographs) = (resnet(folder.path()), loose(folder.path(), 2));
    let (weights, source) = (text(&weights), text(&photographs));
    let [index, embeddings] = ["x.index", "e.safetensors"].map(|name| folder.path().join(name));
    let build = ["-q", "index", "build", text(&index), source];
    succeeds(&mut ours(&[&build[..], &["--model", weights]].concat()));
    succeeds(&mut ours(&[
        "-q",
        "embed",
        weights,
        source,
        "-o",
        text(&embeddings),
    ]));
    let small = published(folder.path());
    let picture = photographs.join("0.png");
    let gone = folder.path().join("gone.pth");
    let cases: [(&Path, &[&str]); 6] = [
        (
            &photographs,
            &["is a folder without model.safetensors", "published weights"],
        ),
        (
            &index,
            &["x.index holds an index and no model: name the model"],
        ),
        (
            &embeddings,
            &["e.safetensors holds embeddings and no model"],
        ),
        (
            &small,
            &[
                "published.safetensors holds 17 tensors, the first of which is `block1.bn.bias`",
                "ResNet-50; if they are of another one",
                "lodestone weights convert",
            ],
        ),
        (&picture, &["0.png is not a usable weight file"]),
        (&gone, &["cannot read", "gone.pth"]),
    ];
    let out = folder.path().join("out.npy");
    for (model, parts) in cases {
        let error = fails(&mut ours(&["embed", text(model), source, "-o", text(&out)]));
        for part in parts {
            assert!(error.contains(part), "{error}");
        }
        let photo = text(&picture);
        fails(&mut ours(&["search", text(model), text(&index), photo]));
    }
    assert!(!out.exists());
}

#[test]
fn googlenet_of_the_bvlc_names_photographs_of_class_folders() {
    let weights = repository().join("../shared/weights/bvlc_googlenet.safetensors");
    if !weights.exists() {
        eprintln!("skipped: {} is absent", weights.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let photographs = folder.path().join("photographs");
    // Stripes and discs of other widths and colours.
    let drawn = |kind: usize, number: u32| {
        RgbImage::from_fn(96, 96, |x, y| {
            let (dx, dy) = (x as i32 - 48, y as i32 - 48);
            let inside = match kind {
                0 => (x / (6 + number)).is_multiple_of(2),
                _ => dx * dx + dy * dy < (18 + 3 * number as i32).pow(2),
            };
            let shade = 140 + 10 * number as u8;
            image::Rgb(if inside {
                [shade, 60, 50]
            } else {
                [230, shade, 240]
            })
        })
    };
    for (kind, class) in ["stripes", "discs"].iter().enumerate() {
        fs::create_dir_all(photographs.join(class)).unwrap();
        for number in 0..5 {
            let path = photographs.join(class).join(format!("{number}.png"));
            drawn(kind, number).save(path).unwrap();
        }
    }
    let another = folder.path().join("another.png");
    drawn(1, 6).save(&another).unwrap();
    let index = folder.path().join("photographs.index");
    let (weights, index) = (text(&weights), text(&index));
    let build = ["-q", "index", "build", index, text(&photographs)];
    let build = [&build[..], &["--model", weights]].concat();
    let printed = succeeds(&mut lodestone(folder.path(), &build));
    assert!(
        printed.contains("10 photographs of 2 classes, 1024 values each"),
        "{printed}"
    );
    let search = ["search", weights, index, text(&another), "--json"];
    let printed = succeeds(&mut lodestone(folder.path(), &search));
    let answer: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(answer["classes"][0]["class_name"], "discs", "{printed}");
    for near in answer["nearest"].as_array().unwrap().iter().take(3) {
        assert_eq!(near["class_name"], "discs", "{printed}");
    }
}
