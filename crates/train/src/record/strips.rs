//! Retrieval strips: a few images, each with its nearest neighbours, framed by whether the class is right.

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage, imageops};
use lodestone_data::{Broken, ChannelOrder, Loader, Preprocessing, View};

use crate::error::TrainError;
use crate::record::events::Value;

/// Images that are looked up.
const QUERIES: usize = 6;
/// Neighbours that are shown of each.
const NEIGHBOURS: usize = 8;
/// Side of an image in the strip, in pixels, at most.
const SIDE: u32 = 72;
/// The same on a sheet of many.
const SHEET_SIDE: u32 = 48;
/// Width of a frame.
const FRAME: u32 = 3;

/// Some images with their embeddings.
#[derive(Clone, Copy)]
pub(crate) struct Shown<'a> {
    /// Rows of the table.
    pub(crate) rows: &'a [usize],
    pub(crate) labels: &'a [usize],
    /// `[rows, dim]`.
    pub(crate) embeddings: &'a [f32],
}

/// A line for each of a few `queries`: the image itself, and its nearest of the `gallery`, framed green where the class is
/// the same and red where not. An image is not its own neighbour; one that is broken is left black.
///
/// # Errors
/// If the sheet cannot be packed.
pub(crate) fn strips(
    queries: Shown<'_>,
    gallery: Shown<'_>,
    dim: usize,
    loader: &Loader,
) -> Result<Value, TrainError> {
    let stride = queries.rows.len().div_ceil(QUERIES).max(1);
    let lines: Vec<Vec<(usize, Rgb<u8>)>> = (0..queries.rows.len())
        .step_by(stride)
        .map(|query| {
            let embedding = &queries.embeddings[query * dim..(query + 1) * dim];
            let white = (queries.rows[query], Rgb([255; 3]));
            let near = nearest(embedding, queries.rows[query], gallery, dim);
            let framed = near.into_iter().map(|place| {
                let right = gallery.labels[place] == queries.labels[query];
                let colour = if right { [30, 160, 60] } else { [210, 40, 40] };
                (gallery.rows[place], Rgb(colour))
            });
            std::iter::once(white).chain(framed).collect()
        })
        .collect();
    let preprocessing = loader.preprocessing();
    let side = SIDE.min(preprocessing.crop as u32);
    let cell = side + 2 * FRAME;
    let mut sheet = RgbImage::new(cell * (NEIGHBOURS + 1) as u32, cell * lines.len() as u32);
    let rows = lines
        .iter()
        .map(|line| line.iter().map(|&(row, _)| row).collect());
    let rows: Vec<Vec<usize>> = rows.collect();
    // What is only looked at ends no run.
    let loader = loader.with_broken(Broken::Skip);
    let pictures = loader.batches(rows.clone(), &View::Evaluation);
    for (down, (line, batch)) in lines.iter().zip(pictures).enumerate() {
        let batch = batch?;
        for (at, across) in batch.places(&rows[down]).into_iter().enumerate() {
            let picture = picture(batch.images.image(at), preprocessing);
            let small = imageops::thumbnail(&picture, side, side);
            let (x, y) = (across as u32 * cell, down as u32 * cell);
            let frame = RgbImage::from_pixel(cell, cell, line[across].1);
            imageops::replace(&mut sheet, &frame, i64::from(x), i64::from(y));
            imageops::replace(
                &mut sheet,
                &small,
                i64::from(x + FRAME),
                i64::from(y + FRAME),
            );
        }
    }
    Ok(Value::Png {
        bytes: packed(&sheet, ImageFormat::Png)?,
        width: sheet.width(),
        height: sheet.height(),
    })
}

fn packed(sheet: &RgbImage, format: ImageFormat) -> Result<Vec<u8>, TrainError> {
    let mut bytes = Cursor::new(Vec::new());
    sheet
        .write_to(&mut bytes, format)
        .map_err(|error| TrainError::Setting {
            reason: format!("cannot pack a sheet of images: {error}"),
        })?;
    Ok(bytes.into_inner())
}

