//! What several seeds say together, and whether two losses differ by more than seeds and test images do.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::outcomes::Units;

/// Draws behind an interval.
const DRAWS: usize = 4000;
/// What the corrected chance of one false word in a table may be.
const LEVEL: f64 = 0.05;

/// The mean; not a number if there are no values.
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Sample standard deviation; absent for fewer than two values.
pub(crate) fn deviation(values: &[f64]) -> Option<f64> {
    let middle = mean(values);
    let squares: f64 = values.iter().map(|value| (value - middle).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())
}

/// How far one loss is ahead of another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Difference {
    /// Of the means over seeds and images, as a share.
    pub(crate) mean: f64,
    /// 95 % interval.
    pub(crate) interval: (f64, f64),
    /// Chance of so large a difference either way if there is none.
    pub(crate) chance: f64,
}

/// Compares two losses on the same test images, a list of units for each seed.
///
/// A draw takes as many units with replacement as there are, the same for both losses and all seeds (paired), and for each loss as
/// many seeds with replacement as it has. What the seeds add is stretched by `√(n / (n − 1))`: `n` drawn seeds vary less about
/// their own mean than about that of all seeds that there could be. The result is the difference of the drawn means.
///
/// Absent if a list is empty or units differ in number.
pub(crate) fn compare(ours: &[Units], theirs: &[Units]) -> Option<Difference> {
    let count = ours.first()?.values.len();
    let all = || ours.iter().chain(theirs);
    if theirs.is_empty() || count == 0 || all().any(|units| units.values.len() != count) {
        return None;
    }
    let weights = &ours[0].weights;
    let of_seeds = |seeds: &[Units]| -> (Vec<f64>, Vec<f64>) {
        let middle = (0..count).map(|unit| {
            let values: Vec<f64> = seeds.iter().map(|seed| seed.values[unit]).collect();
            mean(&values)
        });
        let total: f64 = weights.iter().sum();
        let means = seeds.iter().map(|seed| {
            let sum: f64 = seed.values.iter().zip(weights).map(|(v, w)| v * w).sum();
            sum / total
        });
        (middle.collect(), means.collect())
    };
    let ((our_units, our_seeds), (their_units, their_seeds)) = (of_seeds(ours), of_seeds(theirs));
    let weighted: Vec<(f64, f64)> = (0..count)
        .map(|unit| {
            (
                weights[unit] * (our_units[unit] - their_units[unit]),
                weights[unit],
            )
        })
        .collect();
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut drawn_seeds = |seeds: &[f64]| {
        let n = seeds.len();
        if n < 2 {
            return 0.0;
        }
        let sum: f64 = (0..n).map(|_| seeds[random.random_range(0..n)]).sum();
        (sum / n as f64 - mean(seeds)) * (n as f64 / (n as f64 - 1.0)).sqrt()
    };
    let mut shifts: Vec<f64> = Vec::with_capacity(DRAWS);
    for _ in 0..DRAWS {
        shifts.push(drawn_seeds(&our_seeds) - drawn_seeds(&their_seeds));
    }
    let mut draws: Vec<f64> = Vec::with_capacity(DRAWS);
    for shift in shifts {
        let (mut sum, mut weight) = (0.0, 0.0);
        for _ in 0..count {
            let (value, of_it) = weighted[random.random_range(0..count)];
            sum += value;
            weight += of_it;
        }
        draws.push(sum / weight + shift);
    }
    draws.sort_by(f64::total_cmp);
    let at = |share: f64| draws[((DRAWS - 1) as f64 * share).round() as usize];
    let below = draws.iter().filter(|&&d| d <= 0.0).count();
    let above = draws.iter().filter(|&&d| d >= 0.0).count();
    // One more than there were, so that no chance is 0 for want of draws.
    let chance = 2.0 * (below.min(above) + 1) as f64 / (DRAWS + 1) as f64;
    Some(Difference {
        mean: mean(&our_seeds) - mean(&their_seeds),
        interval: (at(0.025), at(0.975)),
        chance: chance.min(1.0),
    })
}

/// Which of several chances are small enough together (Holm, Scandinavian Journal of Statistics 6, 1979): the k-th smallest of m
/// against `LEVEL / (m - k + 1)`, until one is not.
pub(crate) fn holm(chances: &[f64]) -> Vec<bool> {
    let mut order: Vec<usize> = (0..chances.len()).collect();
    order.sort_by(|&a, &b| chances[a].total_cmp(&chances[b]));
    let mut found = vec![false; chances.len()];
    for (rank, &place) in order.iter().enumerate() {
        if chances[place] > LEVEL / (chances.len() - rank) as f64 {
            break;
        }
        found[place] = true;
    }
    found
}

