//! One photograph from its bytes to the values a network reads.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use fast_image_resize::Resizer;
use lodestone_files::Preprocessing;

use crate::augmentation::Draw;
use crate::decode::read_file;
use crate::error::DataError;
use crate::look::Encoded;
use crate::photograph::Photograph;
use crate::pixels::DecodeLimits;
use crate::preprocessing::{check, normalise};
use crate::resize;
use crate::rotate::rotate;
use crate::window::Window;

/// Images on the host, ready for a network: `[n, channels, height, width]`, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Images {
    /// All values.
    pub values: Vec<f32>,
    /// `[n, channels, height, width]`.
    pub shape: [usize; 4],
}

impl Images {
    /// The values on a device.
    pub fn to_tensor(&self, device: &Device) -> Tensor<4> {
        self.clone().into_tensor(device)
    }

    /// The values on a device, without a copy on the host.
    pub fn into_tensor(self, device: &Device) -> Tensor<4> {
        Tensor::from_data(TensorData::new(self.values, self.shape), device)
    }

    /// The images at these positions, in this order; one may be taken several times.
    ///
    /// # Panics
    /// If a position is not below `shape[0]`.
    pub fn picked(&self, positions: &[usize]) -> Self {
        let [_, channels, height, width] = self.shape;
        let values = positions.iter().flat_map(|&at| self.image(at)).copied();
        Self {
            values: values.collect(),
            shape: [positions.len(), channels, height, width],
        }
    }

    /// The values of one image.
    ///
    /// # Panics
    /// If `position` is not below `shape[0]`.
    pub fn image(&self, position: usize) -> &[f32] {
        let size: usize = self.shape[1..].iter().product();
        &self.values[position * size..(position + 1) * size]
    }
}

/// The evaluation view of one image file, as a batch of one.
///
/// # Errors
/// [`DataError`] naming the file if it cannot be read or decoded.
pub fn load_image(path: &Path, preprocessing: &Preprocessing) -> Result<Images, DataError> {
    let bytes = read_file(path, DecodeLimits::default())?;
    image_from_bytes(&bytes, path, preprocessing)
}

/// The evaluation view of an image that is already in memory, as a batch of one; `name` is what messages call it.
///
/// # Errors
/// [`DataError`] with `name` if the bytes are no image, or if `preprocessing` contradicts itself.
pub fn image_from_bytes(
    bytes: &[u8],
    name: &Path,
    preprocessing: &Preprocessing,
) -> Result<Images, DataError> {
    check(preprocessing)?;
    let file = Encoded {
        bytes,
        name,
        region: None,
        limits: DecodeLimits::default(),
        orientation: preprocessing.orientation,
    };
    let (photograph, draw) = file.look(preprocessing, |_| Draw::default())?;
    let mut values = vec![0.0; preprocessing.values()];
    Workspace::default().render(&photograph, preprocessing, &draw, &mut values);
    let [channels, height, width] = preprocessing.shape();
    Ok(Images {
        values,
        shape: [1, channels, height, width],
    })
}

/// Buffers of one thread, reused from image to image.
#[derive(Default)]
pub(crate) struct Workspace {
    resizer: Resizer,
    square: Vec<u8>,
    scratch: Vec<u8>,
}

impl Workspace {
    /// The resizer with its buffers.
    pub(crate) fn resizer(&mut self) -> &mut Resizer {
        &mut self.resizer
    }

    /// Geometry, colour, normalisation and erasing, in this order.
    ///
    /// # Panics
    /// If `values` is not as long as one image.
    pub(crate) fn render(
        &mut self,
        photograph: &Photograph,
        preprocessing: &Preprocessing,
        draw: &Draw,
        values: &mut [f32],
    ) {
        let crop = preprocessing.crop;
        let square = &mut self.square;
        match draw.window {
            Some(window) => resize::window(photograph, window, crop, &mut self.resizer, square),
            None => {
                resize::centre(
                    photograph,
                    preprocessing.resize,
                    crop,
                    &mut self.resizer,
                    square,
                );
            }
        }
        // Mirroring is left to the last copy; a turn the other way before it gives the same picture.
        if draw.degrees != 0.0 {
            let degrees = if draw.mirror {
                -draw.degrees
            } else {
                draw.degrees
            };
            rotate(square, crop, degrees, &mut self.scratch);
        }
        for adjustment in &draw.adjustments {
            adjustment.apply(square);
        }
        normalise(preprocessing, square, draw.mirror, values);
        if let Some(erased) = draw.erased {
            erase(values, crop, erased);
        }
    }
}

