//! How far is too far: distances that known and unknown photographs have to what is nearest.
//!
//! They are measured on photographs that the model was not trained on, where there are some: known ones are of classes that the
//! gallery has, unknown ones of others. Without enough of a kind the gallery itself plays it. That flatters: a model holds the
//! photographs that it was trained on together more than others of their classes.
//!
//! A known photograph is played by each row, itself left out; an unknown one by each row with its whole class left out; rows that
//! are alone in their class, which could only play the second, play neither, so that there are as many of both. The
//! threshold between the two is that of verification: the largest distance up to which the wanted share of those accepted is
//! known, if as many unknown as known photographs come. Where classes lie far apart that is far beyond what is known; it then
//! ends at the farthest known photograph, beyond which there are only unknown ones to accept.

use std::collections::BTreeSet;

use lodestone_eval::{Calibration as Threshold, Rows, Search, Visibility, balanced};

use crate::GalleryError;

/// Most rows that play.
const SAMPLE: usize = 2000;
/// Fewer held-out photographs than this say less than the gallery itself.
const LEAST: usize = 20;

/// Held-out photographs that a gallery is calibrated on.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Probes {
    /// `[probes, dim]`.
    pub(crate) values: Vec<f32>,
    /// Name of the class of each.
    pub(crate) classes: Vec<String>,
    /// What they are, in words.
    pub(crate) from: String,
}

/// Squared distances to the nearest row, ascending.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Calibration {
    /// Of photographs of classes of the gallery: held-out ones, or rows of classes with at least two rows, themselves left out.
    pub(crate) known: Vec<f64>,
    /// Of photographs of other classes: held-out ones, or rows with their whole class left out; empty if there is one class.
    pub(crate) unknown: Vec<f64>,
    /// Whether held-out photographs played the known and the unknown ones.
    pub(crate) held_out: [bool; 2],
}

impl Calibration {
    /// Measures on `probes`, and on the gallery itself what they are too few for. `classes` are the names of the labels.
    pub(crate) fn measure(
        rows: Rows,
        labels: &[usize],
        classes: &[String],
        probes: &Probes,
    ) -> Result<Self, GalleryError> {
        if rows.is_empty() {
            return Ok(Self::default());
        }
        let itself = Self::of_itself(rows, labels)?;
        let [known, unknown] = probes.distances(rows, labels, classes)?;
        // Where no class of theirs is here by name, names are other names, and nobody is unknown for that.
        let held_out = [
            known.len() >= LEAST,
            known.len() >= LEAST && unknown.len() >= LEAST,
        ];
        Ok(Self {
            known: if held_out[0] { known } else { itself.known },
            unknown: if held_out[1] { unknown } else { itself.unknown },
            held_out,
        })
    }

    /// Measures on up to [`SAMPLE`] rows, evenly taken.
    fn of_itself(rows: Rows, labels: &[usize]) -> Result<Self, GalleryError> {
        let stride = rows.len().div_ceil(SAMPLE);
        let sample: Vec<usize> = (0..rows.len()).step_by(stride).collect();
        let values: Vec<f32> = sample
            .iter()
            .flat_map(|&row| rows.row(row))
            .copied()
            .collect();
        let queries = Rows::new(&values, rows.dim()).expect("rows are gathered whole");
        let own: Vec<Option<usize>> = sample.iter().copied().map(Some).collect();
        let of_sample: Vec<usize> = sample.iter().map(|&row| labels[row]).collect();
        let mut sizes = vec![0; labels.iter().max().map_or(0, |most| most + 1)];
        for &label in labels {
            sizes[label] += 1;
        }

        let itself = Visibility::own_rows(&own);
        let its_class = itself.without_own_sequence(&of_sample, labels);
        let nearest = |visibility| -> Result<Vec<Option<f64>>, GalleryError> {
            let search = Search::between(queries, rows)?.with_visibility(visibility)?;
            let found = search.nearest(1)?;
            let first = |list: &Vec<lodestone_eval::Neighbour>| {
                list.first().map(|neighbour| neighbour.squared_distance)
            };
            Ok(found.iter().map(first).collect())
        };
        // A photograph that is alone in its class is not known without itself.
        let of_company = |nearest: Vec<Option<f64>>| {
            let all = nearest.into_iter().zip(&of_sample);
            let some = all.filter(|&(_, &label)| sizes[label] > 1);
            ascending(some.filter_map(|(distance, _)| distance).collect())
        };
        Ok(Self {
            known: of_company(nearest(itself)?),
            unknown: of_company(nearest(its_class)?),
            held_out: [false; 2],
        })
    }

    /// The threshold for a wanted precision; none if nothing can be said, for want of classes or because no distance tells them
    /// apart well enough.
    pub(crate) fn threshold(&self, precision: f64) -> Result<Option<Threshold>, GalleryError> {
        if self.known.is_empty() || self.unknown.is_empty() {
            return Ok(None);
        }
        let pairs = balanced(self.known.clone(), self.unknown.clone())?;
        let Some(widest) = pairs.threshold_for_precision(precision)? else {
            return Ok(None);
        };
        let accepted = self
            .known
            .partition_point(|&known| known <= widest.threshold);
        let farthest = self.known[..accepted].last();
        Ok(farthest.map(|&known| pairs.at_threshold(known)))
    }

