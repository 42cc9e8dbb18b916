//! Walking the segments of a JPEG stream: whether it is whole, and how many colour components it has.
//!
//! Only marks and lengths are read, no picture. Source: ITU-T T.81, annex B.

/// What the segments of a stream say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Outline {
    /// Components of the frame: 1 grey, 3 colour, 4 CMYK; 0 if there is no frame.
    pub(crate) components: u8,
    /// The end mark stands after a scan. An EXIF thumbnail has an end mark of its own, but inside a segment that is
    /// skipped whole.
    pub(crate) whole: bool,
}

/// Reads the outline of a stream, however damaged.
pub(crate) fn outline(bytes: &[u8]) -> Outline {
    let mut outline = Outline::default();
    let mut position = 2;
    let mut in_scan = false;
    while let Some(mark_at) = next_mark(bytes, position) {
        position = mark_at;
        match bytes[position + 1] {
            0xd9 => {
                outline.whole = in_scan;
                return outline;
            }
            // Restart marks and other marks without a length.
            0xd0..=0xd8 | 0x01 => position += 2,
            mark => {
                in_scan |= mark == 0xda;
                let Some(&[high, low]) = bytes.get(position + 2..position + 4) else {
                    break;
                };
                // Frame headers are C0 to CF but for the three tables among them: length, precision, height, width, count.
                if matches!(mark, 0xc0..=0xcf) && !matches!(mark, 0xc4 | 0xc8 | 0xcc) {
                    outline.components = bytes.get(position + 9).copied().unwrap_or(0);
                }
                position += 2 + usize::from(u16::from_be_bytes([high, low]));
            }
        }
    }
    outline
}

/// Position of the next `FF xx` that is neither a stuffed byte nor fill.
pub(super) fn next_mark(bytes: &[u8], mut from: usize) -> Option<usize> {
    loop {
        from += memchr::memchr(0xff, bytes.get(from..)?)?;
        match bytes.get(from + 1)? {
            0x00 => from += 2,
            0xff => from += 1,
            _ => return Some(from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Start, a frame of `components`, a scan with a stuffed byte and a restart mark, then `end`.
    fn stream(components: u8, end: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0xff, 0xd8];
        // A thumbnail's end mark inside an application segment.
        bytes.extend([0xff, 0xe1, 0, 6, 0xff, 0xda, 0xff, 0xd9]);
        bytes.extend([0xff, 0xc4, 0, 3, 9]);
        bytes.extend([0xff, 0xc2, 0, 8, 8, 0, 1, 0, 1, components]);
        bytes.extend([0xff, 0xda, 0, 2, 1, 0xff, 0x00, 2, 0xff, 0xd3, 3]);
        bytes.extend(end);
        bytes
    }

    #[test]
    fn components_and_end_are_found_past_thumbnails_and_stuffing() {
        let whole = stream(4, &[0xff, 0xd9]);
        assert_eq!(
            outline(&whole),
            Outline {
                components: 4,
                whole: true
            }
        );
        let cut = stream(1, &[0xff]);
        assert_eq!(
            outline(&cut),
            Outline {
                components: 1,
                whole: false
            }
        );
        for length in 0..whole.len() {
            assert!(!outline(&whole[..length]).whole, "{length} bytes");
        }
    }
}
