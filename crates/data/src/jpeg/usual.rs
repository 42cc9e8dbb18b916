//! The Huffman tables of T.81, annex K, which streams of Motion JPEG use without bringing them.

use super::huffman::Huffman;

/// The table of first coefficients with this number: 0 for brightness, 1 for colour.
pub(super) fn first(number: usize) -> Option<Huffman> {
    let counts: [u8; 16] = match number {
        0 => [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
        1 => [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
        _ => return None,
    };
    Huffman::new(&counts, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
}

/// The table of the other coefficients with this number.
pub(super) fn others(number: usize) -> Option<Huffman> {
    let (counts, begin): ([u8; 16], &[u8]) = match number {
        0 => (
            [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125],
            &[
                0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51,
                0x61, 0x07, 0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1,
                0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72, 0x82,
            ],
        ),
        1 => (
            [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119],
            &[
                0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07,
                0x61, 0x71, 0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09,
                0x23, 0x33, 0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1, 0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25,
                0xf1,
            ],
        ),
        _ => return None,
    };
    // Runs of 0 to 15 with values of 1 to 10 bits; those that are not named above follow in order.
    let all = (0..=0xff).filter(|symbol| (1..=10).contains(&(symbol & 15)));
    let mut symbols = begin.to_vec();
    symbols.extend(all.filter(|symbol| !begin.contains(symbol)));
    Huffman::new(&counts, &symbols)
}
