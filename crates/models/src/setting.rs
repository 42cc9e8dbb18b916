//! The checks of settings that a user, or a file, may have wrong.

use crate::embedder::EmbedderConfig;
use crate::head::HeadKind;
use crate::network::NetworkConfig;

/// Far above any network in use; beyond it a damaged file would ask for all memory.
const LARGEST: usize = 1 << 16;

/// A setting outside its range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{name} is {value}, must be {range}")]
pub struct SettingError {
    /// The setting, for instance `head.dropout`.
    pub name: &'static str,
    /// What it is.
    pub value: String,
    /// What it may be.
    pub range: String,
}

impl EmbedderConfig {
    /// Checks what [`init`](Self::init) takes for granted.
    ///
    /// # Errors
    /// If a setting is outside its range.
    ///
    /// # Example
    /// ```
    /// use lodestone_models::{ConvNetConfig, EmbedderConfig, HeadConfig};
    ///
    /// let head = HeadConfig { dropout: 1.5, ..HeadConfig::new(64) };
    /// let config = EmbedderConfig { network: ConvNetConfig::default().into(), head };
    /// let error = config.validate().unwrap_err();
    /// assert_eq!(error.to_string(), "head.dropout is 1.5, must be at least 0 and below 1");
    /// ```
    pub fn validate(&self) -> Result<(), SettingError> {
        within("head.embedding_size", self.head.embedding_size, LARGEST)?;
        let dropout = self.head.dropout;
        if !(0.0..1.0).contains(&dropout) {
            return Err(SettingError {
                name: "head.dropout",
                value: dropout.to_string(),
                range: "at least 0 and below 1".to_owned(),
            });
        }
        match &self.network {
            NetworkConfig::ConvNet(config) => {
                within("network.width", config.width, LARGEST / 4)?;
                within("network.image_channels", config.image_channels, LARGEST)?;
            }
            NetworkConfig::GoogLeNet(_)
            | NetworkConfig::InceptionV3(_)
            | NetworkConfig::ResNet18(_)
            | NetworkConfig::ResNet34(_)
            | NetworkConfig::ResNet50(_) => {}
        }
        let features = self.network.feature_size();
        if self.head.kind == HeadKind::Features && self.head.embedding_size != features {
            return Err(SettingError {
                name: "head.embedding_size",
                value: self.head.embedding_size.to_string(),
                range: format!("{features}, the number of features, where head.kind is features"),
            });
        }
        Ok(())
    }
}

fn within(name: &'static str, value: usize, largest: usize) -> Result<(), SettingError> {
    if (1..=largest).contains(&value) {
        return Ok(());
    }
    Err(SettingError {
        name,
        value: value.to_string(),
        range: format!("from 1 to {largest}"),
    })
}

#[cfg(test)]
mod tests {
    use crate::{ConvNetConfig, EmbedderConfig, HeadConfig, HeadKind};

    #[test]
    fn settings_out_of_range_are_named_with_their_range() {
        let check = |width, embedding_size, message: &str| {
            let network = ConvNetConfig {
                image_channels: 1,
                width,
            }
            .into();
            let config = EmbedderConfig {
                network,
                head: HeadConfig::new(embedding_size),
            };
            assert_eq!(config.validate().unwrap_err().to_string(), message);
        };
        check(32, 0, "head.embedding_size is 0, must be from 1 to 65536");
        check(
            32,
            1 << 40,
            "head.embedding_size is 1099511627776, must be from 1 to 65536",
        );
        check(0, 64, "network.width is 0, must be from 1 to 16384");
        let head = HeadConfig {
            kind: HeadKind::Features,
            ..HeadConfig::new(64)
        };
        let network = ConvNetConfig::default().into();
        let error = EmbedderConfig { network, head }.validate().unwrap_err();
        assert_eq!(
            error.to_string(),
            "head.embedding_size is 64, must be 128, the number of features, where head.kind is features"
        );
    }
}
