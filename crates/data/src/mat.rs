//! A reader of MATLAB 5 files, as far as list files of image data sets need it.
//!
//! Numbers, text, cells and structures; little-endian; compressed or not. Numbers may be stored in a smaller type than
//! their class says, which is what MATLAB does with whole numbers. Version 4 and the HDF5-based version 7.3 are refused
//! by name. Source: *MAT-File Format*, The MathWorks, R2023b, chapter 1.

use std::io::Read;

use flate2::read::ZlibDecoder;

/// Unpacked bytes of one file; the largest list we know unpacks to 9 MB.
const MAX_UNPACKED: u64 = 256 << 20;
/// Cells within cells, or structures within cells.
const MAX_DEPTH: usize = 8;

/// A named value of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Variable {
    /// Name in MATLAB's workspace.
    pub name: String,
    /// Content.
    pub value: Value,
}

/// What a variable or a cell holds. Arrays are flattened in MATLAB's column-major order.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Any real numeric class.
    Numbers(Vec<f64>),
    /// A character array, its columns joined.
    Text(String),
    /// A cell array.
    Cells(Vec<Value>),
    /// A structure array: field names, and for each field its value in every element.
    Structure(Vec<(String, Vec<Value>)>),
}

impl Value {
    /// The values of one field of a structure array.
    pub fn field(&self, name: &str) -> Option<&[Value]> {
        match self {
            Value::Structure(fields) => fields
                .iter()
                .find(|(field, _)| field == name)
                .map(|(_, values)| &values[..]),
            _ => None,
        }
    }

    /// What the value is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Numbers(_) => "numbers",
            Value::Text(_) => "text",
            Value::Cells(_) => "cells",
            Value::Structure(_) => "a structure",
        }
    }
}

/// Why bytes are not a readable MATLAB 5 file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatError {
    /// Another format; the text names it.
    #[error("not a MATLAB 5 file: {0}")]
    Format(&'static str),
    /// The file ends inside an element.
    #[error("truncated: {needed} bytes wanted at byte {position}, {left} left")]
    Truncated {
        /// Where, counted in the unpacked element.
        position: usize,
        /// Bytes wanted.
        needed: usize,
        /// Bytes there.
        left: usize,
    },
    /// A part of the format that list files do not use.
    #[error("{what} {value} is not supported")]
    Unsupported {
        /// Element type, array class or the like.
        what: &'static str,
        /// Its number.
        value: u64,
    },
    /// A compressed element cannot be unpacked.
    #[error("compressed element: {0}")]
    Compressed(String),
    /// Sizes that contradict each other.
    #[error("{what}: {found} elements, its dimensions say {expected}")]
    Count {
        /// The part.
        what: &'static str,
        /// Elements stored.
        found: usize,
        /// Product of the dimensions.
        expected: usize,
    },
}

/// Reads all variables of a file.
///
/// # Errors
/// [`MatError`] for anything that is not a whole MATLAB 5 file within the supported subset. No input panics or makes the
/// reader allocate much more than the file unpacks to.
pub fn read(bytes: &[u8]) -> Result<Vec<Variable>, MatError> {
    check_header(bytes)?;
    let mut cursor = Cursor {
        bytes,
        position: 128,
    };
    let mut budget = MAX_UNPACKED;
    let mut variables = Vec::new();
    while cursor.left() > 0 {
        let (kind, payload) = cursor.element()?;
        match kind {
            MATRIX => variables.push(matrix(payload, 0)?),
            COMPRESSED => {
                let unpacked = inflate(payload, &mut budget)?;
                let (kind, payload) = Cursor {
                    bytes: &unpacked,
                    position: 0,
                }
                .element()?;
                if kind != MATRIX {
                    return Err(MatError::Unsupported {
                        what: "element type",
                        value: kind.into(),
                    });
                }
                variables.push(matrix(payload, 0)?);
            }
            // Anything else at the top level carries no variable.
            _ => {}
        }
    }
    Ok(variables)
}

// Element types.
const INT8: u32 = 1;
const UINT8: u32 = 2;
const INT16: u32 = 3;
const UINT16: u32 = 4;
const INT32: u32 = 5;
const UINT32: u32 = 6;
const SINGLE: u32 = 7;
const DOUBLE: u32 = 9;
const INT64: u32 = 12;
const UINT64: u32 = 13;
const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;
const UTF8: u32 = 16;
const UTF16: u32 = 17;

