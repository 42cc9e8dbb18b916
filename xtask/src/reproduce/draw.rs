//! Points of a search: which values a setting gets, and from what ranges.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// More than any loss has levers.
const LEVERS: usize = 24;

/// Settings drawn at one point of the unit cube, lever by lever, with the ranges in words.
#[derive(Debug)]
pub(crate) struct Draw {
    places: std::vec::IntoIter<f64>,
    /// Settings, as `--set` takes them.
    pub(crate) sets: Vec<String>,
    /// What could have been drawn, a lever each.
    pub(crate) ranges: Vec<String>,
}

impl Draw {
    /// Draws at a point; each coordinate lies in `[0, 1)`.
    pub(crate) fn new(point: Vec<f64>) -> Self {
        Self {
            places: point.into_iter(),
            sets: Vec::new(),
            ranges: Vec::new(),
        }
    }

    /// Settings that are drawn from nothing.
    pub(crate) fn set(&mut self, sets: &[&str]) {
        self.sets.extend(sets.iter().map(|&set| set.to_owned()));
    }

    /// A value between two, evenly on the logarithm. Three digits say all that a trial can tell apart.
    pub(crate) fn value(&mut self, name: &str, from: f64, to: f64) -> f64 {
        self.ranges.push(format!("{name} {from} to {to}"));
        let value = from * (to / from).powf(self.place());
        format!("{value:.2e}").parse().unwrap_or(value)
    }

    /// The same as the value of a key.
    pub(crate) fn log(&mut self, name: &str, key: &str, from: f64, to: f64) -> f64 {
        let value = self.value(name, from, to);
        self.sets.push(format!("{key}={value:.2e}"));
        value
    }

    /// One of these.
    pub(crate) fn pick<'a>(&mut self, name: &str, choices: &[&'a str]) -> &'a str {
        self.ranges.push(format!("{name} {}", choices.join(" or ")));
        let place = (self.place() * choices.len() as f64) as usize;
        choices[place.min(choices.len() - 1)]
    }

    /// The middle where a point has fewer coordinates than there are levers, which none has that [`points`] made.
    fn place(&mut self) -> f64 {
        self.places.next().unwrap_or(0.5)
    }
}

/// `count` points that fill the cube, other ones for each name: on every axis each of `count` equal parts is visited once
/// (McKay, Beckman and Conover, Technometrics 21, 1979).
pub(crate) fn points(name: &str, count: usize) -> Vec<Vec<f64>> {
    let digest = Sha256::digest(name);
    let mut random = ChaCha8Rng::from_seed(digest.into());
    let mut points = vec![Vec::with_capacity(LEVERS); count];
    for _ in 0..LEVERS {
        let mut parts: Vec<usize> = (0..count).collect();
        parts.shuffle(&mut random);
        for (point, part) in points.iter_mut().zip(parts) {
            point.push((part as f64 + random.random::<f64>()) / count as f64);
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_an_axis_is_visited_once_and_names_have_points_of_their_own() {
        let all = points("triplet", 16);
        for axis in 0..LEVERS {
            let mut parts: Vec<usize> = all.iter().map(|p| (p[axis] * 16.0) as usize).collect();
            parts.sort_unstable();
            assert_eq!(parts, (0..16).collect::<Vec<_>>(), "axis {axis}");
        }
        assert_eq!(points("triplet", 16), all);
        assert_ne!(points("magnet", 16), all);
    }

    #[test]
    fn values_stay_in_their_range_and_are_told() {
        for place in [0.0, 0.5, 0.999] {
            let mut draw = Draw::new(vec![place; 2]);
            let value = draw.log("rate", "optimizer.head_rate", 1e-4, 1e-2);
            assert!((1e-4..=1e-2).contains(&value), "{value}");
            assert!(["a", "b"].contains(&draw.pick("start", &["a", "b"])));
            assert_eq!(draw.ranges, ["rate 0.0001 to 0.01", "start a or b"]);
        }
        let mut middle = Draw::new(vec![0.5]);
        middle.log("rate", "r", 1e-4, 1e-2);
        assert_eq!(middle.sets, ["r=1.00e-3"]);
    }
}
