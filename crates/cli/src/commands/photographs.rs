//! Photographs of a table as small squares: for contact sheets and pages.

use anyhow::{Context, Result};
use image::RgbImage;
use image::imageops::{FilterType, crop_imm, resize};
use lodestone_data::{DecodeLimits, Orientation, Pixels, Source, Table, decode};

/// The middle square of a photograph, `side` pixels wide.
pub(crate) fn square(table: &Table, row: usize, side: u32) -> Result<RgbImage> {
    let path = table.describe(row);
    let pixels = read(table, row).with_context(|| format!("cannot show {}", path.display()))?;
    let (width, height) = (pixels.width as u32, pixels.height as u32);
    let whole = RgbImage::from_raw(width, height, pixels.bytes)
        .with_context(|| format!("{} has another size than its pixels", path.display()))?;
    let shorter = width.min(height);
    let (left, top) = ((width - shorter) / 2, (height - shorter) / 2);
    let middle = crop_imm(&whole, left, top, shorter, shorter).to_image();
    // Small images are shown with their pixels, as there is nothing between them to show.
    let filter = if shorter < side {
        FilterType::Nearest
    } else {
        FilterType::Triangle
    };
    Ok(resize(&middle, side, side, filter))
}

/// The photograph of a row, cut to its region if it has one.
fn read(table: &Table, row: usize) -> Result<Pixels> {
    // Regions count pixels as they are stored.
    let orientation = match table.rows[row].region {
        Some(_) => Orientation::AsStored,
        None => Orientation::Upright,
    };
    let pixels = match (&table.rows[row].source, &table.packed) {
        (Source::Packed(position), Some(packed)) => {
            Pixels::from_grey(packed.width, packed.height, packed.image(*position))
        }
        (Source::Packed(_), None) => anyhow::bail!("the table has no packed images"),
        (Source::File(file), _) => {
            let bytes = std::fs::read(table.root.join(file))?;
            decode(&bytes, orientation, DecodeLimits::default())?
        }
    };
    match table.rows[row].region {
        None => Ok(pixels),
        Some(region) => pixels.cut(region).context("its region lies outside"),
    }
}
