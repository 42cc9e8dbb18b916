//! Writing `.safetensors`: a header of JSON, then the values.
//!
//! The order of keys and tensors is fixed, so equal networks give equal files.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{FileTensor, Slot, WeightFile, WeightsError};

/// A tensor on its way into a file.
struct Entry<'a> {
    name: &'a str,
    dtype: &'a str,
    shape: Vec<usize>,
    /// Size of its values in the file.
    bytes: usize,
}

/// Writes all slots as 32-bit floats, under their names and in their order.
///
/// # Errors
/// If the file cannot be written; it then does not exist, or is as it was.
pub(crate) fn write(
    path: &Path,
    slots: &[Slot<'_>],
    metadata: &BTreeMap<String, String>,
) -> Result<(), WeightsError> {
    let entries = slots.iter().map(|slot| {
        let shape = slot.shape();
        let bytes = 4 * shape.iter().product::<usize>();
        Entry {
            name: &slot.name,
            dtype: "F32",
            shape,
            bytes,
        }
    });
    write_entries(path, &entries.collect::<Vec<_>>(), metadata, |i, file| {
        let values = slots[i].values().into_iter();
        file.write_all(&values.flat_map(f32::to_le_bytes).collect::<Vec<_>>())
    })
}

impl WeightFile {
    /// Writes tensors and metadata as `.safetensors`, values as they are.
    ///
    /// # Errors
    /// If the file cannot be written; it then does not exist, or is as it was.
    pub fn write(&self, path: &Path) -> Result<(), WeightsError> {
        let tensors: Vec<&FileTensor> = self.tensors.values().collect();
        let entries = self.tensors.iter().map(|(name, tensor)| {
            let (dtype, shape) = (tensor.dtype.name(), tensor.shape.clone());
            Entry {
                name,
                dtype,
                shape,
                bytes: tensor.bytes.len(),
            }
        });
        write_entries(
            path,
            &entries.collect::<Vec<_>>(),
            &self.metadata,
            |i, file| file.write_all(&tensors[i].bytes),
        )
    }
}

/// Writes the header, then calls `write_values` with the number of each entry in turn.
fn write_entries(
    path: &Path,
    entries: &[Entry<'_>],
    metadata: &BTreeMap<String, String>,
    write_values: impl Fn(usize, &mut dyn Write) -> io::Result<()>,
) -> Result<(), WeightsError> {
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!(metadata));
    let mut start = 0;
    for Entry {
        name,
        dtype,
        shape,
        bytes,
    } in entries
    {
        let end = start + bytes;
        let entry = json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, end] });
        header.insert((*name).to_owned(), entry);
        start = end;
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    // The format wants the values to begin at a multiple of 8.
    header.resize(header.len().next_multiple_of(8), b' ');
    let fill = |file: &mut dyn Write| -> io::Result<()> {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        (0..entries.len()).try_for_each(|i| write_values(i, file))
    };
    Ok(lodestone_files::write_whole(path, fill)?)
}
