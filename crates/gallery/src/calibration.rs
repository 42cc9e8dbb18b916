//! How far is too far: distances that known and unknown photographs have to what is nearest, measured on the gallery itself.
//!
//! A known photograph is played by each row, itself left out; an unknown one by each row with its whole class left out; rows that
//! are alone in their class, which could only play the second, play neither, so that there are as many of both. The
//! threshold between the two is that of verification: the largest distance up to which the wanted share of those accepted is
//! known, if as many unknown as known photographs come. Where classes lie far apart that is far beyond what is known; it then
//! ends at the farthest known photograph, beyond which there are only unknown ones to accept.

use lodestone_eval::{Calibration as Threshold, Pairs, Rows, Search, Visibility};
use serde::{Deserialize, Serialize};

use crate::GalleryError;

/// Most rows that play.
const SAMPLE: usize = 2000;

/// Squared distances to the nearest row, ascending.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Calibration {
    /// Of rows of classes with at least two rows, themselves left out.
    pub(crate) known: Vec<f64>,
    /// Of the same rows with their whole class left out; empty if there is one class.
    pub(crate) unknown: Vec<f64>,
}

impl Calibration {
    /// Measures on up to [`SAMPLE`] rows, evenly taken.
    pub(crate) fn measure(rows: Rows, labels: &[usize]) -> Result<Self, GalleryError> {
        if rows.is_empty() {
            return Ok(Self::default());
        }
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
        let known = nearest(itself)?.into_iter().zip(&of_sample);
        let known = known
            .filter(|&(_, &label)| sizes[label] > 1)
            .filter_map(|(distance, _)| distance);
        let unknown = nearest(its_class)?.into_iter().zip(&of_sample);
        let unknown = unknown
            .filter(|&(_, &label)| sizes[label] > 1)
            .filter_map(|(distance, _)| distance);
        Ok(Self {
            known: ascending(known.collect()),
            unknown: ascending(unknown.collect()),
        })
    }

    /// The threshold for a wanted precision; none if nothing can be said, for want of classes or because no distance tells them
    /// apart well enough.
    pub(crate) fn threshold(&self, precision: f64) -> Result<Option<Threshold>, GalleryError> {
        if self.known.is_empty() || self.unknown.is_empty() {
            return Ok(None);
        }
        let pairs = Pairs::new(self.known.clone(), self.unknown.clone())?;
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
        let measured = Calibration::measure(rows, &[0, 0, 1, 1, 2]).unwrap();
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
        };
        // Up to 1005 at least 95 of 100 accepted would be known; beyond 100 none of them is.
        let threshold = measured.threshold(0.95).unwrap().unwrap();
        assert_eq!((threshold.threshold, threshold.recall), (100.0, 1.0));
    }

    #[test]
    fn one_class_cannot_say_what_is_unknown() {
        let rows = Rows::new(&[0.0, 1.0], 1).unwrap();
        let measured = Calibration::measure(rows, &[0, 0]).unwrap();
        assert_eq!(measured.unknown, [0.0; 0]);
        assert_eq!(measured.threshold(0.9).unwrap(), None);
    }
}
