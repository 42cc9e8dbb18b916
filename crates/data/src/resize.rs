//! Antialiased bilinear resizing to the square that a network takes.
//!
//! The filter is Pillow's: a triangle widened by the scale, horizontal pass first, rounded to 8 bit between the passes. Only
//! the pixels of the crop are computed. `fast_image_resize` does the two passes with the processor's vector
//! instructions: its weights are Pillow's, and the parity images agree to the level.

use fast_image_resize::images::{CroppedImage, Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::photograph::Photograph;
use crate::pixels::Pixels;
use crate::window::Window;

/// Size after resizing the shorter side to `side`: the longer side is rounded down.
pub(crate) fn resized_size(width: usize, height: usize, side: usize) -> (usize, usize) {
    if width <= height {
        (side, (side * height / width).max(1))
    } else {
        ((side * width / height).max(1), side)
    }
}

/// First pixel of a centred crop: (side - crop) / 2, a half rounded to even as Python's `round` does.
pub(crate) fn crop_offset(side: usize, crop: usize) -> usize {
    let difference = side - crop;
    let half = difference / 2;
    if difference.is_multiple_of(2) {
        half
    } else {
        half + half % 2
    }
}

/// The part of a photograph, in its own pixels, that [`centre`] computes its square from: first and length along each side.
fn centre_spans(size: (usize, usize), side: usize, crop: usize) -> [(f64, f64); 2] {
    let (width, height) = resized_size(size.0, size.1, side);
    // The crop in coordinates of the stored image. The sum must not leave the image by a rounding error.
    let span = |stored: usize, resized: usize| {
        let scale = stored as f64 / resized as f64;
        let start = crop_offset(resized, crop) as f64 * scale;
        (start, (crop as f64 * scale).min(stored as f64 - start))
    };
    [span(size.0, width), span(size.1, height)]
}

/// Whole pixels of a photograph of `size` that [`centre`] looks at, those under the feet of its filter included.
pub(crate) fn centre_window(size: (usize, usize), side: usize, crop: usize) -> Window {
    let whole = |(start, length): (f64, f64), stored: usize| {
        let reach = (length / crop as f64).max(1.0) + 1.0;
        let first = (start - reach).floor().max(0.0) as usize;
        let end = ((start + length + reach).ceil() as usize).min(stored);
        (first, end - first)
    };
    let [across, down] = centre_spans(size, side, crop);
    let (left, width) = whole(across, size.0);
    let (top, height) = whole(down, size.1);
    Window {
        left,
        top,
        width,
        height,
    }
}

/// The centre `crop` x `crop` pixels of the photograph resized to a shorter side of `side`, into `square`.
///
/// # Panics
/// If the photograph is empty or `crop` exceeds `side`.
pub(crate) fn centre(
    photograph: &Photograph,
    side: usize,
    crop: usize,
    resizer: &mut Resizer,
    square: &mut Vec<u8>,
) {
    assert!(crop <= side, "a crop of {crop} pixels from {side}");
    let spans = centre_spans(photograph.size, side, crop);
    square.resize(3 * crop * crop, 0);
    resize(photograph, spans, (crop, crop), resizer, square);
}

/// A window of the photograph, resized to `crop` x `crop` pixels, into `square`; pixels outside the window play no part.
///
/// # Panics
/// If the window leaves the photograph.
pub(crate) fn window(
    photograph: &Photograph,
    window: Window,
    crop: usize,
    resizer: &mut Resizer,
    square: &mut Vec<u8>,
) {
    square.resize(3 * crop * crop, 0);
    let spans = [(window.left, window.width), (window.top, window.height)]
        .map(|(start, length)| (start as f64, length as f64));
    if photograph.factor != 1.0 {
        // What was decoded ends with the window, or less than a pixel beyond it.
        return resize(photograph, spans, (crop, crop), resizer, square);
    }
    let [(left, width), (top, height)] = photograph.spans(spans);
    let source = view(&photograph.pixels);
    let [left, top, wide, high] = [left, top, width, height].map(|value| value as u32);
    let source = CroppedImage::new(&source, left, top, wide, high)
        .unwrap_or_else(|_| panic!("{window:?} leaves {photograph:?}"));
    let mut target = target(square, (crop, crop));
    resizer
        .resize(&source, &mut target, &bilinear())
        .expect("both images are U8x3 and not empty");
}

/// The whole photograph with a shorter side of `side`.
pub(crate) fn whole(photograph: &Photograph, side: usize, resizer: &mut Resizer) -> Pixels {
    let (width, height) = photograph.size;
    let spans = [(0.0, width as f64), (0.0, height as f64)];
    let (width, height) = resized_size(width, height, side);
    let mut bytes = vec![0; 3 * width * height];
    resize(photograph, spans, (width, height), resizer, &mut bytes);
    Pixels {
        width,
        height,
        bytes,
    }
}

/// Resizes the part of a photograph that the spans name, in its own pixels.
fn resize(
    photograph: &Photograph,
    spans: [(f64, f64); 2],
    size: (usize, usize),
    resizer: &mut Resizer,
    bytes: &mut [u8],
) {
    let [(left, width), (top, height)] = photograph.spans(spans);
    let options = bilinear().crop(left, top, width, height);
    resizer
        .resize(
            &view(&photograph.pixels),
            &mut target(bytes, size),
            &options,
        )
        .expect("both images are U8x3 and the crop lies inside");
}

fn target(bytes: &mut [u8], (width, height): (usize, usize)) -> Image<'_> {
    Image::from_slice_u8(width as u32, height as u32, bytes, PixelType::U8x3)
        .expect("the target was just given its size")
}

