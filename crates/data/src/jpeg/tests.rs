//! The decoder against Pillow, against itself on parts, and against damage.

use std::path::PathBuf;

use super::*;
use lodestone_files::Orientation;

use crate::decode::decode_any;
use crate::table::PixelBox;

mod encoder;
mod grid;

const FIXTURES: [&str; 13] = [
    "420",
    "422",
    "444",
    "420_restart",
    "420_rough",
    "420_optimised",
    "grey",
    "progressive",
    "progressive_422_restart",
    "progressive_444",
    "progressive_grey",
    "rgb",
    "cmyk",
];

fn fixture(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/jpeg");
    std::fs::read(folder.join(name)).unwrap()
}

fn open(bytes: &[u8]) -> Jpeg<'_> {
    let jpeg = Jpeg::within(bytes, DecodeLimits::default()).unwrap();
    jpeg.expect("a JPEG stream")
}

/// Why a stream is refused, be it only when it is decoded.
fn refused(bytes: &[u8]) -> String {
    let jpeg = Jpeg::within(bytes, DecodeLimits::default());
    let decoded = jpeg.and_then(|jpeg| jpeg.expect("a JPEG stream").decode_whole());
    decoded.unwrap_err().to_string()
}

fn region(window: Window) -> PixelBox {
    PixelBox {
        left: window.left as u32,
        top: window.top as u32,
        right: (window.left + window.width) as u32,
        bottom: (window.top + window.height) as u32,
    }
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
    for name in FIXTURES {
        let bytes = fixture(&format!("{name}.jpg"));
        let pixels = open(&bytes).decode_whole().unwrap();
        let want = expected(name);
        assert_eq!((pixels.width, pixels.height), (want.width, want.height));
        let apart = pixels.bytes.iter().zip(&want.bytes);
        let worst = apart.map(|(a, b)| a.abs_diff(*b)).max();
        assert_eq!(worst, Some(0), "{name}");
    }
}

#[test]
fn every_window_is_cut_from_the_whole() {
    for name in FIXTURES {
        let bytes = fixture(&format!("{name}.jpg"));
        let jpeg = open(&bytes);
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
            assert_eq!((part.left, part.top), (left, top));
            assert_eq!(
                Some(part.pixels),
                whole.cut(region(window)),
                "{name}, {window:?}"
            );
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
    for name in ["420", "444", "grey", "progressive", "cmyk"] {
        let bytes = fixture(&format!("{name}.jpg"));
        let jpeg = open(&bytes);
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
            let decoded = Window {
                left: cut.left,
                top: cut.top,
                width: cut.pixels.width,
                height: cut.pixels.height,
            };
            assert_eq!(
                Some(cut.pixels),
                part.cut(region(decoded)),
                "{name}, {shrink:?}"
            );
        }
    }
}

