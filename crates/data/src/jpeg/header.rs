//! The segments around the coded data: size, components, tables, and what each scan brings.

use std::rc::Rc;

use image::metadata::Orientation;

use super::bits::Damage;
use super::colour::Colour;
use super::huffman::Huffman;
use super::outline::next_mark;
use super::usual;
use crate::error::DecodeError;
use crate::pixels::DecodeLimits;

/// Position in a block, row by row, of each coefficient in coded order. T.81, figure A.6.
const ZIGZAG: [u8; 64] = zigzag();

/// A picture as its frame describes it.
#[derive(Clone)]
pub(super) struct Frame {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) components: Vec<Component>,
    /// Largest sampling factors of all components, along a row and along a column.
    pub(super) largest: (usize, usize),
    /// Coefficients come in several scans, by frequency and by bits.
    pub(super) progressive: bool,
}

impl Frame {
    /// Whether the pixels, and what has to be kept until they are made, are within the limits.
    pub(super) fn fits(&self, limits: DecodeLimits) -> Result<(), DecodeError> {
        // A coefficient has two bytes, and there are as many as pixels of the planes.
        let kept = if self.progressive { 3 } else { 1 };
        let bytes = 3 + kept * self.components.len() as u8;
        limits.check((self.width as u32, self.height as u32), bytes)
    }
}

/// One plane of a picture.
#[derive(Clone)]
pub(super) struct Component {
    id: u8,
    /// Sampling factors: blocks of a unit in a scan of several components, along a row and along a column.
    pub(super) sampling: (usize, usize),
    /// Number of the table of quantisers.
    quantisers: u8,
}

/// What multiplies coefficients, in coded order.
pub(super) type Quantisers = [i32; 64];

/// One scan with its tables.
pub(super) struct Scan<'a> {
    pub(super) parts: Vec<Coded>,
    /// Units between restart marks; 0 without.
    pub(super) restart_interval: usize,
    /// First and last coefficient, in coded order. Sequential pictures have them all.
    pub(super) band: (usize, usize),
    /// Low bits that are left out, before this scan and after it: `None` is before the first one.
    pub(super) left_out: (Option<u32>, u32),
    /// Entropy-coded data and all after it.
    pub(super) data: &'a [u8],
}

/// A component in a scan.
pub(super) struct Coded {
    /// Its number in the frame.
    pub(super) component: usize,
    pub(super) quantisers: Quantisers,
    /// Absent only where a progressive scan does not use it.
    first: Option<Rc<Huffman>>,
    others: Option<Rc<Huffman>>,
}

impl Coded {
    /// The table of the first coefficients.
    pub(super) fn first(&self) -> Result<&Huffman, Damage> {
        self.first.as_deref().ok_or(NO_TABLE)
    }

    /// The table of the other coefficients.
    pub(super) fn others(&self) -> Result<&Huffman, Damage> {
        self.others.as_deref().ok_or(NO_TABLE)
    }
}

const NO_TABLE: Damage = "a scan without its tables";
const SEGMENT: DecodeError = DecodeError::Damaged("a segment that breaks the rules of JPEG");

/// A walk over the segments, with all that they said so far.
#[derive(Clone, Default)]
pub(super) struct Segments<'a> {
    rest: &'a [u8],
    quantisers: [Option<Quantisers>; 4],
    first: [Option<Rc<Huffman>>; 4],
    others: [Option<Rc<Huffman>>; 4],
    restart_interval: usize,
    frame: Option<Frame>,
    /// The colour transform that Adobe's segment names.
    adobe: Option<u8>,
    jfif: bool,
    turn: Option<Orientation>,
}

