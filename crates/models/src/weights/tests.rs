//! Weight files that are whole, that are damaged, and that other programs wrote or read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use proptest::prelude::*;
use safetensors::{Dtype, tensor::TensorView};
use tempfile::TempDir;

use crate::parity::skipped;
use crate::weights::{self, LoadOptions, WeightFile, WeightsError};
use crate::{
    Auxiliary, Classifier, ClassifierConfig, ConvNetConfig, Distance, Embedder, EmbedderConfig,
    GoogLeNetConfig, GoogLeNetForm, HeadConfig, InceptionV3Config, Model, ModelDescription,
    NetworkConfig, Preprocessing,
};

fn embedder(seed: u64) -> Embedder {
    let network = NetworkConfig::ConvNet(ConvNetConfig {
        image_channels: 1,
        width: 4,
    });
    EmbedderConfig {
        network,
        head: HeadConfig::new(8),
    }
    .init(seed, &Device::flex())
}

/// A folder with the weights of a small embedder.
fn written() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    weights::write(&path, &embedder(1).slots(), &BTreeMap::new()).unwrap();
    (folder, path)
}

fn load(path: &Path) -> Result<crate::LoadReport, String> {
    let loaded = embedder(2).load_pretrained(path, LoadOptions::default());
    loaded.map_err(|error| error.to_string())
}

/// All tensors of a network with their names, for comparison.
fn values(embedder: &mut Embedder) -> Vec<(String, Vec<f32>)> {
    embedder
        .slots()
        .iter()
        .map(|slot| (slot.name.clone(), slot.values()))
        .collect()
}

