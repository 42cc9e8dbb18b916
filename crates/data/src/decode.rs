//! From the bytes of an image file to 8-bit RGB, whatever the file is called and however it stores colour.
//!
//! The conversion is that of Pillow's `convert("RGB")`: grey is copied to three channels, palettes are looked up, CMYK
//! becomes (255 - C)(255 - K) / 255, alpha is dropped and not composited, 16-bit values keep their upper byte
//! (grey ones too, which Pillow 13 cuts off at 255 instead, so that nearly all are white).

use std::io::Cursor;
use std::panic::catch_unwind;
use std::path::Path;

use image::metadata::Orientation as Turn;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage};
use lodestone_files::Orientation;

use crate::error::{DataError, DecodeError};
use crate::gif::first_frame;
use crate::jpeg::Jpeg;
use crate::kinds;
use crate::pixels::{DecodeLimits, Pixels};

/// Decodes an image by its content.
///
/// # Errors
/// [`DecodeError`] if the bytes are no known format, are cut off or damaged, or exceed `limits`. The size is checked
/// before anything is allocated for pixels.
pub fn decode(
    bytes: &[u8],
    orientation: Orientation,
    limits: DecodeLimits,
) -> Result<Pixels, DecodeError> {
    Ok(decode_any(bytes, orientation, limits)?.into())
}

impl From<DynamicImage> for Pixels {
    fn from(image: DynamicImage) -> Self {
        let (width, height) = (image.width() as usize, image.height() as usize);
        Pixels {
            width,
            height,
            bytes: to_rgb(image),
        }
    }
}

impl From<Pixels> for DynamicImage {
    fn from(pixels: Pixels) -> Self {
        let (width, height) = (pixels.width as u32, pixels.height as u32);
        let image = RgbImage::from_raw(width, height, pixels.bytes);
        image.expect("pixels have three bytes each").into()
    }
}

/// The bytes of an image file. Something else than a file, such as a pipe that would never end, is an error, and so is a file
/// beyond the bytes that `limits` allow.
pub(crate) fn read_file(path: &Path, limits: DecodeLimits) -> Result<Vec<u8>, DataError> {
    let unreadable = |source| DataError::read(path, source);
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(DataError::content(path, "image", "not a file"));
    }
    if metadata.len() > limits.bytes {
        let error = DecodeError::TooLarge {
            what: "bytes",
            found: metadata.len(),
            limit: limits.bytes,
        };
        return Err(DataError::image(path, error));
    }
    std::fs::read(path).map_err(unreadable)
}

/// Decodes to the colour model that the decoder of the format gives.
pub(crate) fn decode_any(
    bytes: &[u8],
    orientation: Orientation,
    limits: DecodeLimits,
) -> Result<DynamicImage, DecodeError> {
    let (mut image, turn) = decode_stored(bytes, limits)?;
    if orientation == Orientation::Upright {
        image.apply_orientation(turn);
    }
    Ok(image)
}

/// Decodes an image as it is stored, and says how it has to be turned to stand upright.
pub(crate) fn decode_stored(
    bytes: &[u8],
    limits: DecodeLimits,
) -> Result<(DynamicImage, Turn), DecodeError> {
    if let Some(jpeg) = Jpeg::within(bytes, limits)? {
        return Ok((jpeg.decode_whole()?.into(), jpeg.turn()));
    }
    // One hostile file must not end a run of hours, and nothing of a decoder outlives its image.
    catch_unwind(|| decode_by_library(bytes, limits)).unwrap_or(Err(DecodeError::Stopped))
}