/// Small pictures of `rows`, in order, line by line on a sheet of `ceil(sqrt(rows))` columns: a JPEG file. One that is broken is left
/// black.
///
/// # Errors
/// If the sheet cannot be packed.
pub(crate) fn sheet(rows: &[usize], loader: &Loader) -> Result<Vec<u8>, TrainError> {
    let preprocessing = loader.preprocessing();
    let side = SHEET_SIDE.min(preprocessing.crop as u32);
    let columns = (rows.len() as f64).sqrt().ceil().max(1.0) as usize;
    let lines = rows.len().div_ceil(columns);
    let mut sheet = RgbImage::new(side * columns as u32, side * lines as u32);
    let batches: Vec<Vec<usize>> = rows.chunks(columns).map(<[usize]>::to_vec).collect();
    let loader = loader.with_broken(Broken::Skip);
    let pictures = loader.batches(batches.clone(), &View::Evaluation);
    for (down, batch) in pictures.enumerate() {
        let batch = batch?;
        for (at, across) in batch.places(&batches[down]).into_iter().enumerate() {
            let picture = picture(batch.images.image(at), preprocessing);
            let small = imageops::thumbnail(&picture, side, side);
            let (x, y) = (across as u32 * side, down as u32 * side);
            imageops::replace(&mut sheet, &small, i64::from(x), i64::from(y));
        }
    }
    packed(&sheet, ImageFormat::Jpeg)
}

/// Places in the gallery of the nearest images, nearest first; ties by place.
fn nearest(embedding: &[f32], own: usize, gallery: Shown<'_>, dim: usize) -> Vec<usize> {
    let mut found: Vec<(f32, usize)> = gallery
        .embeddings
        .chunks_exact(dim)
        .enumerate()
        .filter(|&(place, _)| gallery.rows[place] != own)
        .map(|(place, other)| {
            let differences = embedding.iter().zip(other).map(|(a, b)| (a - b) * (a - b));
            (differences.sum::<f32>(), place)
        })
        .collect();
    let by_distance = |a: &(f32, usize), b: &(f32, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
    if found.len() > NEIGHBOURS {
        found.select_nth_unstable_by(NEIGHBOURS, by_distance);
        found.truncate(NEIGHBOURS);
    }
    found.sort_by(by_distance);
    found.into_iter().map(|(_, place)| place).collect()
}

/// What a network reads, as a person sees it: preprocessing taken back.
fn picture(values: &[f32], preprocessing: &Preprocessing) -> RgbImage {
    let side = preprocessing.crop;
    let plane = side * side;
    let full = preprocessing.divisor() as f32;
    let planes = match preprocessing.channel_order {
        ChannelOrder::Rgb => [0, 1, 2],
        ChannelOrder::Bgr => [2, 1, 0],
        ChannelOrder::Grey => [0; 3],
    };
    RgbImage::from_fn(side as u32, side as u32, |x, y| {
        let at = y as usize * side + x as usize;
        Rgb(planes.map(|channel| {
            let value = values[channel * plane + at];
            let value = value * preprocessing.deviation[channel] + preprocessing.mean[channel];
            (value * full).round().clamp(0.0, 255.0) as u8
        }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_come_first_and_never_the_image_itself() {
        let embeddings = [0.0, 1.0, 3.0, 0.5];
        let gallery = Shown {
            rows: &[10, 11, 12, 13],
            labels: &[0; 4],
            embeddings: &embeddings,
        };
        assert_eq!(nearest(&[0.0], 10, gallery, 1), [3, 1, 2]);
        assert_eq!(nearest(&[3.0], 99, gallery, 1), [2, 1, 3, 0]);
    }

    #[test]
    fn a_picture_is_what_was_prepared() {
        // Caffe's order: blue 104, green 117, red 123 are taken off.
        let preprocessing = Preprocessing {
            crop: 1,
            resize: 1,
            ..Preprocessing::caffe(256, 224)
        };
        let prepared = [10.0 - 104.0, 20.0 - 117.0, 30.0 - 123.0];
        let seen = picture(&prepared, &preprocessing);
        assert_eq!(seen.get_pixel(0, 0), &Rgb([30, 20, 10]));
    }
}