fn bilinear() -> ResizeOptions {
    ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
        .use_alpha(false)
}

fn view(pixels: &Pixels) -> ImageRef<'_> {
    let (width, height) = (pixels.width as u32, pixels.height as u32);
    ImageRef::new(width, height, &pixels.bytes, PixelType::U8x3)
        .expect("Pixels hold three bytes for each pixel")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_offsets_round_as_torchvision() {
        assert_eq!(resized_size(353, 320, 256), (282, 256));
        assert_eq!(resized_size(320, 426, 256), (256, 340));
        assert_eq!(resized_size(5, 5, 7), (7, 7));
        // 65.5 goes to 66, 32.5 to 32, 29 stays.
        assert_eq!(crop_offset(355, 224), 66);
        assert_eq!(crop_offset(289, 224), 32);
        assert_eq!(crop_offset(282, 224), 29);
    }

    /// One output pixel of a triangle filter, written from its definition.
    fn expected(values: &[f64], output: usize, scale: f64) -> f64 {
        let support = scale.max(1.0);
        let centre = (output as f64 + 0.5) * scale;
        let weight = |x: usize| (1.0 - ((x as f64 + 0.5 - centre) / support).abs()).max(0.0);
        let total: f64 = (0..values.len()).map(weight).sum();
        (0..values.len())
            .map(|x| weight(x) * values[x])
            .sum::<f64>()
            / total
    }

    #[test]
    fn the_filter_is_a_triangle_widened_by_the_scale() {
        let row: Vec<u8> = (0..40u32).map(|x| (x * x * 7 % 251) as u8).collect();
        let values: Vec<f64> = row.iter().map(|&value| f64::from(value)).collect();
        let pixels: Photograph = Pixels::from_grey(40, 40, &row.repeat(40)).into();
        for side in [10, 16, 27, 40, 64] {
            let mut square = Vec::new();
            centre(&pixels, side, side, &mut Resizer::new(), &mut square);
            for x in 0..side {
                let want = expected(&values, x, 40.0 / side as f64);
                let got = f64::from(square[3 * x]);
                assert!(
                    (got - want).abs() <= 1.0,
                    "side {side}, column {x}: {got}, not {want}"
                );
            }
        }
    }

    #[test]
    fn computing_only_the_crop_changes_nothing() {
        let grey: Vec<u8> = (0..90 * 61u32)
            .map(|value| (value * 37 % 256) as u8)
            .collect();
        let pixels: Photograph = Pixels::from_grey(90, 61, &grey).into();
        let (width, height) = resized_size(90, 61, 40);
        // The whole image, resized by the same filter without a crop.
        let mut whole = vec![0; 3 * width * height];
        let mut target =
            Image::from_slice_u8(width as u32, height as u32, &mut whole, PixelType::U8x3).unwrap();
        Resizer::new()
            .resize(&view(&pixels.pixels), &mut target, &bilinear())
            .unwrap();
        let mut square = Vec::new();
        centre(&pixels, 40, 24, &mut Resizer::new(), &mut square);
        for y in 0..24 {
            for x in 0..24 {
                let from = 3 * ((y + crop_offset(height, 24)) * width + x + crop_offset(width, 24));
                assert_eq!(square[3 * (24 * y + x)], whole[from], "row {y}, column {x}");
            }
        }
        // And neither does resizing the whole first, nor having only the pixels that the crop looks at.
        let resized = super::whole(&pixels, 40, &mut Resizer::new());
        assert_eq!(resized.bytes, whole);
        let mut again = Vec::new();
        centre(&resized.into(), 40, 24, &mut Resizer::new(), &mut again);
        assert_eq!(again, square);
        let seen = centre_window((90, 61), 40, 24);
        assert!(seen.width < 65 && seen.height < 45, "{seen:?}");
        centre(&pixels.part(seen), 40, 24, &mut Resizer::new(), &mut again);
        assert_eq!(again, square);
    }

    #[test]
    fn pixels_outside_a_window_play_no_part() {
        let mut grey = vec![255; 20 * 20];
        for y in 5..13 {
            grey[20 * y + 4..20 * y + 12].fill(10);
        }
        let pixels: Photograph = Pixels::from_grey(20, 20, &grey).into();
        for crop in [4, 8, 30] {
            let mut square = Vec::new();
            let inside = Window {
                left: 4,
                top: 5,
                width: 8,
                height: 8,
            };
            window(&pixels, inside, crop, &mut Resizer::new(), &mut square);
            assert!(square.iter().all(|&value| value == 10), "crop {crop}");
        }
    }
}
