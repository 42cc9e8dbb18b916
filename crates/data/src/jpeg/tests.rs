//! The decoder against Pillow, against itself on parts, and against damage.

use std::path::PathBuf;

use super::*;
use crate::pixels::{Orientation, decode_any};
use crate::table::PixelBox;

const HANDLED: [&str; 7] = [
    "420",
    "422",
    "444",
    "420_restart",
    "420_rough",
    "420_optimised",
    "grey",
];

fn fixture(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/jpeg");
    std::fs::read(folder.join(name)).unwrap()
}

fn open(bytes: &[u8]) -> Option<Jpeg<'_>> {
    Jpeg::within(bytes, DecodeLimits::default()).unwrap()
}

/// What Pillow decodes a fixture to; PNG loses nothing.
fn expected(name: &str) -> Pixels {
    let bytes = fixture(&format!("{name}.png"));
    let image = decode_any(&bytes, Orientation::AsStored, DecodeLimits::default()).unwrap();
    Pixels {
        width: image.width() as usize,
        height: image.height() as usize,
        bytes: image.into_rgb8().into_raw(),
    }
}

#[test]
fn pixels_are_pillows_to_the_last_bit() {
    for name in HANDLED {
        let bytes = fixture(&format!("{name}.jpg"));
        let pixels = open(&bytes).unwrap().decode_whole().unwrap();
        let want = expected(name);
        assert_eq!((pixels.width, pixels.height), (want.width, want.height));
        let apart = pixels.bytes.iter().zip(&want.bytes);
        let worst = apart.map(|(a, b)| a.abs_diff(*b)).max();
        assert_eq!(worst, Some(0), "{name}");
    }
}

#[test]
fn every_window_is_cut_from_the_whole() {
    for name in HANDLED {
        let bytes = fixture(&format!("{name}.jpg"));
        let jpeg = open(&bytes).unwrap();
        let whole = jpeg.decode_whole().unwrap();
        for seed in 0..60 {
            let (left, top) = (seed * 7 % 61, seed * 5 % 43);
            let width = 1 + seed * 11 % (61 - left);
            let height = 1 + seed * 13 % (43 - top);
            let window = Window {
                left,
                top,
                width,
                height,
            };
            let part = jpeg.decode(window, Shrink::Full).unwrap();
            let region = PixelBox {
                left: left as u32,
                top: top as u32,
                right: (left + width) as u32,
                bottom: (top + height) as u32,
            };
            assert_eq!((part.left, part.top), (left, top));
            assert_eq!(Some(part.pixels), whole.cut(region), "{name}, {window:?}");
        }
    }
}

/// Mean of the stored pixels under each decoded one, and how many there are: fewer at the right and lower edge.
fn averaged(whole: &Pixels, factor: usize) -> Vec<(f64, usize)> {
    let mut means = Vec::new();
    for y in 0..whole.height.div_ceil(factor) {
        for x in 0..whole.width.div_ceil(factor) {
            for channel in 0..3 {
                let (mut sum, mut count) = (0.0, 0);
                for row in y * factor..((y + 1) * factor).min(whole.height) {
                    for column in x * factor..((x + 1) * factor).min(whole.width) {
                        sum += f64::from(whole.bytes[3 * (row * whole.width + column) + channel]);
                        count += 1;
                    }
                }
                means.push((sum / count as f64, count));
            }
        }
    }
    means
}

#[test]
fn reduced_scales_show_the_same_picture() {
    for name in ["420", "444", "grey"] {
        let bytes = fixture(&format!("{name}.jpg"));
        let jpeg = open(&bytes).unwrap();
        let whole = jpeg.decode_whole().unwrap();
        let window = Window {
            left: 0,
            top: 0,
            width: 61,
            height: 43,
        };
        for shrink in [Shrink::Half, Shrink::Quarter, Shrink::Eighth] {
            let factor = shrink.factor();
            let part = jpeg.decode(window, shrink).unwrap().pixels;
            assert_eq!(
                (part.width, part.height),
                (61usize.div_ceil(factor), 43usize.div_ceil(factor))
            );
            let want = averaged(&whole, factor);
            // A block that reaches beyond the edge holds what the encoder put there.
            let pairs = part.bytes.iter().zip(&want);
            let inside: Vec<f64> = pairs
                .filter(|(_, (_, count))| *count == factor * factor)
                .map(|(&level, (mean, _))| (f64::from(level) - mean).abs())
                .collect();
            let mean = inside.iter().sum::<f64>() / inside.len() as f64;
            // The lowest frequencies and the mean of the pixels are not quite the same thing.
            assert!(mean < 8.0, "{name}, {shrink:?}: {mean} levels");
            // A window at a reduced scale is cut from the whole at that scale.
            let window = Window {
                left: 17,
                top: 9,
                width: 30,
                height: 20,
            };
            let cut = jpeg.decode(window, shrink).unwrap();
            assert_eq!((cut.left, cut.top), (17 / factor, 9 / factor));
            let region = PixelBox {
                left: cut.left as u32,
                top: cut.top as u32,
                right: (cut.left + cut.pixels.width) as u32,
                bottom: (cut.top + cut.pixels.height) as u32,
            };
            assert_eq!(Some(cut.pixels), part.cut(region), "{name}, {shrink:?}");
        }
    }
}

#[test]
fn colour_with_half_the_columns_is_decoded_as_stored() {
    let bytes = fixture("422.jpg");
    let jpeg = open(&bytes).unwrap();
    let window = Window {
        left: 0,
        top: 0,
        width: 61,
        height: 43,
    };
    let part = jpeg.decode(window, Shrink::Quarter).unwrap();
    assert_eq!(part.shrink, Shrink::Full);
    assert_eq!(Some(part.pixels), jpeg.decode_whole());
}

#[test]
fn the_strongest_scale_keeps_what_is_asked_for() {
    let cases = [
        (500.0, 512.0, Shrink::Full),
        (1024.0, 512.0, Shrink::Half),
        (2100.0, 512.0, Shrink::Quarter),
        (9000.0, 512.0, Shrink::Eighth),
    ];
    for (stored, least, expected) in cases {
        assert_eq!(Shrink::strongest(stored, least), expected, "{stored}");
    }
}

#[test]
fn other_kinds_are_left_to_the_library() {
    assert!(open(&fixture("progressive.jpg")).is_none());
    assert!(open(&fixture("420.png")).is_none());
    let limits = DecodeLimits {
        pixels: 61 * 43 - 1,
        ..DecodeLimits::default()
    };
    let bytes = fixture("420.jpg");
    assert!(Jpeg::within(&bytes, limits).unwrap().is_none());
}

#[test]
fn damage_is_noticed_or_shown_and_never_stops_the_program() {
    for name in ["420_restart", "444", "grey"] {
        let whole = fixture(&format!("{name}.jpg"));
        for position in 2..whole.len() - 2 {
            for bits in [0x01, 0x80, 0xff] {
                let mut damaged = whole.clone();
                damaged[position] ^= bits;
                let Ok(Some(jpeg)) = Jpeg::within(&damaged, DecodeLimits::default()) else {
                    continue;
                };
                // A header may announce a huge picture now; without data it ends at its first row.
                drop(jpeg.decode_whole());
            }
        }
        let cut = Jpeg::within(&whole[..whole.len() - 1], DecodeLimits::default());
        assert!(matches!(cut, Err(DecodeError::Truncated)));
    }
}
