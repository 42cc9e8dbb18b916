//! Making the index anew while training moves the embeddings: clusters follow their points and keep their numbers.

use std::ops::Range;

use lodestone_distances::{Rows, squared_distance};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::class_clusters::{ClassClusters, ClassPoints, Joined, Stream};
use crate::index::{Record, check_embeddings, check_shape};
use crate::matching::match_centres;
use crate::{ClusterCount, Index, RefreshStart, SamplingError};

/// What a refresh did. Its duration is for the caller to measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RefreshReport {
    /// Number of the refresh, from 1.
    pub generation: u64,
    /// Training rows.
    pub rows: usize,
    /// Rows that are in another cluster than before.
    pub moved: usize,
    /// `Σ ‖r - μ(r)‖²` of the new embeddings to the old centres of their old clusters: how stale the index had become.
    pub stale_inertia: f64,
    /// `Σ ‖r - μ(r)‖²` after the refresh.
    pub inertia: f64,
    /// Empty clusters that were opened again at the farthest point of their class.
    pub repaired: usize,
    /// How many clusters fewer there are than before: a class that has fewer distinct points than clusters loses some.
    pub dropped: usize,
    /// Assignment passes of the class that took longest.
    pub iterations: usize,
    /// Whether each cluster number means the same cluster as before; false when the number of clusters of a class changed.
    pub ids_kept: bool,
}

impl Index {
    /// Clusters new embeddings of the same rows, and replaces the index as a whole: centres and members change together.
    ///
    /// A warm start runs Lloyd's iterations from the old clusters, from the means of their members as they are embedded now, so
    /// that clusters follow their points wherever these went; the old centres themselves may lie where the network puts nothing
    /// of the class any more, and whichever is nearest would take all of it. Clusters that a class lost in a collapse are drawn
    /// anew. A cold start begins from scratch and gives each new cluster the number of the old one it matches best; where the
    /// number of clusters is `auto` it is found anew, which always starts cold. A [`LossCache`](crate::LossCache) needs no care:
    /// it averages under the new members by itself.
    ///
    /// # Errors
    /// If the embeddings have other rows or another length, or are not finite; the old index then stays.
    pub fn refresh(&mut self, embeddings: Rows) -> Result<RefreshReport, SamplingError> {
        check_shape(embeddings, self.rows(), self.dim())?;
        check_embeddings(embeddings, self.rows())?;
        let generation = self.generation() + 1;
        let labels: Vec<usize> = self
            .assignment()
            .iter()
            .map(|&c| self.class_of(c))
            .collect();
        let mut members = vec![Vec::new(); self.record.counts.len()];
        for (row, &label) in labels.iter().enumerate() {
            members[label].push(row);
        }
        let found: Vec<ClassClusters> = members
            .par_iter()
            .enumerate()
            .map(|(class, members)| {
                let points = ClassPoints::gather(embeddings, members);
                let clusters = self.clusters_of(class);
                let count = self.record.counts[class];
                let from = Stream {
                    seed: self.record.seed,
                    generation,
                    class,
                };
                match (self.config().refresh_start, count) {
                    (RefreshStart::Warm, ClusterCount::Fixed(count)) => {
                        let place = |&row: &usize| self.cluster_of(row) - clusters.start;
                        let old: Vec<usize> = members.iter().map(place).collect();
                        points.cluster_from(&old, clusters.len(), self.config(), count, from)
                    }
                    // How many there are is to be found anew: an untrained network shows few of the modes that a class has.
                    (RefreshStart::Warm, ClusterCount::Auto(_)) | (RefreshStart::Cold, _) => {
                        let found = points.cluster(self.config(), count, from);
                        renumber(found, self.centres().slice(clusters))
                    }
                }
            })
            .collect();
        let repaired = found
            .iter()
            .map(|ClassClusters(found)| found.repaired)
            .sum();
        let iterations = found
            .iter()
            .map(|ClassClusters(found)| found.iterations)
            .max();
        let joined = Joined::new(found, &labels);
        let next = Index::from_record(Record {
            generation,
            centres: joined.centres,
            classes: joined.classes,
            assignment: joined.assignment,
            inertia: joined.inertia,
            ..self.record.clone()
        });
        let rows = self.assignment().iter().zip(next.assignment());
        let report = RefreshReport {
            generation,
            rows: self.rows(),
            moved: rows.filter(|(old, new)| old != new).count(),
            stale_inertia: self.inertia_of(embeddings),
            inertia: next.inertia(),
            repaired,
            dropped: self.len().saturating_sub(next.len()),
            iterations: iterations.unwrap_or(0),
            ids_kept: self.cluster_classes() == next.cluster_classes(),
        };
        *self = next;
        Ok(report)
    }

    /// Numbers of the clusters of a class.
    fn clusters_of(&self, class: usize) -> Range<usize> {
        let first = self
            .cluster_classes()
            .partition_point(|&other| other < class);
        let end = self
            .cluster_classes()
            .partition_point(|&other| other <= class);
        first..end
    }