// Array classes.
const CELL: u8 = 1;
const STRUCTURE: u8 = 2;
const CHARACTER: u8 = 4;
const FIRST_NUMERIC: u8 = 6;
const LAST_NUMERIC: u8 = 15;

fn check_header(bytes: &[u8]) -> Result<(), MatError> {
    if bytes.starts_with(b"\x89HDF") || bytes.get(512..516) == Some(b"\x89HDF") {
        return Err(MatError::Format("it is HDF5, as MATLAB 7.3 writes it"));
    }
    let Some(marks) = bytes.get(124..128) else {
        return Err(MatError::Format("it is shorter than the 128-byte header"));
    };
    match (&marks[2..], &marks[..2]) {
        (b"IM", [0, 1]) => Ok(()),
        (b"MI", _) => Err(MatError::Format("it is big-endian")),
        (b"IM", _) => Err(MatError::Format("its version is not 0x0100")),
        _ => Err(MatError::Format(
            "it has no endian mark (version 4, or another kind of file)",
        )),
    }
}

fn inflate(payload: &[u8], budget: &mut u64) -> Result<Vec<u8>, MatError> {
    let mut unpacked = Vec::new();
    ZlibDecoder::new(payload)
        .take(*budget + 1)
        .read_to_end(&mut unpacked)
        .map_err(|error| MatError::Compressed(error.to_string()))?;
    *budget = budget.checked_sub(unpacked.len() as u64).ok_or_else(|| {
        MatError::Compressed(format!("unpacks to more than {MAX_UNPACKED} bytes"))
    })?;
    Ok(unpacked)
}

struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    fn left(&self) -> usize {
        self.bytes.len() - self.position
    }

    fn take(&mut self, needed: usize) -> Result<&'a [u8], MatError> {
        if needed > self.left() {
            return Err(MatError::Truncated {
                position: self.position,
                needed,
                left: self.left(),
            });
        }
        let taken = &self.bytes[self.position..self.position + needed];
        self.position += needed;
        Ok(taken)
    }

    fn word(&mut self) -> Result<u32, MatError> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// Type and payload of the next element.
    fn element(&mut self) -> Result<(u32, &'a [u8]), MatError> {
        let first = self.word()?;
        let small_count = (first >> 16) as usize;
        if small_count != 0 {
            let payload = self.take(4)?;
            let payload = payload.get(..small_count).ok_or(MatError::Unsupported {
                what: "small element of size",
                value: small_count as u64,
            })?;
            return Ok((first & 0xffff, payload));
        }
        let count = self.word()? as usize;
        let payload = self.take(count)?;
        // Compressed elements follow each other directly; all others start at a multiple of eight. The padding of the
        // very last one may be missing.
        if first != COMPRESSED {
            let padding = count.next_multiple_of(8) - count;
            self.position += padding.min(self.left());
        }
        Ok((first, payload))
    }
}

fn matrix(payload: &[u8], depth: usize) -> Result<Variable, MatError> {
    if depth > MAX_DEPTH {
        return Err(MatError::Unsupported {
            what: "nesting depth",
            value: depth as u64,
        });
    }
    // MATLAB writes an empty cell as a matrix without any part.
    if payload.is_empty() {
        return Ok(Variable {
            name: String::new(),
            value: Value::Numbers(Vec::new()),
        });
    }
    let mut cursor = Cursor {
        bytes: payload,
        position: 0,
    };
    let (_, flags) = cursor.element()?;
    let class = *flags.first().ok_or(MatError::Truncated {
        position: 0,
        needed: 1,
        left: 0,
    })?;
    let complex = flags.get(1).is_some_and(|bits| bits & 8 != 0);
    if complex {
        return Err(MatError::Unsupported {
            what: "complex array of class",
            value: class.into(),
        });
    }
    let (kind, dimensions) = cursor.element()?;
    let expected = numbers(kind, dimensions)?
        .into_iter()
        .try_fold(1usize, |product, size| product.checked_mul(size as usize))
        .ok_or(MatError::Unsupported {
            what: "dimension product above",
            value: u64::MAX,
        })?;
    let (_, name) = cursor.element()?;
    let name = String::from_utf8_lossy(name).into_owned();
    let value = match class {
        CELL => Value::Cells(matrices(&mut cursor, expected, depth)?),
        STRUCTURE => structure(&mut cursor, expected, depth)?,
        CHARACTER => {
            let (kind, text) = cursor.element()?;
            Value::Text(characters(kind, text)?)
        }
        FIRST_NUMERIC..=LAST_NUMERIC => {
            let (kind, payload) = cursor.element()?;
            let values = numbers(kind, payload)?;
            if values.len() != expected {
                return Err(MatError::Count {
                    what: "array",
                    found: values.len(),
                    expected,
                });
            }
            Value::Numbers(values)
        }
        _ => {
            return Err(MatError::Unsupported {
                what: "array class",
                value: class.into(),
            });
        }
    };
    Ok(Variable { name, value })
}

