//! The first frame of a GIF on its screen, as Pillow shows it: what the frame leaves free has the transparent colour, or
//! without one the first of the palette. Browsers leave it empty.

use gif::{ColorOutput, DecodeOptions, DecodingError, MemoryLimit};
use image::error::DecodingError as Refused;
use image::{ImageError, ImageFormat, Rgb, RgbImage};

use crate::error::DecodeError;
use crate::pixels::DecodeLimits;

/// Decodes the first frame.
pub(crate) fn first_frame(bytes: &[u8], limits: DecodeLimits) -> Result<RgbImage, DecodeError> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    // The size is checked here, and before anything is allocated.
    options.set_memory_limit(MemoryLimit::Unlimited);
    let mut decoder = options.read_info(bytes).map_err(broken)?;
    let mut screen = (u32::from(decoder.width()), u32::from(decoder.height()));
    let frame = decoder.next_frame_info().map_err(broken)?;
    let frame = frame.ok_or(DecodeError::Truncated)?.clone();
    let (left, top) = (u32::from(frame.left), u32::from(frame.top));
    let (width, height) = (u32::from(frame.width), u32::from(frame.height));
    // A frame that leaves the screen makes it larger.
    screen = (screen.0.max(left + width), screen.1.max(top + height));
    // A byte for the number of its colour, and three for the colour.
    limits.check(screen, 4)?;
    if width == 0 || height == 0 {
        return Err(DecodeError::Damaged("a frame without pixels"));
    }
    let mut pixels = vec![0; decoder.buffer_size()];
    decoder.read_into_buffer(&mut pixels).map_err(broken)?;

    let mut colours: [[u8; 3]; 256] = std::array::from_fn(|level| [level as u8; 3]);
    let palette = frame.palette.as_deref().or(decoder.global_palette());
    let palette = palette.unwrap_or_default().as_chunks::<3>().0;
    for (colour, &stored) in colours.iter_mut().zip(palette) {
        *colour = stored;
    }
    let free = Rgb(colours[usize::from(frame.transparent.unwrap_or(0))]);
    let mut image = RgbImage::from_pixel(screen.0, screen.1, free);
    for (row, line) in pixels.chunks_exact(width as usize).enumerate() {
        for (column, &index) in line.iter().enumerate() {
            let colour = Rgb(colours[usize::from(index)]);
            image.put_pixel(left + column as u32, top + row as u32, colour);
        }
    }
    Ok(image)
}

fn broken(error: DecodingError) -> DecodeError {
    match error {
        DecodingError::Io(error) => ImageError::IoError(error).into(),
        error => ImageError::Decoding(Refused::new(ImageFormat::Gif.into(), error)).into(),
    }
}

#[cfg(test)]
mod tests {
    use gif::{Encoder, Frame};

    use super::*;

    const PALETTE: [[u8; 3]; 4] = [[200, 210, 220], [1, 2, 3], [90, 80, 70], [40, 50, 60]];

    /// A frame of two pixels, of the second and the third colour, on a screen of 4 x 3.
    fn gif(left: u16, top: u16, transparent: Option<u8>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, 4, 3, PALETTE.as_flattened()).unwrap();
        let frame = Frame {
            left,
            top,
            width: 2,
            height: 1,
            transparent,
            buffer: vec![1, 2].into(),
            ..Frame::default()
        };
        encoder.write_frame(&frame).unwrap();
        drop(encoder);
        bytes
    }

    fn check(bytes: &[u8], size: (u32, u32), frame: (u32, u32), free: usize) {
        let image = first_frame(bytes, DecodeLimits::default()).unwrap();
        assert_eq!(image.dimensions(), size);
        for (x, y, pixel) in image.enumerate_pixels() {
            let inside = y == frame.1 && (frame.0..frame.0 + 2).contains(&x);
            let colour = if inside {
                1 + (x - frame.0) as usize
            } else {
                free
            };
            assert_eq!(pixel.0, PALETTE[colour], "{x}, {y}");
        }
    }

    #[test]
    fn what_the_first_frame_leaves_free_is_as_pillow_fills_it() {
        check(&gif(1, 1, None), (4, 3), (1, 1), 0);
        check(&gif(1, 1, Some(3)), (4, 3), (1, 1), 3);
        // A transparent pixel has its colour of the palette.
        check(&gif(0, 2, Some(2)), (4, 3), (0, 2), 2);
    }

    #[test]
    fn a_frame_beyond_the_screen_makes_it_larger() {
        check(&gif(3, 4, None), (5, 5), (3, 4), 0);
    }

    #[test]
    fn a_gif_without_a_frame_or_beyond_the_limits_is_refused() {
        let bytes = gif(1, 1, None);
        let refused = |length: usize, limits| first_frame(&bytes[..length], limits).is_err();
        for length in 0..bytes.len() - 3 {
            assert!(refused(length, DecodeLimits::default()), "{length} bytes");
        }
        let limits = DecodeLimits {
            pixels: 11,
            ..DecodeLimits::default()
        };
        assert!(refused(bytes.len(), limits));
    }
}