/// Rewrites a file after `change` has had its tensors as (type, shape, bytes).
fn rewrite(path: &Path, change: impl Fn(&mut BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>)) {
    let bytes = std::fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors = file
        .iter()
        .map(|(name, view)| {
            let content = (view.dtype(), view.shape().to_vec(), view.data().to_vec());
            (name.to_owned(), content)
        })
        .collect();
    change(&mut tensors);
    let views = tensors.iter().map(|(name, (dtype, shape, bytes))| {
        (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    let bytes = safetensors::serialize(views, None).unwrap();
    lodestone_files::write_whole(path, |file| file.write_all(&bytes)).unwrap();
}

#[test]
fn what_is_written_is_read_again() {
    let (_folder, path) = written();
    let mut again = embedder(2);
    let report = again
        .load_pretrained(&path, LoadOptions::default())
        .unwrap();
    // Three blocks of one convolution and four values of its normalisation, weight and bias of the head.
    assert_eq!(
        (report.loaded, report.missing, report.replaced),
        (17, vec![], vec![])
    );
    assert_eq!(values(&mut again), values(&mut embedder(1)));
}

#[test]
fn equal_networks_give_equal_files() {
    let ((_first, first), (_second, second)) = (written(), written());
    assert_eq!(
        std::fs::read(first).unwrap(),
        std::fs::read(second).unwrap()
    );
}

#[test]
fn floats_of_other_widths_are_converted() {
    for (dtype, within) in [(Dtype::F64, 0.0), (Dtype::F16, 1e-3), (Dtype::BF16, 1e-2)] {
        let (_folder, path) = written();
        rewrite(&path, |tensors| {
            for (old, _, bytes) in tensors.values_mut() {
                let floats = bytes
                    .as_chunks()
                    .0
                    .iter()
                    .map(|&chunk| f32::from_le_bytes(chunk));
                *bytes = match dtype {
                    Dtype::F64 => floats.flat_map(|f| f64::from(f).to_le_bytes()).collect(),
                    Dtype::F16 => floats
                        .flat_map(|f| half::f16::from_f32(f).to_le_bytes())
                        .collect(),
                    _ => floats
                        .flat_map(|f| half::bf16::from_f32(f).to_le_bytes())
                        .collect(),
                };
                *old = dtype;
            }
        });
        let mut again = embedder(2);
        again
            .load_pretrained(&path, LoadOptions::default())
            .unwrap();
        for ((name, got), (_, want)) in values(&mut again).iter().zip(values(&mut embedder(1))) {
            for (got, want) in got.iter().zip(want) {
                assert!(
                    (got - want).abs() <= within * want.abs(),
                    "{dtype:?} {name}"
                );
            }
        }
    }
}

#[test]
fn damaged_files_are_refused_by_name_and_reason() {
    let check = |damage: &dyn Fn(&Path), reason: &str| {
        let (_folder, path) = written();
        damage(&path);
        let error = load(&path).unwrap_err();
        assert!(
            error.contains("weights.safetensors"),
            "{error} does not name the file"
        );
        assert!(error.contains(reason), "`{error}` does not say `{reason}`");
        assert!(!error.contains('\n'), "{error} has several lines");
    };
    let overwrite = |path: &Path, bytes: &[u8]| {
        lodestone_files::write_whole(path, |file| file.write_all(bytes)).unwrap();
    };
    let keep = |path: &Path, length: usize| {
        let bytes = std::fs::read(path).unwrap();
        overwrite(path, &bytes[..length]);
    };
    check(&|path| std::fs::remove_file(path).unwrap(), "cannot read");
    check(&|path| keep(path, 4000), "not a usable weight file");
    check(&|path| keep(path, 100), "not a usable weight file");
    check(&|path| overwrite(path, b""), "is empty");
    check(
        &|path| overwrite(path, b"a text, surely no weights"),
        "neither .safetensors nor",
    );
    check(
        &|path| overwrite(path, b"PK\x03\x04 no archive"),
        "not a usable weight file",
    );
    let nan = |tensors: &mut BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>| {
        let (_, _, bytes) = tensors.get_mut("fc.bias").unwrap();
        bytes[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    };
    check(
        &|path| rewrite(path, nan),
        "tensor `fc.bias` [8] holds NaN at 0",
    );
    let integer = |tensors: &mut BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>| {
        tensors.get_mut("block1.bn.bias").unwrap().0 = Dtype::I32;
    };
    check(
        &|path| rewrite(path, integer),
        "tensor `block1.bn.bias` [4] has type I32",
    );
}

#[test]
fn all_differences_are_listed_and_nothing_is_loaded() {
    let (_folder, path) = written();
    rewrite(&path, |tensors| {
        let tensor = tensors.remove("block2.bn.weight").unwrap();
        tensors.insert("stranger".to_owned(), tensor);
        tensors.get_mut("block1.conv.weight").unwrap().1 = vec![4, 9, 1, 1];
        let counter = (Dtype::I64, vec![], vec![0; 8]);
        tensors.insert("block1.bn.num_batches_tracked".to_owned(), counter);
    });
    let mut network = embedder(2);
    let error = network
        .load_pretrained(&path, LoadOptions::default())
        .unwrap_err();
    assert!(
        error.to_string().ends_with(
            "weights.safetensors does not fit ConvNet: 1 missing: block2.bn.weight; 1 unexpected: stranger; 1 of another \
             shape: block1.conv.weight is [4, 9, 1, 1] in the file and [4, 1, 3, 3] in the network"
        ),
        "{error}"
    );
    assert_eq!(values(&mut network), values(&mut embedder(2)));
}

#[test]
fn partial_loading_keeps_and_lists_what_is_missing() {
    let (_folder, path) = written();
    rewrite(&path, |tensors| {
        tensors.remove("block2.bn.weight").unwrap();
    });
    let partial = LoadOptions { partial: true };
    let report = embedder(2).load_pretrained(&path, partial).unwrap();
    assert_eq!(
        (report.loaded, report.missing),
        (16, vec!["block2.bn.weight".to_owned()])
    );
}

#[test]
fn a_classifier_of_another_size_is_replaced_and_said_so() {
    let (_folder, path) = written();
    let network = embedder(2).config().network.clone();
    let mut wider = EmbedderConfig {
        network,
        head: HeadConfig::new(5),
    }
    .init(2, &Device::flex());
    let report = wider
        .load_pretrained(&path, LoadOptions::default())
        .unwrap();
    let replaced: Vec<String> = report.replaced.iter().map(ToString::to_string).collect();
    assert_eq!(
        replaced,
        [
            "fc.bias is [8] in the file and [5] in the network",
            "fc.weight is [8, 16] in the file and [5, 16] in the network",
        ]
    );
    assert_eq!(report.loaded, 15);
}

#[test]
fn a_report_is_one_line() {
    let (_folder, path) = written();
    let network = embedder(2).config().network.clone();
    let head = HeadConfig::new(5);
    let mut wider = EmbedderConfig { network, head }.init(2, &Device::flex());
    let report = wider
        .load_pretrained(&path, LoadOptions::default())
        .unwrap();
    assert_eq!(
        report.to_string(),
        "15 tensors loaded; 2 replaced: fc.bias is [8] in the file and [5] in the network, fc.weight is [8, 16] in the \
         file and [5, 16] in the network"
    );
}

#[test]
fn a_converted_file_holds_the_same_tensors() {
    let (folder, path) = written();
    let file = WeightFile::read(&path).unwrap();
    let copy = folder.path().join("copy.safetensors");
    file.write(&copy).unwrap();
    let mut again = embedder(2);
    again
        .load_pretrained(&copy, LoadOptions::default())
        .unwrap();
    assert_eq!(values(&mut again), values(&mut embedder(1)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any damage gives a network or an error, never a panic.
    #[test]
    fn no_damage_panics(place in 0usize..6000, byte: u8, cut in 0usize..6000) {
        let (_folder, path) = written();
        let mut bytes = std::fs::read(&path).unwrap();
        let length = bytes.len();
        bytes[place % length] = byte;
        bytes.truncate(length - cut % length);
        lodestone_files::write_whole(&path, |file| file.write_all(&bytes)).unwrap();
        if let Err(error) = load(&path) {
            prop_assert!(error.contains("weights.safetensors"), "{}", error);
        }
        let _ = Model::read(&path, &Device::flex());
    }
}

#[test]
fn a_model_without_its_description_is_refused() {
    let (_folder, path) = written();
    let error = Model::read(&path, &Device::flex()).unwrap_err();
    assert!(matches!(error, WeightsError::Description { .. }), "{error}");
    assert!(
        error.to_string().contains("missing field `embedder`"),
        "{error}"
    );
}

#[test]
fn a_model_whose_description_asks_for_nonsense_is_refused() {
    let (folder, path) = written();
    let description = ModelDescription {
        embedder: embedder(1).config().clone(),
        preprocessing: Preprocessing::grey(28, 0.5, 0.5),
        distance: Distance::Euclidean,
        class_names: vec![],
    };
    let check = |key: &str, value: &str, reason: &str| {
        let mut file = WeightFile::read(&path).unwrap();
        file.metadata = description.to_metadata();
        file.metadata.insert(key.to_owned(), value.to_owned());
        let changed = folder.path().join("changed.safetensors");
        file.write(&changed).unwrap();
        let error = Model::read(&changed, &Device::flex())
            .unwrap_err()
            .to_string();
        assert!(error.contains(reason), "`{error}` does not say `{reason}`");
    };
    check(
        "embedder.head.embedding_size",
        "0",
        "embedding_size is 0, must be from 1",
    );
    check(
        "embedder.head.embedding_size",
        "9",
        "fc.bias is [8] in the file and [9] in the",
    );
    check(
        "embedder.network.width",
        "9999999999",
        "width is 9999999999, must be from 1",
    );
    check("embedder.head.kind", "spline", "unknown variant `spline`");
    check(
        "preprocessing.crop",
        "large",
        "invalid type: string \"large\", expected usize",
    );
    check("preprocessing.zoom", "2", "unknown field `zoom`");
}

/// Runs the Python of the variable `PYTHON`, or `python3`, where it can import torchvision.
fn python(folder: &Path, script: &str) -> bool {
    let python = std::env::var_os("PYTHON").unwrap_or("python3".into());
    let run = |script: &str| {
        let mut command = Command::new(&python);
        command.current_dir(folder).args(["-c", script]).output()
    };
    let usable = run("import torchvision, safetensors.torch");
    if !usable.is_ok_and(|output| output.status.success()) {
        skipped(&format!(
            "{python:?} has no torchvision; set PYTHON to one that has"
        ));
        return false;
    }
    let output = run(script).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    true
}

#[test]
fn files_of_torch_are_read_in_both_formats_and_foreign_objects_refused() {
    let folder = tempfile::tempdir().unwrap();
    weights::write(
        &folder.path().join("a.safetensors"),
        &embedder(1).slots(),
        &BTreeMap::new(),
    )
    .unwrap();
    let script = r#"
import os, torch
from safetensors.torch import load_file
weights = load_file("a.safetensors")
weights["block1.bn.num_batches_tracked"] = torch.tensor(3)
torch.save(weights, "zip.pth")
torch.save(weights, "legacy.pth", _use_new_zipfile_serialization=False)
torch.save({"state_dict": {"module." + k: v for k, v in weights.items()}, "epoch": 4}, "checkpoint.pth")
class Call:
    def __reduce__(self):
        return os.system, ("touch called",)
torch.save({**weights, "extra": Call()}, "call.pth")
torch.save({"fc.weight": torch.zeros(1).expand(1000, 1000, 100)}, "bomb.pth")
"#;
    if !python(folder.path(), script) {
        return;
    }
    for name in ["zip.pth", "legacy.pth", "checkpoint.pth"] {
        let mut again = embedder(2);
        let report = again.load_pretrained(&folder.path().join(name), LoadOptions::default());
        assert_eq!(report.unwrap().loaded, 17, "{name}");
        assert_eq!(values(&mut again), values(&mut embedder(1)), "{name}");
    }
    let error = load(&folder.path().join("call.pth")).unwrap_err();
    assert!(
        error.contains("extra asks for posix.system, only tensors are read"),
        "{error}"
    );
    assert!(!folder.path().join("called").exists(), "the pickle was run");
    let error = load(&folder.path().join("bomb.pth")).unwrap_err();
    assert!(
        error.contains("would unpack to 400000000 bytes of tensors"),
        "{error}"
    );
}

#[test]
fn torchvision_takes_our_files_and_computes_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let device = Device::flex();
    let cases = [
        (
            "googlenet",
            GoogLeNetConfig::new(GoogLeNetForm::Torchvision).into(),
            64,
        ),
        ("inception_v3", InceptionV3Config::default().into(), 96),
    ];
    let write = |name: &str, network: &NetworkConfig| {
        let auxiliary = Auxiliary::With { dropout: 0.7 };
        let config = ClassifierConfig {
            network: network.clone(),
            classes: 7,
            dropout: 0.0,
            auxiliary,
        };
        let classifier: Classifier = config.init(3, &device);
        let path = folder.path().join(format!("{name}.safetensors"));
        classifier.write_weights(&path, &BTreeMap::new()).unwrap();
        classifier
    };
    let classifiers = cases
        .each_ref()
        .map(|(name, network, _)| write(name, network));
    let script = r#"
import torch, torchvision
from safetensors.torch import load_file, save_file
for name, size in (("googlenet", 64), ("inception_v3", 96)):
    model = getattr(torchvision.models, name)(num_classes=7, aux_logits=True, init_weights=False)
    weights = load_file(name + ".safetensors")
    model.load_state_dict(weights)
    with torch.no_grad():
        save_file({"logits": model.eval()(torch.ones(1, 3, size, size))}, name + "_logits.safetensors")
"#;
    if !python(folder.path(), script) {
        return;
    }
    for ((name, _, size), classifier) in cases.iter().zip(classifiers) {
        let file = WeightFile::read(&folder.path().join(format!("{name}_logits.safetensors")));
        let want = file.unwrap().values("logits").unwrap();
        let logits = classifier
            .valid()
            .forward(Tensor::ones([1, 3, *size, *size], &device));
        for (got, want) in logits.into_data().iter::<f32>().zip(want) {
            assert!(
                (got - want).abs() <= 1e-4 * want.abs().max(1e-3),
                "{name}: {got} is not {want}"
            );
        }
    }
}
