//! How a picture becomes the numbers that a network was trained on.
//!
//! It travels with the weights: a picture prepared for another network gives embeddings that are quietly wrong.

use serde::{Deserialize, Serialize, Serializer};

/// Steps from a decoded picture to a network's input, in this order: turn it, resize the shorter side, cut the centre, order the
/// channels, and `(pixel * scale - mean) / deviation` with pixels from 0 to 255.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Which way up a picture is taken; a file that does not say it takes it as it is stored.
    #[serde(default, serialize_with = "in_weight_files")]
    pub orientation: Orientation,
    /// Length of the shorter side after resizing, in pixels.
    pub resize: usize,
    /// Side of the square that is cut from the centre, in pixels.
    pub crop: usize,
    /// How resizing weighs pixels.
    pub filter: Filter,
    /// Channels of the input.
    pub channel_order: ChannelOrder,
    /// Factor on pixels from 0 to 255, above 0; what is 1/255 as far as an `f32` can tell is exactly that.
    pub scale: f32,
    /// Subtracted from the scaled pixels, one value a channel in `channel_order`.
    pub mean: Vec<f32>,
    /// What the differences are divided by, one value a channel in `channel_order`.
    pub deviation: Vec<f32>,
}

/// Whether the turn that a camera noted in EXIF is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Orientation {
    /// Pixels as they are stored, as torchvision's readers do. TIFF alone is turned upright, as Pillow does for them.
    #[default]
    #[serde(alias = "as_stored")]
    AsStored,
    /// Turned upright. A box is drawn on the pixels as stored: it is cut first and turned then.
    Upright,
}

/// Weight files have underscores in it, run files a hyphen.
fn in_weight_files<S: Serializer>(
    orientation: &Orientation,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match orientation {
        Orientation::AsStored => "as_stored",
        Orientation::Upright => "upright",
    })
}

/// How resizing weighs pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// A triangle that is widened by the scale when a picture shrinks, as Pillow's bilinear filter.
    Bilinear,
}

/// Channels of a network's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelOrder {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red, as Caffe's networks.
    Bgr,
    /// One channel: `(19595 R + 38470 G + 7471 B + 2^15) / 2^16` rounded down, Pillow's luma.
    Grey,
}

impl ChannelOrder {
    /// Number of channels.
    pub fn count(self) -> usize {
        match self {
            Self::Rgb | Self::Bgr => 3,
            Self::Grey => 1,
        }
    }
}

impl Preprocessing {
    /// Pixels scaled to `[0, 1]` and normalised by ImageNet's means and deviations, as torchvision's loaders do.
    pub fn imagenet(resize: usize, crop: usize) -> Self {
        Self {
            orientation: Orientation::AsStored,
            resize,
            crop,
            filter: Filter::Bilinear,
            channel_order: ChannelOrder::Rgb,
            scale: 1.0 / 255.0,
            mean: vec![0.485, 0.456, 0.406],
            deviation: vec![0.229, 0.224, 0.225],
        }
    }

    /// Pixels from 0 to 255 in blue, green, red, less their means, as Caffe's networks of 2014.
    pub fn caffe(resize: usize, crop: usize) -> Self {
        Self {
            orientation: Orientation::AsStored,
            resize,
            crop,
            filter: Filter::Bilinear,
            channel_order: ChannelOrder::Bgr,
            scale: 1.0,
            mean: vec![104.0, 117.0, 123.0],
            deviation: vec![1.0; 3],
        }
    }

    /// The same for another side of the square, the resizing before it in proportion.
    ///
    /// # Panics
    /// If this crop is 0 pixels.
    #[must_use]
    pub fn with_crop(self, crop: usize) -> Self {
        // Rounded to the nearest pixel; 256 to 224 becomes 183 to 160.
        let resize = (self.resize * crop + self.crop / 2) / self.crop;
        Self {
            resize: resize.max(crop),
            crop,
            ..self
        }
    }

    /// Grey pixels scaled to `[0, 1]` and normalised.
    pub fn grey(size: usize, mean: f32, deviation: f32) -> Self {
        Self {
            orientation: Orientation::AsStored,
            resize: size,
            crop: size,
            filter: Filter::Bilinear,
            channel_order: ChannelOrder::Grey,
            scale: 1.0 / 255.0,
            mean: vec![mean],
            deviation: vec![deviation],
        }
    }

    /// The grey images of Fashion-MNIST, 28 pixels a side, by the mean and deviation of its training pixels.
    pub fn fashion() -> Self {
        Self::grey(28, 0.286, 0.353)
    }

    /// What pixels from 0 to 255 are divided by to be scaled: 255 for a `scale` of 1/255.
    pub fn divisor(&self) -> f64 {
        match (self.scale * 255.0 - 1.0).abs() < 1e-6 {
            true => 255.0,
            false => 1.0 / f64::from(self.scale),
        }
    }

    /// Shape `[channels, crop, crop]` of one input.
    pub fn shape(&self) -> [usize; 3] {
        [self.channel_order.count(), self.crop, self.crop]
    }

    /// Number of values of one input.
    pub fn values(&self) -> usize {
        self.shape().iter().product()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_files_and_weight_files_keep_their_spelling() {
        let of = |text: &str| serde_json::from_str::<Orientation>(text).unwrap();
        for text in ["\"as-stored\"", "\"as_stored\""] {
            assert_eq!(of(text), Orientation::AsStored);
        }
        let written = serde_json::to_value(Orientation::AsStored).unwrap();
        assert_eq!(written, "as-stored");
        let preprocessing = Preprocessing::imagenet(256, 224);
        let written = serde_json::to_value(&preprocessing).unwrap();
        assert_eq!(written["orientation"], "as_stored");
        assert_eq!(written["filter"], "bilinear");
        assert_eq!(
            serde_json::from_value::<Preprocessing>(written).unwrap(),
            preprocessing
        );
    }

    #[test]
    fn a_scale_is_the_division_it_stands_for() {
        assert_eq!(Preprocessing::imagenet(256, 224).divisor(), 255.0);
        assert_eq!(Preprocessing::caffe(256, 224).divisor(), 1.0);
    }
}
