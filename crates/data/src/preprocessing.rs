//! What a network expects of a photograph: size, colour order, scale, mean and deviation.
//!
//! This is the deterministic part, used alone for evaluation and after the random part in training. The constants of
//! published weights are constructors; a weights file carries them as metadata.

use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::pixels::Orientation;

/// Order of the colour planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red, as networks from Caffe want it.
    Bgr,
    /// One plane: (19595 R + 38470 G + 7471 B + 2^15) / 2^16 rounded down, Pillow's luma.
    Grey,
}

impl Channels {
    /// Number of planes.
    pub fn count(self) -> usize {
        match self {
            Channels::Rgb | Channels::Bgr => 3,
            Channels::Grey => 1,
        }
    }
}

/// What the value 255 becomes before mean and deviation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PixelScale {
    /// 1.
    Unit,
    /// 255.
    Byte,
}

/// How pixels are weighed when the size changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// A triangle filter widened by the scale, as Pillow's bilinear.
    AntialiasedBilinear,
}

/// The deterministic view of a photograph: resize the shorter side, crop the centre, normalise.
///
/// Channel `c` of a pixel becomes `(value * scale - mean[c]) / std[c]`, in the order of `channels`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Length of the shorter side after resizing, in pixels.
    pub resize: usize,
    /// Side of the centre square that is kept: the network's input.
    pub crop: usize,
    /// Order of the planes.
    pub channels: Channels,
    /// Range of the values before mean and deviation.
    pub scale: PixelScale,
    /// Subtracted, one value a plane, in the unit of `scale`.
    pub mean: Vec<f32>,
    /// Divided by, one value a plane, in the unit of `scale`.
    pub std: Vec<f32>,
    /// The resizing filter.
    pub filter: Filter,
    /// Whether EXIF orientation is applied.
    #[serde(default)]
    pub orientation: Orientation,
}

impl Preprocessing {
    /// Statistics of ImageNet on a 0..1 scale, RGB: what torchvision's pretrained networks were trained with. GoogLeNet takes
    /// 256 and 224, Inception V3 342 and 299.
    pub fn imagenet(resize: usize, crop: usize) -> Self {
        Preprocessing {
            resize,
            crop,
            channels: Channels::Rgb,
            scale: PixelScale::Unit,
            mean: vec![0.485, 0.456, 0.406],
            std: vec![0.229, 0.224, 0.225],
            filter: Filter::AntialiasedBilinear,
            orientation: Orientation::AsStored,
        }
    }

    /// BGR on a 0..255 scale less 104, 117, 123: the input of BVLC's GoogLeNet.
    pub fn bvlc() -> Self {
        Preprocessing {
            channels: Channels::Bgr,
            scale: PixelScale::Byte,
            mean: vec![104.0, 117.0, 123.0],
            std: vec![1.0; 3],
            ..Preprocessing::imagenet(256, 224)
        }
    }

    /// 28x28 grey images around 0 with deviation about 1, by the mean and deviation of Fashion-MNIST's training pixels.
    pub fn fashion() -> Self {
        Preprocessing {
            channels: Channels::Grey,
            mean: vec![0.286],
            std: vec![0.353],
            ..Preprocessing::imagenet(28, 28)
        }
    }

    /// Checks the settings against each other.
    ///
    /// # Errors
    /// [`DataError::Setting`] naming the field and its values.
    pub fn validate(&self) -> Result<(), DataError> {
        let planes = self.channels.count();
        if self.crop == 0 || self.crop > self.resize {
            let problem = format!("{} is not within 1..={} (resize)", self.crop, self.resize);
            return Err(DataError::setting("preprocessing.crop", problem));
        }
        // A side of 2^15 would be 4 GiB for one image.
        if self.resize > 1 << 14 {
            let problem = format!("{} is above {}", self.resize, 1 << 14);
            return Err(DataError::setting("preprocessing.resize", problem));
        }
        for (field, values) in [
            ("preprocessing.mean", &self.mean),
            ("preprocessing.std", &self.std),
        ] {
            if values.len() != planes || values.iter().any(|value| !value.is_finite()) {
                let problem = format!("{values:?} are not {planes} finite values");
                return Err(DataError::setting(field, problem));
            }
        }
        if self.std.iter().any(|&std| std <= 0.0) {
            let problem = format!("{:?} are not all above 0", self.std);
            return Err(DataError::setting("preprocessing.std", problem));
        }
        Ok(())
    }

    /// Shape `[channels, crop, crop]` of one image.
    pub fn shape(&self) -> [usize; 3] {
        [self.channels.count(), self.crop, self.crop]
    }

    /// Number of values of one image.
    pub fn values(&self) -> usize {
        self.shape().iter().product()
    }