fn matrices(cursor: &mut Cursor<'_>, count: usize, depth: usize) -> Result<Vec<Value>, MatError> {
    // Every matrix takes at least its eight-byte tag, so a lying count cannot make us reserve more than the file holds.
    let mut values = Vec::with_capacity(count.min(cursor.left() / 8));
    for _ in 0..count {
        let (kind, payload) = cursor.element()?;
        if kind != MATRIX {
            return Err(MatError::Unsupported {
                what: "element type in a cell",
                value: kind.into(),
            });
        }
        values.push(matrix(payload, depth + 1)?.value);
    }
    Ok(values)
}

fn structure(cursor: &mut Cursor<'_>, count: usize, depth: usize) -> Result<Value, MatError> {
    let (kind, length) = cursor.element()?;
    let width = numbers(kind, length)?
        .first()
        .map_or(0, |&width| width as usize);
    let (_, names) = cursor.element()?;
    if width == 0 || names.len() % width != 0 {
        return Err(MatError::Count {
            what: "field names",
            found: names.len(),
            expected: width,
        });
    }
    let names: Vec<String> = names
        .chunks(width)
        .map(|name| {
            let end = name.iter().position(|&byte| byte == 0).unwrap_or(width);
            String::from_utf8_lossy(&name[..end]).into_owned()
        })
        .collect();
    let total = count
        .checked_mul(names.len())
        .ok_or(MatError::Unsupported {
            what: "structure size above",
            value: u64::MAX,
        })?;
    // The file holds all fields of the first element, then all of the second.
    let mut fields: Vec<(String, Vec<Value>)> =
        names.into_iter().map(|name| (name, Vec::new())).collect();
    let field_count = fields.len();
    for (position, value) in matrices(cursor, total, depth)?.into_iter().enumerate() {
        fields[position % field_count].1.push(value);
    }
    Ok(Value::Structure(fields))
}

fn numbers(kind: u32, payload: &[u8]) -> Result<Vec<f64>, MatError> {
    macro_rules! convert {
        ($number:ty) => {{
            let (whole, rest) = payload.as_chunks::<{ size_of::<$number>() }>();
            if !rest.is_empty() {
                return Err(MatError::Truncated {
                    position: payload.len(),
                    needed: size_of::<$number>(),
                    left: rest.len(),
                });
            }
            whole
                .iter()
                .map(|&bytes| <$number>::from_le_bytes(bytes) as f64)
                .collect()
        }};
    }
    Ok(match kind {
        INT8 => convert!(i8),
        UINT8 => convert!(u8),
        INT16 => convert!(i16),
        UINT16 => convert!(u16),
        INT32 => convert!(i32),
        UINT32 => convert!(u32),
        SINGLE => convert!(f32),
        DOUBLE => convert!(f64),
        INT64 => convert!(i64),
        UINT64 => convert!(u64),
        _ => {
            return Err(MatError::Unsupported {
                what: "element type",
                value: kind.into(),
            });
        }
    })
}

fn characters(kind: u32, payload: &[u8]) -> Result<String, MatError> {
    match kind {
        INT8 | UINT8 | UTF8 => Ok(String::from_utf8_lossy(payload).into_owned()),
        UINT16 | UTF16 => {
            let units: Vec<u16> = payload
                .as_chunks::<2>()
                .0
                .iter()
                .map(|&bytes| u16::from_le_bytes(bytes))
                .collect();
            Ok(String::from_utf16_lossy(&units))
        }
        _ => Err(MatError::Unsupported {
            what: "text of element type",
            value: kind.into(),
        }),
    }
}

#[cfg(test)]
pub(crate) mod tests;
