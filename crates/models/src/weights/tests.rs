//! Weight files that are whole, that are damaged, and that other programs wrote or read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Distribution, Tensor};
use proptest::prelude::*;
use safetensors::{Dtype, tensor::TensorView};
use tempfile::TempDir;

use crate::weights::{self, LoadOptions, WeightFile, WeightsError};
use crate::{
    Auxiliary, ClassifierConfig, Comparison, ConvNetConfig, Embedder, EmbedderConfig, HeadConfig,
    Model, ModelDescription, NetworkConfig, Preprocessing, ResNetConfig,
};

mod torch;

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
    loaded.map_err(|error| lodestone_files::told(&error))
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
    let (folder, path) = written();
    let error = Model::read(&path, &Device::flex()).unwrap_err();
    assert!(
        matches!(error, WeightsError::UnknownNetwork { .. }),
        "{error}"
    );
    let text = error.to_string();
    for part in [
        "tensors, the first of which is `block1.bn.bias`",
        "ResNet-50",
    ] {
        assert!(text.contains(part), "{text}");
    }
    // Half a description is none.
    let mut file = WeightFile::read(&path).unwrap();
    let crop = ("preprocessing.crop".to_owned(), "28".to_owned());
    file.metadata.extend([crop]);
    let half = folder.path().join("half.safetensors");
    file.write(&half).unwrap();
    let error = Model::read(&half, &Device::flex()).unwrap_err();
    assert!(matches!(error, WeightsError::Description { .. }), "{error}");
    assert!(
        error.to_string().contains("missing field `resize`"),
        "{error}"
    );
}

#[test]
fn published_weights_are_a_model_as_they_are_and_with_a_description() {
    let folder = tempfile::tempdir().unwrap();
    let device = Device::flex();
    let classifier = ClassifierConfig {
        network: NetworkConfig::ResNet18(ResNetConfig {}),
        classes: 7,
        dropout: 0.0,
        auxiliary: Auxiliary::Without,
    };
    let classifier = classifier.init(3, &device);
    let [path, described] =
        ["published", "described"].map(|name| folder.path().join(format!("{name}.safetensors")));
    classifier
        .write_weights(&path, &Default::default())
        .unwrap();
    let model = Model::read(&path, &device).unwrap();
    let description = ModelDescription::of_features(NetworkConfig::ResNet18(ResNetConfig {}));
    assert_eq!(model.description, description);
    assert_eq!(description.distance, Comparison::Cosine);
    assert_eq!(description.preprocessing, Preprocessing::imagenet(256, 224));

    // The pooled features of the network, divided by their length.
    let images = Tensor::random([2, 3, 64, 64], Distribution::Default, &device);
    let features = classifier.trunk.forward(images.clone()).into_data();
    let embeddings = model.embedder.forward(images.clone()).into_data();
    let features: Vec<f32> = features.iter::<f32>().collect();
    let lengths = features
        .chunks(512)
        .map(|row| row.iter().map(|x| x * x).sum::<f32>().sqrt());
    let expected = features
        .chunks(512)
        .zip(lengths)
        .flat_map(|(row, length)| row.iter().map(move |x| x / length));
    for (got, want) in embeddings.iter::<f32>().zip(expected) {
        assert!((got - want).abs() < 1e-5, "{got} is not {want}");
    }

    // The same file that says so itself keeps its classifier.
    let mut file = WeightFile::read(&path).unwrap();
    file.metadata = description.to_metadata();
    file.write(&described).unwrap();
    let again = Model::read(&described, &device).unwrap();
    assert_eq!(again.description, description);
    assert_eq!(again.embedder.forward(images).into_data(), embeddings);
}

