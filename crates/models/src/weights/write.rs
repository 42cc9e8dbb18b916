//! Writing `.safetensors`: a header of JSON, then the values.
//!
//! The order of keys and tensors is fixed, so equal networks give equal files.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Slot, WeightsError};

/// Writes all slots as 32-bit floats, under their names and in their order.
///
/// # Errors
/// If the file cannot be written; it then does not exist, or is as it was.
pub(crate) fn write(
    path: &Path,
    slots: &[Slot<'_>],
    metadata: &BTreeMap<String, String>,
) -> Result<(), WeightsError> {
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!(metadata));
    let mut start = 0;
    for slot in slots {
        let shape = slot.shape();
        let end = start + 4 * shape.iter().product::<usize>();
        let entry = json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, end] });
        header.insert(slot.name.clone(), entry);
        start = end;
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    // The format wants the values to begin at a multiple of 8.
    header.resize(header.len().next_multiple_of(8), b' ');
    let fill = |file: &mut dyn Write| -> io::Result<()> {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        for slot in slots {
            let bytes: Vec<u8> = slot
                .values()
                .into_iter()
                .flat_map(f32::to_le_bytes)
                .collect();
            file.write_all(&bytes)?;
        }
        Ok(())
    };
    Ok(lodestone_files::write_whole(path, fill)?)
}
