//! The random part of a training view: which window, mirrored or not, turned, recoloured, erased.
//!
//! Definitions and default ranges are torchvision's. Drawing and applying are apart: [`Augmentation::draw`] turns a key into
//! plain numbers, so that what happened to an image can be looked at and repeated.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::colour::{Adjustment, Jitter};
use crate::draws::DrawKey;
use crate::error::DataError;
use crate::window::Window;

/// Attempts at a window of the drawn area and ratio before the largest allowed one is taken, as in torchvision.
const ATTEMPTS: usize = 10;

/// The most that one side of a window may be of the other.
const LONGEST: f32 = 1000.0;

/// What training varies. The default varies nothing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Augmentation {
    /// A random window instead of the centre crop.
    pub random_crop: Option<RandomCrop>,
    /// Probability of mirroring left to right.
    pub flip_probability: f32,
    /// Largest turn to either side, in degrees; corners become black.
    pub rotation_degrees: f32,
    /// Random brightness, contrast, saturation and hue.
    pub jitter: Option<Jitter>,
    /// A random rectangle set to the mean colour.
    pub erasing: Option<Erasing>,
}

/// A window of random area and aspect ratio, stretched to the input square.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RandomCrop {
    /// Smallest and largest area, as parts of the image's.
    pub scale: [f32; 2],
    /// Smallest and largest width / height; drawn evenly on the logarithm.
    pub ratio: [f32; 2],
}

/// A rectangle that is set to 0 after normalisation, which is the mean colour. Zhong et al., *Random Erasing Data
/// Augmentation*, AAAI 2020.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Erasing {
    /// Probability of erasing at all.
    pub probability: f32,
    /// Smallest and largest area, as parts of the square.
    pub scale: [f32; 2],
    /// Smallest and largest height / width; drawn evenly on the logarithm.
    pub ratio: [f32; 2],
}

/// What was drawn for one image.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Draw {
    /// Window of the stored image; `None` is the centre crop.
    pub(crate) window: Option<Window>,
    pub(crate) mirror: bool,
    /// Counter-clockwise.
    pub(crate) degrees: f32,
    /// In the order they are applied.
    pub(crate) adjustments: Vec<Adjustment>,
    /// Rectangle of the square.
    pub(crate) erased: Option<Window>,
}

