//! What a file is, in words: formats that are not read, and the kinds of TIFF that are not.

use std::io::Cursor;

use image::ImageFormat;
use tiff::decoder::Decoder;
use tiff::tags::Tag;

use crate::error::DecodeError;

/// The format that the content says; endings are never looked at.
pub(crate) fn format(bytes: &[u8]) -> Result<ImageFormat, DecodeError> {
    let not_read = |kind: String| DecodeError::NotRead { kind };
    if let Some(name) = unread(bytes) {
        return Err(not_read(name.to_owned()));
    }
    match image::guess_format(bytes) {
        Ok(format) if format.reading_enabled() => Ok(format),
        Ok(format) => Err(not_read(format!("{format:?}"))),
        Err(_) => Err(DecodeError::Unknown {
            first_bytes: crate::sums::hexadecimal(&bytes[..bytes.len().min(8)]),
        }),
    }
}

/// The formats of photographs that no decoder here reads.
fn unread(bytes: &[u8]) -> Option<&'static str> {
    if let [size, b0, b1, b2, b'f', b't', b'y', b'p', ..] = *bytes {
        // The brand, and those it is compatible with behind four bytes of version.
        let size = u32::from_be_bytes([size, b0, b1, b2]) as usize;
        let brands = bytes[..bytes.len().min(size)].get(8..)?.as_chunks::<4>().0;
        let any = |names: &[&[u8; 4]]| brands.iter().any(|brand| names.contains(&brand));
        return if any(&[b"avif", b"avis"]) {
            Some("AVIF")
        } else if any(&[
            b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1",
        ]) {
            Some("HEIC")
        } else {
            None
        };
    }
    let begins = |begin: &[u8]| bytes.starts_with(begin);
    if begins(b"\xff\x0a") || begins(b"\0\0\0\x0cJXL ") {
        Some("JPEG XL")
    } else if begins(b"\0\0\0\x0cjP  ") || begins(b"\xff\x4f\xff\x51") {
        Some("JPEG 2000")
    } else {
        None
    }
}

/// What a TIFF file that was refused is; `None` if its tags do not tell.
pub(crate) fn tiff(bytes: &[u8]) -> Option<String> {
    let mut decoder = Decoder::new(Cursor::new(bytes)).ok()?;
    let mut all = |tag| decoder.find_tag_unsigned_vec::<u16>(tag).ok().flatten();
    let mut first = |tag, default| {
        all(tag)
            .and_then(|values| values.first().copied())
            .unwrap_or(default)
    };
    let (compression, bits) = (first(Tag::Compression, 1), first(Tag::BitsPerSample, 1));
    let (colour, samples) = (
        first(Tag::PhotometricInterpretation, 1),
        first(Tag::SamplesPerPixel, 1),
    );
    let numbers = first(Tag::SampleFormat, 1);
    Some(match (compression, colour, numbers) {
        (2..=4, ..) => "TIFF with fax compression".to_owned(),
        (6 | 7, ..) => "TIFF with JPEG compression".to_owned(),
        // None, LZW, Deflate under both of its numbers, and PackBits are read.
        (other, ..) if ![1, 5, 8, 32773, 32946].contains(&other) => {
            format!("TIFF with compression {other}")
        }
        (_, 3, _) => "TIFF with a palette".to_owned(),
        (_, 6, _) => "TIFF of YCbCr colours".to_owned(),
        (_, 8..=10, _) => "TIFF of Lab colours".to_owned(),
        (.., 3) => format!("TIFF of {bits}-bit floating-point numbers"),
        (.., 2) => "TIFF of signed numbers".to_owned(),
        (_, 0 | 1, _) if samples == 2 => "grey TIFF with alpha".to_owned(),
        _ => format!("TIFF of {samples} x {bits} bits a pixel"),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use crate::decode::decode;
    use crate::pixels::DecodeLimits;
    use lodestone_files::Orientation;

    /// A TIFF file of one strip of 2 x 1 pixels with these tags of short numbers, in ascending order.
    pub(crate) fn tiff(tags: &[(u16, &[u16])], strip: &[u8]) -> Vec<u8> {
        let common: [(u16, &[u16]); 5] = [
            (256, &[2]),
            (257, &[1]),
            (273, &[8]),
            (278, &[1]),
            (279, &[strip.len() as u16]),
        ];
        let mut all = [&common[..], tags].concat();
        all.sort_by_key(|(tag, _)| *tag);
        let strip = [strip, &[0u8; 64][strip.len()..]].concat();
        let mut bytes = [&b"II*\0"[..], &72u32.to_le_bytes()[..], &strip[..]].concat();
        bytes.extend((all.len() as u16).to_le_bytes());
        // Values that do not fit into four bytes stand behind the tags.
        let mut behind = Vec::new();
        let begin = bytes.len() + 12 * all.len() + 4;
        for (tag, values) in all {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(3u16.to_le_bytes());
            bytes.extend((values.len() as u32).to_le_bytes());
            let mut field: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            if field.len() > 4 {
                let at = (begin + behind.len()) as u32;
                behind.extend(std::mem::replace(&mut field, at.to_le_bytes().to_vec()));
            }
            field.resize(4, 0);
            bytes.extend(field);
        }
        bytes.extend([0; 4]);
        bytes.extend(behind);
        bytes
    }

    fn refused(bytes: &[u8]) -> String {
        let decoded = decode(bytes, Orientation::AsStored, DecodeLimits::default());
        decoded.unwrap_err().to_string()
    }

    #[test]
    fn kinds_of_tiff_that_are_not_read_are_told_in_words() {
        type Tags<'a> = &'a [(u16, &'a [u16])];
        let cases: [(Tags<'_>, &str); 8] = [
            (&[(258, &[8]), (262, &[3])], "TIFF with a palette"),
            (&[(258, &[4]), (262, &[1])], "TIFF of 1 x 4 bits a pixel"),
            (
                &[(258, &[8, 8]), (262, &[1]), (277, &[2])],
                "grey TIFF with alpha",
            ),
            (
                &[(258, &[8; 3]), (262, &[6]), (277, &[3])],
                "TIFF of YCbCr colours",
            ),
            (
                &[(258, &[8; 3]), (262, &[8]), (277, &[3])],
                "TIFF of Lab colours",
            ),
            (
                &[(258, &[32]), (262, &[1]), (339, &[3])],
                "TIFF of 32-bit floating-point numbers",
            ),
            (
                &[(258, &[8]), (262, &[1]), (339, &[2])],
                "TIFF of signed numbers",
            ),
            (
                &[(258, &[1]), (259, &[3]), (262, &[1])],
                "TIFF with fax compression",
            ),
        ];
        for (tags, kind) in cases {
            let want = format!("{kind} is not read: convert it to PNG or to an ordinary JPEG");
            assert_eq!(refused(&tiff(tags, &[0; 24])), want);
        }
    }

    #[test]
    fn formats_that_are_not_read_are_told_by_name() {
        let cases: [(&[u8], &str); 6] = [
            (b"\0\0\0\x18ftypavif\0\0\0\0avifmif1", "AVIF"),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "AVIF"),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
            (b"\xff\x0a12345678", "JPEG XL"),
            (b"\0\0\0\x0cjP  \x0d\x0a\x87\x0a", "JPEG 2000"),
            (b"qoif12345678", "Qoi"),
        ];
        for (bytes, kind) in cases {
            let want = format!("{kind} is not read: convert it to PNG or to an ordinary JPEG");
            assert_eq!(refused(bytes), want);
        }
    }
}
