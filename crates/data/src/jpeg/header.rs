//! The segments before the coded data: size, components and tables.

use super::huffman::Huffman;

/// Position in a block, row by row, of each coefficient in coded order. T.81, figure A.6.
const ZIGZAG: [u8; 64] = zigzag();

/// A stream of the kind that is handled here.
pub(super) struct Header {
    pub(super) width: usize,
    pub(super) height: usize,
    /// One for grey, three for YCbCr.
    pub(super) components: Vec<Component>,
    /// Blocks of the first component in a unit of the scan, along a row and along a column; the others have one.
    pub(super) blocks: (usize, usize),
    /// Units between restart marks; 0 without.
    pub(super) restart_interval: usize,
}

/// One plane.
pub(super) struct Component {
    /// What coefficients are multiplied by, in coded order.
    pub(super) quantisers: [i32; 64],
    pub(super) first: Huffman,
    pub(super) others: Huffman,
}

/// What a frame says about a component.
struct Plane {
    id: u8,
    sampling: (usize, usize),
    quantisers: usize,
}

/// Tables and frame as far as they were read.
#[derive(Default)]
struct Reading {
    quantisers: [Option<[i32; 64]>; 4],
    first: [Option<Huffman>; 4],
    others: [Option<Huffman>; 4],
    restart_interval: usize,
    size: (usize, usize),
    planes: Vec<Plane>,
    /// The colour transform that Adobe's segment names.
    adobe: Option<u8>,
    jfif: bool,
}

impl Header {
    /// Reads up to the coded data, which are returned beside; `None` for what is not handled.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let mut reading = Reading::default();
        let mut rest = bytes.strip_prefix(&[0xff, 0xd8])?;
        loop {
            // Fill bytes may stand before a mark.
            while let [0xff, 0xff, ..] = rest {
                rest = &rest[1..];
            }
            let &[0xff, mark, high, low, ..] = rest else {
                return None;
            };
            let length = usize::from(u16::from_be_bytes([high, low]));
            let body = rest.get(4..2 + length)?;
            rest = &rest[2 + length..];
            match mark {
                0xc0 | 0xc1 => reading.frame(body)?,
                0xc4 => reading.huffman(body)?,
                0xda => return Some((reading.scan(body)?, rest)),
                0xdb => reading.quantisers(body)?,
                0xdd => reading.restart_interval = usize::from(be16(body)?),
                0xe0 => reading.jfif |= body.starts_with(b"JFIF\0"),
                0xee if body.starts_with(b"Adobe") => reading.adobe = Some(*body.get(11)?),
                // Other application data and comments.
                0xe1..=0xef | 0xfe => {}
                _ => return None,
            }
        }
    }
}

impl Reading {
    fn frame(&mut self, body: &[u8]) -> Option<()> {
        let &[8, h1, h0, w1, w0, count, ref parts @ ..] = body else {
            return None;
        };
        if !self.planes.is_empty()
            || !matches!(count, 1 | 3)
            || parts.len() != 3 * usize::from(count)
        {
            return None;
        }
        let size = |high, low| usize::from(u16::from_be_bytes([high, low]));
        self.size = (size(w1, w0), size(h1, h0));
        self.planes = parts
            .chunks_exact(3)
            .map(|part| Plane {
                id: part[0],
                sampling: (usize::from(part[1] >> 4), usize::from(part[1] & 15)),
                quantisers: usize::from(part[2]),
            })
            .collect();
        (self.size.0 > 0 && self.size.1 > 0).then_some(())
    }

    fn quantisers(&mut self, mut body: &[u8]) -> Option<()> {
        while let [kind, rest @ ..] = body {
            let wide = match kind >> 4 {
                0 => false,
                1 => true,
                _ => return None,
            };
            let bytes = if wide { 128 } else { 64 };
            let values = rest.get(..bytes)?;
            let table = std::array::from_fn(|n| {
                if wide {
                    i32::from(u16::from_be_bytes([values[2 * n], values[2 * n + 1]]))
                } else {
                    i32::from(values[n])
                }
            });
            *self.quantisers.get_mut(usize::from(kind & 15))? = Some(table);
            body = &rest[bytes..];
        }
        Some(())
    }

    fn huffman(&mut self, mut body: &[u8]) -> Option<()> {
        while let [kind, rest @ ..] = body {
            let counts: &[u8; 16] = rest.first_chunk()?;
            let total = counts
                .iter()
                .map(|&count| usize::from(count))
                .sum::<usize>();
            let values = rest.get(16..16 + total)?;
            let class = match kind >> 4 {
                0 => &mut self.first,
                1 => &mut self.others,
                _ => return None,
            };
            *class.get_mut(usize::from(kind & 15))? = Some(Huffman::new(counts, values)?);
            body = &rest[16 + total..];
        }
        Some(())
    }

    fn scan(self, body: &[u8]) -> Option<Header> {
        let count = self.planes.len();
        let [scanned, rest @ ..] = body else {
            return None;
        };
        // All components in one scan, all coefficients, all bits.
        if count == 0 || usize::from(*scanned) != count || rest.len() != 2 * count + 3 {
            return None;
        }
        if rest[2 * count..] != [0, 63, 0] || (count == 3 && !self.is_ycbcr()) {
            return None;
        }
        let blocks = match self
            .planes
            .iter()
            .map(|plane| plane.sampling)
            .collect::<Vec<_>>()[..]
        {
            // Alone in its scan, a component is coded block by block.
            [(1..=4, 1..=4)] => (1, 1),
            [luma @ ((1, 1) | (2, 1) | (2, 2)), (1, 1), (1, 1)] => luma,
            _ => return None,
        };
        let components = self
            .planes
            .iter()
            .zip(rest.chunks_exact(2))
            .map(|(plane, part)| {
                if part[0] != plane.id {
                    return None;
                }
                Some(Component {
                    quantisers: (*self.quantisers.get(plane.quantisers)?)?,
                    first: self.first.get(usize::from(part[1] >> 4))?.clone()?,
                    others: self.others.get(usize::from(part[1] & 15))?.clone()?,
                })
            });
        Some(Header {
            components: components.collect::<Option<_>>()?,
            width: self.size.0,
            height: self.size.1,
            blocks,
            restart_interval: self.restart_interval,
        })
    }

    /// As libjpeg decides: JFIF means YCbCr, Adobe says it, and the names R, G, B mean RGB.
    fn is_ycbcr(&self) -> bool {
        match (self.jfif, self.adobe) {
            (true, _) => true,
            (false, Some(transform)) => transform == 1,
            (false, None) => self.planes.iter().map(|plane| plane.id).ne(*b"RGB"),
        }
    }
}

fn be16(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk().map(|&bytes| u16::from_be_bytes(bytes))
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
