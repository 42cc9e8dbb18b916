//! Random brightness, contrast, saturation and hue, by torchvision's definitions on 8-bit tensors.

use rand::RngExt;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::error::DataError;

/// How far colours may be moved. 0 leaves an aspect alone.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Jitter {
    /// Factor of `1 - brightness` (at least 0) to `1 + brightness` on all values.
    pub brightness: f32,
    /// Factor on the distance from the image's mean grey.
    pub contrast: f32,
    /// Factor on the distance from each pixel's own grey.
    pub saturation: f32,
    /// Largest turn of the hue to either side, as a part of the colour circle; at most 0.5.
    pub hue: f32,
}

/// The largest factor is one more: beyond it every picture is white.
const LARGEST: f32 = 100.0;

/// One step of colour change with its drawn amount.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Adjustment {
    Brightness(f32),
    Contrast(f32),
    Saturation(f32),
    Hue(f32),
}

impl Jitter {
    pub(crate) fn validate(&self) -> Result<(), DataError> {
        let fields = [
            ("augmentation.jitter.brightness", self.brightness, LARGEST),
            ("augmentation.jitter.contrast", self.contrast, LARGEST),
            ("augmentation.jitter.saturation", self.saturation, LARGEST),
            ("augmentation.jitter.hue", self.hue, 0.5),
        ];
        for (field, value, most) in fields {
            if !(0.0..=most).contains(&value) {
                let problem = format!("{value} is not within 0..={most}");
                return Err(DataError::setting(field, problem));
            }
        }
        Ok(())
    }

    /// The steps in random order, as they do not commute.
    pub(crate) fn draw(&self, random: &mut impl RngExt) -> Vec<Adjustment> {
        let mut steps = Vec::new();
        type Step = fn(f32) -> Adjustment;
        let factors: [(f32, Step); 3] = [
            (self.brightness, Adjustment::Brightness),
            (self.contrast, Adjustment::Contrast),
            (self.saturation, Adjustment::Saturation),
        ];
        for (amount, step) in factors {
            if amount > 0.0 {
                steps.push(step(
                    random.random_range((1.0 - amount).max(0.0)..=1.0 + amount),
                ));
            }
        }
        if self.hue > 0.0 {
            steps.push(Adjustment::Hue(random.random_range(-self.hue..=self.hue)));
        }
        steps.shuffle(random);
        steps
    }
}

impl Adjustment {
    /// Changes interleaved RGB bytes in place.
    pub(crate) fn apply(self, bytes: &mut [u8]) {
        let pixels = bytes.as_chunks_mut::<3>().0;
        match self {
            Adjustment::Brightness(factor) => {
                for pixel in pixels {
                    *pixel = pixel.map(|value| blend(value, 0.0, factor));
                }
            }
            Adjustment::Contrast(factor) => {
                let sum: u64 = pixels.iter().map(|&pixel| u64::from(grey(pixel))).sum();
                let mean = sum as f32 / pixels.len().max(1) as f32;
                for pixel in pixels {
                    *pixel = pixel.map(|value| blend(value, mean, factor));
                }
            }
            Adjustment::Saturation(factor) => {
                for pixel in pixels {
                    let own = f32::from(grey(*pixel));
                    *pixel = pixel.map(|value| blend(value, own, factor));
                }
            }
            Adjustment::Hue(turn) => {
                for pixel in pixels {
                    *pixel = turn_hue(*pixel, turn);
                }
            }
        }
    }
}

/// torchvision's grey for tensors, rounded down.
fn grey([red, green, blue]: [u8; 3]) -> u8 {
    (0.2989 * f32::from(red) + 0.587 * f32::from(green) + 0.114 * f32::from(blue)) as u8
}

/// `factor * value + (1 - factor) * other`, rounded down and kept within a byte by the cast.
fn blend(value: u8, other: f32, factor: f32) -> u8 {
    (factor * f32::from(value) + (1.0 - factor) * other) as u8
}

