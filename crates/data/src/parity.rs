//! Decoding, resizing and cropping against Pillow and torchvision, on real photographs.
//!
//! Tolerances: JPEG decoders differ by a few levels (mean 1.0, largest 12 levels allowed); from the same decoded pixels the
//! crop is within 1 level; means and deviations of normalised values within 0.02.

use std::path::{Path, PathBuf};

use fast_image_resize::Resizer;
use lodestone_files::{Orientation, Preprocessing};
use safetensors::SafeTensors;

use crate::decode::decode;
use crate::pixels::{DecodeLimits, Pixels};
use crate::render::image_from_bytes;
use crate::resize;

const PICTURES: [&str; 7] = [
    "photo_a",
    "photo_b",
    "photo_c",
    "grey",
    "cmyk",
    "alpha_png",
    "exif6",
];

fn folder() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/parity/preprocess");
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: no parity images here");
    None
}

struct Difference {
    mean: f64,
    largest: u8,
}

fn difference(got: &[u8], want: &[u8]) -> Difference {
    assert_eq!(got.len(), want.len());
    let apart = || got.iter().zip(want).map(|(a, b)| a.abs_diff(*b));
    Difference {
        mean: apart().map(f64::from).sum::<f64>() / got.len() as f64,
        largest: apart().max().unwrap(),
    }
}

/// Variants of every picture: its name in the expected file, its bytes, and how it is turned.
fn cases(folder: &Path) -> Vec<(String, Vec<u8>, Orientation)> {
    let mut cases = Vec::new();
    for picture in PICTURES {
        let bytes = std::fs::read(folder.join(format!("{picture}.jpg"))).unwrap();
        cases.push((picture.to_owned(), bytes.clone(), Orientation::AsStored));
        if picture == "exif6" {
            cases.push((format!("{picture}.upright"), bytes, Orientation::Upright));
        }
    }
    cases
}

#[test]
fn pictures_agree_with_pillow_and_torchvision() {
    let Some(folder) = folder() else { return };
    let expected = std::fs::read(folder.join("expected.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&expected).unwrap();
    let doubles = |name: String| -> Vec<f64> {
        let bytes = expected.tensor(&name).unwrap().data().to_vec();
        bytes
            .as_chunks::<8>()
            .0
            .iter()
            .map(|&value| f64::from_le_bytes(value))
            .collect()
    };
    for (name, bytes, orientation) in cases(&folder) {
        let pixels = decode(&bytes, orientation, DecodeLimits::default()).unwrap();
        let rgb = expected.tensor(&format!("{name}.rgb")).unwrap();
        assert_eq!([pixels.height, pixels.width, 3], rgb.shape(), "{name}");
        let decoded = difference(&pixels.bytes, rgb.data());
        assert!(
            decoded.mean <= 1.0 && decoded.largest <= 12,
            "{name}: {}",
            decoded.largest
        );

        let crop = expected.tensor(&format!("{name}.crop224")).unwrap();
        let mut square = Vec::new();
        let same = Pixels {
            bytes: rgb.data().to_vec(),
            ..pixels
        };
        resize::centre(&same.into(), 256, 224, &mut Resizer::new(), &mut square);
        let resized = difference(&square, crop.data());
        assert!(
            resized.largest <= 1,
            "{name}: {} levels after resizing",
            resized.largest
        );

        let preprocessing = Preprocessing {
            orientation,
            ..Preprocessing::imagenet(256, 224)
        };
        let images = image_from_bytes(&bytes, Path::new(&name), &preprocessing).unwrap();
        let wanted = doubles(format!("{name}.norm_mean"))
            .into_iter()
            .zip(doubles(format!("{name}.norm_std")));
        for (plane, (want_mean, want_std)) in images.values.chunks(224 * 224).zip(wanted) {
            let count = plane.len() as f64;
            let mean = plane.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
            let square = |value: f32| (f64::from(value) - mean).powi(2);
            let std = (plane.iter().map(|&value| square(value)).sum::<f64>() / count).sqrt();
            assert!(
                (mean - want_mean).abs() <= 0.02,
                "{name}: mean {mean}, not {want_mean}"
            );
            assert!(
                (std - want_std).abs() <= 0.02,
                "{name}: deviation {std}, not {want_std}"
            );
        }
    }
}
