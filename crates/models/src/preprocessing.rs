//! How a picture becomes the numbers that a network was trained on.
//!
//! It travels with the weights: a picture prepared for another network gives embeddings that are quietly wrong.

use serde::{Deserialize, Serialize};

/// Steps from a decoded picture to a network's input, in this order: turn it, resize the shorter side, cut the centre, order the
/// channels, and `(pixel * scale - mean) / deviation` with pixels from 0 to 255.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Which way up a picture is taken; a file that does not say it takes it as it is stored.
    #[serde(default)]
    pub orientation: Orientation,
    /// Length of the shorter side after resizing, in pixels.
    pub resize: usize,
    /// Side of the square that is cut from the centre, in pixels.
    pub crop: usize,
    /// How resizing weighs pixels.
    pub filter: Filter,
    /// Channels of the input.
    pub channel_order: ChannelOrder,
    /// Factor on pixels from 0 to 255.
    pub scale: f32,
    /// Subtracted from the scaled pixels, one value a channel in `channel_order`.
    pub mean: Vec<f32>,
    /// What the differences are divided by, one value a channel in `channel_order`.
    pub deviation: Vec<f32>,
}

/// Which way up a picture is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Orientation {
    /// Pixels as they are stored, as torchvision's readers take them.
    #[default]
    AsStored,
    /// Turned as its camera noted in EXIF.
    Upright,
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
    /// One channel of brightness.
    Grey,
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
}
