//! JPEG: what a stream says about itself, and a decoder that does no more than a view needs.
//!
//! Views look at a window of a photograph, and often at a fraction of its size. A library decodes the whole file at full
//! size; here the blocks outside the window are only skipped over, nothing below the window is read at all, and blocks may
//! be transformed to 4, 2 or 1 pixels a side instead of 8. Inside the window the pixels are those of libjpeg-turbo's default
//! settings, to the last bit: the same integer transform, the same filters for colour, the same colour constants.
//!
//! Handled is Huffman coding of 8 bits: baseline, extended and progressive; grey, YCbCr, RGB, CMYK and YCCK; all sampling
//! factors that divide; components in one scan or in several. All else is refused in words: arithmetic coding, lossless
//! and hierarchical JPEG, 12 bits. So is damage that shows in the coded data, and a progressive stream that ends before it
//! brought all bits of the low frequencies, of which libjpeg would make a guess.
//!
//! Source: ITU-T T.81; the transform is Loeffler, Ligtenberg and Moschytz, ICASSP 1989.

mod area;
mod bits;
mod colour;
mod header;
mod huffman;
mod idct;
mod outline;
mod progressive;
mod sequential;
mod upsample;
mod usual;
mod walk;

use image::metadata::Orientation as Turn;

pub(crate) use self::outline::outline;

use self::area::{Area, Plane};
use self::colour::Colour;
use self::header::{Frame, Scan, Segments};
use self::progressive::Coefficients;
use crate::error::DecodeError;
use crate::pixels::{DecodeLimits, Pixels};
use crate::window::Window;

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
    frame: Frame,
    colour: Colour,
    /// The first scan, and the segments behind it.
    first: Scan<'a>,
    segments: Segments<'a>,
}

/// Pixels of a part of a photograph.
pub(crate) struct Cutout {
    pub(crate) pixels: Pixels,
    /// First column and row of the part among the decoded columns and rows of the whole.
    pub(crate) left: usize,
    pub(crate) top: usize,
    /// The scale it was decoded at.
    pub(crate) shrink: Shrink,
}

impl<'a> Jpeg<'a> {
    /// Reads the headers; `None` if it is no JPEG stream.
    ///
    /// # Errors
    /// If the stream ends before its image does, is of a kind that is not read, is damaged, or exceeds the limits.
    pub(crate) fn within(
        bytes: &'a [u8],
        limits: DecodeLimits,
    ) -> Result<Option<Self>, DecodeError> {
        if !bytes.starts_with(&[0xff, 0xd8]) {
            return Ok(None);
        }
        let mut segments = Segments::new(bytes);
        let first = segments.next_scan();
        // Decoders fill the missing part of a cut-off file with grey and call it a success.
        let refused = matches!(first, Err(DecodeError::NotRead { .. }));
        if !refused && !outline(bytes).whole {
            return Err(DecodeError::Truncated);
        }
        let first = first?.ok_or(DecodeError::Truncated)?;
        let (frame, colour) = (segments.the_frame()?.clone(), segments.colour()?);
        frame.fits(limits)?;
        Ok(Some(Jpeg {
            frame,
            colour,
            first,
            segments,
        }))
    }

    /// Width and height as stored.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.frame.width, self.frame.height)
    }

    /// How the picture has to be turned to stand upright.
    pub(crate) fn turn(&self) -> Turn {
        self.segments.turn()
    }

    /// Decodes at least `window`, which is given in stored pixels.
    ///
    /// # Errors
    /// If the coded data are damaged.
    ///
    /// # Panics
    /// If the window is empty or leaves the photograph.
    pub(crate) fn decode(&self, window: Window, shrink: Shrink) -> Result<Cutout, DecodeError> {
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
            shrink,
        })
    }

    /// Decodes everything.
    pub(crate) fn decode_whole(&self) -> Result<Pixels, DecodeError> {
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
    type Output = Result<Cutout, DecodeError>;

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn with_simd<S: pulp::Simd>(self, _simd: S) -> Self::Output {
        let area = Area::new(&self.jpeg.frame, self.window, self.shrink);
        let mut planes = area.planes();
        if self.jpeg.frame.progressive {
            let coefficients = self.jpeg.coefficients(&area)?;
            progressive::to_pixels(&coefficients, &area, &mut planes);
        } else {
            self.jpeg.sequential(&area, &mut planes)?;
        }
        Ok(upsample::to_rgb(self.jpeg.colour, &area, &planes))
    }
}

impl Jpeg<'_> {
    /// Reads scans until each component was in one.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn sequential(&self, area: &Area, planes: &mut [Plane]) -> Result<(), DecodeError> {
        let mut missing = vec![true; planes.len()];
        let mut segments = None;
        let mut next;
        let mut scan = &self.first;
        loop {
            sequential::decode(scan, area, planes).map_err(DecodeError::Damaged)?;
            for part in &scan.parts {
                missing[part.component] = false;
            }
            if !missing.contains(&true) {
                return Ok(());
            }
            let segments = segments.get_or_insert_with(|| self.segments.clone());
            next = segments
                .next_scan()?
                .ok_or(DecodeError::Damaged("no scan of a component"))?;
            scan = &next;
        }
    }

    /// Reads all scans.
    fn coefficients(&self, area: &Area) -> Result<Vec<Coefficients>, DecodeError> {
        let components = 0..area.layouts.len();
        let mut coefficients: Vec<_> = components
            .map(|component| Coefficients::new(area.padded(component)))
            .collect();
        let mut add = |scan: &Scan<'_>| {
            progressive::read(scan, area, &mut coefficients).map_err(DecodeError::Damaged)
        };
        add(&self.first)?;
        let mut segments = self.segments.clone();
        while let Some(scan) = segments.next_scan()? {
            add(&scan)?;
        }
        if !coefficients.iter().all(Coefficients::complete) {
            return Err(DecodeError::Damaged("a scan of low frequencies is missing"));
        }
        Ok(coefficients)
    }
}

#[cfg(test)]
mod tests;
