//! Numbers of other types as `f32`, and as the text that a CSV file would hold.

use std::fmt::Display;

/// Up to here every whole number is an `f64`.
pub(crate) const WHOLE: f64 = (1_i64 << f64::MANTISSA_DIGITS) as f64;

/// Rounds to `f32`.
///
/// # Errors
/// If a number becomes infinite.
pub(crate) fn narrowed(value: f64) -> Result<f32, String> {
    let narrow = value as f32;
    match value.is_finite() && narrow.is_infinite() {
        true => Err(format!(
            "holds {value:e}, which is beyond the numbers of f32"
        )),
        false => Ok(narrow),
    }
}

/// A float as Python writes it, `3.0`: a whole number keeps its fraction. `shown` is the same number in its own type.
pub(crate) fn float_text(value: f64, shown: impl Display) -> String {
    match value.fract() == 0.0 && value.abs() <= WHOLE {
        true => format!("{value:.1}"),
        false => shown.to_string(),
    }
}

/// A truth value as Python writes it.
pub(crate) fn truth_text(value: bool) -> String {
    if value { "True" } else { "False" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_in_python() {
        let texts = [3.0, -0.5, 1e300, f64::NAN].map(|x| float_text(x, x));
        assert_eq!(texts[..2], ["3.0", "-0.5"]);
        assert!(texts[2].starts_with("1000") && texts[3] == "NaN");
        assert_eq!(float_text(0.1_f32.into(), 0.1_f32), "0.1");
        assert_eq!(truth_text(true), "True");
    }

    #[test]
    fn a_number_beyond_f32_is_told_and_infinity_is_left_to_be_seen() {
        assert_eq!(narrowed(0.1), Ok(0.1_f32));
        assert_eq!(narrowed(f64::INFINITY), Ok(f32::INFINITY));
        assert!(narrowed(f64::NAN).unwrap().is_nan());
        let error = narrowed(-1e300).unwrap_err();
        assert_eq!(error, "holds -1e300, which is beyond the numbers of f32");
    }
}
