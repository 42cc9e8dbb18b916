//! What tuning may change: the same number of trials for every loss, at points of one sequence, from spaces declared here.
//!
//! Trial 0 is the run file with what makes it the loss. The others are points of Halton's sequence in the levers that all losses share,
//! followed by those of the loss itself; the shared ones get the same coordinates whatever the loss.

use super::halton;
use super::levers::{own, shared};
use super::loss::Loss;
use super::set::Scale;

/// A lever with its values. `{}` in a setting stands for the value.
pub(crate) struct Lever {
    pub(crate) name: &'static str,
    range: Range,
}

enum Range {
    /// Evenly on the logarithm.
    Log {
        from: f64,
        to: f64,
        sets: &'static [&'static str],
    },
    /// One of these groups of settings.
    OneOf(&'static [&'static [&'static str]]),
}

impl Lever {
    pub(super) const fn log(
        name: &'static str,
        from: f64,
        to: f64,
        sets: &'static [&'static str],
    ) -> Self {
        let range = Range::Log { from, to, sets };
        Self { name, range }
    }

    pub(super) const fn one_of(
        name: &'static str,
        choices: &'static [&'static [&'static str]],
    ) -> Self {
        let range = Range::OneOf(choices);
        Self { name, range }
    }

    /// The settings at a coordinate in `[0, 1)`.
    fn at(&self, coordinate: f64) -> Vec<String> {
        match &self.range {
            Range::Log { from, to, sets } => {
                let value = from * (to / from).powf(coordinate);
                // Three digits say all that a trial can tell apart, and keep the command readable.
                let text = format!("{value:.2e}");
                sets.iter().map(|set| set.replace("{}", &text)).collect()
            }
            Range::OneOf(choices) => {
                let place = (coordinate * choices.len() as f64) as usize;
                let chosen = choices[place.min(choices.len() - 1)];
                chosen.iter().map(|&set| set.to_owned()).collect()
            }
        }
    }

    /// The range in words, for the record.
    pub(crate) fn in_words(&self) -> String {
        match &self.range {
            Range::Log { from, to, .. } => format!("{} {from} to {to}", self.name),
            Range::OneOf(choices) => {
                let choices: Vec<String> = choices.iter().map(|sets| values(sets)).collect();
                format!("{} one of {}", self.name, choices.join(", "))
            }
        }
    }
}

/// The values of settings, without their keys.
fn values(sets: &[&str]) -> String {
    let value = |set: &&str| {
        set.split_once('=')
            .map_or("", |(_, value)| value)
            .replace('"', "")
    };
    sets.iter().map(value).collect::<Vec<_>>().join("/")
}

/// The levers of a loss: first those that all share.
pub(crate) fn levers(loss: Loss, scale: Scale) -> Vec<Lever> {
    let mut all = shared(scale);
    all.extend(own(loss, scale));
    all
}

/// Settings of a trial; none for trial 0.
pub(crate) fn trial(loss: Loss, scale: Scale, number: usize) -> Vec<String> {
    if number == 0 {
        return Vec::new();
    }
    let levers = levers(loss, scale);
    let point = halton::point(number, levers.len());
    let pairs = levers.iter().zip(point);
    pairs.flat_map(|(lever, place)| lever.at(place)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_levers_stand_alike_for_every_loss() {
        for scale in [Scale::Small, Scale::Photographs] {
            let count = shared(scale).len();
            for number in 1..8 {
                let sets = |loss| trial(loss, scale, number);
                let first = &sets(Loss::Softmax);
                for loss in Loss::ALL {
                    assert_eq!(
                        &sets(loss)[..first.len()],
                        first,
                        "{loss:?}, {count} levers"
                    );
                }
            }
        }
    }

    #[test]
    fn values_stay_in_their_range_and_the_first_trial_changes_nothing() {
        assert!(trial(Loss::Magnet, Scale::Small, 0).is_empty());
        for number in 1..50 {
            let sets = trial(Loss::Magnet, Scale::Small, number);
            let gap = sets.iter().find_map(|set| set.strip_prefix("loss.gap="));
            let gap: f64 = gap.unwrap().parse().unwrap();
            assert!((0.25..=8.0).contains(&gap), "{gap}");
        }
        let lever = Lever::one_of("x", &[&["a=1"], &["a=2"]]);
        assert_eq!(lever.in_words(), "x one of 1, 2");
        assert_eq!(
            [0.0, 0.49, 0.5, 0.99].map(|c| lever.at(c)[0].clone()),
            ["a=1", "a=1", "a=2", "a=2"]
        );
    }
}
