//! Cluster centres of each class, found class by class, so that a new class leaves the others as they are.

use std::collections::BTreeSet;

use lodestone_eval::{KMeansConfig, Rows, Search};

use crate::GalleryError;
use crate::settings::Settings;

/// Centres and what they were computed from.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Centres {
    /// `[centres, dim]`, class by class.
    pub(crate) values: Vec<f32>,
    /// Class of each centre.
    pub(crate) labels: Vec<usize>,
    /// `1/(n - 1) Σ ‖row - centre of its cluster‖²`; 0 where every row is a centre.
    pub(crate) variance: f64,
}

/// Starts of K-means, of which the best is kept.
const RESTARTS: usize = 3;

impl Centres {
    pub(crate) fn rows(&self, dim: usize) -> Rows<'_> {
        Rows::new(&self.values, dim).expect("centres are whole rows")
    }

    /// New centres for the classes `touched`, the old ones for the others, and the variance around them all.
    pub(crate) fn renewed(
        self,
        rows: Rows,
        labels: &[usize],
        touched: &BTreeSet<usize>,
        settings: &Settings,
    ) -> Result<Self, GalleryError> {
        let dim = rows.dim();
        let classes = labels.iter().max().map_or(0, |most| most + 1);
        let mut renewed = Self::default();
        for class in 0..classes {
            let found = match touched.contains(&class) {
                true => of_class(rows, labels, class, settings)?,
                false => self.of(class, dim),
            };
            renewed.labels.extend(vec![class; found.len() / dim]);
            renewed.values.extend(found);
        }
        renewed.variance = renewed.variance_of(rows, labels)?;
        Ok(renewed)
    }

    fn of(&self, class: usize, dim: usize) -> Vec<f32> {
        let own = self.labels.iter().zip(self.values.chunks_exact(dim));
        own.filter(|&(&label, _)| label == class)
            .flat_map(|(_, values)| values)
            .copied()
            .collect()
    }

    /// Each row to the nearest centre of its own class.
    fn variance_of(&self, rows: Rows, labels: &[usize]) -> Result<f64, GalleryError> {
        if rows.is_empty() {
            return Ok(0.0);
        }
        let dim = rows.dim();
        let mut total = 0.0;
        let mut by_class: Vec<Vec<f32>> = vec![Vec::new(); self.labels.last().map_or(0, |l| l + 1)];
        for (&label, row) in labels.iter().zip(rows.iter()) {
            by_class[label].extend(row);
        }
        for (class, values) in by_class.iter().enumerate() {
            if values.is_empty() {
                continue;
            }
            let (members, centres) = (whole(values, dim), self.of(class, dim));
            let nearest = Search::between(members, whole(&centres, dim))?.nearest(1)?;
            total += nearest
                .iter()
                .flatten()
                .map(|neighbour| neighbour.squared_distance)
                .sum::<f64>();
        }
        Ok(total / rows.len().saturating_sub(1).max(1) as f64)
    }
}

/// Means of the K-means clusters of one class.
fn of_class(
    rows: Rows,
    labels: &[usize],
    class: usize,
    settings: &Settings,
) -> Result<Vec<f32>, GalleryError> {
    let dim = rows.dim();
    let members = labels.iter().zip(rows.iter());
    let values: Vec<f32> = members
        .filter(|&(&label, _)| label == class)
        .flat_map(|(_, row)| row)
        .copied()
        .collect();
    if values.is_empty() {
        return Ok(Vec::new());
    }
    let members = whole(&values, dim);
    let config = KMeansConfig {
        restarts: RESTARTS,
        ..KMeansConfig::new(
            settings.clusters_per_class.clamp(1, members.len()),
            settings.seed,
        )
    };
    let clusters = Search::leave_one_out(members)?.k_means(&config)?.clusters;
    let count = clusters.iter().max().map_or(0, |most| most + 1);
    let (mut sums, mut sizes) = (vec![0.0_f64; count * dim], vec![0_usize; count]);
    for (&cluster, row) in clusters.iter().zip(members.iter()) {
        sizes[cluster] += 1;
        for (sum, &x) in sums[cluster * dim..].iter_mut().zip(row) {
            *sum += f64::from(x);
        }
    }
    let means = sums.chunks_exact(dim).zip(sizes);
    Ok(means
        .filter(|&(_, size)| size > 0)
        .flat_map(|(sum, size)| sum.iter().map(move |x| (x / size as f64) as f32))
        .collect())
}

fn whole(values: &[f32], dim: usize) -> Rows<'_> {
    Rows::new(values, dim).expect("rows are gathered whole")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn centres_are_means_and_the_variance_is_around_them() {
        // Class 0 has the modes {0, 2} and {10, 12}, class 1 is one point.
        let rows = Rows::new(&[0.0, 2.0, 10.0, 12.0, 50.0], 1).unwrap();
        let settings = Settings {
            clusters_per_class: 2,
            ..Settings::default()
        };
        let touched = BTreeSet::from([0, 1]);
        let labels = [0, 0, 0, 0, 1];
        let centres = Centres::default()
            .renewed(rows, &labels, &touched, &settings)
            .unwrap();
        let mut of_first = centres.of(0, 1);
        of_first.sort_by(f32::total_cmp);
        assert_eq!((of_first, centres.of(1, 1)), (vec![1.0, 11.0], vec![50.0]));
        // Four rows are 1 from their centres, and n - 1 is 4.
        assert_eq!(centres.variance, 1.0);
    }
}
