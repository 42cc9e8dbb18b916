//! Arrays of numpy, whatever the type of their values: numbers as `f32`, labels as text.

use std::error::Error;
use std::io::{Cursor, ErrorKind, Read};

use half::f16;
use ndarray::{Array1, Array2, ArrayD, Ix1, Ix2};
use ndarray_npy::{
    NpzReader, ReadDataError, ReadNpyError, ReadNpyExt, ReadNpzError, ReadableElement,
};
use py_literal::Value as Descriptor;

use crate::Matrix;
use crate::choose::choose;
use crate::number::{float_text, narrowed, truth_text};

/// A number of any type of float.
#[derive(Clone, Copy)]
struct Value(f32);

/// What a CSV file would hold of a whole number, truth value, float or text.
#[derive(Clone)]
struct Label(String);

/// A matrix of floats.
pub(crate) fn matrix(reader: impl Read) -> Result<Matrix, String> {
    matrix_of(ArrayD::read_npy(reader).map_err(not_floats)?)
}

/// Labels: one dimension, or one column.
pub(crate) fn labels(reader: impl Read) -> Result<Vec<String>, String> {
    labels_of(ArrayD::read_npy(reader).map_err(not_labels)?)
}

/// The matrix of an `.npz`: `embeddings`, or its only array besides the labels.
pub(crate) fn matrix_in(bytes: &[u8]) -> Result<Matrix, String> {
    let mut file = NpzReader::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    let names = file.names().map_err(|error| error.to_string())?;
    let name = choose("array", "embeddings", &names)?;
    let array = file
        .by_name(name)
        .map_err(|error| inside(error, not_floats));
    matrix_of(array?).map_err(|problem| format!("the array `{name}` {problem}"))
}

/// The labels in an `.npz`, if it has any.
pub(crate) fn labels_in(bytes: &[u8]) -> Result<Option<Vec<String>>, String> {
    let mut file = NpzReader::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    let names = file.names().map_err(|error| error.to_string())?;
    if !names.iter().any(|name| name == "labels") {
        return Ok(None);
    }
    let array = file
        .by_name("labels")
        .map_err(|error| inside(error, not_labels));
    let labels = array.and_then(labels_of);
    labels
        .map(Some)
        .map_err(|problem| format!("the array `labels` {problem}"))
}

fn matrix_of(array: ArrayD<Value>) -> Result<Matrix, String> {
    let shape = array.shape().to_vec();
    let array: Array2<Value> = array
        .into_dimensionality::<Ix2>()
        .map_err(|_| format!("has the shape {shape:?}, must have two dimensions [rows, values]"))?;
    let dim = array.ncols();
    let values = match array.is_standard_layout() {
        true => {
            let values = array.into_raw_vec_and_offset().0.into_iter();
            values.map(|value| value.0).collect()
        }
        // Columns after columns, as Fortran has them.
        false => array.iter().map(|value| value.0).collect(),
    };
    Ok(Matrix { values, dim })
}

fn labels_of(array: ArrayD<Label>) -> Result<Vec<String>, String> {
    let shape = array.shape().to_vec();
    let array = match shape[..] {
        [rows, 1] => array.into_shape_with_order(rows),
        _ => array.into_dimensionality::<Ix1>(),
    };
    let array: Array1<Label> =
        array.map_err(|_| format!("has the shape {shape:?}, labels must have one dimension"))?;
    Ok(array.into_iter().map(|label| label.0).collect())
}

fn not_floats(error: ReadNpyError) -> String {
    match error {
        ReadNpyError::WrongDescriptor(kind) => {
            format!("holds {kind}, must hold f16, f32 or f64 (numpy: x.astype('float32'))")
        }
        other => unreadable(other),
    }
}

fn not_labels(error: ReadNpyError) -> String {
    match error {
        ReadNpyError::WrongDescriptor(kind) => format!(
            "holds {kind}, labels must be numbers, truth values or text (numpy: y.astype('int64') or y.astype('U'))"
        ),
        other => unreadable(other),
    }
}

fn unreadable(error: ReadNpyError) -> String {
    match error {
        ReadNpyError::ParseHeader(error) => format!("is no array of numpy: {error}"),
        ReadNpyError::ParseData(error) => error.to_string(),
        ReadNpyError::MissingData => "is cut off: it ends before its last value".to_owned(),
        ReadNpyError::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
            "is no array of numpy: it ends in its first bytes".to_owned()
        }
        other => other.to_string(),
    }
}

fn inside(error: ReadNpzError, what: impl Fn(ReadNpyError) -> String) -> String {
    match error {
        ReadNpzError::Npy(error) => what(error),
        other => other.to_string(),
    }
}

