//! Every sampling pattern in every arrangement of scans, against what Pillow decodes.

use std::collections::BTreeMap;

use super::encoder::{Wished, encode};
use super::*;

/// Mean of each channel, and the CRC-32 of all pixels.
type Expected = BTreeMap<String, ([f64; 3], u32)>;

fn expected() -> Expected {
    let text = String::from_utf8(fixture("grid.csv")).unwrap();
    let lines = text.lines().skip(1).map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        let means = [1, 2, 3].map(|field| fields[field].parse().unwrap());
        let sum = u32::from_str_radix(fields[4], 16).unwrap();
        (fields[0].to_owned(), (means, sum))
    });
    lines.collect()
}

/// All arrangements of the scans of a picture: one, one a component, the first apart; with restart marks and without;
/// sequential and progressive.
fn arrangements(
    sampling: &[(usize, usize)],
    adobe: Option<u8>,
    size: (usize, usize),
) -> Vec<Wished> {
    let all: Vec<usize> = (0..sampling.len()).collect();
    let each = all.iter().map(|&component| vec![component]).collect();
    let groupings = [vec![all.clone()], each, vec![vec![0], all[1..].to_vec()]];
    let mut wished = Vec::new();
    for groups in groupings {
        let blocks = |group: &Vec<usize>| -> usize {
            let factors = group.iter().map(|&component| sampling[component]);
            factors.map(|(across, down)| across * down).sum()
        };
        // More than ten blocks in a unit are against the rules.
        if groups
            .iter()
            .any(|group| group.len() > 1 && blocks(group) > 10)
        {
            continue;
        }
        for (restart, progressive) in [(0, false), (3, false), (0, true), (3, true)] {
            wished.push(Wished {
                sampling: sampling.to_vec(),
                adobe,
                width: size.0,
                height: size.1,
                groups: groups.clone(),
                restart,
                progressive,
            });
        }
    }
    wished
}

fn check(name: &str, expected: &Expected, arrangements: &[Wished]) {
    let (means, sum) = expected[name];
    for wished in arrangements {
        let bytes = encode(wished);
        let jpeg = open(&bytes);
        let pixels = jpeg.decode_whole().unwrap();
        assert_eq!((pixels.width, pixels.height), (wished.width, wished.height));
        for (channel, mean) in means.into_iter().enumerate() {
            let values = pixels.bytes.iter().skip(channel).step_by(3);
            let found = values.map(|&value| f64::from(value)).sum::<f64>();
            let found = found / (pixels.width * pixels.height) as f64;
            assert!(
                (found - mean).abs() < 1.0,
                "{name}: {found} for {mean}, {wished:?}"
            );
        }
        assert_eq!(crc32fast::hash(&pixels.bytes), sum, "{name}, {wished:?}");
        // A part is read another way: the blocks before it are passed over.
        let window = Window {
            left: wished.width / 3,
            top: wished.height / 2,
            width: wished.width.div_ceil(2),
            height: wished.height.div_ceil(3),
        };
        let part = jpeg.decode(window, Shrink::Full).unwrap().pixels;
        assert_eq!(Some(part), pixels.cut(region(window)), "{name}, {wished:?}");
    }
}

const SIZE: (usize, usize) = (37, 29);

fn name(sampling: &[(usize, usize)]) -> String {
    let factors = sampling
        .iter()
        .map(|(across, down)| format!("{across}x{down}"));
    factors.collect::<Vec<_>>().join(" ")
}

#[test]
fn every_sampling_pattern_in_every_arrangement_of_scans_is_pillows() {
    let expected = expected();
    let factors = [(1, 1), (2, 1), (1, 2), (2, 2)];
    let mut streams = 0;
    for luma in factors {
        for blue in factors {
            for red in factors {
                let sampling = [luma, blue, red];
                let arrangements = arrangements(&sampling, None, SIZE);
                streams += arrangements.len();
                check(&name(&sampling), &expected, &arrangements);
            }
        }
    }
    // 64 patterns, 3 groupings, restarts or not, progressive or not; one pattern has no single scan.
    assert_eq!(streams, 64 * 3 * 4 - 4);
}

#[test]
fn factors_of_three_and_four_are_pillows() {
    let expected = expected();
    let cases = [
        [(4, 1), (1, 1), (1, 1)],
        [(4, 2), (1, 1), (1, 1)],
        [(1, 4), (1, 1), (1, 1)],
        [(3, 1), (1, 1), (1, 1)],
        [(4, 1), (2, 1), (1, 1)],
    ];
    for sampling in cases {
        check(
            &name(&sampling),
            &expected,
            &arrangements(&sampling, None, SIZE),
        );
    }
}

#[test]
fn rgb_and_the_inks_are_pillows() {
    let expected = expected();
    let cases = [
        ("rgb", vec![(2, 2), (1, 1), (1, 1)], Some(0)),
        ("cmyk", vec![(1, 1); 4], Some(0)),
        ("cmyk without adobe", vec![(1, 1); 4], None),
        ("ycck", vec![(2, 2), (1, 1), (1, 1), (2, 2)], Some(2)),
    ];
    for (name, sampling, adobe) in cases {
        check(name, &expected, &arrangements(&sampling, adobe, SIZE));
    }
}

#[test]
fn pictures_of_one_to_five_columns_or_rows_are_pillows() {
    let expected = expected();
    for luma in [(2, 2), (2, 1), (1, 2)] {
        let sampling = [luma, (1, 1), (1, 1)];
        for side in 1..=5 {
            for (word, size) in [("wide", (side, SIZE.1)), ("high", (SIZE.0, side))] {
                let name = format!("{} {side} {word}", name(&sampling));
                check(&name, &expected, &arrangements(&sampling, None, size));
            }
        }
    }
}