fn decode_by_library(
    bytes: &[u8],
    limits: DecodeLimits,
) -> Result<(DynamicImage, Turn), DecodeError> {
    let format = kinds::format(bytes)?;
    if format == ImageFormat::Gif {
        return Ok((first_frame(bytes, limits)?.into(), Turn::NoTransforms));
    }
    let of_this_kind = |error: ImageError| -> DecodeError {
        match error {
            ImageError::Unsupported(error) if format == ImageFormat::Tiff => {
                let kind = kinds::tiff(bytes).unwrap_or_else(|| error.to_string());
                DecodeError::NotRead { kind }
            }
            error => error.into(),
        }
    };
    let reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut decoder = reader.into_decoder().map_err(of_this_kind)?;
    limits.check(decoder.dimensions(), decoder.color_type().bytes_per_pixel())?;
    let mut bounds = Limits::no_limits();
    bounds.max_alloc = Some(limits.bytes);
    decoder.set_limits(bounds)?;
    // A file that does not say so in a way that can be read stands as it is stored.
    let turn = decoder.orientation().unwrap_or(Turn::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(of_this_kind)?;
    if format == ImageFormat::Tiff {
        // Pillow, and with it torchvision, turns TIFF upright when it reads it.
        image.apply_orientation(turn);
        return Ok((image, Turn::NoTransforms));
    }
    Ok((image, turn))
}

impl From<ImageError> for DecodeError {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                DecodeError::Truncated
            }
            error => DecodeError::Broken(error),
        }
    }
}

