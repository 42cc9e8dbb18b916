//! The contact sheet: a line of photographs for each mode, those nearest to its centre first.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::Result;
use font8x8::UnicodeFonts;
use image::{Rgb, RgbImage};
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

/// What a sheet says of its maker, by which it is known again.
const MAKER: [&str; 2] = ["Software", "lodestone clusters"];

/// The files of the sheets for so many modes: `path`, or `name-1.png`, `name-2.png` … if there are more than one sheet holds.
pub(super) fn files(path: &Path, modes: usize) -> Vec<PathBuf> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    match modes.div_ceil(LINES) {
        0 => Vec::new(),
        1 => vec![path.to_path_buf()],
        several => (1..=several)
            .map(|number| path.with_file_name(format!("{stem}-{number}.png")))
            .collect(),
    }
}

/// Whether the file is such a sheet, which may be drawn again.
pub(super) fn made(path: &Path) -> bool {
    let read = || -> Option<bool> {
        let file = BufReader::new(File::open(path).ok()?);
        let reader = png::Decoder::new(file).read_info().ok()?;
        let texts = &reader.info().uncompressed_latin1_text;
        Some(
            texts
                .iter()
                .any(|text| [&*text.keyword, &*text.text] == MAKER),
        )
    };
    read().unwrap_or(false)
}

/// Writes the modes on the sheets.
pub(super) fn write(
    photographs: &Photographs,
    modes: &[Mode],
    exemplars: usize,
    sheets: &[PathBuf],
) -> Result<()> {
    for (path, modes) in sheets.iter().zip(modes.chunks(LINES)) {
        let bytes = packed(&draw(photographs, modes, exemplars)?)?;
        write_whole(path, |file| file.write_all(&bytes))?;
    }
    Ok(())
}

fn packed(sheet: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, sheet.width(), sheet.height());
    encoder.set_color(png::ColorType::Rgb);
    let [keyword, text] = MAKER.map(str::to_owned);
    encoder.add_text_chunk(keyword, text)?;
    let mut writer = encoder.write_header()?;
    writer.write_image_data(sheet)?;
    writer.finish()?;
    Ok(bytes)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_is_known_from_a_photograph() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.png");
        assert!(!made(&path));
        let picture = RgbImage::from_pixel(3, 2, INK);
        picture.save(&path).unwrap();
        assert!(!made(&path));
        write_whole(&path, |file| file.write_all(&packed(&picture).unwrap())).unwrap();
        assert!(made(&path));
        assert_eq!(image::open(&path).unwrap().into_rgb8(), picture);
    }

    #[test]
    fn more_modes_than_a_sheet_holds_are_several_files() {
        let path = Path::new("a/modes.png");
        assert_eq!(files(path, LINES), [path]);
        let several = ["a/modes-1.png", "a/modes-2.png"].map(PathBuf::from);
        assert_eq!(files(path, LINES + 1), several);
    }
}
