//! What a cluster looks like: the rows nearest to its centre.

use lodestone_distances::{Rows, squared_distance};
use rayon::prelude::*;

use crate::index::check_shape;
use crate::neighbours::from_near_to_far;
use crate::{Index, SamplingError};

/// A cluster in the words of a table: whose it is, how large, how tight, and which rows show it best.
#[derive(Debug, Clone, PartialEq)]
pub struct Mode {
    /// Number of the cluster.
    pub cluster: usize,
    /// Its class.
    pub class: usize,
    /// Number of its members.
    pub size: usize,
    /// Root of the mean squared distance of its members to the centre.
    pub radius: f64,
    /// The members nearest to the centre, nearest first; ties by row.
    pub exemplars: Vec<usize>,
    /// The cluster of another class whose centre is nearest: what this mode is most easily taken for. Absent if there is one class.
    pub nearest_imposter: Option<Imposter>,
}

/// A cluster of another class, seen from a mode.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Imposter {
    /// Number of the cluster.
    pub cluster: usize,
    /// Its class.
    pub class: usize,
    /// Distance of the two centres.
    pub distance: f64,
}

impl Index {
    /// Describes every cluster with up to `count` exemplars. `embeddings` are those the index was made from.
    ///
    /// # Errors
    /// If the embeddings are not of the index's rows and dimensions.
    pub fn modes(&self, embeddings: Rows, count: usize) -> Result<Vec<Mode>, SamplingError> {
        check_shape(embeddings, self.rows(), self.dim())?;
        let centres = self.centres();
        let describe = |cluster: usize| {
            let members = self.members(cluster);
            let distance = |row: usize| squared_distance(embeddings.row(row), centres.row(cluster));
            let keyed = from_near_to_far(members.iter().map(|&row| (distance(row), row)));
            let inertia: f64 = keyed.iter().map(|&(distance, _)| f64::from(distance)).sum();
            Mode {
                cluster,
                class: self.class_of(cluster),
                size: members.len(),
                radius: (inertia / members.len() as f64).sqrt(),
                exemplars: keyed.into_iter().take(count).map(|(_, row)| row).collect(),
                nearest_imposter: self.imposters(cluster, 1, |_| true).first().map(|&other| {
                    let squared = squared_distance(centres.row(cluster), centres.row(other));
                    Imposter {
                        cluster: other,
                        class: self.class_of(other),
                        distance: f64::from(squared).sqrt(),
                    }
                }),
            }
        };
        Ok((0..self.len()).into_par_iter().map(describe).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Classes, IndexConfig};

    #[test]
    fn exemplars_are_the_members_nearest_to_the_centre() {
        // Class 0 has its mean at 3: distances 3, 1, 0, 1, 3 for 0, 2, 3, 4, 6.
        let values = [0.0, 2.0, 3.0, 4.0, 6.0, 50.0];
        let classes = Classes::new(&[0, 0, 0, 0, 0, 1]).unwrap();
        let config = IndexConfig {
            clusters_per_class: 1.into(),
            ..IndexConfig::default()
        };
        let embeddings = Rows::new(&values, 1).unwrap();
        let index = Index::build(embeddings, &classes, &config, 0).unwrap();
        let modes = index.modes(embeddings, 3).unwrap();
        assert_eq!(modes[0].exemplars, [2, 1, 3]);
        assert_eq!((modes[0].size, modes[0].radius), (5, 2.0));
        let imposter = Imposter {
            cluster: 1,
            class: 1,
            distance: 47.0,
        };
        assert_eq!(modes[0].nearest_imposter, Some(imposter));
        assert_eq!(
            (modes[1].class, modes[1].exemplars.as_slice()),
            (1, &[5][..])
        );
    }
}