impl Augmentation {
    /// torchvision's usual training view: a window of 8 to 100 % of the area with a ratio of 3/4 to 4/3, mirrored half the time.
    pub fn crop_and_flip() -> Self {
        Augmentation {
            random_crop: Some(RandomCrop {
                scale: [0.08, 1.0],
                ratio: [3.0 / 4.0, 4.0 / 3.0],
            }),
            flip_probability: 0.5,
            ..Augmentation::default()
        }
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// [`DataError::Setting`] naming the field and its value.
    pub fn validate(&self) -> Result<(), DataError> {
        probability("augmentation.flip_probability", self.flip_probability)?;
        if !(0.0..=180.0).contains(&self.rotation_degrees) {
            let problem = format!("{} is not within 0..=180", self.rotation_degrees);
            return Err(DataError::setting("augmentation.rotation_degrees", problem));
        }
        if let Some(crop) = &self.random_crop {
            range("augmentation.random_crop.scale", crop.scale, 1.0)?;
            range("augmentation.random_crop.ratio", crop.ratio, LONGEST)?;
        }
        if let Some(erasing) = &self.erasing {
            probability("augmentation.erasing.probability", erasing.probability)?;
            range("augmentation.erasing.scale", erasing.scale, 1.0)?;
            range("augmentation.erasing.ratio", erasing.ratio, LONGEST)?;
        }
        self.jitter.as_ref().map_or(Ok(()), Jitter::validate)
    }

    /// Draws for an image of `width` x `height` pixels that becomes a square of `crop` pixels.
    pub(crate) fn draw(&self, key: DrawKey, width: usize, height: usize, crop: usize) -> Draw {
        let mut random = key.generator();
        let window = self
            .random_crop
            .map(|settings| settings.draw(&mut random, width, height));
        let mirror = random.random::<f32>() < self.flip_probability;
        let degrees = match self.rotation_degrees {
            0.0 => 0.0,
            most => random.random_range(-most..=most),
        };
        let adjustments = match &self.jitter {
            Some(jitter) => jitter.draw(&mut random),
            None => Vec::new(),
        };
        let erased = self
            .erasing
            .and_then(|settings| settings.draw(&mut random, crop));
        Draw {
            window,
            mirror,
            degrees,
            adjustments,
            erased,
        }
    }
}

impl RandomCrop {
    fn draw(&self, random: &mut impl RngExt, width: usize, height: usize) -> Window {
        let area = (width * height) as f64;
        for _ in 0..ATTEMPTS {
            let (wide, high) = sides(random, area, self.scale, self.ratio);
            if (1..=width).contains(&wide) && (1..=height).contains(&high) {
                let top = random.random_range(0..=height - high);
                let left = random.random_range(0..=width - wide);
                return Window {
                    left,
                    top,
                    width: wide,
                    height: high,
                };
            }
        }
        // The centre, as much of it as the ratio allows.
        let ratio = width as f64 / height as f64;
        let [lowest, highest] = self.ratio.map(f64::from);
        let (wide, high) = if ratio < lowest {
            (
                width,
                ((width as f64 / lowest).round_ties_even() as usize).clamp(1, height),
            )
        } else if ratio > highest {
            (
                ((height as f64 * highest).round_ties_even() as usize).clamp(1, width),
                height,
            )
        } else {
            (width, height)
        };
        Window {
            left: (width - wide) / 2,
            top: (height - high) / 2,
            width: wide,
            height: high,
        }
    }
}

impl Erasing {
    fn draw(&self, random: &mut impl RngExt, crop: usize) -> Option<Window> {
        if random.random::<f32>() >= self.probability {
            return None;
        }
        for _ in 0..ATTEMPTS {
            // The ratio is height / width here, so the two sides change places.
            let (high, wide) = sides(random, (crop * crop) as f64, self.scale, self.ratio);
            if wide < crop && high < crop {
                let top = random.random_range(0..=crop - high);
                let left = random.random_range(0..=crop - wide);
                return Some(Window {
                    left,
                    top,
                    width: wide,
                    height: high,
                });
            }
        }
        None
    }
}

/// Sides of a rectangle of random area and ratio: `sqrt(area * ratio)` and `sqrt(area / ratio)`.
fn sides(random: &mut impl RngExt, area: f64, scale: [f32; 2], ratio: [f32; 2]) -> (usize, usize) {
    let target = area * f64::from(random.random_range(scale[0]..=scale[1]));
    let ratio = f64::from(random.random_range(ratio[0].ln()..=ratio[1].ln())).exp();
    let side = |squared: f64| squared.sqrt().round_ties_even() as usize;
    (side(target * ratio), side(target / ratio))
}

fn probability(field: &'static str, value: f32) -> Result<(), DataError> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(DataError::setting(
        field,
        format!("{value} is not within 0..=1"),
    ))
}

