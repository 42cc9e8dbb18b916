//! The idx files of MNIST and Fashion-MNIST: images and labels in one file each, plain or gzip.
//!
//! Big-endian magic 0x00000803 then count, rows, columns for images; 0x00000801 then count for labels; bytes after that.
//! Where a `SHA256SUMS` list stands beside the files, their sums must agree with it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use lodestone_files::read_text;

use crate::error::DataError;
use crate::sums;
use crate::table::{Packed, Row, Source, Split, Table};

const IMAGES_MAGIC: u32 = 0x0803;
const LABELS_MAGIC: u32 = 0x0801;
/// Ten times the unpacked Fashion-MNIST training images; a gzip bomb stops here.
const MAX_UNPACKED: u64 = 512 << 20;
/// The first part of the file names beside the split it holds.
const PARTS: [(&str, Split); 2] = [("train", Split::Train), ("t10k", Split::Test)];

/// Class names of Fashion-MNIST by label.
pub(crate) const FASHION_CLASSES: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// Class names of MNIST by label.
pub(crate) const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// One file: the name that messages use, and its bytes as stored.
pub(crate) struct File<'a> {
    pub(crate) path: PathBuf,
    pub(crate) bytes: std::borrow::Cow<'a, [u8]>,
}

/// Images and labels of one split.
pub(crate) struct IdxSplit<'a> {
    pub(crate) split: Split,
    pub(crate) images: File<'a>,
    pub(crate) labels: File<'a>,
}

/// Opens the four files of a folder, each with or without `.gz`.
pub(crate) fn open(name: &str, root: &Path, classes: &[&str; 10]) -> Result<Table, DataError> {
    let list = root.join(sums::LIST_NAME);
    let sums = if list.exists() {
        Some(sums::parse_list(&list, &read_text(&list)?)?)
    } else {
        None
    };
    let file = |stem: String| {
        let zipped = root.join(format!("{stem}.gz"));
        let path = if zipped.exists() {
            zipped
        } else {
            root.join(stem)
        };
        let bytes = std::fs::read(&path).map_err(|source| DataError::read(&path, source))?;
        if let Some(sums) = &sums {
            sums::check(&path, &bytes, sums)?;
        }
        Ok::<_, DataError>(File {
            path,
            bytes: bytes.into(),
        })
    };
    let mut parts = Vec::new();
    for (prefix, split) in PARTS {
        parts.push(IdxSplit {
            split,
            images: file(format!("{prefix}-images-idx3-ubyte"))?,
            labels: file(format!("{prefix}-labels-idx1-ubyte"))?,
        });
    }
    table(name, classes, parts)
}

/// One table of several parts, in their order.
pub(crate) fn table(
    name: &str,
    classes: &[&str; 10],
    parts: Vec<IdxSplit<'_>>,
) -> Result<Table, DataError> {
    let mut packed: Option<Packed> = None;
    let mut rows = Vec::new();
    for part in parts {
        let images = parse_images(&part.images.path, &unpack(&part.images)?)?;
        let labels = parse_labels(&part.labels.path, &unpack(&part.labels)?)?;
        if images.count() != labels.len() {
            let problem = format!("{} labels for {} images", labels.len(), images.count());
            return Err(DataError::content(&part.labels.path, "count", problem));
        }
        for (position, label) in labels.into_iter().enumerate() {
            let label = usize::from(label);
            if label >= classes.len() {
                let problem = format!("class {label}, the largest is {}", classes.len() - 1);
                return Err(DataError::content(
                    &part.labels.path,
                    format!("label {position}"),
                    problem,
                ));
            }
            rows.push(Row {
                source: Source::Packed(rows.len()),
                ..Row::file("", label, part.split)
            });
        }
        match &mut packed {
            None => packed = Some(images),
            Some(all) if (all.width, all.height) == (images.width, images.height) => {
                all.bytes.extend_from_slice(&images.bytes);
            }
            Some(all) => {
                let problem = format!(
                    "{}x{} pixels, the other file has {}x{}",
                    images.width, images.height, all.width, all.height
                );
                return Err(DataError::content(&part.images.path, "size", problem));
            }
        }
    }
    let class_names = classes.map(str::to_owned).to_vec();
    let mut table = Table::of_files(name, Path::new(""), class_names, rows);
    table.packed = packed.map(Arc::new);
    Ok(table)
}

