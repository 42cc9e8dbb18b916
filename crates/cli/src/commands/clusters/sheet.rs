//! The contact sheet: a line of photographs for each mode, those nearest to its centre first.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::Result;
use font8x8::UnicodeFonts;
use image::{ImageFormat, Rgb, RgbImage};
use lodestone_files::write_whole;
use lodestone_sampling::Mode;
use rayon::prelude::*;

use super::{Photographs, share};
use crate::commands::photographs::square;

/// Side of a photograph.
const TILE: u32 = 96;
/// Between photographs, and around them.
const GAP: u32 = 4;
/// Width of the words beside a line.
const WORDS: u32 = 232;
/// Lines on a sheet; more modes go to further sheets, as image viewers refuse endless ones.
const LINES: usize = 60;
/// Side of a letter of the font.
const LETTER: u32 = 8;
const INK: Rgb<u8> = Rgb([30, 30, 30]);
const RULE: Rgb<u8> = Rgb([190, 190, 190]);

/// Writes `path`, or `name-1.png`, `name-2.png` … if there are more modes than one sheet holds, and says which files those are.
pub(super) fn write(
    photographs: &Photographs,
    modes: &[Mode],
    exemplars: usize,
    path: &Path,
) -> Result<Vec<PathBuf>> {
    let sheets: Vec<&[Mode]> = modes.chunks(LINES).collect();
    let mut paths = Vec::new();
    for (number, modes) in sheets.iter().enumerate() {
        let path = match sheets.len() {
            1 => path.to_path_buf(),
            _ => {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                path.with_file_name(format!("{stem}-{}.png", number + 1))
            }
        };
        let sheet = draw(photographs, modes, exemplars)?;
        let mut bytes = Cursor::new(Vec::new());
        sheet.write_to(&mut bytes, ImageFormat::Png)?;
        write_whole(&path, |file| file.write_all(bytes.get_ref()))?;
        paths.push(path);
    }
    Ok(paths)
}

fn draw(photographs: &Photographs, modes: &[Mode], exemplars: usize) -> Result<RgbImage> {
    let most = modes.iter().map(|mode| mode.exemplars.len()).max();
    let columns = most.unwrap_or(0).min(exemplars) as u32;
    let width = WORDS + columns * (TILE + GAP) + GAP;
    let height = modes.len() as u32 * (TILE + GAP) + GAP;
    let mut sheet = RgbImage::from_pixel(width, height, Rgb([255; 3]));
    let lines: Vec<Vec<RgbImage>> = modes
        .par_iter()
        .map(|mode| {
            let photograph = |&row: &usize| square(&photographs.table, photographs.rows[row], TILE);
            mode.exemplars
                .iter()
                .map(photograph)
                .collect::<Result<Vec<RgbImage>>>()
        })
        .collect::<Result<_>>()?;
    for (number, (mode, line)) in modes.iter().zip(lines).enumerate() {
        let top = GAP + number as u32 * (TILE + GAP);
        if number > 0 && modes[number - 1].class != mode.class {
            (0..width).for_each(|x| sheet.put_pixel(x, top - GAP / 2, RULE));
        }
        describe(&mut sheet, photographs, mode, top);
        for (place, photograph) in line.iter().enumerate() {
            let left = WORDS + place as u32 * (TILE + GAP);
            image::imageops::replace(&mut sheet, photograph, left.into(), top.into());
        }
    }
    Ok(sheet)
}

/// Class, number, size and radius, left of the photographs.
fn describe(sheet: &mut RgbImage, photographs: &Photographs, mode: &Mode, top: u32) {
    let name = photographs.classes.name(mode.class);
    let large = name.chars().count() as u32 * LETTER * 2 <= WORDS - 2 * GAP;
    say(sheet, name, top + 8, if large { 2 } else { 1 });
    let words = [
        format!("cluster {}", mode.cluster),
        format!(
            "{} images, {:.0} %",
            mode.size,
            100.0 * share(photographs, mode)
        ),
        format!("radius {:.2}", mode.radius),
    ];
    for (line, words) in (0..).zip(&words) {
        say(sheet, words, top + 36 + line * 16, 1);
    }
}

/// Writes words from the left edge; letters that the font lacks are left blank, and what does not fit is cut.
fn say(sheet: &mut RgbImage, words: &str, top: u32, scale: u32) {
    let room = ((WORDS - 2 * GAP) / (LETTER * scale)) as usize;
    for (place, letter) in words.chars().take(room).enumerate() {
        let glyph = font8x8::BASIC_FONTS
            .get(letter)
            .or_else(|| font8x8::LATIN_FONTS.get(letter))
            .unwrap_or_default();
        let left = GAP + place as u32 * LETTER * scale;
        for (y, bits) in (0..).zip(glyph) {
            for x in (0..LETTER).filter(|x| bits >> x & 1 == 1) {
                for (dx, dy) in (0..scale * scale).map(|dot| (dot % scale, dot / scale)) {
                    sheet.put_pixel(left + x * scale + dx, top + y * scale + dy, INK);
                }
            }
        }
    }
}
