//! Makes the data set that is committed: a fixed, seeded subset of Fashion-MNIST.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// Where Debian's package `dataset-fashion-mnist` puts the full set.
const DEBIAN: &str = "/usr/share/datasets/fashion-mnist";
const CLASSES: usize = 10;
const PIXELS: usize = 28 * 28;
const SEED: u64 = 20_151_119;

/// One of the two parts: the file prefix and how many of each class are kept.
struct SplitFiles {
    prefix: &'static str,
    per_class: usize,
}

const PARTS: [SplitFiles; 2] = [
    SplitFiles {
        prefix: "train",
        per_class: 400,
    },
    SplitFiles {
        prefix: "t10k",
        per_class: 100,
    },
];

/// `cargo xtask dataset fashion-mini [FOLDER]`: reads the full idx files from `FOLDER` and writes `crates/data/fashion-mini`.
pub(crate) fn fashion_mini(arguments: &[&str]) -> Result<()> {
    let source = PathBuf::from(arguments.first().unwrap_or(&DEBIAN));
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/data/fashion-mini");
    let mut sums = String::new();
    for (stream, part) in PARTS.iter().enumerate() {
        for (name, bytes) in subset(&source, part, stream as u64)? {
            let packed = pack(&bytes)?;
            fs::File::create(target.join(&name))
                .and_then(|mut file| file.write_all(&packed))
                .with_context(|| format!("cannot write {name} to {}", target.display()))?;
            let digest: String = Sha256::digest(&packed)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            outln!("{name}: {} bytes, sha256 {digest}", packed.len())?;
            sums.push_str(&format!("{digest}  {name}\n"));
        }
    }
    fs::File::create(target.join("SHA256SUMS"))?.write_all(sums.as_bytes())?;
    Ok(())
}

/// The images and labels files of one part, ordered as in the full set.
fn subset(source: &Path, part: &SplitFiles, stream: u64) -> Result<[(String, Vec<u8>); 2]> {
    let images_name = format!("{}-images-idx3-ubyte.gz", part.prefix);
    let labels_name = format!("{}-labels-idx1-ubyte.gz", part.prefix);
    let images = unpack(&source.join(&images_name))?;
    let labels = unpack(&source.join(&labels_name))?;
    ensure!(
        images.len() == 16 + (labels.len() - 8) * PIXELS,
        "{images_name} has {} bytes, which does not fit the {} labels of {labels_name}",
        images.len(),
        labels.len() - 8
    );
    let mut generator = ChaCha8Rng::seed_from_u64(SEED);
    generator.set_stream(stream);
    let mut kept = Vec::new();
    for class in 0..CLASSES {
        let rows: Vec<usize> = (0..labels.len() - 8)
            .filter(|&row| usize::from(labels[8 + row]) == class)
            .collect();
        ensure!(
            rows.len() >= part.per_class,
            "{labels_name} has {} images of class {class}, {} are needed",
            rows.len(),
            part.per_class
        );
        let chosen = index::sample(&mut generator, rows.len(), part.per_class);
        kept.extend(chosen.iter().map(|position| rows[position]));
    }
    kept.sort_unstable();

    let count = u32::try_from(kept.len())?.to_be_bytes();
    let mut chosen_images = [&images[..4], &count, &images[8..16]].concat();
    let mut chosen_labels = [&labels[..4], &count].concat();
    for row in kept {
        chosen_images.extend_from_slice(&images[16 + row * PIXELS..][..PIXELS]);
        chosen_labels.push(labels[8 + row]);
    }
    Ok([(images_name, chosen_images), (labels_name, chosen_labels)])
}

fn unpack(path: &Path) -> Result<Vec<u8>> {
    let file = fs::File::open(path).with_context(|| {
        format!(
            "cannot open {}: install Debian's package dataset-fashion-mnist or name the folder",
            path.display()
        )
    })?;
    let mut bytes = Vec::new();
    MultiGzDecoder::new(file).read_to_end(&mut bytes)?;
    ensure!(
        bytes.len() > 16,
        "{} is cut short: {} bytes",
        path.display(),
        bytes.len()
    );
    Ok(bytes)
}

/// Compresses without a time or a name in the header, so that the same content gives the same file.
fn pack(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder: GzEncoder<Vec<u8>> = GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}