/// The bytes of a file, decompressed if they are gzip by content.
fn unpack<'a>(file: &'a File<'_>) -> Result<std::borrow::Cow<'a, [u8]>, DataError> {
    if !file.bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok((&*file.bytes).into());
    }
    let mut bytes = Vec::new();
    MultiGzDecoder::new(&*file.bytes)
        .take(MAX_UNPACKED + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| DataError::content(&file.path, "gzip", error.to_string()))?;
    if bytes.len() as u64 > MAX_UNPACKED {
        let problem = format!("more than {MAX_UNPACKED} bytes when unpacked");
        return Err(DataError::content(&file.path, "gzip", problem));
    }
    Ok(bytes.into())
}

/// Reads an unpacked image file.
pub(crate) fn parse_images(path: &Path, bytes: &[u8]) -> Result<Packed, DataError> {
    let [count, height, width] = header(path, bytes, IMAGES_MAGIC)?;
    if width == 0 || height == 0 {
        return Err(DataError::content(
            path,
            "header",
            format!("images of {width}x{height} pixels"),
        ));
    }
    let body = body(
        path,
        bytes,
        16,
        u128::from(count) * u128::from(height) * u128::from(width),
    )?;
    Ok(Packed {
        width: width as usize,
        height: height as usize,
        bytes: body.to_vec(),
    })
}

/// Reads an unpacked label file.
pub(crate) fn parse_labels(path: &Path, bytes: &[u8]) -> Result<Vec<u8>, DataError> {
    let [count] = header(path, bytes, LABELS_MAGIC)?;
    Ok(body(path, bytes, 8, u128::from(count))?.to_vec())
}

fn header<const N: usize>(path: &Path, bytes: &[u8], magic: u32) -> Result<[u32; N], DataError> {
    let word = |position: usize| {
        bytes
            .get(4 * position..4 * position + 4)
            .and_then(|word| word.try_into().ok())
            .map(u32::from_be_bytes)
            .ok_or_else(|| {
                let problem = format!("the file ends after {} bytes", bytes.len());
                DataError::content(path, "header", problem)
            })
    };
    let found = word(0)?;
    if found != magic {
        let problem = format!("magic {found:#010x}, {magic:#010x} was expected");
        return Err(DataError::content(path, "header", problem));
    }
    let mut values = [0; N];
    for (position, value) in values.iter_mut().enumerate() {
        *value = word(position + 1)?;
    }
    Ok(values)
}

