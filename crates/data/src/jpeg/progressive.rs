//! Progressive scans: each brings some bits of some coefficients of all blocks, so all are kept until the last scan is read.
//!
//! Source: ITU-T T.81, annex G.

use std::num::Wrapping;

use super::area::{Area, Plane};
use super::bits::Bits;
use super::bits::Damage;
use super::header::{Quantisers, Scan, place};
use super::huffman::{Huffman, NO_CODE};
use super::idct::{Block, transform};
use super::sequential::first;
use super::walk::{Blocks, Memory, walk};

const ORDER: Damage = "a progressive scan that does not follow from those before it";

/// All coefficients of one component, in coded order.
pub(super) struct Coefficients {
    /// Line by line, padded to whole units.
    blocks: Vec<[i16; 64]>,
    /// Blocks in a line.
    across: usize,
    /// Low bits of each coefficient that no scan brought yet; `None` before the first scan.
    left_out: [Option<u32>; 64],
    quantisers: Quantisers,
}

impl Coefficients {
    /// None read yet.
    pub(super) fn new((across, down): (usize, usize)) -> Self {
        Coefficients {
            blocks: vec![[0; 64]; across * down],
            across,
            left_out: [None; 64],
            quantisers: [0; 64],
        }
    }

    /// Whether scans brought all bits of the coefficients that show; those of the highest frequencies may stay zero. Of less
    /// libjpeg makes a guess.
    pub(super) fn complete(&self) -> bool {
        self.left_out[..10].iter().all(|&bits| bits == Some(0))
    }
}

/// Adds what a scan brings to the coefficients of the components.
pub(super) fn read(
    scan: &Scan<'_>,
    area: &Area,
    components: &mut [Coefficients],
) -> Result<(), Damage> {
    let (from, to) = scan.band;
    let (before, low) = scan.left_out;
    // The first coefficient comes apart from the others, and these come one component at a time.
    let apart = if from == 0 {
        to == 0
    } else {
        scan.parts.len() == 1
    };
    let follows = before.is_none_or(|before| before == low + 1);
    if !apart || !follows || from > to || to > 63 || low > 13 {
        return Err(ORDER);
    }
    for part in &scan.parts {
        let component = &mut components[part.component];
        if from == 0 && before.is_none() {
            component.quantisers = part.quantisers;
        }
        for left_out in &mut component.left_out[from..=to] {
            if *left_out != before {
                return Err(ORDER);
            }
            *left_out = Some(low);
        }
    }
    let mut bits = MoreBits { scan, components };
    walk(scan, area, area.units.1, &mut bits)
}

struct MoreBits<'a> {
    scan: &'a Scan<'a>,
    components: &'a mut [Coefficients],
}

impl Blocks for MoreBits<'_> {
    fn read(
        &mut self,
        bits: &mut Bits<'_>,
        memory: &mut Memory,
        number: usize,
        (column, row): (usize, usize),
    ) -> Result<(), Damage> {
        let part = &self.scan.parts[number];
        let component = &mut self.components[part.component];
        let block = &mut component.blocks[row * component.across + column];
        let band = Band {
            from: self.scan.band.0,
            to: self.scan.band.1,
            low: self.scan.left_out.1,
        };
        let begins = self.scan.left_out.0.is_none();
        let read = match (band.from, begins) {
            (0, true) => first(part.first()?, bits, &mut memory.firsts[number])
                .map(|value| block[0] = (value << band.low) as i16),
            (0, false) => {
                bits.refill();
                block[0] |= (bits.take(1) << band.low) as i16;
                Some(())
            }
            (_, true) => band.begin(part.others()?, bits, &mut memory.empty_blocks, block),
            (_, false) => band.refine(part.others()?, bits, &mut memory.empty_blocks, block),
        };
        read.ok_or(NO_CODE)
    }
}

/// What a scan brings of coefficients after the first.
#[derive(Clone, Copy)]
struct Band {
    from: usize,
    to: usize,
    low: u32,
}