    /// Share of the known photographs that were as far from what is nearest, or farther.
    pub(crate) fn familiarity(&self, squared_distance: f64) -> Option<f64> {
        let nearer = self
            .known
            .partition_point(|&known| known < squared_distance);
        let count = self.known.len();
        (count > 0).then(|| (count - nearer) as f64 / count as f64)
    }
}

impl Probes {
    /// Squared distances of those whose class is in the gallery and of the others to the nearest row, ascending each.
    fn distances(
        &self,
        rows: Rows,
        labels: &[usize],
        classes: &[String],
    ) -> Result<[Vec<f64>; 2], GalleryError> {
        if self.classes.is_empty() {
            return Ok([Vec::new(), Vec::new()]);
        }
        let queries = Rows::new(&self.values, rows.dim()).expect("probes are taken whole");
        let here: BTreeSet<&str> = labels
            .iter()
            .map(|&label| classes[label].as_str())
            .collect();
        let nearest = Search::between(queries, rows)?.nearest(1)?;
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for (class, found) in self.classes.iter().zip(nearest) {
            let Some(found) = found.first() else { continue };
            // A photograph that is in the gallery itself is not held out.
            if found.squared_distance > 0.0 {
                match here.contains(class.as_str()) {
                    true => known.push(found.squared_distance),
                    false => unknown.push(found.squared_distance),
                }
            }
        }
        Ok([ascending(known), ascending(unknown)])
    }
}

fn ascending(mut distances: Vec<f64>) -> Vec<f64> {
    distances.sort_unstable_by(f64::total_cmp);
    distances
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_rows_lose_themselves_and_unknown_ones_their_class() {
        let rows = Rows::new(&[0.0, 1.0, 10.0, 13.0, 100.0], 1).unwrap();
        let measured = Calibration::of_itself(rows, &[0, 0, 1, 1, 2]).unwrap();
        assert_eq!(measured.known, [1.0, 1.0, 9.0, 9.0]);
        // 0 → 10, 1 → 10, 10 → 1, 13 → 1; what is alone in its class plays neither.
        assert_eq!(measured.unknown, [81.0, 81.0, 100.0, 144.0]);
        let threshold = measured.threshold(0.95).unwrap().unwrap();
        assert_eq!((threshold.threshold, threshold.recall), (9.0, 1.0));
        assert_eq!(measured.familiarity(1.0), Some(1.0));
        assert_eq!(measured.familiarity(2.0), Some(0.5));
        assert_eq!(measured.familiarity(10.0), Some(0.0));
    }

    #[test]
    fn far_classes_do_not_widen_what_is_known() {
        let measured = Calibration {
            known: (1..=100).map(f64::from).collect(),
            unknown: (1..=100).map(|d| f64::from(1000 + d)).collect(),
            held_out: [false; 2],
        };
        // Up to 1005 at least 95 of 100 accepted would be known; beyond 100 none of them is.
        let threshold = measured.threshold(0.95).unwrap().unwrap();
        assert_eq!((threshold.threshold, threshold.recall), (100.0, 1.0));
    }

    #[test]
    fn held_out_photographs_play_what_there_are_enough_of() {
        let rows = Rows::new(&[0.0, 1.0, 10.0, 13.0], 1).unwrap();
        let (labels, classes) = ([0, 0, 1, 1], ["a", "b"].map(str::to_owned));
        let probes = |known: usize, unknown: usize| Probes {
            values: (0..known)
                .map(|at| 2.0 + at as f32 / 100.0)
                .chain((0..unknown).map(|at| 30.0 + at as f32))
                .chain([10.0])
                .collect(),
            classes: (0..known)
                .map(|_| "a".to_owned())
                .chain((0..unknown).map(|_| "new".to_owned()))
                .chain(["b".to_owned()])
                .collect(),
            from: "a run".into(),
        };
        let measure =
            |probes: &Probes| Calibration::measure(rows, &labels, &classes, probes).unwrap();
        let itself = Calibration::of_itself(rows, &labels).unwrap();
        let both = measure(&probes(20, 20));
        // The one that lies on a row is in the gallery; the first of the unknown ones is 17 from 13.
        assert_eq!((both.known.len(), both.unknown.len()), (20, 20));
        assert_eq!((both.known[0], both.unknown[0]), (1.0, 289.0));
        assert_eq!(both.held_out, [true, true]);
        let known = measure(&probes(20, 19));
        assert_eq!(
            (known.held_out, &known.unknown),
            ([true, false], &itself.unknown)
        );
        assert_eq!(measure(&probes(19, 20)), itself);
    }

    #[test]
    fn one_class_cannot_say_what_is_unknown() {
        let rows = Rows::new(&[0.0, 1.0], 1).unwrap();
        let measured = Calibration::of_itself(rows, &[0, 0]).unwrap();
        assert_eq!(measured.unknown, [0.0; 0]);
        assert_eq!(measured.threshold(0.9).unwrap(), None);
    }
}