impl<'a> Segments<'a> {
    /// From the first byte of a stream on.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Segments {
            rest: bytes.get(2..).unwrap_or_default(),
            ..Segments::default()
        }
    }

    /// Goes on to the next scan, past what is left of the last one's data; `None` at the end of the picture.
    pub(super) fn next_scan(&mut self) -> Result<Option<Scan<'a>>, DecodeError> {
        while let Some(at) = next_mark(self.rest, 0) {
            let mark = self.rest[at + 1];
            self.rest = &self.rest[at + 2..];
            match mark {
                0xd9 => return Ok(None),
                // Restart marks and other marks without a length.
                0xd0..=0xd8 | 0x01 => continue,
                _ => {}
            }
            let length = usize::from(be16(self.rest)?);
            let body = self.rest.get(2..length).ok_or(SEGMENT)?;
            self.rest = &self.rest[length..];
            match mark {
                0xc0..=0xc2 => self.frame(mark == 0xc2, body)?,
                0xc4 => self.huffman(body)?,
                0xc3 | 0xf7 => return Err(not_read("lossless JPEG")),
                0xc5..=0xc7 | 0xcd..=0xcf | 0xde => return Err(not_read("hierarchical JPEG")),
                0xc9..=0xcb => return Err(not_read("JPEG with arithmetic coding")),
                0xda => return self.scan(body).map(Some),
                0xdb => self.quantisers(body)?,
                0xdd => self.restart_interval = usize::from(be16(body)?),
                0xe0 => self.jfif |= body.starts_with(b"JFIF\0"),
                0xe1 => {
                    if let Some(exif) = body.strip_prefix(b"Exif\0\0") {
                        self.turn = self.turn.or(Orientation::from_exif_chunk(exif));
                    }
                }
                0xee if body.starts_with(b"Adobe") => self.adobe = body.get(11).copied(),
                // Other application data and comments.
                _ => {}
            }
        }
        Ok(None)
    }

    /// The frame, which stands before the first scan.
    pub(super) fn the_frame(&self) -> Result<&Frame, DecodeError> {
        self.frame
            .as_ref()
            .ok_or(DecodeError::Damaged("a scan before the frame"))
    }

    /// How the picture has to be turned to stand upright.
    pub(super) fn turn(&self) -> Orientation {
        self.turn.unwrap_or(Orientation::NoTransforms)
    }

    /// As libjpeg decides: JFIF means YCbCr, Adobe says it, and the names R, G, B mean RGB.
    pub(super) fn colour(&self) -> Result<Colour, DecodeError> {
        let components = &self.the_frame()?.components;
        Ok(match (components.len(), self.jfif, self.adobe) {
            (1, ..) => Colour::Grey,
            (3, false, Some(0)) => Colour::Rgb,
            (3, false, None) if components.iter().map(|part| part.id).eq(*b"RGB") => Colour::Rgb,
            (3, ..) => Colour::YCbCr,
            (4, _, None | Some(0)) => Colour::Cmyk,
            (4, ..) => Colour::Ycck,
            (count, ..) => return Err(not_read(format!("JPEG of {count} components"))),
        })
    }

    fn frame(&mut self, progressive: bool, body: &[u8]) -> Result<(), DecodeError> {
        let &[precision, h1, h0, w1, w0, count, ref parts @ ..] = body else {
            return Err(SEGMENT);
        };
        if precision != 8 {
            return Err(not_read(format!("JPEG of {precision} bits a colour")));
        }
        if self.frame.is_some() || parts.len() != 3 * usize::from(count) {
            return Err(SEGMENT);
        }
        let size = |high, low| usize::from(u16::from_be_bytes([high, low]));
        let (width, height) = (size(w1, w0), size(h1, h0));
        if width == 0 || height == 0 {
            return Err(DecodeError::Damaged("a size of 0"));
        }
        let alone = count == 1;
        let components: Vec<Component> = parts
            .as_chunks::<3>()
            .0
            .iter()
            .map(|&[id, sampling, quantisers]| Component {
                id,
                // Alone, a component has the size of the picture whatever its factors are.
                sampling: match (usize::from(sampling >> 4), usize::from(sampling & 15)) {
                    (1..=4, 1..=4) if alone => (1, 1),
                    factors => factors,
                },
                quantisers,
            })
            .collect();
        let factors = |of: fn((usize, usize)) -> usize| {
            let all = || components.iter().map(|component| of(component.sampling));
            let largest = all().max().unwrap_or(0);
            let even = all().all(|factor| (1..=4).contains(&factor) && largest % factor == 0);
            even.then_some(largest)
        };
        let (Some(across), Some(down)) = (factors(|both| both.0), factors(|both| both.1)) else {
            return Err(not_read("JPEG whose sampling factors do not divide"));
        };
        self.frame = Some(Frame {
            width,
            height,
            components,
            largest: (across, down),
            progressive,
        });
        Ok(())
    }

    fn quantisers(&mut self, mut body: &[u8]) -> Result<(), DecodeError> {
        while let [kind, rest @ ..] = body {
            let wide = match kind >> 4 {
                0 => false,
                1 => true,
                _ => return Err(SEGMENT),
            };
            let bytes = if wide { 128 } else { 64 };
            let values = rest.get(..bytes).ok_or(SEGMENT)?;
            let table = std::array::from_fn(|n| {
                if wide {
                    i32::from(u16::from_be_bytes([values[2 * n], values[2 * n + 1]]))
                } else {
                    i32::from(values[n])
                }
            });
            let slot = self.quantisers.get_mut(usize::from(kind & 15));
            *slot.ok_or(SEGMENT)? = Some(table);
            body = &rest[bytes..];
        }
        Ok(())
    }

    fn huffman(&mut self, mut body: &[u8]) -> Result<(), DecodeError> {
        while let [kind, rest @ ..] = body {
            let counts: &[u8; 16] = rest.first_chunk().ok_or(SEGMENT)?;
            let total = counts
                .iter()
                .map(|&count| usize::from(count))
                .sum::<usize>();
            let values = rest.get(16..16 + total).ok_or(SEGMENT)?;
            let class = match kind >> 4 {
                0 => &mut self.first,
                1 => &mut self.others,
                _ => return Err(SEGMENT),
            };
            let slot = class.get_mut(usize::from(kind & 15)).ok_or(SEGMENT)?;
            *slot = Some(Rc::new(Huffman::new(counts, values).ok_or(SEGMENT)?));
            body = &rest[16 + total..];
        }
        Ok(())
    }

    fn scan(&self, body: &[u8]) -> Result<Scan<'a>, DecodeError> {
        let frame = self.the_frame()?;
        let [count, rest @ ..] = body else {
            return Err(SEGMENT);
        };
        let count = usize::from(*count);
        if !(1..=4).contains(&count) || rest.len() != 2 * count + 3 {
            return Err(SEGMENT);
        }
        let (parts, last) = rest.split_at(2 * count);
        let parts = parts.as_chunks::<2>().0.iter();
        let parts: Vec<Coded> = parts
            .map(|&[id, tables]| self.coded(frame, id, tables))
            .collect::<Result<_, _>>()?;
        let mut named = [false; 256];
        let twice = |part: &Coded| std::mem::replace(&mut named[part.component], true);
        if parts.iter().any(twice) {
            return Err(SEGMENT);
        }
        let factors = parts.iter().map(|part| &frame.components[part.component]);
        let blocks = |component: &Component| component.sampling.0 * component.sampling.1;
        if count > 1 && factors.map(blocks).sum::<usize>() > 10 {
            return Err(DecodeError::Damaged("more than ten blocks in a unit"));
        }
        let (from, to) = (u32::from(last[2] >> 4), u32::from(last[2] & 15));
        Ok(Scan {
            parts,
            restart_interval: self.restart_interval,
            band: (usize::from(last[0]), usize::from(last[1])),
            left_out: ((from > 0).then_some(from), to),
            data: self.rest,
        })
    }

    fn coded(&self, frame: &Frame, id: u8, tables: u8) -> Result<Coded, DecodeError> {
        let mut components = frame.components.iter();
        let component = components.position(|component| component.id == id);
        let component = component.ok_or(SEGMENT)?;
        let quantisers = usize::from(frame.components[component].quantisers);
        let quantisers = self.quantisers.get(quantisers).copied().flatten();
        let (first, others) = (usize::from(tables >> 4), usize::from(tables & 15));
        // Frames of Motion JPEG leave out the tables that nearly every encoder writes.
        let usual = |made: fn(usize) -> Option<Huffman>, number| match frame.progressive {
            false => made(number).map(Rc::new),
            true => None,
        };
        let table =
            |stored: &[Option<Rc<Huffman>>; 4], number| stored.get(number).cloned().flatten();
        Ok(Coded {
            component,
            quantisers: quantisers.ok_or(DecodeError::Damaged(NO_TABLE))?,
            first: table(&self.first, first).or_else(|| usual(usual::first, first)),
            others: table(&self.others, others).or_else(|| usual(usual::others, others)),
        })
    }
}

