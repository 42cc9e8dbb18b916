//! Reading what `torch.save` writes, without running any of it.
//!
//! A `.pth` file is a pickle, a program that may call anything. burn's reader interprets the few calls that rebuild tensors, reads a
//! whole module as its `state_dict`, and keeps every other call as a name. A file with such a name among its values is refused here,
//! for a weight file has no use for it.

use std::collections::BTreeMap;
use std::path::Path;

use burn::store::pytorch_reader::{
    DType, PickleError, PickleValue, PytorchError, PytorchReader, Tensor,
};

use super::WeightsError;
use super::contents::{FileDtype, FileTensor, WeightFile};

/// Entries of training checkpoints under which the weights lie.
const WEIGHT_ENTRIES: [&str; 3] = ["state_dict", "model_state_dict", "model"];

/// What whoever made a file with more than tensors can do.
const ADVICE: &str = "in Python, torch.save(model.state_dict(), FILE) writes only those";

/// Python types of weights themselves.
const TENSOR_TYPES: [&str; 3] = ["torch.Tensor", "torch.TypedStorage", "torch.UntypedStorage"];

/// Reads a `.pth` file: a zip archive, as torch writes since 1.6, or the format of 0.1.10 to 1.5.
pub(crate) fn read(path: &Path) -> Result<WeightFile, WeightsError> {
    let wrap = |error: PytorchError| match error {
        PytorchError::Io(source) => WeightsError::Read {
            path: path.to_owned(),
            source,
        },
        PytorchError::Pickle(PickleError::UnsupportedType(name)) => {
            let reason = format!("it holds {name}, only plain tensors are read: {ADVICE}");
            format_error(path, reason)
        }
        error => format_error(path, error.to_string()),
    };
    let content = PytorchReader::read_pickle_data(path, None).map_err(wrap)?;
    if let Some((place, type_name)) = foreign(&content, "") {
        let reason = format!("{place} asks for {type_name}, only tensors are read: {ADVICE}");
        return Err(format_error(path, reason));
    }
    let reader = PytorchReader::new(path).map_err(wrap)?;
    // Sorted, so that of several unreadable tensors it is always the same one that is named.
    let named: BTreeMap<String, Tensor> = reader.into_tensors().into_iter().collect();
    check_size(path, named.values())?;

    let mut tensors = BTreeMap::new();
    for (name, tensor) in named {
        let source = |source| WeightsError::Read {
            path: path.to_owned(),
            source,
        };
        let bytes = tensor.read().map_err(source)?;
        let (dtype, shape) = (dtype(tensor.dtype()), tensor.shape().to_vec());
        tensors.insert(
            name,
            FileTensor {
                dtype,
                shape,
                bytes,
            },
        );
    }
    Ok(WeightFile {
        path: path.to_owned(),
        tensors: weights_only(tensors, &content),
        metadata: BTreeMap::new(),
    })
}

/// The first value that is neither plain data nor a tensor, with its place.
fn foreign(value: &PickleValue, place: &str) -> Option<(String, String)> {
    match value {
        PickleValue::Unsupported(name) if TENSOR_TYPES.contains(&name.as_str()) => None,
        PickleValue::Unsupported(name) => {
            let place = if place.is_empty() { "the file" } else { place };
            Some((place.to_owned(), name.clone()))
        }
        PickleValue::List(items) => items
            .iter()
            .enumerate()
            .find_map(|(i, item)| foreign(item, &format!("{place}[{i}]"))),
        PickleValue::Dict(entries) => {
            // Sorted, so that a file with several is always refused for the same one.
            let entries: BTreeMap<_, _> = entries.iter().collect();
            entries.into_iter().find_map(|(key, entry)| {
                let place = if place.is_empty() {
                    key.clone()
                } else {
                    format!("{place}.{key}")
                };
                foreign(entry, &place)
            })
        }
        PickleValue::None
        | PickleValue::Bool(_)
        | PickleValue::Int(_)
        | PickleValue::Float(_)
        | PickleValue::String(_)
        | PickleValue::Bytes(_) => None,
    }
}

/// Refuses a file whose tensors would unpack to far more than it holds.
///
/// torch stores tensors uncompressed, so their bytes are about those of the file; tensors that share memory can make them a
/// few times more.
fn check_size<'a>(
    path: &Path,
    tensors: impl Iterator<Item = &'a Tensor>,
) -> Result<(), WeightsError> {
    let unpacked = tensors.fold(0u64, |sum, tensor| {
        sum.saturating_add(tensor.byte_len() as u64)
    });
    let source = |source| WeightsError::Read {
        path: path.to_owned(),
        source,
    };
    let packed = std::fs::metadata(path).map_err(source)?.len();
    if unpacked > packed.saturating_mul(4) {
        let reason = format!("its {packed} bytes would unpack to {unpacked} bytes of tensors");
        return Err(format_error(path, reason));
    }
    Ok(())
}

/// The weights of a training checkpoint, or everything where there is no such entry.
fn weights_only(
    tensors: BTreeMap<String, FileTensor>,
    content: &PickleValue,
) -> BTreeMap<String, FileTensor> {
    let PickleValue::Dict(entries) = content else {
        return tensors;
    };
    let holds_more = |entry: &&str| matches!(entries.get(*entry), Some(PickleValue::Dict(_)));
    let Some(entry) = WEIGHT_ENTRIES.into_iter().find(holds_more) else {
        return tensors;
    };
    let under = |name: &str| {
        name.strip_prefix(entry)?
            .strip_prefix('.')
            .map(str::to_owned)
    };
    let named = tensors.into_iter();
    named
        .filter_map(|(name, tensor)| Some((under(&name)?, tensor)))
        .collect()
}

fn dtype(dtype: DType) -> FileDtype {
    match dtype {
        DType::F64 => FileDtype::F64,
        DType::F32 => FileDtype::F32,
        DType::F16 => FileDtype::F16,
        DType::BF16 => FileDtype::Bf16,
        DType::I64
        | DType::I32
        | DType::I16
        | DType::I8
        | DType::U64
        | DType::U32
        | DType::U16
        | DType::U8
        | DType::Bool => FileDtype::Other(format!("{dtype:?}").to_uppercase()),
    }
}

fn format_error(path: &Path, reason: String) -> WeightsError {
    WeightsError::Format {
        path: path.to_owned(),
        reason,
    }
}