/// Kind and size of a type: `<f4` is `('f', 4)`.
fn kind_of(descriptor: &Descriptor) -> Option<(char, usize)> {
    let text = descriptor.as_string()?;
    let text = text.trim_start_matches(['<', '>', '|', '=']);
    let size = text.get(1..)?.parse().ok()?;
    Some((text.chars().next()?, size))
}

/// The type of the same byte order, of another kind and size.
fn like(descriptor: &Descriptor, kind: &str) -> Descriptor {
    let big = descriptor
        .as_string()
        .is_some_and(|text| text.starts_with('>'));
    let order = if big { '>' } else { '<' };
    Descriptor::String(format!("{order}{kind}"))
}

impl ReadableElement for Value {
    fn read_to_end_exact_vec<R: Read>(
        reader: R,
        descriptor: &Descriptor,
        len: usize,
    ) -> Result<Vec<Self>, ReadDataError> {
        match kind_of(descriptor) {
            Some(('f', 2)) => {
                let halves = halves(reader, descriptor, len)?;
                Ok(halves.map(|half| Value(half.to_f32())).collect())
            }
            Some(('f', 8)) => {
                let doubles = f64::read_to_end_exact_vec(reader, descriptor, len)?;
                let value = |double: f64| narrowed(double).map(Value);
                let values: Result<_, String> = doubles.into_iter().map(value).collect();
                values.map_err(told)
            }
            _ => {
                let singles = f32::read_to_end_exact_vec(reader, descriptor, len)?;
                Ok(singles.into_iter().map(Value).collect())
            }
        }
    }
}

impl ReadableElement for Label {
    fn read_to_end_exact_vec<R: Read>(
        reader: R,
        descriptor: &Descriptor,
        len: usize,
    ) -> Result<Vec<Self>, ReadDataError> {
        fn each<T: ReadableElement>(
            reader: impl Read,
            descriptor: &Descriptor,
            len: usize,
            text: impl Fn(T) -> String,
        ) -> Result<Vec<Label>, ReadDataError> {
            let values = T::read_to_end_exact_vec(reader, descriptor, len)?;
            Ok(values.into_iter().map(|value| Label(text(value))).collect())
        }
        match kind_of(descriptor) {
            Some(('b', 1)) => each(reader, descriptor, len, truth_text),
            Some(('i', 1)) => each(reader, descriptor, len, |x: i8| x.to_string()),
            Some(('i', 2)) => each(reader, descriptor, len, |x: i16| x.to_string()),
            Some(('i', 4)) => each(reader, descriptor, len, |x: i32| x.to_string()),
            Some(('i', 8)) => each(reader, descriptor, len, |x: i64| x.to_string()),
            Some(('u', 1)) => each(reader, descriptor, len, |x: u8| x.to_string()),
            Some(('u', 2)) => each(reader, descriptor, len, |x: u16| x.to_string()),
            Some(('u', 4)) => each(reader, descriptor, len, |x: u32| x.to_string()),
            Some(('u', 8)) => each(reader, descriptor, len, |x: u64| x.to_string()),
            Some(('f', 2)) => {
                let halves = halves(reader, descriptor, len)?;
                Ok(halves.map(|x| Label(float_text(x.to_f64(), x))).collect())
            }
            Some(('f', 4)) => each(reader, descriptor, len, |x: f32| float_text(x.into(), x)),
            Some(('f', 8)) => each(reader, descriptor, len, |x: f64| float_text(x, x)),
            // Text of a fixed length, filled up with zeros.
            Some(('U', size)) if size > 0 => {
                let all = len.checked_mul(size).ok_or(ReadDataError::MissingData)?;
                let codes = u32::read_to_end_exact_vec(reader, &like(descriptor, "u4"), all)?;
                let text = |codes: &[u32]| {
                    let codes = codes.iter().take_while(|&&code| code != 0);
                    codes
                        .map(|&code| char::from_u32(code))
                        .collect::<Option<_>>()
                };
                let label = |codes: &[u32]| text(codes).map(Label).ok_or_else(no_text);
                codes.chunks_exact(size).map(label).collect()
            }
            _ => Err(ReadDataError::WrongDescriptor(descriptor.clone())),
        }
    }
}

fn halves(
    reader: impl Read,
    descriptor: &Descriptor,
    len: usize,
) -> Result<impl Iterator<Item = f16>, ReadDataError> {
    let bits = u16::read_to_end_exact_vec(reader, &like(descriptor, "u2"), len)?;
    Ok(bits.into_iter().map(f16::from_bits))
}

fn no_text() -> ReadDataError {
    told("holds what is no text")
}

