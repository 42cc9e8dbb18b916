//! Random streams that depend on what they are for and on nothing else.
//!
//! Each draw opens its own stream, keyed by seed, purpose, and two coordinates (epoch and step, or refresh and class). The
//! four numbers are the key of the ChaCha cipher as they are, so no two streams meet, and neither threads nor a resumed run
//! can change what is drawn.

use rand::{RngExt, SeedableRng};
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

/// A position drawn with probability `weight / total`; never one of weight 0.
///
/// `total` must be positive and the sum of the weights.
pub(crate) fn draw(
    weights: impl Iterator<Item = f64>,
    total: f64,
    random: &mut ChaCha8Rng,
) -> usize {
    let mut left = random.random::<f64>() * total;
    let mut last = 0;
    for (position, weight) in weights.enumerate() {
        if weight > 0.0 {
            if left < weight {
                return position;
            }
            left -= weight;
            last = position;
        }
    }
    // Rounding may leave a crumb after the last weight.
    last
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_weight_of_zero_is_never_drawn_and_others_by_their_share() {
        let mut random = stream(1, Purpose::Batch, 0, 0);
        let weights = [0.0, 1.0, 0.0, 3.0, 0.0];
        let mut counts = [0; 5];
        for _ in 0..4000 {
            counts[draw(weights.into_iter(), 4.0, &mut random)] += 1;
        }
        assert_eq!(counts[0] + counts[2] + counts[4], 0);
        // 1000 expected, one standard deviation is 27.
        assert!((900..1100).contains(&counts[1]), "{counts:?}");
        // A total that rounding made too large still ends at a drawable weight.
        assert_eq!(draw([1.0, 0.0].into_iter(), 1e9, &mut random), 0);
    }
}
