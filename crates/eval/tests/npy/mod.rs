//! Just enough of the `.npy` format (version 1, little endian, row order) for test vectors and the benchmark.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// An error with the file's name in it.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// All values of an f32 array and its last dimension.
pub(crate) fn read_floats(path: &Path) -> Result<(Vec<f32>, usize)> {
    let (values, shape) = read(path, "'<f4'", f32::from_le_bytes)?;
    let last = shape
        .last()
        .copied()
        .ok_or(format!("{}: no dimension", path.display()))?;
    Ok((values, last))
}

/// All values of an i64 array, none of them negative.
pub(crate) fn read_labels(path: &Path) -> Result<Vec<usize>> {
    let (values, _) = read(path, "'<i8'", i64::from_le_bytes)?;
    let labels = values.into_iter().map(usize::try_from);
    Ok(labels.collect::<std::result::Result<_, _>>()?)
}

/// The values and the shape. They are read one by one: a second copy of large embeddings would hide the search's memory.
fn read<T, const N: usize>(
    path: &Path,
    kind: &str,
    from_bytes: fn([u8; N]) -> T,
) -> Result<(Vec<T>, Vec<usize>)> {
    let name = path.display();
    let mut file = BufReader::new(File::open(path).map_err(|e| format!("{name}: {e}"))?);
    let mut start = [0; 10];
    file.read_exact(&mut start)
        .map_err(|e| format!("{name}: {e}"))?;
    let [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _, low, high] = start else {
        return Err(format!("{name}: not a version 1 .npy file").into());
    };
    let mut header = vec![0; usize::from(low) + 256 * usize::from(high)];
    file.read_exact(&mut header)
        .map_err(|e| format!("{name}: {e}"))?;
    let header = String::from_utf8(header)?;
    if !header.contains(kind) || header.contains("'fortran_order': True") {
        return Err(format!("{name}: expected {kind} in row order, found {header}").into());
    }
    let shape = header
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'));
    let shape = shape.ok_or(format!("{name}: no shape"))?.0;
    let shape: Vec<usize> = shape
        .split(',')
        .filter_map(|n| n.trim().parse().ok())
        .collect();
    let mut values = Vec::with_capacity(shape.iter().product());
    for _ in 0..values.capacity() {
        let mut bytes = [0; N];
        file.read_exact(&mut bytes)
            .map_err(|e| format!("{name}: {e}"))?;
        values.push(from_bytes(bytes));
    }
    Ok((values, shape))
}
