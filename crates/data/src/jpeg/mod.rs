//! JPEG: what a stream says about itself, and a decoder that does no more than a view needs.
//!
//! Views look at a window of a photograph, and often at a fraction of its size. A library decodes the whole file at full
//! size; here the blocks outside the window are only skipped over, nothing below the window is read at all, and blocks may
//! be transformed to 4, 2 or 1 pixels a side instead of 8. Inside the window the pixels are those of libjpeg-turbo's default
//! settings, to the last bit: the same integer transform, the same triangle filter for colour, the same colour constants.
//!
//! Handled is what cameras and the web's usual encoders write: sequential Huffman coding of 8 bits, grey or YCbCr, colour at
//! full, half or quarter resolution, one scan. All else (progressive, CMYK, RGB, arithmetic coding, 12 bits, damage) is left
//! to the image crate. Source: ITU-T T.81; the transform is Loeffler, Ligtenberg and Moschytz, ICASSP 1989.

mod bits;
mod header;
mod huffman;
mod idct;
mod outline;
mod scan;
mod upsample;

pub(crate) use self::outline::outline;

use self::header::Header;
use self::scan::Area;
use crate::error::DecodeError;
use crate::pixels::{DecodeLimits, Pixels};
use crate::resize::Window;

/// How much smaller than stored a photograph is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Shrink {
    /// As stored.
    #[default]
    Full,
    /// Half the width and height.
    Half,
    /// A quarter of them.
    Quarter,
    /// An eighth of them: one pixel a block.
    Eighth,
}

impl Shrink {
    /// Stored pixels to a decoded one, along a side.
    pub(crate) fn factor(self) -> usize {
        match self {
            Shrink::Full => 1,
            Shrink::Half => 2,
            Shrink::Quarter => 4,
            Shrink::Eighth => 8,
        }
    }

    /// The strongest that leaves at least `least` decoded pixels of `stored`.
    pub(crate) fn strongest(stored: f64, least: f64) -> Self {
        let enough = |shrink: &Shrink| stored / shrink.factor() as f64 >= least;
        [Shrink::Eighth, Shrink::Quarter, Shrink::Half]
            .into_iter()
            .find(enough)
            .unwrap_or(Shrink::Full)
    }
}

/// A stream that can be decoded in part.
pub(crate) struct Jpeg<'a> {
    header: Header,
    /// Entropy-coded data and all after it.
    scan: &'a [u8],
}

/// Pixels of a part of a photograph.
pub(crate) struct Part {
    pub(crate) pixels: Pixels,
    /// First column and row of the part among the decoded columns and rows of the whole.
    pub(crate) left: usize,
    pub(crate) top: usize,
    /// The scale it was decoded at.
    pub(crate) shrink: Shrink,
}

impl<'a> Jpeg<'a> {
    /// Reads the headers; `None` if this decoder does not handle the stream, or not within the limits.
    ///
    /// # Errors
    /// If it is a JPEG stream that ends before its image does.
    pub(crate) fn within(
        bytes: &'a [u8],
        limits: DecodeLimits,
    ) -> Result<Option<Self>, DecodeError> {
        if !bytes.starts_with(&[0xff, 0xd8]) {
            return Ok(None);
        }
        // Decoders fill the missing part of a cut-off file with grey and call it a success.
        if !outline(bytes).whole {
            return Err(DecodeError::Truncated);
        }
        let Some((header, scan)) = Header::read(bytes) else {
            return Ok(None);
        };
        let pixels = header.width as u64 * header.height as u64;
        let fits = pixels <= limits.pixels && 3 * pixels <= limits.bytes;
        Ok(fits.then_some(Jpeg { header, scan }))
    }

    /// Width and height as stored.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.header.width, self.header.height)
    }

    /// Decodes at least `window`, which is given in stored pixels; `None` if the coded data are damaged.
    ///
    /// Colour with half the columns and all rows (4:2:2) would lose half of its columns again, so such a stream is decoded as
    /// stored whatever is asked for.
    ///
    /// # Panics
    /// If the window is empty or leaves the photograph.
    pub(crate) fn decode(&self, window: Window, shrink: Shrink) -> Option<Part> {
        let (width, height) = self.size();
        let inside = window.left + window.width <= width && window.top + window.height <= height;
        assert!(
            inside && window.width > 0 && window.height > 0,
            "{window:?} of {width}x{height} pixels"
        );
        // With the vector instructions of the processor at hand; the result is the same without them.
        pulp::Arch::new().dispatch(Decoding {
            jpeg: self,
            window,
            shrink: match self.header.blocks {
                (2, 1) => Shrink::Full,
                _ => shrink,
            },
        })
    }

    /// Decodes everything.
    pub(crate) fn decode_whole(&self) -> Option<Pixels> {
        let (width, height) = self.size();
        let window = Window {
            left: 0,
            top: 0,
            width,
            height,
        };
        self.decode(window, Shrink::Full).map(|part| part.pixels)
    }
}

/// One decoding. All of it is inlined here, as only then the compiler uses the instructions; in builds for debugging that
/// would take minutes, so there it is not.
struct Decoding<'a> {
    jpeg: &'a Jpeg<'a>,
    window: Window,
    shrink: Shrink,
}

impl pulp::WithSimd for Decoding<'_> {
    type Output = Option<Part>;

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn with_simd<S: pulp::Simd>(self, _simd: S) -> Option<Part> {
        let Jpeg { header, scan } = self.jpeg;
        let area = Area::new(header, self.window, self.shrink);
        let planes = scan::decode(header, scan, &area)?;
        Some(upsample::to_rgb(header, &area, &planes))
    }
}

#[cfg(test)]
mod tests;
