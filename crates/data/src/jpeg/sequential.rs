//! Sequential scans: every block comes once with all its coefficients, so those of the requested area become pixels at once,
//! and reading stops below it.

use std::num::Wrapping;
use std::ops::Range;

use super::area::{Area, Plane};
use super::bits::Bits;
use super::bits::Damage;
use super::header::{Quantisers, Scan, place};
use super::huffman::{Huffman, NO_CODE};
use super::idct::{Block, transform};
use super::walk::{Blocks, Memory, walk};

/// Reads a scan into the planes of its components.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) fn decode(scan: &Scan<'_>, area: &Area, planes: &mut [Plane]) -> Result<(), Damage> {
    let mut parts = Vec::new();
    for coded in &scan.parts {
        let [columns, rows] = area.blocks(coded.component);
        parts.push(ScanComponent {
            component: coded.component,
            side: area.layouts[coded.component].side,
            columns,
            rows,
            quantisers: &coded.quantisers,
            first: coded.first()?,
            others: coded.others()?,
        });
    }
    let mut pixels = ToPixels {
        parts,
        planes,
        block: [Wrapping(0); 64],
    };
    walk(scan, area, area.rows.1, &mut pixels)
}

/// A component of the scan, with the blocks of it that are requested.
struct ScanComponent<'a> {
    component: usize,
    side: usize,
    columns: Range<usize>,
    rows: Range<usize>,
    quantisers: &'a Quantisers,
    first: &'a Huffman,
    others: &'a Huffman,
}

struct ToPixels<'a> {
    parts: Vec<ScanComponent<'a>>,
    planes: &'a mut [Plane],
    /// Zero between two blocks.
    block: Block,
}

impl Blocks for ToPixels<'_> {
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn read(
        &mut self,
        bits: &mut Bits<'_>,
        memory: &mut Memory,
        number: usize,
        (column, row): (usize, usize),
    ) -> Result<(), Damage> {
        let part = &self.parts[number];
        let before = &mut memory.firsts[number & 3];
        if !part.columns.contains(&column) || !part.rows.contains(&row) {
            return pass_over(part, bits, before).ok_or(NO_CODE);
        }
        let last = read(part, bits, before, &mut self.block).ok_or(NO_CODE)?;
        let plane = &mut self.planes[part.component];
        let left = (column - part.columns.start) * part.side;
        let top = (row - part.rows.start) * part.side;
        let pixels = &mut plane.pixels[top * plane.stride + left..];
        transform(&self.block, last, part.side, pixels, plane.stride);
        if last > 0 {
            self.block = [Wrapping(0); 64];
        }
        Ok(())
    }
}

/// The first coefficient, which is coded as the difference to the one of the block before.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) fn first(table: &Huffman, bits: &mut Bits<'_>, before: &mut i32) -> Option<i32> {
    bits.refill();
    let size = u32::from(table.symbol(bits)?);
    if size > 15 {
        return None;
    }
    *before = before.wrapping_add(bits.signed(size));
    Some(*before)
}

/// Reads a block into `block`, which is zero before, multiplied by the quantisers; returns its last position.
#[cfg_attr(not(debug_assertions), inline(always))]
fn read(
    part: &ScanComponent<'_>,
    bits: &mut Bits<'_>,
    before: &mut i32,
    block: &mut Block,
) -> Option<usize> {
    let quantisers = part.quantisers;
    block[0] = Wrapping(first(part.first, bits, before)?) * Wrapping(quantisers[0]);
    let mut last = 0;
    let mut position = 1;
    while position < 64 {
        let step = part.others.step(bits)?;
        position += usize::from(step.run);
        if step.value != 0 {
            // Damage may lead beyond the end, and then changes some coefficient or other.
            let quantiser = Wrapping(quantisers[position & 63]);
            block[place(position)] = Wrapping(i32::from(step.value)) * quantiser;
            last = position;
            position += 1;
        }
    }
    Some(last)
}

/// Reads a block that nobody looks at.
#[cfg_attr(not(debug_assertions), inline(always))]
fn pass_over(part: &ScanComponent<'_>, bits: &mut Bits<'_>, before: &mut i32) -> Option<()> {
    first(part.first, bits, before)?;
    let mut position = 1;
    while position < 64 {
        let step = part.others.step(bits)?;
        position += usize::from(step.run) + usize::from(step.value != 0);
    }
    Some(())
}
