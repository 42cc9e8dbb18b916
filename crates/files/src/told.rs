//! Errors on one line.

use std::error::Error;

/// An error and its causes on one line, as a log, a list or a terminal shows them.
///
/// Errors of this workspace leave their cause to [`source`](Error::source). Foreign ones often repeat it in their own words, so a
/// cause that the text before it ends with is not told again.
///
/// # Example
/// ```
/// let error = lodestone_files::write_whole("/proc/none/x".as_ref(), |_| Ok(())).unwrap_err();
/// assert_eq!(error.to_string(), "cannot write /proc/none/x");
/// assert!(lodestone_files::told(&error).starts_with("cannot write /proc/none/x: "));
/// ```
pub fn told(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.ends_with(&words) {
            text += &format!(": {words}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{words}")]
    struct Step {
        words: &'static str,
        #[source]
        cause: io::Error,
    }

    #[test]
    fn a_cause_that_was_told_is_not_told_again() {
        let step = |words| Step {
            words,
            cause: io::Error::other("disk full"),
        };
        assert_eq!(told(&step("cannot save")), "cannot save: disk full");
        assert_eq!(
            told(&step("cannot save: disk full")),
            "cannot save: disk full"
        );
    }
}