#[test]
fn colour_with_half_the_columns_is_decoded_as_stored() {
    let bytes = fixture("422.jpg");
    let jpeg = open(&bytes);
    let window = Window {
        left: 0,
        top: 0,
        width: 61,
        height: 43,
    };
    let part = jpeg.decode(window, Shrink::Quarter).unwrap();
    assert_eq!(part.shrink, Shrink::Full);
    assert_eq!(part.pixels, jpeg.decode_whole().unwrap());
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
fn a_stream_of_motion_jpeg_without_tables_has_the_usual_ones() {
    let mut bytes = fixture("420.jpg");
    let whole = open(&bytes).decode_whole().unwrap();
    while let Some(at) = bytes.windows(2).position(|two| two == [0xff, 0xc4]) {
        let length = usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        bytes.drain(at..at + 2 + length);
    }
    assert_eq!(open(&bytes).decode_whole().unwrap(), whole);
}

#[test]
fn kinds_that_are_not_read_are_refused_in_words() {
    let bytes = fixture("420.jpg");
    let frame = bytes
        .windows(2)
        .position(|two| two == [0xff, 0xc0])
        .unwrap();
    let cases: [(usize, u8, &str); 7] = [
        (1, 0xc3, "lossless JPEG"),
        (1, 0xc5, "hierarchical JPEG"),
        (1, 0xc9, "JPEG with arithmetic coding"),
        (1, 0xca, "JPEG with arithmetic coding"),
        (1, 0xf7, "lossless JPEG"),
        (4, 12, "JPEG of 12 bits a colour"),
        // Two columns of blocks and three do not fit each other.
        (14, 0x31, "JPEG whose sampling factors do not divide"),
    ];
    for (place, value, kind) in cases {
        let mut bytes = bytes.clone();
        bytes[frame + place] = value;
        let want = format!("{kind} is not read: convert it to PNG or to an ordinary JPEG");
        assert_eq!(refused(&bytes), want);
        // Also where the end is missing, so that nobody looks for it in vain.
        assert_eq!(refused(&bytes[..bytes.len() - 2]), want);
    }
}

#[test]
fn what_is_no_jpeg_is_left_to_others_and_what_is_too_large_refused() {
    let limits = DecodeLimits::default();
    assert!(Jpeg::within(&fixture("420.png"), limits).unwrap().is_none());
    let limits = DecodeLimits {
        pixels: 61 * 43 - 1,
        ..limits
    };
    let error = Jpeg::within(&fixture("420.jpg"), limits).err().unwrap();
    assert_eq!(error.to_string(), "pixels 2623, the limit is 2622");
    // A progressive stream keeps its coefficients beside the pixels.
    for (name, bytes) in [("444", 6 * 2623), ("progressive_444", 12 * 2623)] {
        let bytes_of = fixture(&format!("{name}.jpg"));
        let within = |bytes| {
            let limits = DecodeLimits {
                bytes,
                ..DecodeLimits::default()
            };
            Jpeg::within(&bytes_of, limits).is_ok()
        };
        assert!(within(bytes) && !within(bytes - 1), "{name}");
    }
}

/// A stream of three components in scans of their own, with restart marks.
fn in_scans(progressive: bool) -> Vec<u8> {
    encoder::encode(&encoder::Wished {
        sampling: vec![(2, 2), (1, 1), (1, 1)],
        adobe: None,
        width: 37,
        height: 29,
        groups: vec![vec![0], vec![1], vec![2]],
        restart: 3,
        progressive,
    })
}

#[test]
fn a_stream_without_all_of_its_scans_is_refused() {
    for (progressive, message) in [
        (false, "broken image: no scan of a component"),
        (true, "broken image: a scan of low frequencies is missing"),
    ] {
        let bytes = in_scans(progressive);
        let mut scans = bytes.windows(2).rposition(|two| two == [0xff, 0xda]);
        let mut cut = bytes[..scans.take().unwrap()].to_vec();
        cut.extend([0xff, 0xd9]);
        assert_eq!(refused(&cut), message);
    }
}

#[test]
fn lost_restart_marks_and_lost_data_are_refused() {
    for progressive in [false, true] {
        let bytes = in_scans(progressive);
        let mark = bytes
            .windows(2)
            .position(|two| two == [0xff, 0xd1])
            .unwrap();
        let mut wrong = bytes.clone();
        wrong[mark + 1] = 0xd4;
        let lost = "broken image: a restart mark is missing, or there is another one";
        assert_eq!(refused(&wrong), lost);
        let scan = bytes
            .windows(2)
            .rposition(|two| two == [0xff, 0xda])
            .unwrap();
        let ended = [&bytes[..scan + 12], &[0xff, 0xd9]].concat();
        let message = refused(&ended);
        assert!(message.starts_with("broken image: "), "{message}");
    }
}

#[test]
fn damage_is_noticed_or_shown_and_never_stops_the_program() {
    let fixtures = ["420_restart", "444", "grey", "progressive", "cmyk"];
    let streams = fixtures.iter().map(|name| fixture(&format!("{name}.jpg")));
    // A header may announce a huge picture now.
    let limits = DecodeLimits {
        pixels: 1 << 16,
        ..DecodeLimits::default()
    };
    for whole in streams.chain([in_scans(false), in_scans(true)]) {
        for position in 2..whole.len() - 2 {
            for bits in [0x01, 0x80, 0xff] {
                let mut damaged = whole.clone();
                damaged[position] ^= bits;
                let Ok(Some(jpeg)) = Jpeg::within(&damaged, limits) else {
                    continue;
                };
                drop(jpeg.decode_whole());
            }
        }
        let cut = Jpeg::within(&whole[..whole.len() - 1], DecodeLimits::default());
        assert!(matches!(cut, Err(DecodeError::Truncated)));
    }
}