fn body<'a>(
    path: &Path,
    bytes: &'a [u8],
    start: usize,
    expected: u128,
) -> Result<&'a [u8], DataError> {
    let body = &bytes[start..];
    if body.len() as u128 == expected {
        return Ok(body);
    }
    let problem = format!(
        "{} bytes after the header, {expected} were announced",
        body.len()
    );
    Err(DataError::content(path, "content", problem))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn images(count: u32, pixels: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [IMAGES_MAGIC, count, 2, 3] {
            bytes.extend(word.to_be_bytes());
        }
        bytes.extend_from_slice(pixels);
        bytes
    }

    fn labels(values: &[u8]) -> Vec<u8> {
        let mut bytes = LABELS_MAGIC.to_be_bytes().to_vec();
        bytes.extend((values.len() as u32).to_be_bytes());
        bytes.extend_from_slice(values);
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// A folder with one training image and two test images, the training images as given.
    fn folder(train: &[u8], train_labels: &[u8]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            ("train-images-idx3-ubyte", train.to_vec()),
            ("train-labels-idx1-ubyte.gz", gzip(train_labels)),
            ("t10k-images-idx3-ubyte.gz", gzip(&images(2, &[7; 12]))),
            ("t10k-labels-idx1-ubyte", labels(&[9, 0])),
        ];
        for (name, bytes) in files {
            lodestone_files::write_whole(&folder.path().join(name), |file| file.write_all(&bytes))
                .unwrap();
        }
        folder
    }

    #[test]
    fn plain_and_gzip_files_make_one_table() {
        let folder = folder(&images(1, &[1, 2, 3, 4, 5, 6]), &labels(&[3]));
        let table = open("fashion", folder.path(), &FASHION_CLASSES).unwrap();
        assert_eq!(table.labels(&[0, 1, 2]), [3, 9, 0]);
        assert_eq!(table.split(Split::Test), [1, 2]);
        let packed = table.packed.unwrap();
        assert_eq!((packed.width, packed.height, packed.count()), (3, 2, 3));
        assert_eq!(packed.image(0), [1, 2, 3, 4, 5, 6]);
        assert_eq!(packed.image(2), [7; 6]);
    }

    #[test]
    fn a_gzip_file_of_several_members_is_read_to_its_end() {
        let bytes = labels(&[3]);
        let folder = folder(&images(1, &[0; 6]), &bytes);
        let path = folder.path().join("train-labels-idx1-ubyte.gz");
        let members = [gzip(&bytes[..5]), gzip(&bytes[5..])].concat();
        lodestone_files::write_whole(&path, |file| file.write_all(&members)).unwrap();
        let table = open("fashion", folder.path(), &FASHION_CLASSES).unwrap();
        assert_eq!(table.labels(&[0]), [3]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let good = images(1, &[0; 6]);
        let cases: [(&str, Vec<u8>, Vec<u8>, &str); 6] = [
            (
                "magic",
                labels(&[1]),
                labels(&[1]),
                "magic 0x00000801, 0x00000803 was expected",
            ),
            (
                "short header",
                good[..9].to_vec(),
                labels(&[1]),
                "the file ends after 9 bytes",
            ),
            (
                "short body",
                good[..20].to_vec(),
                labels(&[1]),
                "4 bytes after the header, 6",
            ),
            (
                "overflow",
                images(u32::MAX, &[0; 6]),
                labels(&[1]),
                "25769803770 were announced",
            ),
            (
                "class",
                good.clone(),
                labels(&[10]),
                "label 0: class 10, the largest is 9",
            ),
            ("counts", good, labels(&[1, 2]), "2 labels for 1 images"),
        ];
        for (name, train, train_labels, expected) in cases {
            let folder = folder(&train, &train_labels);
            let message = open("fashion", folder.path(), &FASHION_CLASSES)
                .unwrap_err()
                .to_string();
            assert!(message.contains(expected), "{name}: {message}");
            assert!(message.contains("train-"), "{name}: {message}");
        }
    }

    #[test]
    fn a_list_of_sums_is_held_against_the_files() {
        let folder = folder(&images(1, &[0; 6]), &labels(&[1]));
        let mut list = String::new();
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let path = entry.unwrap().path();
            let sum = sums::sha256(&std::fs::read(&path).unwrap());
            list += &format!("{sum}  {}\n", path.file_name().unwrap().to_str().unwrap());
        }
        let path = folder.path().join(sums::LIST_NAME);
        lodestone_files::write_whole(&path, |file| file.write_all(list.as_bytes())).unwrap();
        open("fashion", folder.path(), &FASHION_CLASSES).unwrap();
        let changed = folder.path().join("t10k-labels-idx1-ubyte");
        lodestone_files::write_whole(&changed, |file| file.write_all(&labels(&[9, 1]))).unwrap();
        let message = open("fashion", folder.path(), &FASHION_CLASSES)
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("t10k-labels-idx1-ubyte: sha256 is"),
            "{message}"
        );
    }

    #[test]
    fn a_missing_file_is_named_without_its_ending() {
        let folder = tempfile::tempdir().unwrap();
        let message = open("fashion", folder.path(), &FASHION_CLASSES)
            .unwrap_err()
            .to_string();
        assert!(message.contains("train-images-idx3-ubyte"), "{message}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_readers_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), real in any::<bool>()) {
            let mut bytes = bytes;
            if real && bytes.len() >= 4 {
                bytes[..4].copy_from_slice(&IMAGES_MAGIC.to_be_bytes());
            }
            let _ = parse_images(Path::new("f"), &bytes);
            let _ = parse_labels(Path::new("f"), &bytes);
        }
    }
}
