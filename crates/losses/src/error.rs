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
