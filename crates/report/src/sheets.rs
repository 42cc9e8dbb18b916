//! Many small photographs as few JPEG files: a sheet holds 16 × 16 of them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, RgbImage};
use rayon::prelude::*;

use crate::ReportError;
use crate::material::{Pictures, Place};

/// Photographs along an edge of a sheet.
const ACROSS: u32 = 16;
/// Photographs on a sheet.
pub(crate) const ON_A_SHEET: usize = (ACROSS * ACROSS) as usize;
/// JPEG quality: at these sizes more is not seen.
const QUALITY: u8 = 78;

/// Photographs in the order of their slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sheets {
    /// Side of a photograph in pixels; a multiple of 8, the block of JPEG, so that neighbours do not bleed into each other.
    pub(crate) side: u32,
    /// JPEG files in base64.
    pub(crate) sheets: Vec<String>,
}

impl Sheets {
    /// Puts `places` on sheets; one that cannot be shown leaves a grey square.
    pub(crate) fn new(
        pictures: &dyn Pictures,
        places: &[Place],
        side: u32,
    ) -> Result<Self, ReportError> {
        let sheets = places
            .par_chunks(ON_A_SHEET)
            .map(|part| sheet(pictures, part, side))
            .collect::<Result<_, _>>()?;
        Ok(Self { side, sheets })
    }
}

fn sheet(pictures: &dyn Pictures, places: &[Place], side: u32) -> Result<String, ReportError> {
    let lines = (places.len() as u32).div_ceil(ACROSS);
    let mut sheet = RgbImage::from_pixel(ACROSS * side, lines * side, image::Rgb([224; 3]));
    for (slot, &place) in (0..).zip(places) {
        if let Some(picture) = pictures.square(place, side) {
            let (left, top) = (slot % ACROSS * side, slot / ACROSS * side);
            image::imageops::replace(&mut sheet, &picture, left.into(), top.into());
        }
    }
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode(
        sheet.as_raw(),
        sheet.width(),
        sheet.height(),
        ExtendedColorType::Rgb8,
    )?;
    Ok(STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Levels;

    impl Pictures for Levels {
        fn square(&self, place: Place, side: u32) -> Option<RgbImage> {
            match place {
                Place::Query(row) => {
                    Some(RgbImage::from_pixel(side, side, image::Rgb([row as u8; 3])))
                }
                Place::Gallery(_) => None,
            }
        }
    }

    #[test]
    fn photographs_stand_where_their_slot_says() {
        let mut places: Vec<Place> = (0..300).map(|n| Place::Query(n % 200)).collect();
        places[17] = Place::Gallery(0);
        let sheets = Sheets::new(&Levels, &places, 8).unwrap();
        assert_eq!(sheets.sheets.len(), 2);
        let bytes = STANDARD.decode(&sheets.sheets[0]).unwrap();
        let sheet = image::load_from_memory(&bytes).unwrap().to_rgb8();
        assert_eq!(sheet.dimensions(), (128, 128));
        let level = |slot: u32| sheet.get_pixel(slot % 16 * 8 + 4, slot / 16 * 8 + 4)[0];
        for (slot, expected) in [(0, 0), (16, 16), (17, 224), (150, 150)] {
            assert!(
                level(slot).abs_diff(expected) < 6,
                "{slot}: {}",
                level(slot)
            );
        }
        let bytes = STANDARD.decode(&sheets.sheets[1]).unwrap();
        let rest = image::load_from_memory(&bytes).unwrap();
        assert_eq!(rest.height(), 24);
    }
}
