//! Files that torch wrote or is to read; these tests need a Python with torchvision.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{embedder, load, values};
use crate::parity::skipped;
use crate::weights::{self, LoadOptions, WeightFile};
use crate::{
    Auxiliary, Classifier, ClassifierConfig, Comparison, EmbedderConfig, GoogLeNetConfig,
    GoogLeNetForm, HeadConfig, InceptionV3Config, Model, ModelDescription, NetworkConfig,
    ResNetConfig,
};

/// Runs the Python of the variable `LODESTONE_PYTHON`, or `python3`, where it can import torchvision.
fn python(folder: &Path, script: &str) -> bool {
    let python = std::env::var_os("LODESTONE_PYTHON").unwrap_or("python3".into());
    let run = |script: &str| {
        let mut command = Command::new(&python);
        command.current_dir(folder).args(["-c", script]).output()
    };
    let usable = run("import torchvision, safetensors.torch");
    if !usable.is_ok_and(|output| output.status.success()) {
        skipped(&format!(
            "{python:?} has no torchvision; set LODESTONE_PYTHON to one that has"
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
import zipfile
torch.save({"fc.weight": torch.zeros(25_000_000)}, "zeros.pth")
with zipfile.ZipFile("zeros.pth") as stored, zipfile.ZipFile("deflated.pth", "w", zipfile.ZIP_DEFLATED) as packed:
    for name in stored.namelist():
        packed.writestr(name, stored.read(name))
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
    let error = load(&folder.path().join("deflated.pth")).unwrap_err();
    assert!(
        error.contains("would unpack to 100000000 bytes of tensors"),
        "{error}"
    );
    // Any damage gives a network or an error that names the file, never a panic.
    for name in ["zip.pth", "legacy.pth"] {
        let bytes = std::fs::read(folder.path().join(name)).unwrap();
        let path = folder.path().join("damaged.pth");
        for case in 0..300usize {
            let mut damaged = bytes.clone();
            // Half of the places lie in the first kilobytes, where the instructions are.
            let span = if case % 2 == 0 { 4000 } else { bytes.len() };
            damaged[case * 7919 % span] ^= 1 << (case % 8);
            if case % 3 == 0 {
                damaged.truncate(bytes.len() - case * 6007 % bytes.len());
            }
            lodestone_files::write_whole(&path, |file| file.write_all(&damaged)).unwrap();
            if let Err(error) = load(&path) {
                assert!(error.contains("damaged.pth"), "{name} {case}: {error}");
                assert!(!error.contains('\n'), "{name} {case}: {error}");
            }
        }
    }
}

#[test]
fn every_parameter_starts_with_the_spread_that_torchvision_gives_it() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"
import torch, torchvision
from safetensors.torch import save_file
torch.manual_seed(0)
heads = {"aux_logits": True, "init_weights": True}
for name, options in (("googlenet", heads), ("inception_v3", heads), ("resnet18", {}), ("resnet50", {})):
    weights = getattr(torchvision.models, name)(num_classes=1000, **options).state_dict()
    save_file({k: v for k, v in weights.items() if v.is_floating_point()}, name + ".safetensors")
"#;
    if !python(folder.path(), script) {
        return;
    }
    let cases: [(&str, NetworkConfig); 4] = [
        (
            "googlenet",
            GoogLeNetConfig::new(GoogLeNetForm::Torchvision).into(),
        ),
        ("inception_v3", InceptionV3Config::default().into()),
        ("resnet18", NetworkConfig::ResNet18(ResNetConfig {})),
        ("resnet50", NetworkConfig::ResNet50(ResNetConfig {})),
    ];
    // Mean and standard deviation.
    let spread = |values: &[f32]| {
        let count = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
        let squares = values.iter().map(|&v| (f64::from(v) - mean).powi(2));
        (mean, (squares.sum::<f64>() / count).sqrt())
    };
    for (name, network) in cases {
        let path = folder.path().join(format!("{name}.safetensors"));
        let file = WeightFile::read(&path).unwrap();
        let config = ClassifierConfig {
            network,
            classes: 1000,
            dropout: 0.0,
            auxiliary: Auxiliary::With { dropout: 0.7 },
        };
        let mut classifier = config.init(3, &Device::flex());
        for slot in classifier.slots() {
            let (mean, deviation) = spread(&slot.values());
            let (torch_mean, torch_deviation) = spread(&file.values(&slot.name).unwrap());
            // Of n normal values the mean is off by 1 / sqrt(n) deviations, the deviation by 1 / sqrt(2 n) of itself; of two
            // draws, five times that.
            let count = slot.shape().iter().product::<usize>() as f64;
            let within = 5.0 * torch_deviation * (2.0 / count).sqrt() + 1e-9;
            let what = format!(
                "{name} {}: {mean} ± {deviation}, torchvision {torch_mean} ± {torch_deviation}",
                slot.name
            );
            assert!((mean - torch_mean).abs() <= within, "{what}");
            assert!((deviation - torch_deviation).abs() <= within, "{what}");
        }
    }
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
        ("resnet34", NetworkConfig::ResNet34(ResNetConfig {}), 64),
        ("resnet50", NetworkConfig::ResNet50(ResNetConfig {}), 64),
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
    // An embedder as a run ends with it: a linear head is the classifier, auxiliary heads are left out.
    let embedders = cases.each_ref().map(|(name, network, _)| {
        let config = EmbedderConfig {
            network: network.clone(),
            head: HeadConfig::new(7),
        };
        let model = Model {
            embedder: config.init(4, &device),
            description: ModelDescription {
                preprocessing: network.preprocessing(),
                embedder: config,
                distance: Comparison::Euclidean,
                class_names: vec!["one".to_owned()],
            },
        };
        let path = folder.path().join(format!("{name}_model.safetensors"));
        model.write(&path).unwrap();
        model.embedder
    });
    let script = r#"
import torch, torchvision
from safetensors.torch import load_file, save_file
for name, size in (("googlenet", 64), ("inception_v3", 96), ("resnet34", 64), ("resnet50", 64)):
    build = getattr(torchvision.models, name)
    with_heads, without = ({"aux_logits": aux, "init_weights": False} for aux in (True, False))
    if name.startswith("resnet"):
        with_heads = without = {}
    model = build(num_classes=7, **with_heads)
    weights = load_file(name + ".safetensors")
    model.load_state_dict(weights)
    with torch.no_grad():
        logits = model.eval()(torch.ones(1, 3, size, size))
        model = build(num_classes=7, **without)
        model.load_state_dict(load_file(name + "_model.safetensors"))
        embeddings = model.eval()(torch.ones(1, 3, size, size))
    save_file({"logits": logits, "embeddings": embeddings}, name + "_answers.safetensors")
"#;
    if !python(folder.path(), script) {
        return;
    }
    for (((name, _, size), classifier), embedder) in cases.iter().zip(classifiers).zip(embedders) {
        let file = WeightFile::read(&folder.path().join(format!("{name}_answers.safetensors")));
        let file = file.unwrap();
        let images = || Tensor::ones([1, 3, *size, *size], &device);
        let answers = [
            ("logits", classifier.valid().forward(images())),
            ("embeddings", embedder.forward(images())),
        ];
        for (what, got) in answers {
            let want = file.values(what).unwrap();
            for (got, want) in got.into_data().iter::<f32>().zip(want) {
                assert!(
                    (got - want).abs() <= 1e-4 * want.abs().max(1e-3),
                    "{name} {what}: {got} is not {want}"
                );
            }
        }
    }
}