    /// Writes a `crop` x `crop` RGB square as normalised planes, mirrored left to right if asked.
    pub(crate) fn normalise(&self, square: &[u8], mirror: bool, planes: &mut [f32]) {
        let side = self.crop;
        let grey: Vec<u8>;
        let (bytes, stride, first_bytes): (&[u8], usize, &[usize]) = match self.channels {
            Channels::Rgb => (square, 3, &[0, 1, 2]),
            Channels::Bgr => (square, 3, &[2, 1, 0]),
            Channels::Grey => {
                grey = square
                    .as_chunks::<3>()
                    .0
                    .iter()
                    .map(|&pixel| luma(pixel))
                    .collect();
                (&grey, 1, &[0])
            }
        };
        for (plane, &first) in first_bytes.iter().enumerate() {
            let table = self.normalised_bytes(plane);
            let target = &mut planes[plane * side * side..(plane + 1) * side * side];
            for (row, line) in target.chunks_exact_mut(side).enumerate() {
                let source = &bytes[row * side * stride..(row + 1) * side * stride];
                let values = source
                    .chunks_exact(stride)
                    .map(|pixel| table[usize::from(pixel[first])]);
                if mirror {
                    line.iter_mut()
                        .rev()
                        .zip(values)
                        .for_each(|(out, value)| *out = value);
                } else {
                    line.iter_mut()
                        .zip(values)
                        .for_each(|(out, value)| *out = value);
                }
            }
        }
    }

    /// What each of the 256 values becomes in a plane; computed in f64 and rounded once.
    fn normalised_bytes(&self, plane: usize) -> [f32; 256] {
        let unit = match self.scale {
            PixelScale::Unit => 255.0,
            PixelScale::Byte => 1.0,
        };
        let (mean, std) = (f64::from(self.mean[plane]), f64::from(self.std[plane]));
        std::array::from_fn(|value| ((value as f64 / unit - mean) / std) as f32)
    }
}

/// Pillow's grey value of an RGB pixel.
pub(crate) fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let sum = 19595 * u32::from(red) + 38470 * u32::from(green) + 7471 * u32::from(blue);
    ((sum + 0x8000) >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_follow_the_order_scale_and_mean() {
        // Two pixels: (255, 0, 51) and (0, 255, 102).
        let square = [255, 0, 51, 0, 255, 102, 0, 0, 0, 0, 0, 0];
        let first_row = |preprocessing: Preprocessing, mirror| {
            let preprocessing = Preprocessing {
                resize: 2,
                crop: 2,
                ..preprocessing
            };
            let mut planes = vec![0.0; preprocessing.values()];
            preprocessing.normalise(&square, mirror, &mut planes);
            planes
                .chunks(4)
                .flat_map(|plane| plane[..2].to_vec())
                .collect::<Vec<f32>>()
        };
        let plain = Preprocessing {
            mean: vec![0.0, 0.5, 0.2],
            std: vec![1.0, 0.5, 0.1],
            ..Preprocessing::imagenet(2, 2)
        };
        let expected = [1.0, 0.0, -1.0, 1.0, 0.0, 2.0];
        for (got, want) in first_row(plain.clone(), false).into_iter().zip(expected) {
            assert!((got - want).abs() < 1e-6, "{got}, not {want}");
        }
        let expected = [0.0, 1.0, 1.0, -1.0, 2.0, 0.0];
        for (got, want) in first_row(plain, true).into_iter().zip(expected) {
            assert!((got - want).abs() < 1e-6, "{got}, not {want}");
        }
        let bvlc = first_row(Preprocessing::bvlc(), false);
        assert_eq!(
            bvlc,
            [51.0 - 104.0, 102.0 - 104.0, -117.0, 138.0, 132.0, -123.0]
        );
        let grey = Preprocessing {
            mean: vec![0.0],
            std: vec![1.0],
            scale: PixelScale::Byte,
            ..Preprocessing::fashion()
        };
        // 0.299 * 255 + 0.114 * 51 = 82.06; 0.587 * 255 + 0.114 * 102 = 161.3.
        assert_eq!(first_row(grey, false), [82.0, 161.0]);
    }

    #[test]
    fn settings_that_contradict_each_other_are_named() {
        let base = Preprocessing::imagenet(256, 224);
        base.validate().unwrap();
        Preprocessing::bvlc().validate().unwrap();
        Preprocessing::fashion().validate().unwrap();
        let cases = [
            (
                Preprocessing {
                    crop: 257,
                    ..base.clone()
                },
                "crop: 257 is not within 1..=256",
            ),
            (
                Preprocessing {
                    crop: 0,
                    ..base.clone()
                },
                "crop: 0",
            ),
            (
                Preprocessing {
                    resize: 20_000,
                    ..base.clone()
                },
                "resize: 20000 is above",
            ),
            (
                Preprocessing {
                    mean: vec![0.5],
                    ..base.clone()
                },
                "mean: [0.5] are not 3",
            ),
            (
                Preprocessing {
                    std: vec![1.0, 0.0, 1.0],
                    ..base
                },
                "std: [1.0, 0.0, 1.0]",
            ),
        ];
        for (case, expected) in cases {
            let message = case.validate().unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
