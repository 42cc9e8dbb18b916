//! Decoding, resizing and cropping against Pillow and torchvision, on drawn pictures.
//!
//! Tolerances: JPEG decoders differ by a few levels (mean 1.0, largest 12 levels allowed); from the same decoded pixels the
//! crop is within 1 level; means and deviations of normalised values within 0.02.

use std::path::Path;

use fast_image_resize::Resizer;
use lodestone_files::{Orientation, Preprocessing};
use serde_json::Value;

use crate::decode::decode;
use crate::pixels::{DecodeLimits, Pixels};
use crate::render::image_from_bytes;
use crate::resize;

const PICTURES: [&str; 7] = [
    "drawn_a",
    "drawn_b",
    "drawn_c",
    "grey",
    "cmyk",
    "alpha_png",
    "exif6",
];

fn read(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/parity")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
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
fn cases() -> Vec<(String, Vec<u8>, Orientation)> {
    let mut cases = Vec::new();
    for picture in PICTURES {
        let bytes = read(&format!("{picture}.jpg"));
        cases.push((picture.to_owned(), bytes.clone(), Orientation::AsStored));
        if picture == "exif6" {
            cases.push((format!("{picture}.upright"), bytes, Orientation::Upright));
        }
    }
    cases
}

#[test]
fn pictures_agree_with_pillow_and_torchvision() {
    let expected: Value = serde_json::from_slice(&read("expected.json")).unwrap();
    let doubles = |values: &Value| -> Vec<f64> {
        let values = values.as_array().unwrap();
        values.iter().map(|value| value.as_f64().unwrap()).collect()
    };
    let rgb_of = |name: String| image::load_from_memory(&read(&name)).unwrap().into_rgb8();
    for (name, bytes, orientation) in cases() {
        let pixels = decode(&bytes, orientation, DecodeLimits::default()).unwrap();
        let rgb = rgb_of(format!("{name}.rgb.png"));
        let (width, height) = rgb.dimensions();
        assert_eq!(
            [pixels.width, pixels.height],
            [width as usize, height as usize],
            "{name}"
        );
        let decoded = difference(&pixels.bytes, &rgb);
        assert!(
            decoded.mean <= 1.0 && decoded.largest <= 12,
            "{name}: {}",
            decoded.largest
        );

        let crop = rgb_of(format!("{name}.crop224.png"));
        let mut square = Vec::new();
        let same = Pixels {
            bytes: rgb.into_raw(),
            ..pixels
        };
        resize::centre(&same.into(), 256, 224, &mut Resizer::new(), &mut square);
        let resized = difference(&square, &crop);
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
        let wanted = doubles(&expected[&name]["norm_mean"])
            .into_iter()
            .zip(doubles(&expected[&name]["norm_std"]));
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