    /// `Σ ‖r - μ(r)‖²` of embeddings that the index was not made from.
    fn inertia_of(&self, embeddings: Rows) -> f64 {
        let centres = self.centres();
        let distance = |row: usize| {
            f64::from(squared_distance(
                embeddings.row(row),
                centres.row(self.cluster_of(row)),
            ))
        };
        // Blocks of fixed size are summed in order, so that the result does not depend on the number of threads.
        let starts: Vec<usize> = (0..self.rows()).step_by(1024).collect();
        let block = |&start: &usize| -> f64 {
            (start..(start + 1024).min(self.rows())).map(distance).sum()
        };
        starts
            .par_iter()
            .map(block)
            .collect::<Vec<f64>>()
            .iter()
            .sum()
    }
}

/// Gives each new cluster the place of the old one it matches; those without a match come last.
fn renumber(ClassClusters(found): ClassClusters, old: Rows) -> ClassClusters {
    let dim = old.dim();
    let centres = Rows::new(&found.centres, dim).expect("centres are whole rows");
    let matched = match_centres(old, centres);
    let mut order: Vec<usize> = (0..found.len()).collect();
    order.sort_by_key(|&cluster| (matched[cluster].unwrap_or(usize::MAX), cluster));
    let mut place = vec![0; found.len()];
    order
        .iter()
        .enumerate()
        .for_each(|(new, &cluster)| place[cluster] = new);
    let mut renumbered = found.clone();
    renumbered.centres = order
        .iter()
        .flat_map(|&cluster| centres.row(cluster).to_vec())
        .collect();
    renumbered.inertia = order
        .iter()
        .map(|&cluster| found.inertia[cluster])
        .collect();
    renumbered.assignment = found
        .assignment
        .iter()
        .map(|&cluster| place[cluster])
        .collect();
    ClassClusters(renumbered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index_config::Auto;
    use crate::testing::scattered;
    use crate::{Classes, IndexConfig};

    fn build(values: &[f32], classes: &Classes, k: usize, start: RefreshStart) -> Index {
        let config = IndexConfig {
            clusters_per_class: k.into(),
            restarts: 5,
            refresh_start: start,
            ..IndexConfig::default()
        };
        Index::build(Rows::new(values, 2).unwrap(), classes, &config, 11).unwrap()
    }

    #[test]
    fn unchanged_embeddings_change_nothing() {
        let (values, classes) = scattered(4, 50, 2);
        let index = build(&values, &classes, 3, RefreshStart::Warm);
        let mut again = index.clone();
        let report = again.refresh(Rows::new(&values, 2).unwrap()).unwrap();
        assert_eq!((report.moved, report.repaired, report.dropped), (0, 0, 0));
        assert!(report.ids_kept);
        assert_eq!(again.assignment(), index.assignment());
        assert!(
            (report.stale_inertia / report.inertia - 1.0).abs() < 1e-6,
            "{report:?}"
        );
    }

    #[test]
    fn a_warm_start_follows_moving_points_and_keeps_ids() {
        // Two modes of class 0 change places slowly; class 1 stays.
        let at = |t: f32| {
            [
                t,
                0.0,
                t + 0.1,
                0.0,
                10.0 - t,
                5.0,
                10.1 - t,
                5.0,
                50.0,
                50.0,
            ]
        };
        let classes = Classes::new(&[0, 0, 0, 0, 1]).unwrap();
        let mut index = build(&at(0.0), &classes, 2, RefreshStart::Warm);
        let before = index.assignment().to_vec();
        for t in 1..=10 {
            let report = index.refresh(Rows::new(&at(t as f32), 2).unwrap()).unwrap();
            assert_eq!((report.moved, report.generation), (0, t));
            assert!(report.stale_inertia > report.inertia);
        }
        assert_eq!(index.assignment(), before);
    }

    #[test]
    fn clusters_survive_a_move_of_their_class_that_is_longer_than_they_are_apart() {
        let classes = Classes::new(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 1]).unwrap();
        let at = |shift: f32, scale: f32| -> Vec<f32> {
            let modes = [0.0, 0.1, 0.2, 5.0, 5.1, 5.2, 10.0, 10.1, 10.2];
            let moved = modes.map(|x| [scale * x + shift, 0.0]);
            moved.into_iter().chain([[500.0, 0.0]]).flatten().collect()
        };
        let mut index = build(&at(0.0, 1.0), &classes, 3, RefreshStart::Warm);
        let before = index.assignment().to_vec();
        // From the old centres all points of the class went to one cluster.
        for (shift, scale) in [(20.0, 1.0), (-40.0, 3.0), (7.0, -1.0)] {
            let moved = at(shift, scale);
            let report = index.refresh(Rows::new(&moved, 2).unwrap()).unwrap();
            assert_eq!((report.moved, report.repaired), (0, 0), "{report:?}");
            assert_eq!(index.assignment(), before);
        }
    }

    #[test]
    fn clusters_that_were_lost_in_a_collapse_come_back_with_the_points() {
        let (values, classes) = scattered(2, 20, 1);
        let mut index = build(&values, &classes, 3, RefreshStart::Warm);
        index.refresh(Rows::new(&[0.5; 80], 2).unwrap()).unwrap();
        assert_eq!(index.len(), 2);
        let report = index.refresh(Rows::new(&values, 2).unwrap()).unwrap();
        assert_eq!(
            (index.len(), report.dropped, report.ids_kept),
            (6, 0, false)
        );
    }

    #[test]
    fn an_automatic_number_of_clusters_grows_when_modes_come_to_be_seen() {
        let classes = Classes::new(&[0; 40]).unwrap();
        let (noise, _) = scattered(1, 40, 3);
        let config = IndexConfig {
            clusters_per_class: ClusterCount::Auto(Auto::Auto),
            most_clusters: 6,
            ..IndexConfig::default()
        };
        // Before training a class may be next to one point.
        let mut index =
            Index::build(Rows::new(&[0.5; 80], 2).unwrap(), &classes, &config, 1).unwrap();
        assert_eq!(index.len(), 1);
        let modes: Vec<f32> = noise
            .chunks(2)
            .enumerate()
            .flat_map(|(row, point)| {
                let (x, y) = ((row % 2) as f32, (row / 2 % 2) as f32);
                [0.1 * point[0] + 100.0 * x, 0.1 * point[1] + 100.0 * y]
            })
            .collect();
        let report = index.refresh(Rows::new(&modes, 2).unwrap()).unwrap();
        assert_eq!((index.len(), report.ids_kept), (4, false));
    }

    #[test]
    fn a_cold_start_finds_the_old_numbers_again() {
        let (mut values, classes) = scattered(3, 60, 5);
        // Three clear modes in each class, so that every start finds them.
        for (row, value) in values.chunks_mut(2).enumerate() {
            value[0] += (row / 3 % 3) as f32 * 20.0;
        }
        let index = build(&values, &classes, 3, RefreshStart::Cold);
        let mut again = index.clone();
        let report = again.refresh(Rows::new(&values, 2).unwrap()).unwrap();
        assert_eq!((report.moved, report.ids_kept), (0, true));
        assert_eq!(again.assignment(), index.assignment());
    }

    #[test]
    fn an_emptied_cluster_is_opened_at_the_farthest_point() {
        // The two points of the mode in the middle go to either side, and lie a little beyond what is there.
        let classes = Classes::new(&[0, 0, 0, 0, 0, 0, 1]).unwrap();
        let line = |xs: [f32; 6]| -> Vec<f32> {
            let points = xs.into_iter().chain([50.0]);
            points.flat_map(|x| [x, 0.0]).collect()
        };
        let old = line([0.0, 0.1, -20.0, -20.1, 20.0, 20.1]);
        let new = line([-10.0, 9.8, -9.0, -9.5, 9.0, 9.5]);
        let mut index = build(&old, &classes, 3, RefreshStart::Warm);
        let report = index.refresh(Rows::new(&new, 2).unwrap()).unwrap();
        assert_eq!(
            (report.repaired, report.dropped, report.ids_kept),
            (1, 0, true)
        );
        assert_eq!(index.members(index.cluster_of(0)), [0]);
        assert!(
            index
                .centres()
                .values()
                .iter()
                .all(|value| value.is_finite())
        );
    }

    #[test]
    fn collapsed_embeddings_leave_one_cluster_a_class_and_no_nan() {
        let (values, classes) = scattered(2, 20, 1);
        let mut index = build(&values, &classes, 3, RefreshStart::Warm);
        let report = index.refresh(Rows::new(&[0.5; 80], 2).unwrap()).unwrap();
        assert_eq!(
            (report.dropped, report.ids_kept, index.len()),
            (4, false, 2)
        );
        assert_eq!(index.centres().values(), [0.5; 4]);
    }

    #[test]
    fn a_refused_refresh_leaves_the_old_index() {
        let (values, classes) = scattered(2, 20, 1);
        let index = build(&values, &classes, 2, RefreshStart::Warm);
        let mut again = index.clone();
        let mut broken = values.clone();
        broken[7] = f32::INFINITY;
        assert!(again.refresh(Rows::new(&broken, 2).unwrap()).is_err());
        assert!(again.refresh(Rows::new(&values, 4).unwrap()).is_err());
        let wider = vec![0.0; 120];
        let error = again.refresh(Rows::new(&wider, 3).unwrap()).unwrap_err();
        assert_eq!(error, SamplingError::Dimension { given: 3, index: 2 });
        assert_eq!(again, index);
    }
}
