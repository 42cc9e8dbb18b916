//! Doors for the fuzz targets in `crates/data/fuzz`: the readers of list files, on bytes instead of files.
//!
//! Each returns whether the bytes were accepted; what a fuzzer looks for is a panic, a hang or an allocation without bounds.

use std::path::Path;

use crate::mat;
use crate::sets::{idx, oml, pets, voc};

/// A MATLAB 5 file.
pub fn mat(bytes: &[u8]) -> bool {
    mat::read(bytes).is_ok()
}

/// An unpacked idx file of images or labels.
pub fn idx(bytes: &[u8]) -> bool {
    let path = Path::new("fuzz");
    idx::parse_images(path, bytes).is_ok() || idx::parse_labels(path, bytes).is_ok()
}

/// A CSV table.
pub fn csv(bytes: &[u8]) -> bool {
    oml::parse(Path::new("fuzz"), Path::new(""), bytes).is_ok()
}

/// A list of Oxford-IIIT Pet, or one of its annotations.
pub fn pets(bytes: &[u8]) -> bool {
    let (path, text) = (Path::new("fuzz"), String::from_utf8_lossy(bytes));
    pets::parse(path, &text).is_ok() || voc::parse(path, &text).is_ok()
}
