//! A seeded subset of Fashion-MNIST that is part of the program, so that everything can be tried without a download.
//!
//! Ten classes, 400 training and 100 test images each, 28×28 grey. Source, licence (MIT) and the command that made it:
//! `fashion-mini/README.md` of this crate.

use std::path::{Path, PathBuf};

use super::idx::{self, File, IdxSplit};
use crate::error::DataError;
use crate::sums;
use crate::table::{Split, Table};

macro_rules! embedded {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/fashion-mini/", $name))
    };
}

const SUMS: &[u8] = embedded!("SHA256SUMS");
const TRAIN_IMAGES: &[u8] = embedded!("train-images-idx3-ubyte.gz");
const TRAIN_LABELS: &[u8] = embedded!("train-labels-idx1-ubyte.gz");
const TEST_IMAGES: &[u8] = embedded!("t10k-images-idx3-ubyte.gz");
const TEST_LABELS: &[u8] = embedded!("t10k-labels-idx1-ubyte.gz");

/// Reads the embedded files; their sums are checked like those of a folder, which catches a half-updated checkout.
pub(crate) fn open(name: &str) -> Result<Table, DataError> {
    let folder = Path::new("fashion-mini");
    let list = folder.join(sums::LIST_NAME);
    let sums = sums::parse_list(&list, &String::from_utf8_lossy(SUMS))?;
    let file = |name: &str, bytes: &'static [u8]| {
        let path: PathBuf = folder.join(name);
        sums::check(&path, bytes, &sums)?;
        Ok::<_, DataError>(File {
            path,
            bytes: bytes.into(),
        })
    };
    let parts = vec![
        IdxSplit {
            split: Split::Train,
            images: file("train-images-idx3-ubyte.gz", TRAIN_IMAGES)?,
            labels: file("train-labels-idx1-ubyte.gz", TRAIN_LABELS)?,
        },
        IdxSplit {
            split: Split::Test,
            images: file("t10k-images-idx3-ubyte.gz", TEST_IMAGES)?,
            labels: file("t10k-labels-idx1-ubyte.gz", TEST_LABELS)?,
        },
    ];
    idx::table(name, &idx::FASHION_CLASSES, parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_400_training_and_100_test_images() {
        let table = open("fashion-mini").unwrap();
        for (split, per_class) in [(Split::Train, 400), (Split::Test, 100)] {
            let labels = table.labels(&table.split(split));
            for class in 0..10 {
                let count = labels.iter().filter(|&&label| label == class).count();
                assert_eq!(count, per_class, "{split:?}, class {class}");
            }
        }
        let packed = table.packed.unwrap();
        assert_eq!(
            (packed.width, packed.height, packed.count()),
            (28, 28, 5000)
        );
    }
}
