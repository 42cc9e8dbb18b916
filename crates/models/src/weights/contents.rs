//! The tensors of a weight file, as they lie in it.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Tensors and metadata of a weight file.
///
/// # Example
/// ```no_run
/// use lodestone_models::WeightFile;
///
/// let file = WeightFile::read("weights.safetensors".as_ref())?;
/// for (name, tensor) in &file.tensors {
///     println!("{name} {:?} {:?}", tensor.dtype, tensor.shape);
/// }
/// # Ok::<(), lodestone_models::WeightsError>(())
/// ```
#[derive(Debug)]
pub struct WeightFile {
    /// Where it was read from.
    pub path: PathBuf,
    /// Tensors by name.
    pub tensors: BTreeMap<String, FileTensor>,
    /// Text by key, as `.safetensors` carries it in its header.
    pub metadata: BTreeMap<String, String>,
}

/// One tensor of a weight file.
#[derive(Clone, Debug)]
pub struct FileTensor {
    /// Type of its values.
    pub dtype: FileDtype,
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// Its values, little-endian, row-major.
    pub(crate) bytes: Vec<u8>,
}

/// Type of the values of a tensor in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileDtype {
    /// 64-bit float.
    F64,
    /// 32-bit float.
    F32,
    /// IEEE 16-bit float.
    F16,
    /// 16-bit float with the exponent of a 32-bit one.
    Bf16,
    /// Anything else, by its name in a `.safetensors` header; it cannot be a weight.
    Other(String),
}

impl FileDtype {
    /// Name in a `.safetensors` header.
    pub fn name(&self) -> &str {
        match self {
            Self::F64 => "F64",
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::Other(name) => name,
        }
    }
}