#[test]
fn a_model_whose_description_asks_for_nonsense_is_refused() {
    let (folder, path) = written();
    let description = ModelDescription {
        embedder: embedder(1).config().clone(),
        preprocessing: Preprocessing::grey(28, 0.5, 0.5),
        distance: Comparison::Euclidean,
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

/// Rewrites the names of a file.
fn rename(path: &Path, name: impl Fn(&str) -> String) {
    rewrite(path, |tensors| {
        let named = std::mem::take(tensors).into_iter();
        *tensors = named.map(|(old, tensor)| (name(&old), tensor)).collect();
    });
}

#[test]
fn what_wrappers_put_before_every_name_is_taken_off() {
    for prefix in [
        "module.",
        "_orig_mod.",
        "model.",
        "module._orig_mod.",
        "model.module.module.",
    ] {
        let (_folder, path) = written();
        rename(&path, |name| format!("{prefix}{name}"));
        let mut again = embedder(2);
        let report = again.load_pretrained(&path, LoadOptions::default());
        assert_eq!(report.unwrap().loaded, 17, "{prefix}");
        assert_eq!(values(&mut again), values(&mut embedder(1)), "{prefix}");
    }
    let (_folder, path) = written();
    rewrite(&path, |tensors| tensors.retain(|name, _| name == "fc.bias"));
    rename(&path, |_| "module.model.".to_owned());
    let file = WeightFile::read(&path).unwrap();
    assert_eq!(file.tensors.keys().collect::<Vec<_>>(), ["model."]);
}

#[test]
fn a_prefix_of_some_names_stays_and_is_told() {
    let (_folder, path) = written();
    rename(&path, |name| match name {
        "fc.bias" => name.to_owned(),
        name => format!("module.{name}"),
    });
    let error = load(&path).unwrap_err();
    assert!(
        error.ends_with(
            "weights.safetensors does not fit ConvNet: `module.` stands before the network's names; 15 missing: \
             block1.bn.bias, block1.bn.running_mean, block1.bn.running_var and 12 more; 16 unexpected: \
             module.block1.bn.bias, module.block1.bn.running_mean, module.block1.bn.running_var and 13 more"
        ),
        "{error}"
    );
}

/// A zip archive as torch writes it, with these files.
fn archive(path: &Path, files: &mut [(&str, &mut dyn std::io::Read)]) {
    let mut writer = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    for (name, content) in files {
        // torch stores values as they are.
        let method = match name.starts_with("data/") {
            true => zip::CompressionMethod::Stored,
            false => zip::CompressionMethod::Deflated,
        };
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        writer
            .start_file(format!("archive/{name}"), options)
            .unwrap();
        std::io::copy(content, &mut writer).unwrap();
    }
    writer.finish().unwrap();
}

/// Instructions of pickle that push a text.
fn pickled(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap().to_le_bytes();
    [b"X", &length[..], text.as_bytes()].concat()
}

/// Instructions that push a tensor of two floats.
fn pickled_tensor() -> Vec<u8> {
    let storage = [b"((", &pickled("storage")[..], b"ctorch\nFloatStorage\n"].concat();
    let place = [&pickled("0")[..], &pickled("cpu"), b"K\x02tQ"].concat();
    let shape = b"K\x00(K\x02t(K\x01t\x89ccollections\nOrderedDict\n)RtR";
    [
        &b"ctorch._utils\n_rebuild_tensor_v2\n"[..],
        &storage,
        &place,
        shape,
    ]
    .concat()
}

/// What a file of torch holds whose pickle is `instructions`: its names, or why it is refused.
fn read_pickle(instructions: &[&[u8]]) -> Result<Vec<String>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.pth");
    let pickle = [&[&b"\x80\x02"[..]], instructions, &[b"."]]
        .concat()
        .concat();
    let floats = [1.0_f32, 2.0].map(f32::to_le_bytes).concat();
    archive(
        &path,
        &mut [("data.pkl", &mut &pickle[..]), ("data/0", &mut &floats[..])],
    );
    let file = WeightFile::read(&path).map_err(|error| error.to_string())?;
    for name in file.tensors.keys() {
        assert_eq!(file.values(name).unwrap(), [1.0, 2.0]);
    }
    Ok(file.tensors.into_keys().collect())
}

/// Instructions that push an object of the class `__main__.Net` with these attributes.
fn pickled_object(attributes: &[(&str, &[u8])]) -> Vec<u8> {
    let attributes: Vec<u8> = attributes
        .iter()
        .flat_map(|(name, value)| [pickled(name), value.to_vec()].concat())
        .collect();
    [b"c__main__\nNet\n)\x81}(", &attributes[..], b"ub"].concat()
}

#[test]
fn the_weights_of_a_checkpoint_and_of_a_whole_module_are_read() {
    let tensor = pickled_tensor();
    let named = |name: &str, value: &[u8]| [b"}", &pickled(name)[..], value, b"s"].concat();
    let wrapped = named("model.a.weight", &tensor);
    let inner = pickled_object(&[
        ("training", b"\x88"),
        ("_parameters", &named("weight", &tensor)),
        ("_buffers", b"}"),
        ("_modules", b"}"),
    ]);
    let module = pickled_object(&[
        ("_parameters", b"}"),
        ("_buffers", &named("mean", &tensor)),
        ("_modules", &named("conv", &inner)),
        ("activation", b"ctorch._C._nn\ngelu\n"),
    ]);
    let beside = [
        &named("optimizer", &named("momentum", &tensor))[..],
        &pickled("epoch"),
        b"K\x03s",
    ];
    let checkpoint =
        |entry: &str, value: &[u8]| [&beside.concat()[..], &pickled(entry), value, b"s"].concat();
    for (pickle, names) in [
        (wrapped.clone(), &["a.weight"][..]),
        (checkpoint("state_dict", &wrapped), &["a.weight"]),
        (checkpoint("model", &wrapped), &["a.weight"]),
        (module.clone(), &["conv.weight", "mean"]),
        (checkpoint("model", &module), &["conv.weight", "mean"]),
    ] {
        assert_eq!(read_pickle(&[&pickle]).unwrap(), names);
    }
}

#[test]
fn what_is_no_tensor_is_refused_with_what_to_do() {
    let tensor = pickled_tensor();
    for (pickle, reason) in [
        // An object that keeps tensors in its own way.
        (
            pickled_object(&[("weight", &tensor)]),
            "it holds __main__.Net, only plain tensors are read: in Python, torch.save(model.state_dict(), FILE) writes",
        ),
        (
            pickled_object(&[("size", b"K\x02")]),
            "the file asks for __main__.Net, only tensors are read: in Python, torch.save(model.state_dict(), FILE) writes",
        ),
    ] {
        let error = read_pickle(&[&pickle]).unwrap_err();
        assert!(error.contains(reason), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn archives_that_ask_for_code_or_for_all_memory_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.pth");
    let check = |pickle: &mut dyn std::io::Read, reason: &str| {
        archive(&path, &mut [("data.pkl", pickle)]);
        let error = load(&path).unwrap_err();
        assert!(
            error.contains("file.pth") && error.contains(reason),
            "{error}"
        );
        assert!(!error.contains('\n'), "{error}");
    };
    // A dictionary whose value is the answer of a call.
    let mut call: &[u8] =
        b"\x80\x02}X\x05\x00\x00\x00extracposix\nsystem\nX\x01\x00\x00\x00x\x85Rs.";
    check(
        &mut call,
        "extra asks for posix.system, only tensors are read",
    );
    // A call whose answer is thrown away is not made either; an empty dictionary is left.
    let mut hidden: &[u8] = b"\x80\x02cposix\nsystem\nX\x01\x00\x00\x00x\x85R0}.";
    check(&mut hidden, "15 missing");
    // Two hundred megabytes of nothing from two hundred kilobytes.
    let mut zeros = std::io::Read::take(std::io::repeat(0), 200 << 20);
    check(&mut zeros, "above the 104857600 byte limit");
    assert!(std::fs::metadata(&path).unwrap().len() < 1 << 20);
}
