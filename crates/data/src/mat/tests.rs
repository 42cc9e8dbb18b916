//! MAT-5 files made by hand, whole and damaged.

use std::io::Write as _;

use proptest::prelude::*;

use super::*;

/// An element with its padding.
fn element(kind: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = kind.to_le_bytes().to_vec();
    bytes.extend((payload.len() as u32).to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

fn array(class: u8, name: &str, dimensions: &[i32], content: &[u8]) -> Vec<u8> {
    let mut parts = element(UINT32, &[class, 0, 0, 0, 0, 0, 0, 0]);
    let dimensions: Vec<u8> = dimensions
        .iter()
        .flat_map(|size| size.to_le_bytes())
        .collect();
    parts.extend(element(INT32, &dimensions));
    parts.extend(element(INT8, name.as_bytes()));
    parts.extend_from_slice(content);
    element(MATRIX, &parts)
}

/// A class-double array stored as 16-bit whole numbers.
pub(crate) fn whole_numbers(name: &str, values: &[u16]) -> Vec<u8> {
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    array(6, name, &[1, values.len() as i32], &element(UINT16, &bytes))
}

pub(crate) fn text(name: &str, value: &str) -> Vec<u8> {
    let units: Vec<u8> = value.encode_utf16().flat_map(u16::to_le_bytes).collect();
    array(
        CHARACTER,
        name,
        &[1, value.len() as i32],
        &element(UINT16, &units),
    )
}

pub(crate) fn cells(name: &str, values: &[Vec<u8>]) -> Vec<u8> {
    array(CELL, name, &[values.len() as i32, 1], &values.concat())
}

/// A structure array of `names.len()` fields; `values` holds all fields of the first element first.
pub(crate) fn structures(name: &str, names: &[&str], values: &[Vec<u8>]) -> Vec<u8> {
    let mut content = element(INT32, &16i32.to_le_bytes());
    let padded: Vec<u8> = names
        .iter()
        .flat_map(|name| {
            let mut bytes = name.as_bytes().to_vec();
            bytes.resize(16, 0);
            bytes
        })
        .collect();
    content.extend(element(INT8, &padded));
    content.extend(values.concat());
    array(
        STRUCTURE,
        name,
        &[(values.len() / names.len()) as i32, 1],
        &content,
    )
}

/// A whole file of the given variables, each compressed as MATLAB does.
pub(crate) fn file(variables: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![b' '; 124];
    bytes.extend([0, 1, b'I', b'M']);
    for variable in variables {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(variable).unwrap();
        let packed = encoder.finish().unwrap();
        bytes.extend(COMPRESSED.to_le_bytes());
        bytes.extend((packed.len() as u32).to_le_bytes());
        bytes.extend(packed);
    }
    bytes
}

#[test]
fn every_kind_of_value_is_read() {
    let bytes = file(&[
        whole_numbers("ids", &[3, 65535]),
        cells(
            "paths",
            &[text("", "é.jpg"), text("", "b c"), element(MATRIX, &[])],
        ),
        structures(
            "sets",
            &["id", "words"],
            &[
                whole_numbers("", &[1]),
                text("", "cat"),
                whole_numbers("", &[2]),
                text("", "dog"),
            ],
        ),
    ]);
    let variables = read(&bytes).unwrap();
    assert_eq!(variables[0].name, "ids");
    assert_eq!(variables[0].value, Value::Numbers(vec![3.0, 65535.0]));
    let text = |value: &str| Value::Text(value.into());
    assert_eq!(
        variables[1].value,
        Value::Cells(vec![text("é.jpg"), text("b c"), Value::Numbers(Vec::new())])
    );
    assert_eq!(
        variables[2].value.field("words"),
        Some(&[text("cat"), text("dog")][..])
    );
    assert_eq!(variables[2].value.field("nothing"), None);
}

#[test]
fn small_and_uncompressed_elements_are_read() {
    let mut bytes = file(&[]);
    // A two-byte payload in the tag itself.
    let small = [UINT8 as u8, 0, 2, 0, 7, 9, 0, 0];
    bytes.extend(array(6, "x", &[2, 1], &small));
    assert_eq!(
        read(&bytes).unwrap()[0].value,
        Value::Numbers(vec![7.0, 9.0])
    );
}

#[test]
fn other_formats_and_damage_are_named() {
    let good = file(&[whole_numbers("x", &[1, 2, 3])]);
    let mut wrong_count = file(&[]);
    wrong_count.extend(array(6, "x", &[4, 1], &element(UINT8, &[1, 2])));
    let mut sparse = file(&[]);
    sparse.extend(array(5, "x", &[1, 1], &element(UINT8, &[1])));
    let mut deep = text("", "x");
    for _ in 0..20 {
        deep = cells("", &[deep]);
    }
    let mut huge = file(&[]);
    huge.extend(array(CELL, "x", &[i32::MAX, i32::MAX, i32::MAX], &[]));
    let mut hdf5 = vec![0; 600];
    hdf5[512..516].copy_from_slice(b"\x89HDF");
    let cases: [(&str, Vec<u8>, &str); 9] = [
        ("empty", Vec::new(), "shorter than the 128-byte header"),
        ("text file", vec![b'a'; 300], "no endian mark"),
        ("7.3", hdf5, "HDF5"),
        ("cut", good[..good.len() - 5].to_vec(), "truncated"),
        (
            "cut tag",
            good[..131].to_vec(),
            "truncated: 4 bytes wanted at byte 128, 3 left",
        ),
        (
            "count",
            wrong_count,
            "array: 2 elements, its dimensions say 4",
        ),
        ("sparse", sparse, "array class 5 is not supported"),
        ("nesting", file(&[deep]), "nesting depth 9 is not supported"),
        ("huge", huge, "is not supported"),
    ];
    for (name, bytes, expected) in cases {
        let message = read(&bytes).unwrap_err().to_string();
        assert!(message.contains(expected), "{name}: {message}");
    }
}

proptest! {
    #[test]
    fn damage_never_panics(position in 0usize..700, value in any::<u8>(), cut in 0usize..700) {
        // Uncompressed, so that the damage reaches the parser and not only the checksum of zlib.
        let mut bytes = file(&[]);
        bytes.extend(whole_numbers("ids", &[3, 65535]));
        bytes.extend(cells("paths", &[text("", "é.jpg"), text("", "b")]));
        bytes.extend(structures("sets", &["id"], &[whole_numbers("", &[1])]));
        let position = position % bytes.len();
        bytes[position] = value;
        bytes.truncate(bytes.len() - cut % bytes.len());
        let _ = read(&bytes);
    }
}