fn not_read(kind: impl Into<String>) -> DecodeError {
    DecodeError::NotRead { kind: kind.into() }
}

fn be16(bytes: &[u8]) -> Result<u16, DecodeError> {
    let first = bytes.first_chunk().ok_or(SEGMENT)?;
    Ok(u16::from_be_bytes(*first))
}

/// The place of a coefficient in its block, row by row.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) fn place(position: usize) -> usize {
    usize::from(ZIGZAG[position & 63] & 63)
}

/// Diagonals from the corner, every other one downwards.
const fn zigzag() -> [u8; 64] {
    let mut order = [0; 64];
    let (mut row, mut column) = (0usize, 0usize);
    let mut position = 0;
    while position < 64 {
        order[position] = (8 * row + column) as u8;
        if (row + column).is_multiple_of(2) {
            if column == 7 {
                row += 1;
            } else {
                column += 1;
                row = row.saturating_sub(1);
            }
        } else if row == 7 {
            column += 1;
        } else {
            row += 1;
            column = column.saturating_sub(1);
        }
        position += 1;
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficients_are_placed_along_diagonals() {
        let begin: Vec<usize> = (0..10).map(place).collect();
        assert_eq!(begin, [0, 1, 8, 16, 9, 2, 3, 10, 17, 24]);
        assert_eq!((place(62), place(63)), (62, 63));
        let mut all: Vec<usize> = (0..64).map(place).collect();
        all.sort_unstable();
        assert_eq!(all, (0..64).collect::<Vec<_>>());
    }
}
