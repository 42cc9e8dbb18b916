//! Bits of entropy-coded data, most significant first, with stuffed zero bytes taken out.

/// Why coded data are broken.
pub(super) type Damage = &'static str;

/// A reader that never fails: past the end, or past a mark, it delivers zeros and remembers that it did.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    position: usize,
    /// The next bits, from the top.
    buffer: u64,
    /// How many of them are counted as read from the data.
    left: u32,
    /// Zeros among them that no data stands behind.
    padding: u32,
}

impl<'a> Bits<'a> {
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn new(data: &'a [u8]) -> Self {
        Bits {
            data,
            position: 0,
            buffer: 0,
            left: 0,
            padding: 0,
        }
    }

    /// Makes sure of 32 bits: a code of at most 16 and a value of at most 16.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn refill(&mut self) {
        if self.left > 32 {
            return;
        }
        if let Some(bytes) = self.data.get(self.position..self.position + 8) {
            let word = u64::from_be_bytes(bytes.try_into().expect("eight bytes were asked for"));
            // Is a byte of the word 0xff? Then the inverse has a zero byte.
            let inverse = !word;
            let zero = inverse.wrapping_sub(0x0101_0101_0101_0101) & word & 0x8080_8080_8080_8080;
            if zero == 0 {
                // Bits of a byte that is only begun are there already when it is read again, and equal.
                self.buffer |= word >> self.left;
                let bytes = (63 - self.left) >> 3;
                self.position += bytes as usize;
                self.left += 8 * bytes;
                return;
            }
        }
        // By value, so that the reader stays in registers.
        *self = self.refilled_bytewise();
    }

    #[inline(never)]
    fn refilled_bytewise(mut self) -> Self {
        while self.left <= 56 {
            let byte = match self.data.get(self.position..) {
                Some([0xff, 0x00, ..]) => {
                    self.position += 2;
                    0xff
                }
                Some([byte, ..]) if *byte != 0xff => {
                    self.position += 1;
                    *byte
                }
                _ => {
                    self.padding += 8;
                    0
                }
            };
            self.buffer |= u64::from(byte) << (56 - self.left);
            self.left += 8;
        }
        self
    }

    /// The next `count` bits, 1 to 32, which stay.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn peek(&self, count: u32) -> usize {
        (self.buffer >> (64 - count)) as usize
    }

    /// Leaves `count` bits behind, 0 to 32.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn skip(&mut self, count: u32) {
        self.buffer <<= count;
        self.left -= count;
    }

    /// The number that `size` more bits stand for: those with a leading 0 are negative. T.81, figure F.12.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn signed(&mut self, size: u32) -> i32 {
        if size == 0 {
            return 0;
        }
        extend(self.take(size) as i32, size)
    }

    /// The next `count` bits as a number, 1 to 32.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn take(&mut self, count: u32) -> usize {
        let value = self.peek(count);
        self.skip(count);
        value
    }

    /// Whether bits were used that are not in the data.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn overran(&self) -> bool {
        self.left < self.padding
    }

    /// The bits behind the rest of the last byte and the restart mark of this number; `None` if there is another mark, since
    /// then a part of the data is lost, or none.
    #[inline(never)]
    pub(super) fn after_restart(self, number: usize) -> Option<Self> {
        let unread = self.left.checked_sub(self.padding)?;
        let rest = self.data.get(self.position..)?;
        // Fill bytes may stand before a mark.
        let fill = rest.iter().position(|&byte| byte != 0xff)?;
        if unread >= 8 || fill == 0 || usize::from(rest[fill]) != 0xd0 + number % 8 {
            return None;
        }
        Some(Bits {
            position: self.position + fill + 1,
            ..Bits::new(self.data)
        })
    }
}

/// The value of `size` bits, 1 to 16.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) fn extend(raw: i32, size: u32) -> i32 {
    if raw < 1 << (size - 1) {
        raw - (1 << size) + 1
    } else {
        raw
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(data: &[u8], count: usize) -> Vec<usize> {
        let mut bits = Bits::new(data);
        let mut read = || {
            bits.refill();
            bits.take(4)
        };
        (0..count).map(|_| read()).collect()
    }

    #[test]
    fn stuffed_bytes_are_taken_out_and_marks_end_the_data() {
        let data = [
            0x12, 0xff, 0x00, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0x11, 0xff, 0xd9, 0x77,
        ];
        let expected = [
            1, 2, 15, 15, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 1, 0, 0,
        ];
        assert_eq!(all(&data, 22), expected);
        let long: Vec<u8> = (0..200u8).collect();
        let expected: Vec<usize> = long
            .iter()
            .flat_map(|&byte| [byte >> 4, byte & 15])
            .map(usize::from)
            .collect();
        assert_eq!(all(&long, 400), expected);
    }

    #[test]
    fn using_more_than_there_is_is_noticed() {
        let mut bits = Bits::new(&[0xab, 0xff, 0xff, 0xd2, 0xcd]);
        bits.refill();
        bits.skip(5);
        assert!(!bits.overran());
        // The second mark of eight was expected, so a part is lost.
        assert!(bits.after_restart(1).is_none());
        bits = bits.after_restart(10).unwrap();
        bits.refill();
        assert_eq!(bits.peek(8), 0xcd);
        bits.skip(9);
        assert!(bits.overran());
        assert!(bits.after_restart(3).is_none());
    }

    #[test]
    fn values_with_a_leading_zero_are_negative() {
        let values: Vec<i32> = (0..8).map(|raw| extend(raw, 3)).collect();
        assert_eq!(values, [-7, -6, -5, -4, 4, 5, 6, 7]);
        assert_eq!((extend(0, 1), extend(1, 1)), (-1, 1));
    }
}
