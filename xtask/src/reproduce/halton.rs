//! Points that fill the unit cube evenly, however few are taken.
//!
//! Halton's sequence (Numerische Mathematik 2, 1960) with the digits of each base shuffled, since the first points of two large
//! bases lie on a line otherwise (Braaten and Weller, Journal of Computational Physics 32, 1979).

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

const BASES: [usize; 12] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];
const SEED: u64 = 0;

/// The point of number `index`, from 1, in `dimensions` dimensions; each coordinate lies in `(0, 1)`.
///
/// # Panics
/// If there are more than twelve dimensions, or `index` is 0, which is the corner of the cube.
pub(crate) fn point(index: usize, dimensions: usize) -> Vec<f64> {
    assert!(
        dimensions <= BASES.len(),
        "{dimensions} dimensions, there are bases for {}",
        BASES.len()
    );
    assert!(index > 0, "points are counted from 1");
    let bases = BASES[..dimensions].iter();
    bases.map(|&base| inverse(index, base)).collect()
}

/// The digits of `index`, shuffled, mirrored at the point.
fn inverse(index: usize, base: usize) -> f64 {
    // The digit 0 stays, so that the endless zeros before a number add nothing.
    let mut digits: Vec<usize> = (1..base).collect();
    digits.shuffle(&mut ChaCha8Rng::seed_from_u64(SEED + base as u64));
    let (mut rest, mut value, mut weight) = (index, 0.0, 1.0);
    while rest > 0 {
        weight /= base as f64;
        let digit = rest % base;
        if digit > 0 {
            value += digits[digit - 1] as f64 * weight;
        }
        rest /= base;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_an_axis_is_visited_once_before_any_is_again() {
        for (axis, base) in BASES.into_iter().enumerate() {
            let mut parts: Vec<usize> = (1..base)
                .map(|index| (point(index, BASES.len())[axis] * base as f64).round() as usize)
                .collect();
            parts.sort_unstable();
            assert_eq!(parts, (1..base).collect::<Vec<_>>(), "base {base}");
        }
    }

    #[test]
    fn base_two_is_the_sequence_of_van_der_corput() {
        let values: Vec<f64> = (1..=4).map(|index| point(index, 1)[0]).collect();
        assert_eq!(values, [0.5, 0.25, 0.75, 0.125]);
    }
}
