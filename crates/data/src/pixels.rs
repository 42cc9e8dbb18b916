//! An image in memory, and what is asked of its decoding.

use crate::error::DecodeError;
use crate::table::PixelBox;

/// An 8-bit RGB image, rows from top to bottom, three bytes a pixel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pixels {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `3 * width * height` bytes.
    pub bytes: Vec<u8>,
}

impl Pixels {
    /// An image of grey values, each copied to the three channels.
    ///
    /// # Panics
    /// If there are not `width * height` values.
    pub fn from_grey(width: usize, height: usize, grey: &[u8]) -> Self {
        assert_eq!(grey.len(), width * height, "{width}x{height} grey values");
        Pixels {
            width,
            height,
            bytes: grey.iter().flat_map(|&value| [value; 3]).collect(),
        }
    }

    /// The part inside a rectangle, which is cut to the image first; `None` if nothing is left of it.
    pub fn cut(&self, region: PixelBox) -> Option<Pixels> {
        let span = |first: u32, end: u32, size: usize| (first as usize, (end as usize).min(size));
        let (left, right) = span(region.left, region.right, self.width);
        let (top, bottom) = span(region.top, region.bottom, self.height);
        if left >= right || top >= bottom {
            return None;
        }
        let (width, height) = (right - left, bottom - top);
        let mut bytes = Vec::with_capacity(3 * width * height);
        for line in self
            .bytes
            .chunks_exact(3 * self.width)
            .take(bottom)
            .skip(top)
        {
            bytes.extend_from_slice(&line[3 * left..3 * right]);
        }
        Some(Pixels {
            width,
            height,
            bytes,
        })
    }
}

/// Bounds against files that unpack to more than a machine holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Columns times rows. The default is where Pillow refuses: 178 956 970.
    pub pixels: u64,
    /// Bytes that a decoder may allocate: 2 GiB unless told.
    pub bytes: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        DecodeLimits {
            pixels: 178_956_970,
            bytes: 2 << 30,
        }
    }
}

impl DecodeLimits {
    /// Whether an image of this size, which takes so many bytes a pixel, is within the limits.
    pub(crate) fn check(self, size: (u32, u32), bytes_per_pixel: u8) -> Result<(), DecodeError> {
        let pixels = u64::from(size.0) * u64::from(size.1);
        let bytes = pixels * u64::from(bytes_per_pixel);
        for (what, found, limit) in [
            ("pixels", pixels, self.pixels),
            ("bytes", bytes, self.bytes),
        ] {
            if found > limit {
                return Err(DecodeError::TooLarge { what, found, limit });
            }
        }
        Ok(())
    }
}