fn told(problem: impl Into<Box<dyn Error + Send + Sync>>) -> ReadDataError {
    ReadDataError::ParseData(problem.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An array as numpy stores it.
    fn array(kind: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn label_texts(kind: &str, data: &[u8]) -> Vec<String> {
        labels(&array(kind, "(2,)", data)[..]).unwrap()
    }

    #[test]
    fn labels_of_every_type_are_read() {
        assert_eq!(label_texts("|i1", &[0xff, 3]), ["-1", "3"]);
        assert_eq!(label_texts("|u1", &[0xff, 3]), ["255", "3"]);
        assert_eq!(label_texts("|b1", &[1, 0]), ["True", "False"]);
        assert_eq!(label_texts("<i2", &[0xfe, 0xff, 1, 2]), ["-2", "513"]);
        assert_eq!(label_texts(">i2", &[0xff, 0xfe, 2, 1]), ["-2", "513"]);
        assert_eq!(label_texts("<u2", &[0xfe, 0xff, 1, 2]), ["65534", "513"]);
        assert_eq!(label_texts(">u4", &[0, 0, 0, 9, 0, 0, 1, 0]), ["9", "256"]);
        let both = |one: [u8; 8], other: [u8; 8]| [one, other].concat();
        let longs = both((-7_i64).to_le_bytes(), 9_i64.to_le_bytes());
        assert_eq!(label_texts("<i8", &longs), ["-7", "9"]);
        let doubles = both(3_f64.to_be_bytes(), f64::NAN.to_be_bytes());
        assert_eq!(label_texts(">f8", &doubles), ["3.0", "NaN"]);
        assert_eq!(label_texts("<f2", &[0, 0x3c, 0, 0x38]), ["1.0", "0.5"]);
        let text: Vec<u8> = [0xe9, 0, u32::from('a'), u32::from('b')]
            .iter()
            .flat_map(|code: &u32| code.to_le_bytes())
            .collect();
        assert_eq!(label_texts("<U2", &text), ["é", "ab"]);
    }

    #[test]
    fn one_column_is_a_list_and_more_are_not() {
        let column = array("|u1", "(2, 1)", &[1, 2]);
        assert_eq!(labels(&column[..]).unwrap(), ["1", "2"]);
        let error = labels(&array("|u1", "(1, 2)", &[1, 2])[..]).unwrap_err();
        assert!(error.starts_with("has the shape [1, 2], labels"), "{error}");
        let error = labels(&array("|O", "(2,)", b"x")[..]).unwrap_err();
        assert!(error.starts_with("holds '|O', labels must be"), "{error}");
    }

    #[test]
    fn halves_are_exact_and_doubles_are_rounded() {
        let read = |kind: &str, data: &[u8]| matrix(&array(kind, "(1, 2)", data)[..]);
        let expected = Matrix {
            values: vec![0.5, -2.0],
            dim: 2,
        };
        assert_eq!(read("<f2", &[0, 0x38, 0, 0xc0]).unwrap(), expected);
        assert_eq!(read(">f2", &[0x38, 0, 0xc0, 0]).unwrap(), expected);
        let doubles = |list: [f64; 2]| list.map(f64::to_le_bytes).concat();
        assert_eq!(read("<f8", &doubles([0.5, -2.0])).unwrap(), expected);
        let rounded = read("<f8", &doubles([0.1, 0.2])).unwrap();
        assert_eq!(rounded.values, [0.1, 0.2]);
        for (error, says) in [
            (
                read("<f8", &doubles([0.0, 1e300])),
                "holds 1e300, which is beyond",
            ),
            (
                read("<i4", &[0; 8]),
                "holds '<i4', must hold f16, f32 or f64",
            ),
            (
                matrix(&array("<f4", "(2,)", &[0; 8])[..]),
                "has the shape [2]",
            ),
            (matrix(&b"no array"[..]), "is no array of numpy"),
            (
                read("<f4", &[0; 7]),
                "is cut off: it ends before its last value",
            ),
        ] {
            let error = error.unwrap_err();
            assert!(error.starts_with(says), "{error}");
        }
    }

    #[test]
    fn columns_after_columns_become_rows() {
        let mut bytes = array(
            "<f4",
            "(2, 2)",
            &[1.0_f32, 2.0, 3.0, 4.0].map(f32::to_le_bytes).concat(),
        );
        let at = bytes.windows(5).position(|part| part == b"False").unwrap();
        bytes[at..at + 5].copy_from_slice(b"True ");
        assert_eq!(matrix(&bytes[..]).unwrap().values, [1.0, 3.0, 2.0, 4.0]);
    }
}
