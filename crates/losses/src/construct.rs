//! How the settings of a loss are put together and become the loss, as burn's own configurations do.
//!
//! burn's `Config` brings a serialisation of its own; run files have another, with defaults and without unknown fields.

use crate::error::ConfigError;

/// The loss, or a panic that names the setting and its value.
#[track_caller]
pub(crate) fn valid<T>(config: &str, loss: Result<T, ConfigError>) -> T {
    match loss {
        Ok(loss) => loss,
        Err(error) => panic!("{config}: {error}"),
    }
}

/// Writes `new`, `with_FIELD`, `init` and `try_init` of settings that have `validate` and `build`.
macro_rules! construct {
    ($config:ident => $loss:ident, $kind:ident { $($with:ident($field:ident: $type:ty)),* $(,)? }) => {
        impl $config {
            /// The default settings.
            pub fn new() -> Self {
                Self::default()
            }

            $(
                #[doc = concat!("Sets the field `", stringify!($field), "`.")]
                #[must_use]
                pub fn $with(mut self, $field: $type) -> Self {
                    self.$field = $field;
                    self
                }
            )*
        }

        construct! { @$kind $config => $loss }
    };
    (@without_parameters $config:ident => $loss:ident) => {
        impl $config {
            /// Makes the loss. It has no parameters.
            ///
            /// # Panics
            /// If a setting is out of range, with its name and value; see [`try_init`](Self::try_init) for settings that a user wrote.
            #[track_caller]
            pub fn init(&self) -> $loss {
                $crate::construct::valid(stringify!($config), self.try_init())
            }

            /// Makes the loss. It has no parameters.
            ///
            /// # Errors
            /// The first setting that is out of range, with its value.
            pub fn try_init(&self) -> Result<$loss, ConfigError> {
                self.validate()?;
                Ok(self.build())
            }
        }
    };
    (@with_parameters $config:ident => $loss:ident) => {
        impl $config {
            /// Makes the loss. Its vectors are drawn from the device's generator: seed it first.
            ///
            /// # Panics
            /// If a setting is out of range, with its name and value; see [`try_init`](Self::try_init) for settings that a user wrote.
            #[track_caller]
            pub fn init(&self, embedding_size: usize, classes: usize, device: &Device) -> $loss {
                $crate::construct::valid(
                    stringify!($config),
                    self.try_init(embedding_size, classes, device),
                )
            }

            /// Makes the loss. Its vectors are drawn from the device's generator: seed it first.
            ///
            /// # Errors
            /// The first setting that is out of range, with its value.
            pub fn try_init(
                &self,
                embedding_size: usize,
                classes: usize,
                device: &Device,
            ) -> Result<$loss, ConfigError> {
                self.validate()?;
                Ok(self.build(embedding_size, classes, device))
            }
        }
    };
}

pub(crate) use construct;

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use crate::{LossConfig, ProxyAnchorLossConfig, SupConLossConfig, TripletLossConfig};

    #[test]
    fn settings_are_built_one_by_one() {
        let built = TripletLossConfig::new().with_margin(0.3);
        let expected = TripletLossConfig {
            margin: 0.3,
            ..TripletLossConfig::default()
        };
        assert_eq!(built, expected);
    }

    #[test]
    #[should_panic(expected = "SupConLossConfig: temperature is 0, must be above 0")]
    fn a_temperature_of_0_is_refused_and_not_divided_by() {
        SupConLossConfig::new().with_temperature(0.0).init();
    }

    #[test]
    fn a_setting_of_a_user_is_an_error_that_names_it() {
        let error = SupConLossConfig::new()
            .with_temperature(f64::NAN)
            .try_init()
            .unwrap_err();
        assert_eq!((error.field, error.value.as_str()), ("temperature", "NaN"));

        let config = ProxyAnchorLossConfig::new().with_alpha(-1.0);
        let error = LossConfig::ProxyAnchor(config)
            .try_init(2, 3, &Device::flex())
            .unwrap_err();
        assert_eq!((error.field, error.value.as_str()), ("alpha", "-1"));
    }
}