impl Band {
    /// Reads coefficients for the first time. Figure G.3.
    fn begin(
        self,
        table: &Huffman,
        bits: &mut Bits<'_>,
        empty_blocks: &mut usize,
        block: &mut [i16; 64],
    ) -> Option<()> {
        if *empty_blocks > 0 {
            *empty_blocks -= 1;
            return Some(());
        }
        let mut position = self.from;
        while position <= self.to {
            bits.refill();
            let symbol = table.symbol(bits)?;
            let (run, size) = (symbol >> 4, u32::from(symbol & 15));
            if size == 0 && run < 15 {
                *empty_blocks = blocks_after_the_end(run, bits) - 1;
                return Some(());
            }
            position += usize::from(run);
            // Damage may lead beyond the end, and then changes some coefficient or other.
            block[position & 63] = (bits.signed(size) << self.low) as i16;
            position += 1;
        }
        Some(())
    }

    /// Reads one more bit of the coefficients that are not zero, and those that become so. Figure G.7.
    fn refine(
        self,
        table: &Huffman,
        bits: &mut Bits<'_>,
        empty_blocks: &mut usize,
        block: &mut [i16; 64],
    ) -> Option<()> {
        let mut position = self.from;
        while *empty_blocks == 0 && position <= self.to {
            bits.refill();
            let symbol = table.symbol(bits)?;
            let (run, size) = (symbol >> 4, u32::from(symbol & 15));
            if size == 0 && run < 15 {
                *empty_blocks = blocks_after_the_end(run, bits);
                break;
            }
            let value = match size {
                0 => 0,
                // A coefficient that becomes nonzero has one bit, of which only the sign is written.
                _ => bits.signed(1) << self.low,
            };
            position = self.refine_up_to(position, usize::from(run), bits, block);
            if position <= self.to {
                block[position] = value as i16;
            }
            position += 1;
        }
        if *empty_blocks > 0 {
            *empty_blocks -= 1;
            self.refine_up_to(position, 64, bits, block);
        }
        Some(())
    }

    /// Passes `zeros` coefficients that are zero and refines the others on the way; the position of the next zero.
    fn refine_up_to(
        self,
        mut position: usize,
        mut zeros: usize,
        bits: &mut Bits<'_>,
        block: &mut [i16; 64],
    ) -> usize {
        while position <= self.to {
            let value = &mut block[position];
            if *value == 0 {
                if zeros == 0 {
                    break;
                }
                zeros -= 1;
            } else {
                bits.refill();
                let more = (bits.take(1) << self.low) as i16;
                // Away from zero, and not twice: then the data are damaged.
                if more != 0 && *value & more == 0 {
                    *value = value.wrapping_add(more * value.signum());
                }
            }
            position += 1;
        }
        position
    }
}

/// How many blocks end here, this one among them.
fn blocks_after_the_end(run: u8, bits: &mut Bits<'_>) -> usize {
    match run {
        0 => 1,
        _ => (1 << run) + bits.take(u32::from(run)),
    }
}

/// Makes pixels of the blocks of the area.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) fn to_pixels(components: &[Coefficients], area: &Area, planes: &mut [Plane]) {
    for (number, (coefficients, plane)) in components.iter().zip(planes).enumerate() {
        let [columns, rows] = area.blocks(number);
        let side = area.layouts[number].side;
        for (line, row) in rows.enumerate() {
            let stored = &coefficients.blocks[row * coefficients.across..][columns.clone()];
            for (place_in_line, stored) in stored.iter().enumerate() {
                let mut block: Block = [Wrapping(0); 64];
                let mut last = 0;
                for (position, &value) in stored.iter().enumerate() {
                    if value != 0 {
                        let quantiser = Wrapping(coefficients.quantisers[position]);
                        block[place(position)] = Wrapping(i32::from(value)) * quantiser;
                        last = position;
                    }
                }
                let start = line * side * plane.stride + place_in_line * side;
                transform(&block, last, side, &mut plane.pixels[start..], plane.stride);
            }
        }
    }
}
