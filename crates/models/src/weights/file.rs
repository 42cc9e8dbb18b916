//! A weight file in memory: tensors by name, whatever format they came in.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};

use super::contents::{FileDtype, FileTensor, WeightFile};
use super::{WeightsError, caffe, pth};

impl WeightFile {
    /// Reads a file, telling its format by its content. What a wrapper of torch put before every name is taken off.
    ///
    /// # Errors
    /// If the file cannot be read or is not a whole file of a known format.
    pub fn read(path: &Path) -> Result<Self, WeightsError> {
        let read = |source| WeightsError::Read {
            path: path.to_owned(),
            source,
        };
        let mut start = Vec::new();
        let file = std::fs::File::open(path).map_err(read)?;
        file.take(START).read_to_end(&mut start).map_err(read)?;
        let mut file = match Format::of(&start) {
            Ok(Format::Safetensors) => {
                Self::from_safetensors(path, &std::fs::read(path).map_err(read)?)?
            }
            Ok(Format::Pytorch) => pth::read(path)?,
            Ok(Format::Caffe) => caffe::read(path, &std::fs::read(path).map_err(read)?)?,
            Err(reason) => {
                return Err(WeightsError::Format {
                    path: path.to_owned(),
                    reason,
                });
            }
        };
        file.tensors = unwrapped(file.tensors);
        Ok(file)
    }

    fn from_safetensors(path: &Path, bytes: &[u8]) -> Result<Self, WeightsError> {
        let format = |error| WeightsError::Format {
            path: path.to_owned(),
            reason: format!("{error} (in a .safetensors file of {} bytes)", bytes.len()),
        };
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(format)?;
        let metadata = header.metadata().iter().flatten();
        let metadata = metadata
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let tensors = SafeTensors::deserialize(bytes)
            .map_err(format)?
            .iter()
            .map(|(name, view)| {
                let dtype = match view.dtype() {
                    Dtype::F64 => FileDtype::F64,
                    Dtype::F32 => FileDtype::F32,
                    Dtype::F16 => FileDtype::F16,
                    Dtype::BF16 => FileDtype::Bf16,
                    other => FileDtype::Other(format!("{other:?}")),
                };
                let (shape, bytes) = (view.shape().to_vec(), view.data().to_vec());
                (
                    name.to_owned(),
                    FileTensor {
                        dtype,
                        shape,
                        bytes,
                    },
                )
            })
            .collect();
        Ok(Self {
            path: path.to_owned(),
            tensors,
            metadata,
        })
    }

    /// Values of a tensor as 32-bit floats.
    ///
    /// # Errors
    /// If its type is not a float, or a value is not finite: a damaged file would otherwise show only as a loss that is
    /// not a number.
    ///
    /// # Panics
    /// If there is no tensor of that name.
    pub fn values(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let error = |reason| WeightsError::Tensor {
            path: self.path.clone(),
            key: name.to_owned(),
            reason,
        };
        let FileTensor {
            dtype,
            shape,
            bytes,
        } = &self.tensors[name];
        let values: Vec<f32> = match dtype {
            FileDtype::F64 => decode(bytes, |bytes| f64::from_le_bytes(bytes) as f32),
            FileDtype::F32 => decode(bytes, f32::from_le_bytes),
            FileDtype::F16 => decode(bytes, |bytes| f16::from_le_bytes(bytes).to_f32()),
            FileDtype::Bf16 => decode(bytes, |bytes| bf16::from_le_bytes(bytes).to_f32()),
            FileDtype::Other(dtype) => {
                return Err(error(format!(
                    "{shape:?} has type {dtype}, weights are floats"
                )));
            }
        };
        if let Some(place) = values.iter().position(|value| !value.is_finite()) {
            return Err(error(format!(
                "{shape:?} holds {} at {place}",
                values[place]
            )));
        }
        Ok(values)
    }
}

/// What stands before every name when the network was saved inside another: of data-parallel training, of `torch.compile`, and as
/// the attribute of a Lightning module.
const WRAPPERS: [&str; 3] = ["module.", "_orig_mod.", "model."];

/// The tensors under the names that the network itself gave them, however many wrappers lay around it.
fn unwrapped(mut tensors: BTreeMap<String, FileTensor>) -> BTreeMap<String, FileTensor> {
    let is_before_all = |names: &BTreeMap<String, FileTensor>, wrapper: &str| {
        let inner = |name: &String| name.len() > wrapper.len() && name.starts_with(wrapper);
        !names.is_empty() && names.keys().all(inner)
    };
    while let Some(wrapper) = WRAPPERS
        .into_iter()
        .find(|wrapper| is_before_all(&tensors, wrapper))
    {
        let inner = |(name, tensor): (String, _)| (name[wrapper.len()..].to_owned(), tensor);
        tensors = tensors.into_iter().map(inner).collect();
    }
    tensors
}

fn decode<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|&chunk| value(chunk))
        .collect()
}

/// Bytes from which the format is told.
const START: u64 = 16;

enum Format {
    Safetensors,
    Pytorch,
    Caffe,
}

impl Format {
    /// The format of a file that begins with `start`, or why it is none.
    fn of(start: &[u8]) -> Result<Self, String> {
        match start {
            [] => Err("it is empty".to_owned()),
            // The length of the header as 64 bits, then the header, which is a JSON object.
            [_, _, _, _, _, _, _, _, b'{', ..] => Ok(Self::Safetensors),
            // A zip archive, or a bare pickle of protocol 2 or later.
            [b'P', b'K', ..] | [0x80, ..] => Ok(Self::Pytorch),
            start if caffe::begins(start) => Ok(Self::Caffe),
            _ => {
                let start = start[..start.len().min(8)].escape_ascii();
                Err(format!(
                    "it is neither .safetensors nor .pth nor .caffemodel, it begins with `{start}`"
                ))
            }
        }
    }
}