/// Between which values one more seed lies in 99 of 100 cases, as far as the seeds that there are tell:
/// `mean ± t s √(1 + 1/n)` with Student's t of `n − 1` degrees of freedom. Absent for fewer than two.
pub(crate) fn range_of_one_more(values: &[f64]) -> Option<(f64, f64)> {
    // Two-sided 99 % points of Student's distribution for 1 to 9 degrees of freedom.
    const STUDENT: [f64; 9] = [
        63.66, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250,
    ];
    let n = values.len();
    let wide = STUDENT[n.checked_sub(2)?.min(STUDENT.len() - 1)];
    let off = wide * deviation(values)? * (1.0 + 1.0 / n as f64).sqrt();
    Some((mean(values) - off, mean(values) + off))
}

/// `mean ± deviation` in percent with two digits.
pub(crate) fn spread(shares: &[f64]) -> String {
    let middle = 100.0 * mean(shares);
    match deviation(shares) {
        Some(deviation) => format!("{middle:.2} ± {:.2}", 100.0 * deviation),
        None => format!("{middle:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seeds(count: usize, units: usize, share: f64, seed: u64) -> Vec<Units> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        // Whether a unit is hard is the same for all seeds.
        let hard: Vec<f64> = (0..units)
            .map(|unit| (unit as f64 * 0.618).fract())
            .collect();
        let mut one = || Units {
            values: hard
                .iter()
                .map(|hard| f64::from(hard + 0.1 * random.random::<f64>() < share))
                .collect(),
            weights: vec![1.0; units],
        };
        (0..count).map(|_| one()).collect()
    }

    #[test]
    fn pairing_finds_a_difference_that_intervals_of_the_means_hide() {
        let (better, worse) = (seeds(5, 1000, 0.82, 1), seeds(5, 1000, 0.80, 2));
        let difference = compare(&better, &worse).unwrap();
        assert!((difference.mean - 0.02).abs() < 0.01, "{difference:?}");
        // Alone each mean is known to ± 2.5 points.
        assert!(difference.interval.0 > 0.0, "{difference:?}");
        assert!(difference.chance < 0.01);
        let back = compare(&worse, &better).unwrap();
        assert_eq!(back.mean, -difference.mean);
    }

    #[test]
    fn equal_losses_are_found_to_differ_no_oftener_than_one_time_in_twenty() {
        let mut wrong = 0;
        for trial in 0..60 {
            let (ours, theirs) = (
                seeds(5, 300, 0.8, 100 + trial),
                seeds(5, 300, 0.8, 900 + trial),
            );
            let (low, high) = compare(&ours, &theirs).unwrap().interval;
            wrong += usize::from(low > 0.0 || high < 0.0);
        }
        assert!(wrong <= 6, "{wrong} of 60");
    }

    #[test]
    fn weights_count_images_and_lists_of_unlike_units_are_not_compared() {
        let units = |values: &[f64], weights: &[f64]| Units {
            values: values.to_vec(),
            weights: weights.to_vec(),
        };
        let ours = [units(&[1.0, 0.0], &[3.0, 1.0])];
        let theirs = [units(&[0.0, 0.0], &[3.0, 1.0])];
        assert_eq!(compare(&ours, &theirs).unwrap().mean, 0.75);
        assert!(compare(&ours, &[units(&[0.0], &[1.0])]).is_none());
        assert!(compare(&ours, &[]).is_none());
    }

    #[test]
    fn holm_is_strict_with_the_first_and_stops_at_one_that_fails() {
        assert_eq!(holm(&[0.02, 0.001, 0.04]), [true, true, true]);
        assert_eq!(holm(&[0.03, 0.001, 0.04]), [false, true, false]);
        assert_eq!(holm(&[0.03, 0.02, 0.04]), [false, false, false]);
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn one_more_seed_may_lie_outside_of_those_that_there_are() {
        // Mean 2, deviation 1; 9.925 for two degrees of freedom, root of 4/3.
        let (low, high) = range_of_one_more(&[1.0, 2.0, 3.0]).unwrap();
        assert!((high - 2.0 - 11.46).abs() < 0.01 && (2.0 - low - 11.46).abs() < 0.01);
        assert_eq!(range_of_one_more(&[1.0]), None);
        assert_eq!(spread(&[0.1, 0.2, 0.3]), "20.00 ± 10.00");
    }
}
