//! What a network expects of a photograph, done: settings checked, pixels turned into its planes.
//!
//! This is the deterministic part, used alone for evaluation and after the random part in training. A weights file carries the
//! settings as metadata.

use lodestone_files::{ChannelOrder, Preprocessing};

use crate::error::DataError;

/// Checks the settings against each other.
///
/// # Errors
/// [`DataError::Setting`] naming the field and its values.
pub(crate) fn check(preprocessing: &Preprocessing) -> Result<(), DataError> {
    let planes = preprocessing.channel_order.count();
    if preprocessing.crop == 0 || preprocessing.crop > preprocessing.resize {
        let problem = format!(
            "{} is not within 1..={} (resize)",
            preprocessing.crop, preprocessing.resize
        );
        return Err(DataError::setting("preprocessing.crop", problem));
    }
    let scale = preprocessing.scale;
    if !(scale > 0.0 && scale.is_finite()) {
        let problem = format!("{scale} is not above 0");
        return Err(DataError::setting("preprocessing.scale", problem));
    }
    // A side of 2^15 would be 4 GiB for one image.
    if preprocessing.resize > 1 << 14 {
        let problem = format!("{} is above {}", preprocessing.resize, 1 << 14);
        return Err(DataError::setting("preprocessing.resize", problem));
    }
    for (field, values) in [
        ("preprocessing.mean", &preprocessing.mean),
        ("preprocessing.deviation", &preprocessing.deviation),
    ] {
        if values.len() != planes || values.iter().any(|value| !value.is_finite()) {
            let problem = format!("{values:?} are not {planes} finite values");
            return Err(DataError::setting(field, problem));
        }
    }
    if preprocessing.deviation.iter().any(|&std| std <= 0.0) {
        let problem = format!("{:?} are not all above 0", preprocessing.deviation);
        return Err(DataError::setting("preprocessing.deviation", problem));
    }
    Ok(())
}

/// Writes a `crop` x `crop` RGB square as normalised planes, mirrored left to right if asked.
pub(crate) fn normalise(
    preprocessing: &Preprocessing,
    square: &[u8],
    mirror: bool,
    planes: &mut [f32],
) {
    let side = preprocessing.crop;
    let grey: Vec<u8>;
    let (bytes, stride, first_bytes): (&[u8], usize, &[usize]) = match preprocessing.channel_order {
        ChannelOrder::Rgb => (square, 3, &[0, 1, 2]),
        ChannelOrder::Bgr => (square, 3, &[2, 1, 0]),
        ChannelOrder::Grey => {
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
        let table = normalised_bytes(preprocessing, plane);
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
fn normalised_bytes(preprocessing: &Preprocessing, plane: usize) -> [f32; 256] {
    let unit = preprocessing.divisor();
    let mean = f64::from(preprocessing.mean[plane]);
    let deviation = f64::from(preprocessing.deviation[plane]);
    std::array::from_fn(|value| ((value as f64 / unit - mean) / deviation) as f32)
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
            normalise(&preprocessing, &square, mirror, &mut planes);
            planes
                .chunks(4)
                .flat_map(|plane| plane[..2].to_vec())
                .collect::<Vec<f32>>()
        };
        let plain = Preprocessing {
            mean: vec![0.0, 0.5, 0.2],
            deviation: vec![1.0, 0.5, 0.1],
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
        let bvlc = first_row(Preprocessing::caffe(256, 224), false);
        assert_eq!(
            bvlc,
            [51.0 - 104.0, 102.0 - 104.0, -117.0, 138.0, 132.0, -123.0]
        );
        let grey = Preprocessing {
            mean: vec![0.0],
            deviation: vec![1.0],
            scale: 1.0,
            ..Preprocessing::fashion()
        };
        // 0.299 * 255 + 0.114 * 51 = 82.06; 0.587 * 255 + 0.114 * 102 = 161.3.
        assert_eq!(first_row(grey, false), [82.0, 161.0]);
    }

    #[test]
    fn settings_that_contradict_each_other_are_named() {
        let base = Preprocessing::imagenet(256, 224);
        check(&base).unwrap();
        check(&Preprocessing::caffe(256, 224)).unwrap();
        check(&Preprocessing::fashion()).unwrap();
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
                    scale: 0.0,
                    ..base.clone()
                },
                "scale: 0 is not above 0",
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
                    deviation: vec![1.0, 0.0, 1.0],
                    ..base
                },
                "deviation: [1.0, 0.0, 1.0]",
            ),
        ];
        for (case, expected) in cases {
            let message = check(&case).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