fn erase(values: &mut [f32], side: usize, window: Window) {
    for plane in values.chunks_exact_mut(side * side) {
        for row in window.top..window.top + window.height {
            let start = row * side + window.left;
            plane[start..start + window.width].fill(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use image::ImageFormat;

    use super::*;
    use crate::decode::tests::{encode, gradient};
    use crate::pixels::Pixels;

    fn render(pixels: &Pixels, preprocessing: &Preprocessing, draw: &Draw) -> Vec<f32> {
        let mut values = vec![0.0; preprocessing.values()];
        let photograph = Photograph::from(pixels.clone());
        Workspace::default().render(&photograph, preprocessing, draw, &mut values);
        values
    }

    #[test]
    fn mirroring_and_turning_give_the_picture_of_doing_so_in_this_order() {
        let grey: Vec<u8> = (0..64).map(|value| value * 3).collect();
        let pixels = Pixels::from_grey(8, 8, &grey);
        let preprocessing = Preprocessing {
            resize: 8,
            crop: 8,
            ..Preprocessing::fashion()
        };
        let plain = render(&pixels, &preprocessing, &Draw::default());
        let mirror = Draw {
            mirror: true,
            ..Draw::default()
        };
        let mirrored = render(&pixels, &preprocessing, &mirror);
        let both = Draw {
            mirror: true,
            degrees: 90.0,
            ..Draw::default()
        };
        let turned = render(&pixels, &preprocessing, &both);
        for row in 0..8 {
            for column in 0..8 {
                assert_eq!(mirrored[8 * row + column], plain[8 * row + 7 - column]);
                // A quarter counter-clockwise brings the right column to the top.
                assert_eq!(turned[8 * row + column], mirrored[8 * column + 7 - row]);
            }
        }
    }

    #[test]
    fn erasing_sets_a_rectangle_of_all_planes_to_the_mean() {
        let pixels = Pixels::from_grey(8, 8, &[200; 64]);
        let preprocessing = Preprocessing {
            resize: 8,
            crop: 8,
            ..Preprocessing::caffe(256, 224)
        };
        let erased = Window {
            left: 5,
            top: 1,
            width: 2,
            height: 3,
        };
        let draw = Draw {
            erased: Some(erased),
            ..Draw::default()
        };
        let values = render(&pixels, &preprocessing, &draw);
        for (position, value) in values.into_iter().enumerate() {
            let (row, column) = (position % 64 / 8, position % 8);
            let inside = (1..4).contains(&row) && (5..7).contains(&column);
            assert_eq!(value == 0.0, inside, "row {row}, column {column}");
        }
    }

    #[test]
    fn one_image_is_a_batch_of_one() {
        let bytes = encode(&gradient(40, 30).into(), ImageFormat::Png);
        let preprocessing = Preprocessing::imagenet(16, 12);
        let images = image_from_bytes(&bytes, Path::new("x"), &preprocessing).unwrap();
        assert_eq!(images.shape, [1, 3, 12, 12]);
        let tensor = images.to_tensor(&Device::default());
        assert_eq!(tensor.dims(), [1, 3, 12, 12]);
        assert_eq!(
            tensor.into_data().try_to_vec::<f32>().unwrap(),
            images.values
        );
        let error = image_from_bytes(b"GIF", Path::new("a b"), &preprocessing).unwrap_err();
        assert_eq!(
            lodestone_files::told(&error),
            "cannot decode a b: not an image (first bytes 474946)"
        );
    }
}