/// Turns the hue by a part of the circle at constant value and saturation.
fn turn_hue(pixel: [u8; 3], turn: f32) -> [u8; 3] {
    let [red, green, blue] = pixel.map(|value| f32::from(value) / 255.0);
    let highest = red.max(green).max(blue);
    let lowest = red.min(green).min(blue);
    let spread = highest - lowest;
    if spread == 0.0 {
        return pixel;
    }
    // Sixths of the circle: red at 0, green at 2, blue at 4.
    let sixths = if highest == red {
        (green - blue) / spread
    } else if highest == green {
        2.0 + (blue - red) / spread
    } else {
        4.0 + (red - green) / spread
    };
    let sixths = 6.0 * (sixths / 6.0 + 1.0 + turn).rem_euclid(1.0);
    // Each channel is the highest value less a trapezoid of the distance from its own hue.
    let channel = |centre: f32| {
        let distance = (sixths - centre).rem_euclid(6.0);
        let distance = distance.min(6.0 - distance);
        let value = highest - spread * (distance - 1.0).clamp(0.0, 1.0);
        (value * 255.999) as u8
    };
    [channel(0.0), channel(2.0), channel(4.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIXELS: [u8; 24] = [
        200, 100, 50, 30, 60, 90, 128, 128, 128, 0, 0, 255, 255, 255, 255, 12, 200, 3, 77, 78, 79,
        90, 10, 240,
    ];

    /// Expected bytes are from torchvision 0.29.2 on the image of 2 x 4 pixels above as a uint8 tensor `x`, for instance
    /// `torchvision.transforms.functional.adjust_hue(x, 0.1)`.
    #[test]
    fn adjustments_agree_with_torchvision() {
        let cases: [(Adjustment, [u8; 24]); 6] = [
            (
                Adjustment::Brightness(1.3),
                [
                    255, 130, 65, 39, 78, 116, 166, 166, 166, 0, 0, 255, 255, 255, 255, 15, 255, 3,
                    100, 101, 102, 116, 13, 255,
                ],
            ),
            (
                Adjustment::Contrast(0.5),
                [
                    152, 102, 77, 67, 82, 97, 116, 116, 116, 52, 52, 180, 180, 180, 180, 58, 152,
                    54, 91, 91, 92, 97, 57, 172,
                ],
            ),
            (
                Adjustment::Saturation(1.7),
                [
                    253, 83, 0, 13, 64, 115, 128, 128, 128, 0, 0, 255, 255, 255, 255, 0, 255, 0,
                    77, 78, 80, 111, 0, 255,
                ],
            ),
            (
                Adjustment::Saturation(0.2),
                [
                    139, 119, 109, 49, 55, 61, 127, 127, 127, 23, 23, 74, 254, 254, 254, 99, 136,
                    97, 77, 77, 77, 66, 50, 96,
                ],
            ),
            (
                Adjustment::Hue(0.1),
                [
                    200, 190, 50, 36, 30, 90, 128, 128, 128, 153, 0, 255, 255, 255, 255, 3, 200,
                    112, 77, 77, 79, 228, 10, 240,
                ],
            ),
            (
                Adjustment::Hue(-0.37),
                [
                    67, 50, 200, 73, 90, 30, 128, 128, 128, 56, 255, 0, 255, 255, 255, 200, 3, 55,
                    78, 79, 77, 10, 240, 39,
                ],
            ),
        ];
        for (adjustment, expected) in cases {
            let mut bytes = PIXELS;
            adjustment.apply(&mut bytes);
            for (position, (got, want)) in bytes.into_iter().zip(expected).enumerate() {
                // Rounding down makes a level of one last bit of f32.
                assert!(
                    got.abs_diff(want) <= 1,
                    "{adjustment:?}, byte {position}: {got}, not {want}"
                );
            }
        }
    }

    #[test]
    fn factors_of_one_and_no_turn_change_nothing() {
        let same = [
            Adjustment::Brightness(1.0),
            Adjustment::Contrast(1.0),
            Adjustment::Saturation(1.0),
            Adjustment::Hue(0.0),
        ];
        for adjustment in same {
            let mut bytes = PIXELS;
            adjustment.apply(&mut bytes);
            assert!(
                bytes.iter().zip(PIXELS).all(|(a, b)| a.abs_diff(b) <= 1),
                "{adjustment:?}"
            );
        }
    }

    #[test]
    fn a_hue_beyond_half_the_circle_is_refused() {
        let message = Jitter {
            hue: 0.6,
            ..Jitter::default()
        }
        .validate()
        .unwrap_err()
        .to_string();
        assert_eq!(
            message,
            "augmentation.jitter.hue: 0.6 is not within 0..=0.5"
        );
    }
}
