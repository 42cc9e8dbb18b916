//! Huffman tables, made so that most symbols with their value are found in one look at the next ten bits.

use super::bits::Damage;
use super::bits::{Bits, extend};

/// What is wrong where a table gives nothing.
pub(super) const NO_CODE: Damage = "coded data that are no code of their table";

/// Bits that are looked up at once.
const LOOK: u32 = 10;

/// One table of a stream.
#[derive(Clone)]
pub(super) struct Huffman {
    /// By the next bits: symbol and length of its code; length 0 for longer codes and for no code.
    symbols: Box<[(u8, u8); 1 << LOOK]>,
    /// By the next bits, for coefficients: code and value together.
    steps: Box<[Step; 1 << LOOK]>,
    /// For each length: one past the largest code, aligned to 16 bits, and what to add to a code to get its position.
    ends: [(u32, i32); 17],
    /// Symbols by position.
    values: Vec<u8>,
}

/// What a symbol of the coefficients after the first one does.
#[derive(Clone, Copy, Default)]
pub(super) struct Step {
    /// The coefficient; 0 when there is none.
    pub(super) value: i16,
    /// Positions to pass before it: 16 for a run of zeros without value, 64 for the end of the block.
    pub(super) run: u8,
    /// Bits of code and value; 0 if they are more than are looked up.
    pub(super) bits: u8,
}

/// Passes all that is left of a block.
const END: u8 = 64;

impl Huffman {
    /// From the number of codes of each length 1 to 16 and the symbols; `None` if the codes do not fit their lengths.
    pub(super) fn new(counts: &[u8; 16], values: &[u8]) -> Option<Self> {
        let mut table = Huffman {
            symbols: Box::new([(0, 0); 1 << LOOK]),
            steps: Box::new([Step::default(); 1 << LOOK]),
            ends: [(0, 0); 17],
            values: values.to_vec(),
        };
        let (mut code, mut position) = (0u32, 0usize);
        for length in 1..=16u32 {
            let count = u32::from(counts[length as usize - 1]);
            if code + count > 1 << length {
                return None;
            }
            table.ends[length as usize] = (
                (code + count) << (16 - length),
                position as i32 - code as i32,
            );
            for _ in 0..count {
                if length <= LOOK {
                    let first = (code << (LOOK - length)) as usize;
                    let entry = (*values.get(position)?, length as u8);
                    table.symbols[first..first + (1 << (LOOK - length))].fill(entry);
                }
                code += 1;
                position += 1;
            }
            code <<= 1;
        }
        if position != values.len() {
            return None;
        }
        for (bits, step) in table.steps.iter_mut().enumerate() {
            let (symbol, length) = table.symbols[bits];
            let size = u32::from(symbol & 15);
            let total = u32::from(length) + size;
            if length == 0 || total > LOOK {
                continue;
            }
            *step = Step {
                value: match size {
                    0 => 0,
                    _ => {
                        let raw = (bits as u32 >> (LOOK - total)) & ((1 << size) - 1);
                        extend(raw as i32, size) as i16
                    }
                },
                run: run(symbol),
                bits: total as u8,
            };
        }
        Some(table)
    }

    /// The next symbol; `None` if the bits are no code. Needs refilled bits.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn symbol(&self, bits: &mut Bits<'_>) -> Option<u8> {
        let (symbol, length) = self.symbols[bits.peek(LOOK)];
        if length > 0 {
            bits.skip(u32::from(length));
            return Some(symbol);
        }
        let (symbol, length) = self.long_symbol(bits.peek(16) as u32)?;
        bits.skip(length);
        Some(symbol)
    }

    /// The symbol at the beginning of 16 bits and the length of its code, if that is above what is looked up.
    #[inline(never)]
    fn long_symbol(&self, next: u32) -> Option<(u8, u32)> {
        // A code belongs to the first length at which it lies below the end; the ends ascend.
        let length = (LOOK + 1..=16).find(|&length| next < self.ends[length as usize].0)?;
        let position = (next >> (16 - length)) as i32 + self.ends[length as usize].1;
        let symbol = self.values.get(usize::try_from(position).ok()?)?;
        Some((*symbol, length))
    }

    /// The next step through a block. Refills the bits itself.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn step(&self, bits: &mut Bits<'_>) -> Option<Step> {
        bits.refill();
        let step = self.steps[bits.peek(LOOK)];
        if step.bits > 0 {
            bits.skip(u32::from(step.bits));
            return Some(step);
        }
        let symbol = self.symbol(bits)?;
        Some(Step {
            value: bits.signed(u32::from(symbol & 15)) as i16,
            run: run(symbol),
            bits: 0,
        })
    }
}

/// Positions that a symbol passes before its value.
#[cfg_attr(not(debug_assertions), inline(always))]
fn run(symbol: u8) -> u8 {
    match symbol {
        0xf0 => 16,
        // Without a value only the run of 16 has a meaning in sequential streams; all else ends the block.
        symbol if symbol & 15 == 0 => END,
        symbol => symbol >> 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes 0, 10, 110 and one of 12 bits, for symbols 0x00 (end), 0x01, 0x23 and 0x52.
    fn table() -> Huffman {
        let mut counts = [0; 16];
        (counts[0], counts[1], counts[2], counts[11]) = (1, 1, 1, 1);
        Huffman::new(&counts, &[0x00, 0x01, 0x23, 0x52]).unwrap()
    }

    #[test]
    fn short_and_long_codes_give_their_run_and_value() {
        // 10 1 | 110 011 | 111000000000 10 | 10 0 | 0
        let data = [0b1011_1001, 0b1111_0000, 0b0000_0101, 0b0000_0000];
        let mut bits = Bits::new(&data);
        let mut next = || {
            let step = table().step(&mut bits).unwrap();
            (step.run, step.value)
        };
        assert_eq!(next(), (0, 1));
        assert_eq!(next(), (2, -4));
        assert_eq!(next(), (5, 2));
        assert_eq!(next(), (0, -1));
        assert_eq!(next().0, END);
    }

    #[test]
    fn bits_that_are_no_code_and_tables_that_are_none_are_refused() {
        assert!(table().step(&mut Bits::new(&[0b1111_1110; 4])).is_none());
        let mut counts = [0; 16];
        counts[0] = 3;
        assert!(Huffman::new(&counts, &[1, 2, 3]).is_none());
        counts[0] = 1;
        assert!(Huffman::new(&counts, &[1, 2]).is_none());
        assert!(Huffman::new(&counts, &[]).is_none());
    }
}
