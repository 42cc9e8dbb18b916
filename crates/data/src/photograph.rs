//! A photograph of which perhaps only a part is decoded, perhaps at a fraction of its size.
//!
//! Views are drawn and computed in the photograph's own pixels, so that what they show does not depend on how much of the
//! file was decoded for them.

use std::sync::Arc;

use crate::jpeg;
use crate::pixels::Pixels;
#[cfg(test)]
use crate::table::PixelBox;
use crate::window::Window;

/// Pixels, and where they lie in the photograph they stand for.
#[derive(Debug, Clone)]
pub(crate) struct Photograph {
    pub(crate) pixels: Arc<Pixels>,
    /// Width and height that the photograph, or the region of it that a row asks for, has as stored.
    pub(crate) size: (usize, usize),
    /// Stored pixels to a decoded one, along a side.
    pub(crate) factor: f64,
    /// Decoded coordinates of the photograph's corner, seen from the first decoded pixel.
    corner: (f64, f64),
}

impl From<Arc<Pixels>> for Photograph {
    fn from(pixels: Arc<Pixels>) -> Self {
        Photograph {
            size: (pixels.width, pixels.height),
            factor: 1.0,
            corner: (0.0, 0.0),
            pixels,
        }
    }
}

impl From<Pixels> for Photograph {
    fn from(pixels: Pixels) -> Self {
        Arc::new(pixels).into()
    }
}

impl Photograph {
    /// A region of a file as far as it was decoded.
    pub(crate) fn of_part(part: jpeg::Cutout, region: Window) -> Self {
        let factor = part.shrink.factor() as f64;
        let corner = |first: usize, decoded: usize| first as f64 / factor - decoded as f64;
        Photograph {
            size: (region.width, region.height),
            factor,
            corner: (corner(region.left, part.left), corner(region.top, part.top)),
            pixels: Arc::new(part.pixels),
        }
    }

    /// Starts and lengths in stored pixels as starts and lengths among the decoded ones, kept inside them.
    pub(crate) fn spans(&self, [across, down]: [(f64, f64); 2]) -> [(f64, f64); 2] {
        let map = |(start, length): (f64, f64), corner: f64, decoded: usize| {
            let start = (start / self.factor + corner).max(0.0);
            (start, (length / self.factor).min(decoded as f64 - start))
        };
        [
            map(across, self.corner.0, self.pixels.width),
            map(down, self.corner.1, self.pixels.height),
        ]
    }

    /// As if only the pixels of a window had been decoded.
    #[cfg(test)]
    pub(crate) fn part(&self, window: Window) -> Self {
        let [left, top, right, bottom] = [
            window.left,
            window.top,
            window.left + window.width,
            window.top + window.height,
        ]
        .map(|value| value as u32);
        let region = PixelBox {
            left,
            top,
            right,
            bottom,
        };
        Photograph {
            pixels: Arc::new(self.pixels.cut(region).unwrap()),
            corner: (-f64::from(left), -f64::from(top)),
            ..self.clone()
        }
    }
}
