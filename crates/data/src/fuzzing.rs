//! Doors for the fuzz targets in `crates/data/fuzz`: the readers of list files, on bytes instead of files.
//!
//! Each returns whether the bytes were accepted; what a fuzzer looks for is a panic, a hang or an allocation without bounds.

use std::path::Path;

use crate::jpeg::{Jpeg, Shrink};
use crate::mat;
use crate::pixels::DecodeLimits;
use crate::sets::{idx, oml, pets, voc};
use crate::window::Window;

/// A MATLAB 5 file.
pub fn mat(bytes: &[u8]) -> bool {
    mat::read(bytes).is_ok()
}

/// An unpacked idx file of images or labels.
pub fn idx(bytes: &[u8]) -> bool {
    let path = Path::new("fuzz");
    idx::parse_images(path, bytes).is_ok() || idx::parse_labels(path, bytes).is_ok()
}

/// A CSV table. Parquet is left out: a panic of its library is caught and told as an error, but would end a fuzzer.
pub fn csv(bytes: &[u8]) -> bool {
    !bytes.starts_with(b"PAR1") && oml::parse(Path::new("fuzz"), Path::new(""), bytes).is_ok()
}

/// A list of Oxford-IIIT Pet, or one of its annotations.
pub fn pets(bytes: &[u8]) -> bool {
    let (path, text) = (Path::new("fuzz"), String::from_utf8_lossy(bytes));
    pets::parse(path, &text).is_ok() || voc::parse(path, &text).is_ok()
}

/// A JPEG file, whole and in part.
pub fn jpeg(bytes: &[u8]) -> bool {
    let limits = DecodeLimits {
        pixels: 1 << 20,
        bytes: 1 << 24,
    };
    let Ok(Some(jpeg)) = Jpeg::within(bytes, limits) else {
        return false;
    };
    let (width, height) = jpeg.size();
    let (left, top) = (width / 3, height / 4);
    let window = Window {
        left,
        top,
        width: width.div_ceil(2).min(width - left),
        height: height.div_ceil(2).min(height - top),
    };
    let part = jpeg.decode(window, Shrink::Half);
    jpeg.decode_whole().is_ok() && part.is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read as _;

    use flate2::read::MultiGzDecoder;

    use super::*;

    /// What the fuzzers found worth keeping stays answered, by an error or a result.
    #[test]
    fn every_input_of_the_corpus_is_answered() {
        type Read = fn(&[u8]) -> bool;
        let readers: [(&str, Read); 5] = [
            ("mat", mat),
            ("idx", idx),
            ("csv", csv),
            ("pets", pets),
            ("jpeg", jpeg),
        ];
        for (name, read) in readers {
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("fuzz/corpus")
                .join(format!("{name}.tar.gz"));
            let packed =
                File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let mut archive = tar::Archive::new(MultiGzDecoder::new(packed));
            let answers = archive.entries().unwrap().map(|entry| {
                let mut bytes = Vec::new();
                entry.unwrap().read_to_end(&mut bytes).unwrap();
                read(&bytes)
            });
            let (good, bad): (Vec<bool>, Vec<bool>) = answers.partition(|&good| good);
            // Both ways out are in every corpus.
            assert!(
                !good.is_empty() && !bad.is_empty(),
                "{name}: {} and {}",
                good.len(),
                bad.len()
            );
        }
    }
}
