//! Just enough of the `.npy` format (version 1, little endian, row order) for test vectors and the benchmark.

use std::path::Path;

/// An error with the file's name in it.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// All values of an f32 array and its last dimension.
pub fn read_floats(path: &Path) -> Result<(Vec<f32>, usize)> {
    let (bytes, last) = read(path, "'<f4'")?;
    let values = bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b));
    Ok((values.collect(), last))
}

/// All values of an i64 array, none of them negative.
pub fn read_labels(path: &Path) -> Result<Vec<usize>> {
    let (bytes, _) = read(path, "'<i8'")?;
    let values = bytes
        .as_chunks()
        .0
        .iter()
        .map(|b| usize::try_from(i64::from_le_bytes(*b)));
    Ok(values.collect::<std::result::Result<_, _>>()?)
}

/// The bytes behind the header, and the last dimension.
fn read(path: &Path, kind: &str) -> Result<(Vec<u8>, usize)> {
    let name = path.display();
    let mut bytes = std::fs::read(path).map_err(|e| format!("{name}: {e}"))?;
    let length = match bytes.get(..10) {
        Some([0x93, b'N', b'U', b'M', b'P', b'Y', 1, _, low, high]) => {
            usize::from(*low) + 256 * usize::from(*high)
        }
        _ => return Err(format!("{name}: not a version 1 .npy file").into()),
    };
    let header = bytes
        .get(10..10 + length)
        .ok_or(format!("{name}: cut header"))?;
    let header = std::str::from_utf8(header)?;
    if !header.contains(kind) || header.contains("'fortran_order': True") {
        return Err(format!("{name}: expected {kind} in row order, found {header}").into());
    }
    let shape = header
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'));
    let shape = shape.ok_or(format!("{name}: no shape"))?.0;
    let last = shape
        .split(',')
        .filter_map(|n| n.trim().parse().ok())
        .next_back();
    let last = last.ok_or(format!("{name}: no shape"))?;
    // In place: a second copy of large embeddings would be counted as the search's memory.
    bytes.drain(..10 + length);
    Ok((bytes, last))
}
