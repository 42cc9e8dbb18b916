//! What several seeds say together: mean, standard deviation, and an interval from drawing seeds and test images anew.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Binomial, Distribution, StudentT};

/// Draws behind an interval.
const DRAWS: usize = 20_000;
const SEED: u64 = 0;

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

/// 95 % interval of the mean error, in percent, over seeds and test images.
///
/// A draw takes the mean of all seeds that there could be, `p = mean + t s / √n` with `t` from Student's distribution of `n - 1`
/// degrees of freedom and the sample deviation `s`, and then the test images anew: of `tested` of them `Binomial(tested, p)` are
/// wrong. Resampling the seeds instead would give much too narrow an interval: three values cannot lie further apart than they do.
/// All seeds are tested on the same images, so these are drawn once for the mean and not for each seed: which images are hard is
/// taken to be the same for every seed, the most that they can agree. With one seed it is the interval of the images alone, and
/// where `tested` is not known that of the seeds alone (absent for a single one).
pub(crate) fn interval(percents: &[f64], tested: Option<u64>) -> Option<(f64, f64)> {
    if percents.is_empty() || (percents.len() == 1 && tested.is_none()) {
        return None;
    }
    let (count, middle) = (percents.len() as f64, mean(percents));
    let seeds = match deviation(percents) {
        Some(deviation) => Some((StudentT::new(count - 1.0).ok()?, deviation / count.sqrt())),
        None => None,
    };
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut draws = Vec::with_capacity(DRAWS);
    for _ in 0..DRAWS {
        let off = seeds.map_or(0.0, |(student, error)| error * student.sample(&mut random));
        let drawn = (middle + off).clamp(0.0, 100.0);
        draws.push(match tested {
            None => drawn,
            Some(images) => {
                let wrong = Binomial::new(images, drawn / 100.0)
                    .ok()?
                    .sample(&mut random);
                100.0 * wrong as f64 / images as f64
            }
        });
    }
    draws.sort_by(f64::total_cmp);
    let at = |share: f64| draws[((DRAWS - 1) as f64 * share).round() as usize];
    Some((at(0.025), at(0.975)))
}

/// `mean ± deviation` with so many digits.
pub(crate) fn spread(values: &[f64], digits: usize) -> String {
    let middle = fixed(mean(values), digits);
    match deviation(values) {
        Some(deviation) => format!("{middle} ± {deviation:.digits$}"),
        None => middle,
    }
}

/// A number with so many digits, and no sign in front of zeros.
fn fixed(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    match text.strip_prefix('-') {
        Some(zeros) if zeros.chars().all(|digit| matches!(digit, '0' | '.')) => zeros.to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_is_the_sample_standard_deviation() {
        // Mean 2, squares 1 + 0 + 1, divided by 2.
        assert_eq!(spread(&[1.0, 2.0, 3.0], 2), "2.00 ± 1.00");
        assert_eq!(spread(&[1.5], 1), "1.5");
        assert_eq!(spread(&[-0.001], 2), "0.00");
        assert_eq!(spread(&[-0.006], 2), "-0.01");
    }

    #[test]
    fn an_interval_of_one_seed_is_that_of_its_test_images() {
        // The binomial's standard error is 1.26 points; 1.96 of them on either side.
        let (low, high) = interval(&[20.0], Some(1000)).unwrap();
        assert!((17.2..17.9).contains(&low), "{low}");
        assert!((22.1..22.8).contains(&high), "{high}");
        assert_eq!(interval(&[20.0], Some(1000)), Some((low, high)));
        assert_eq!(interval(&[20.0], None), None);
        assert_eq!(interval(&[], Some(1000)), None);
    }

    #[test]
    fn seeds_that_lie_apart_widen_the_interval_and_many_images_do_not_hide_it() {
        assert_eq!(interval(&[4.0, 4.0], None), Some((4.0, 4.0)));
        let (low, high) = interval(&[19.0, 20.0, 21.0], Some(100_000_000)).unwrap();
        // Deviation 1, by the root of 3, times the 4.303 of Student's table for two degrees of freedom: 2.484.
        assert!(
            (low - 17.516).abs() < 0.1 && (high - 22.484).abs() < 0.1,
            "{low} {high}"
        );
        let (narrow, wide) = (
            interval(&[20.9, 21.0, 21.1], Some(100_000)),
            interval(&[20.9, 21.0, 21.1], Some(100)),
        );
        let width = |pair: Option<(f64, f64)>| pair.map(|(low, high)| high - low).unwrap();
        assert!(width(wide) > 5.0 * width(narrow));
    }
}