fn range(field: &'static str, [lowest, highest]: [f32; 2], bound: f32) -> Result<(), DataError> {
    if lowest > 0.0 && lowest <= highest && highest <= bound {
        return Ok(());
    }
    let problem =
        format!("[{lowest}, {highest}] is not an ascending range above 0, at most {bound}");
    Err(DataError::setting(field, problem))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draws::Draws;

    fn key(row: usize) -> DrawKey {
        DrawKey::new(5, 0, Draws::PerRow, 0, 0, row)
    }

    fn full() -> Augmentation {
        Augmentation {
            rotation_degrees: 15.0,
            jitter: Some(Jitter {
                brightness: 0.4,
                contrast: 0.4,
                saturation: 0.4,
                hue: 0.1,
            }),
            erasing: Some(Erasing {
                probability: 0.5,
                scale: [0.02, 0.33],
                ratio: [0.3, 3.3],
            }),
            ..Augmentation::crop_and_flip()
        }
    }

    #[test]
    fn windows_lie_inside_and_keep_area_and_ratio() {
        let augmentation = Augmentation::crop_and_flip();
        let mut mirrored = 0;
        for row in 0..500 {
            let (width, height) = (300 + row % 50, 200);
            let draw = augmentation.draw(key(row), width, height, 224);
            let window = draw.window.unwrap();
            assert!(window.left + window.width <= width && window.top + window.height <= height);
            let area = (window.width * window.height) as f64 / (width * height) as f64;
            // The sides are rounded to whole pixels.
            assert!((0.075..=1.0).contains(&area), "area {area}");
            let ratio = window.width as f64 / window.height as f64;
            assert!((0.73..=1.36).contains(&ratio), "ratio {ratio}");
            mirrored += usize::from(draw.mirror);
        }
        // 250 expected with a deviation of 11.
        assert!((200..300).contains(&mirrored), "{mirrored} of 500 mirrored");
    }

    #[test]
    fn an_image_no_window_fits_into_gives_its_centre() {
        let whole = RandomCrop {
            scale: [1.0, 1.0],
            ratio: [1.0, 1.0],
        };
        let augmentation = Augmentation {
            random_crop: Some(whole),
            ..Augmentation::default()
        };
        let wide = augmentation.draw(key(0), 300, 100, 224).window.unwrap();
        assert_eq!(
            wide,
            Window {
                left: 100,
                top: 0,
                width: 100,
                height: 100
            }
        );
        let high = augmentation.draw(key(0), 100, 301, 224).window.unwrap();
        assert_eq!(
            high,
            Window {
                left: 0,
                top: 100,
                width: 100,
                height: 100
            }
        );
        let one = Augmentation::crop_and_flip()
            .draw(key(0), 1, 1, 224)
            .window
            .unwrap();
        assert_eq!(
            one,
            Window {
                left: 0,
                top: 0,
                width: 1,
                height: 1
            }
        );
    }

    #[test]
    fn erased_rectangles_lie_inside_the_square() {
        let mut erased = 0;
        for row in 0..400 {
            if let Some(window) = full().draw(key(row), 300, 200, 64).erased {
                erased += 1;
                assert!(window.left + window.width <= 64 && window.top + window.height <= 64);
                let area = (window.width * window.height) as f64 / 4096.0;
                assert!((0.015..0.36).contains(&area), "area {area}");
            }
        }
        assert!((150..250).contains(&erased), "{erased} of 400 erased");
    }

    #[test]
    fn equal_keys_draw_equally_and_the_default_draws_nothing() {
        assert_eq!(
            full().draw(key(3), 300, 200, 64),
            full().draw(key(3), 300, 200, 64)
        );
        assert_ne!(
            full().draw(key(3), 300, 200, 64),
            full().draw(key(4), 300, 200, 64)
        );
        assert_eq!(
            Augmentation::default().draw(key(3), 300, 200, 64),
            Draw::default()
        );
    }

    #[test]
    fn settings_outside_their_range_are_named() {
        full().validate().unwrap();
        Augmentation::default().validate().unwrap();
        let crop = |scale, ratio| Some(RandomCrop { scale, ratio });
        let cases = [
            (
                Augmentation {
                    flip_probability: 1.5,
                    ..full()
                },
                "flip_probability: 1.5",
            ),
            (
                Augmentation {
                    rotation_degrees: -1.0,
                    ..full()
                },
                "rotation_degrees: -1",
            ),
            (
                Augmentation {
                    rotation_degrees: f32::NAN,
                    ..full()
                },
                "rotation_degrees: NaN",
            ),
            (
                Augmentation {
                    random_crop: crop([0.5, 0.4], [1.0, 1.0]),
                    ..full()
                },
                "random_crop.scale: [0.5, 0.4]",
            ),
            (
                Augmentation {
                    random_crop: crop([0.5, 1.1], [1.0, 1.0]),
                    ..full()
                },
                "random_crop.scale: [0.5, 1.1]",
            ),
            (
                Augmentation {
                    random_crop: crop([0.5, 1.0], [0.0, 1.0]),
                    ..full()
                },
                "random_crop.ratio: [0, 1]",
            ),
        ];
        for (case, expected) in cases {
            let message = case.validate().unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
