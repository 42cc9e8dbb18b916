//! Random streams that depend on what they are for and on nothing else.
//!
//! Each draw opens its own stream, keyed by seed, purpose, and two coordinates (epoch and step, or refresh and class). The
//! four numbers are the key of the ChaCha cipher as they are, so no two streams meet, and neither threads nor a resumed run
//! can change what is drawn.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a stream is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The order of an epoch.
    EpochOrder = 1,
    /// A batch drawn on its own.
    Batch = 2,
    /// First centres of K-means.
    Centres = 3,
    /// The rows on which drift is measured.
    Probe = 4,
}

/// The stream of `purpose` at the coordinates `(major, minor)`.
pub(crate) fn stream(seed: u64, purpose: Purpose, major: u64, minor: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (part, number) in key
        .chunks_exact_mut(8)
        .zip([seed, purpose as u64, major, minor])
    {
        part.copy_from_slice(&number.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    #[test]
    fn streams_differ_in_each_coordinate_and_repeat_exactly() {
        let first =
            |seed, purpose, major, minor| -> u64 { stream(seed, purpose, major, minor).random() };
        let base = first(1, Purpose::Batch, 2, 3);
        assert_eq!(base, first(1, Purpose::Batch, 2, 3));
        for other in [
            first(2, Purpose::Batch, 2, 3),
            first(1, Purpose::EpochOrder, 2, 3),
            first(1, Purpose::Batch, 3, 3),
            first(1, Purpose::Batch, 3, 2),
        ] {
            assert_ne!(base, other);
        }
    }
}
