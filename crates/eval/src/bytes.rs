//! Sizes in bytes, as people write them.

use std::fmt;

/// A size in bytes that reads and prints as people write it: `500MB`, `2GB`, `1.5GiB`.
///
/// # Example
/// ```
/// use lodestone_eval::Bytes;
///
/// assert_eq!("500MB".parse(), Ok(Bytes(500_000_000)));
/// assert_eq!("1.5 GiB".parse(), Ok(Bytes(1_610_612_736)));
/// assert_eq!(Bytes(61_440_000).to_string(), "61.4 MB");
/// ```
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, size) in [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)] {
            if self.0 as f64 >= size {
                return write!(f, "{:.1} {unit}", self.0 as f64 / size);
            }
        }
        write!(f, "{} B", self.0)
    }
}
