//! Settings that make no sense.

/// A setting of a loss is out of range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{field} is {value}, {expected}")]
pub struct ConfigError {
    /// Name of the setting, as in a run file.
    pub field: &'static str,
    /// The value that was given.
    pub value: String,
    /// What it must be.
    pub expected: &'static str,
}

/// `Ok` if the condition holds, else an error that names field and value.
pub(crate) fn require(
    holds: bool,
    field: &'static str,
    value: impl std::fmt::Display,
    expected: &'static str,
) -> Result<(), ConfigError> {
    if holds {
        Ok(())
    } else {
        Err(ConfigError {
            field,
            value: value.to_string(),
            expected,
        })
    }
}

/// Checks a setting that must be above 0.
pub(crate) fn above_zero<T: PartialOrd + Default + std::fmt::Display>(
    field: &'static str,
    value: T,
) -> Result<(), ConfigError> {
    require(value > T::default(), field, value, "must be above 0")
}

/// Checks a setting that must be 0 or more.
pub(crate) fn not_negative(field: &'static str, value: f64) -> Result<(), ConfigError> {
    require(value >= 0.0, field, value, "must not be negative")
}

/// Checks a setting that may be any number.
pub(crate) fn finite(field: &'static str, value: f64) -> Result<(), ConfigError> {
    require(value.is_finite(), field, value, "must be a number")
}

/// Checks a setting that must be a number above 0.
pub(crate) fn finite_above_zero(field: &'static str, value: f64) -> Result<(), ConfigError> {
    let holds = value > 0.0 && value.is_finite();
    require(holds, field, value, "must be a number above 0")
}

/// Checks a setting that must be a number, 0 or more.
pub(crate) fn finite_not_negative(field: &'static str, value: f64) -> Result<(), ConfigError> {
    let holds = value >= 0.0 && value.is_finite();
    require(holds, field, value, "must be a number, 0 or more")
}
