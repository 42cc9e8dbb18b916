//! Settings of a loss, and how they become the loss, as burn's own configurations do.
//!
//! burn's `Config` brings a serialisation of its own; run files have another, with defaults and without unknown fields.

use burn::tensor::Device;

use crate::error::ConfigError;

/// What the list of losses asks of the settings of each.
pub(crate) trait Make {
    type Loss;

    /// The loss, with its parameters if it has any.
    fn make(
        &self,
        embedding_size: usize,
        classes: usize,
        device: &Device,
    ) -> Result<Self::Loss, ConfigError>;

    /// Learning rate of the parameters, as a multiple of the network's.
    fn learning_rate_factor(&self) -> f64;
}

/// The loss, or a panic that names the setting and its value.
#[track_caller]
pub(crate) fn valid<T>(config: &str, loss: Result<T, ConfigError>) -> T {
    match loss {
        Ok(loss) => loss,
        Err(error) => panic!("{config}: {error}"),
    }
}

/// Settings with a default, a `with_FIELD` and a check (if any value will not do) for each field, and `new`, `validate`,
/// `init` and `try_init`.
///
/// A loss `without_parameters` is its settings, in a field `config`; one `with_parameters` needs a `build` beside this.
macro_rules! settings {
    (
        $(#[$doc:meta])*
        pub struct $config:ident => $loss:ident, $kind:ident {
            $(
                $(#[$field_doc:meta])*
                pub $field:ident: $type:ty = $default:expr, $with:ident $(, $check:path)?;
            )*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
        #[serde(deny_unknown_fields, default)]
        pub struct $config {
            $(
                $(#[$field_doc])*
                pub $field: $type,
            )*
        }

        impl Default for $config {
            fn default() -> Self {
                $config { $($field: $default),* }
            }
        }

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

            /// Checks every setting.
            ///
            /// # Errors
            /// The first setting that is out of range, with its value.
            pub fn validate(&self) -> Result<(), $crate::ConfigError> {
                $($( $check(stringify!($field), self.$field)?; )?)*
                Ok(())
            }
        }

        $crate::construct::settings! { @$kind $config => $loss }
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
            pub fn try_init(&self) -> Result<$loss, $crate::ConfigError> {
                self.validate()?;
                Ok($loss { config: self.clone() })
            }
        }

        impl $crate::construct::Make for $config {
            type Loss = $loss;

            fn make(&self, _: usize, _: usize, _: &burn::tensor::Device) -> Result<$loss, $crate::ConfigError> {
                self.try_init()
            }

            fn learning_rate_factor(&self) -> f64 {
                1.0
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
            pub fn init(&self, embedding_size: usize, classes: usize, device: &burn::tensor::Device) -> $loss {
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
                device: &burn::tensor::Device,
            ) -> Result<$loss, $crate::ConfigError> {
                self.validate()?;
                Ok(self.build(embedding_size, classes, device))
            }
        }

        impl $crate::construct::Make for $config {
            type Loss = $loss;

            fn make(&self, size: usize, classes: usize, device: &burn::tensor::Device) -> Result<$loss, $crate::ConfigError> {
                self.try_init(size, classes, device)
            }

            fn learning_rate_factor(&self) -> f64 {
                self.learning_rate_factor
            }
        }
    };
}

pub(crate) use settings;

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