fn to_rgb(image: DynamicImage) -> Vec<u8> {
    // The upper byte, as Pillow takes it of colours; the image crate would round value / 257.
    let upper = |value: u16| (value >> 8) as u8;
    match image {
        DynamicImage::ImageRgb8(image) => image.into_raw(),
        DynamicImage::ImageLuma16(image) => image
            .into_raw()
            .into_iter()
            .flat_map(|value| [upper(value); 3])
            .collect(),
        DynamicImage::ImageLumaA16(image) => image
            .into_raw()
            .chunks_exact(2)
            .flat_map(|pixel| [upper(pixel[0]); 3])
            .collect(),
        DynamicImage::ImageRgb16(image) => image.into_raw().into_iter().map(upper).collect(),
        DynamicImage::ImageRgba16(image) => image
            .into_raw()
            .chunks_exact(4)
            .flat_map(|pixel| [upper(pixel[0]), upper(pixel[1]), upper(pixel[2])])
            .collect(),
        other => other.into_rgb8().into_raw(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use image::codecs::jpeg::JpegEncoder;
    use image::{GrayAlphaImage, GrayImage, ImageBuffer, Luma, Rgb, RgbImage, Rgba, RgbaImage};

    use super::*;
    use crate::table::PixelBox;

    pub(crate) fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    /// A smooth picture that JPEG keeps within a few levels.
    pub(crate) fn gradient(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            Rgb([(x * 255 / width) as u8, (y * 255 / height) as u8, 128])
        })
    }

    fn open(bytes: &[u8]) -> Result<Pixels, DecodeError> {
        decode(bytes, Orientation::AsStored, DecodeLimits::default())
    }

    #[test]
    fn every_format_is_known_by_its_content() {
        let picture = gradient(20, 10);
        let formats = [
            ImageFormat::Png,
            ImageFormat::Bmp,
            ImageFormat::Tiff,
            ImageFormat::WebP,
            ImageFormat::Pnm,
        ];
        for format in formats {
            let pixels = open(&encode(&picture.clone().into(), format)).unwrap();
            assert_eq!((pixels.width, pixels.height), (20, 10), "{format:?}");
            assert_eq!(pixels.bytes, *picture.as_raw(), "{format:?}");
        }
        for format in [ImageFormat::Jpeg, ImageFormat::Gif] {
            let image = DynamicImage::from(picture.clone());
            let image = if format == ImageFormat::Gif {
                image.to_rgba8().into()
            } else {
                image
            };
            let pixels = open(&encode(&image, format)).unwrap();
            let worst = pixels
                .bytes
                .iter()
                .zip(picture.as_raw())
                .map(|(a, b)| a.abs_diff(*b))
                .max();
            assert!(worst < Some(32), "{format:?}: {worst:?}");
        }
    }

    #[test]
    fn colour_models_become_rgb_as_pillow_does() {
        let alpha = RgbaImage::from_pixel(1, 1, Rgba([10, 20, 30, 0]));
        let grey_alpha = GrayAlphaImage::from_pixel(1, 1, image::LumaA([7, 0]));
        let grey = GrayImage::from_pixel(1, 1, Luma([9]));
        let deep: ImageBuffer<Rgb<u16>, _> =
            ImageBuffer::from_pixel(1, 1, Rgb([0x12ff, 0xfe80, 0x00ff]));
        let deep_grey: ImageBuffer<Luma<u16>, _> = ImageBuffer::from_pixel(1, 1, Luma([0x7fff]));
        let cases: [(DynamicImage, [u8; 3]); 5] = [
            (alpha.into(), [10, 20, 30]),
            (grey_alpha.into(), [7, 7, 7]),
            (grey.into(), [9, 9, 9]),
            (deep.into(), [0x12, 0xfe, 0x00]),
            (deep_grey.into(), [0x7f, 0x7f, 0x7f]),
        ];
        for (image, expected) in cases {
            assert_eq!(
                open(&encode(&image, ImageFormat::Png)).unwrap().bytes,
                expected
            );
        }
    }

    #[test]
    fn a_file_cut_off_anywhere_is_no_image() {
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, 90)
            .encode_image(&gradient(64, 48))
            .unwrap();
        let png = encode(&gradient(64, 48).into(), ImageFormat::Png);
        for bytes in [&jpeg, &png] {
            open(bytes).unwrap();
            for length in 0..bytes.len() - 12 {
                assert!(
                    open(&bytes[..length]).is_err(),
                    "{length} of {} bytes",
                    bytes.len()
                );
            }
        }
        // All pixels are there, and only the end mark is missing.
        for whole in [&jpeg[..jpeg.len() - 2], &png[..png.len() - 12]] {
            let message = open(whole).unwrap_err().to_string();
            assert_eq!(message, "truncated: the end of the image file is missing");
        }
    }

    #[test]
    fn tiff_is_turned_upright_when_it_is_read_and_not_again() {
        // Two grey pixels, stored upside down.
        let pixels = [10, 200];
        let bytes = kinds::tests::tiff(&[(258, &[8]), (262, &[1]), (274, &[3])], &pixels);
        for orientation in [Orientation::AsStored, Orientation::Upright] {
            let image = decode(&bytes, orientation, DecodeLimits::default()).unwrap();
            assert_eq!(
                image,
                Pixels::from_grey(2, 1, &[200, 10]),
                "{orientation:?}"
            );
        }
    }

    #[test]
    fn a_rectangle_is_cut_to_the_image() {
        let pixels = Pixels::from_grey(3, 2, &[1, 2, 3, 4, 5, 6]);
        let cut = |left, top, right, bottom| {
            pixels.cut(PixelBox {
                left,
                top,
                right,
                bottom,
            })
        };
        assert_eq!(
            cut(1, 0, 3, 2),
            Some(Pixels::from_grey(2, 2, &[2, 3, 5, 6]))
        );
        assert_eq!(cut(2, 1, 99, 99), Some(Pixels::from_grey(1, 1, &[6])));
        assert_eq!(cut(3, 0, 9, 9), None);
    }

    #[test]
    fn what_is_no_image_is_said_with_its_first_bytes() {
        let message = open(b"<html> not found").unwrap_err().to_string();
        assert_eq!(message, "not an image (first bytes 3c68746d6c3e206e)");
        assert_eq!(
            open(b"").unwrap_err().to_string(),
            "not an image (it is empty)"
        );
    }

    #[test]
    fn a_folder_or_a_huge_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let limits = DecodeLimits {
            bytes: 3,
            ..DecodeLimits::default()
        };
        let message = lodestone_files::told(&read_file(folder.path(), limits).unwrap_err());
        assert!(message.ends_with("image: not a file"), "{message}");
        let path = folder.path().join("a");
        lodestone_files::write_whole(&path, |file| file.write_all(b"abcd")).unwrap();
        let message = lodestone_files::told(&read_file(&path, limits).unwrap_err());
        assert!(message.ends_with("bytes 4, the limit is 3"), "{message}");
    }

    #[test]
    fn a_declared_size_beyond_the_limit_is_refused_before_decoding() {
        // A BMP header that announces 60 000 x 60 000 pixels and holds none.
        let mut bytes = encode(&gradient(2, 2).into(), ImageFormat::Bmp);
        bytes[18..22].copy_from_slice(&60_000u32.to_le_bytes());
        bytes[22..26].copy_from_slice(&60_000u32.to_le_bytes());
        let message = open(&bytes).unwrap_err().to_string();
        assert_eq!(message, "pixels 3600000000, the limit is 178956970");
    }
}
