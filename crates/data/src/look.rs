//! Decoding the part of a file that a view looks at, and no more where the format allows it.

use lodestone_files::{Orientation, Preprocessing};
use std::path::Path;

use crate::augmentation::Draw;
use crate::decode::{decode, decode_stored};
use crate::error::DataError;
use crate::jpeg::{Jpeg, Shrink};
use crate::photograph::Photograph;
use crate::pixels::{DecodeLimits, Pixels};
use crate::resize::centre_window;
use crate::table::PixelBox;
use crate::window::Window;

/// A photograph is decoded at a reduced scale only if it keeps this many times the size that is asked for, so that the
/// filter still does the rest. Pillow names 2 as "close to fair resampling".
const KEPT: f64 = 2.0;

/// Bytes of a file with all that decides what becomes of them.
pub(crate) struct Encoded<'a> {
    pub(crate) bytes: &'a [u8],
    /// What messages call it.
    pub(crate) name: &'a Path,
    /// Rectangle that counts as the photograph.
    pub(crate) region: Option<PixelBox>,
    pub(crate) limits: DecodeLimits,
    pub(crate) orientation: Orientation,
}

impl Encoded<'_> {
    /// Draws for the photograph's size, then decodes what the draw will look at.
    pub(crate) fn look(
        &self,
        preprocessing: &Preprocessing,
        draw: impl FnOnce((usize, usize)) -> Draw,
    ) -> Result<(Photograph, Draw), DataError> {
        let Some((jpeg, region)) = self.in_parts()? else {
            let photograph = Photograph::from(self.whole_by_library()?);
            let draw = draw(photograph.size);
            return Ok((photograph, draw));
        };
        let size = (region.width, region.height);
        let draw = draw(size);
        let (Preprocessing { resize, crop, .. }, whole) = (preprocessing, size.0.min(size.1));
        let (window, shrink) = match draw.window {
            Some(window) => {
                let side = window.width.min(window.height);
                (window, strongest(side, *crop))
            }
            None => (
                centre_window(size, *resize, *crop),
                strongest(whole, *resize),
            ),
        };
        let photograph = self.part(&jpeg, window, shrink, region)?;
        Ok((photograph, draw))
    }

    /// The photograph as stored.
    pub(crate) fn whole(&self) -> Result<Pixels, DataError> {
        match self.in_parts()? {
            Some((jpeg, region)) => match jpeg.decode(region, Shrink::Full) {
                Ok(part) => Ok(part.pixels),
                Err(source) => Err(DataError::image(self.name, source)),
            },
            None => self.whole_by_library(),
        }
    }

    /// The photograph at least as large as `side` needs, at a reduced scale if that is enough.
    pub(crate) fn at_least(&self, side: usize) -> Result<Photograph, DataError> {
        let Some((jpeg, region)) = self.in_parts()? else {
            return self.whole_by_library().map(Photograph::from);
        };
        let shrink = strongest(region.width.min(region.height), side);
        let window = Window {
            left: 0,
            top: 0,
            ..region
        };
        self.part(&jpeg, window, shrink, region)
    }

    /// Decodes a window of the region.
    fn part(
        &self,
        jpeg: &Jpeg<'_>,
        window: Window,
        shrink: Shrink,
        region: Window,
    ) -> Result<Photograph, DataError> {
        let inside = Window {
            left: region.left + window.left,
            top: region.top + window.top,
            ..window
        };
        let part = jpeg.decode(inside, shrink);
        let part = part.map_err(|source| DataError::image(self.name, source))?;
        Ok(Photograph::of_part(part, region))
    }

    /// A stream that can be decoded in parts, with the region in stored pixels.
    fn in_parts(&self) -> Result<Option<(Jpeg<'_>, Window)>, DataError> {
        // What is turned upright has other coordinates for the draw than for the stream.
        if self.orientation != Orientation::AsStored {
            return Ok(None);
        }
        let jpeg = Jpeg::within(self.bytes, self.limits)
            .map_err(|source| DataError::image(self.name, source))?;
        jpeg.map(|jpeg| {
            let region = self.region_of(jpeg.size())?;
            Ok((jpeg, region))
        })
        .transpose()
    }

    fn whole_by_library(&self) -> Result<Pixels, DataError> {
        let broken = |source| DataError::image(self.name, source);
        if self.region.is_some() && self.orientation == Orientation::Upright {
            // Boxes are drawn on the pixels as stored: cut first, then turned.
            let (stored, turn) = decode_stored(self.bytes, self.limits).map_err(broken)?;
            let region = self.region_of((stored.width() as usize, stored.height() as usize))?;
            let [left, top, width, height] =
                [region.left, region.top, region.width, region.height].map(|side| side as u32);
            let mut part = stored.crop_imm(left, top, width, height);
            part.apply_orientation(turn);
            return Ok(part.into());
        }
        let pixels = decode(self.bytes, self.orientation, self.limits).map_err(broken)?;
        let Some(region) = self.region else {
            return Ok(pixels);
        };
        self.region_of((pixels.width, pixels.height))?;
        Ok(pixels.cut(region).unwrap_or_default())
    }

    /// The region inside a photograph of this size.
    fn region_of(&self, (width, height): (usize, usize)) -> Result<Window, DataError> {
        let Some(region) = self.region else {
            return Ok(Window {
                left: 0,
                top: 0,
                width,
                height,
            });
        };
        let (left, top) = (region.left as usize, region.top as usize);
        let (right, bottom) = (
            (region.right as usize).min(width),
            (region.bottom as usize).min(height),
        );
        if left >= right || top >= bottom {
            let problem = format!("{region:?} lies outside {width}x{height} pixels");
            return Err(DataError::content(self.name, "region", problem));
        }
        Ok(Window {
            left,
            top,
            width: right - left,
            height: bottom - top,
        })
    }
}

fn strongest(stored: usize, wished: usize) -> Shrink {
    Shrink::strongest(stored as f64, KEPT * wished as f64)
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, ImageFormat};

    use super::*;
    use crate::decode::tests::{encode, gradient};

    /// The stream with an EXIF note that a quarter turn to the right is missing.
    fn lying(jpeg: &[u8]) -> Vec<u8> {
        let note = b"\xff\xe1\0\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        [&jpeg[..2], note, &jpeg[2..]].concat()
    }

    #[test]
    fn a_box_is_cut_from_the_stored_pixels_and_then_turned_upright() {
        let bytes = lying(&encode(&gradient(40, 20).into(), ImageFormat::Jpeg));
        let region = PixelBox {
            left: 4,
            top: 2,
            right: 14,
            bottom: 99,
        };
        let limits = DecodeLimits::default();
        let seen = |orientation| {
            let file = Encoded {
                bytes: &bytes,
                name: Path::new("lying.jpg"),
                region: Some(region),
                limits,
                orientation,
            };
            file.whole_by_library().unwrap()
        };
        let upright = seen(Orientation::Upright);
        assert_eq!((upright.width, upright.height), (18, 10));
        let (stored, _) = decode_stored(&bytes, limits).unwrap();
        let expected: DynamicImage = stored.crop_imm(4, 2, 10, 18).rotate90();
        assert_eq!(upright, expected.into());
        let stored = seen(Orientation::AsStored);
        assert_eq!((stored.width, stored.height), (10, 18));
    }
}
