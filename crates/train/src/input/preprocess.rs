//! One description of preprocessing in two crates: the weights say what they need, the loader does it.

use lodestone_data as data;
use lodestone_models as models;

use crate::error::TrainError;

/// The loader's settings for a network's preprocessing.
///
/// # Errors
/// If the scale is neither 1 nor 1/255, the two that the loader knows.
pub fn loader_preprocessing(
    wanted: &models::Preprocessing,
) -> Result<data::Preprocessing, TrainError> {
    let scale = if wanted.scale == 1.0 {
        data::PixelScale::Byte
    } else if (wanted.scale * 255.0 - 1.0).abs() < 1e-6 {
        data::PixelScale::Unit
    } else {
        return Err(TrainError::Setting {
            reason: format!(
                "preprocessing.scale is {}, must be 1 or 1/255",
                wanted.scale
            ),
        });
    };
    Ok(data::Preprocessing {
        resize: wanted.resize,
        crop: wanted.crop,
        channels: match wanted.channel_order {
            models::ChannelOrder::Rgb => data::Channels::Rgb,
            models::ChannelOrder::Bgr => data::Channels::Bgr,
            models::ChannelOrder::Grey => data::Channels::Grey,
        },
        scale,
        mean: wanted.mean.clone(),
        std: wanted.deviation.clone(),
        filter: match wanted.filter {
            models::Filter::Bilinear => data::Filter::AntialiasedBilinear,
        },
        orientation: match wanted.orientation {
            models::Orientation::AsStored => data::Orientation::AsStored,
            models::Orientation::Upright => data::Orientation::Upright,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pipeline_means_the_same_in_both_crates() {
        let cases = [
            (
                models::Preprocessing::imagenet(256, 224),
                data::Preprocessing::imagenet(256, 224),
            ),
            (
                models::Preprocessing::caffe(256, 224),
                data::Preprocessing::bvlc(),
            ),
            (
                models::Preprocessing::grey(28, 0.286, 0.353),
                data::Preprocessing::fashion(),
            ),
        ];
        for (wanted, expected) in cases {
            assert_eq!(loader_preprocessing(&wanted).unwrap(), expected);
        }
        let upright = models::Preprocessing {
            orientation: models::Orientation::Upright,
            ..models::Preprocessing::imagenet(256, 224)
        };
        let got = loader_preprocessing(&upright).unwrap();
        assert_eq!(got.orientation, data::Orientation::Upright);
    }
}
