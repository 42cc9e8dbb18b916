//! For each cluster, its nearest clusters of other classes: drawing a neighbourhood then reads a list instead of measuring
//! thousands of distances.

use lodestone_distances::{Rows, squared_distance, squared_distances, squared_norms};
use rayon::prelude::*;

/// Neighbours kept for each cluster. Neighbourhoods hold a dozen clusters; the rest is room for clusters that are too small
/// to be drawn. With 8000 clusters the table takes 4 MB instead of 512.
const KEPT: usize = 64;
/// Clusters in one tile: its distances to 8000 others fill 2 MB.
const TILE: usize = 64;

/// The nearest clusters of other classes, from near to far.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NeighbourTable {
    lists: Vec<Vec<usize>>,
    /// Whether a list holds all clusters of other classes.
    complete: Vec<bool>,
}

impl NeighbourTable {
    /// Measures all pairs of `centres`, whose `classes` ascend, in tiles. Candidates are found by the fast expansion and then put in order by exact
    /// distances, ties by cluster number.
    pub(crate) fn build(centres: Rows, classes: &[usize]) -> Self {
        let centred = centre(centres);
        let centred = Rows::new(&centred, centres.dim()).expect("whole rows");
        let norms = squared_norms(centred);
        let starts: Vec<usize> = (0..centres.len()).step_by(TILE).collect();
        let lists = starts.into_par_iter().flat_map_iter(|start| {
            let end = (start + TILE).min(centred.len());
            let mut tile = vec![0.0; (end - start) * centred.len()];
            squared_distances(centred.slice(start..end), centred, &norms, &mut tile);
            (start..end)
                .zip(tile.chunks_exact(centred.len()))
                .map(|(cluster, distances)| nearest(cluster, distances, centres, classes))
                .collect::<Vec<_>>()
        });
        let lists: Vec<Vec<usize>> = lists.collect();
        let mut own = vec![0; classes.last().map_or(0, |last| last + 1)];
        classes.iter().for_each(|&class| own[class] += 1);
        let complete = lists
            .iter()
            .zip(classes)
            .map(|(list, &class)| list.len() == classes.len() - own[class]);
        Self {
            complete: complete.collect(),
            lists,
        }
    }

    /// Whether [`of`](Self::of) holds all clusters of other classes.
    pub(crate) fn is_complete(&self, cluster: usize) -> bool {
        self.complete[cluster]
    }

    /// The lists as numbers, each after its length.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.lists.iter().flat_map(|list| {
            std::iter::once(list.len() as u64).chain(list.iter().map(|&cluster| cluster as u64))
        })
    }

    /// The neighbours of `cluster`: all clusters of other classes, or the nearest of them.
    pub(crate) fn of(&self, cluster: usize) -> &[usize] {
        &self.lists[cluster]
    }
}

fn nearest(cluster: usize, distances: &[f32], centres: Rows, classes: &[usize]) -> Vec<usize> {
    let mut others: Vec<usize> = (0..classes.len())
        .filter(|&other| classes[other] != classes[cluster])
        .collect();
    if others.len() > KEPT {
        let by_distance =
            |a: &usize, b: &usize| distances[*a].total_cmp(&distances[*b]).then(a.cmp(b));
        others.select_nth_unstable_by(KEPT - 1, by_distance);
        others.truncate(KEPT);
    }
    let exact = |other: usize| squared_distance(centres.row(cluster), centres.row(other));
    let keyed = from_near_to_far(others.into_iter().map(|other| (exact(other), other)));
    keyed.into_iter().map(|(_, other)| other).collect()
}

/// In the order of the distances; ties by number.
pub(crate) fn from_near_to_far(keyed: impl Iterator<Item = (f32, usize)>) -> Vec<(f32, usize)> {
    let mut keyed: Vec<_> = keyed.collect();
    keyed.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    keyed
}

/// The rows with their mean moved to the origin.
fn centre(rows: Rows) -> Vec<f32> {
    let mut mean = vec![0.0_f64; rows.dim()];
    for row in rows.iter() {
        for (mean, &value) in mean.iter_mut().zip(row) {
            *mean += f64::from(value) / rows.len() as f64;
        }
    }
    rows.iter()
        .flat_map(|row| row.iter().zip(&mean).map(|(v, m)| v - *m as f32))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_cut_to_the_nearest() {
        // Class 0 at 0, 1, …, 299 on a line, class 1 at 0.25, 1.25, …: nearest to 150 are 150.25, 149.25, 151.25, …
        let values: Vec<f32> = (0..600)
            .map(|i| (i % 300) as f32 + (i / 300) as f32 * 0.25)
            .collect();
        let classes: Vec<usize> = (0..600).map(|i| i / 300).collect();
        let table = NeighbourTable::build(Rows::new(&values, 1).unwrap(), &classes);
        assert_eq!(table.of(150).len(), KEPT);
        assert!(!table.is_complete(150));
        assert_eq!(table.of(150)[..4], [450, 449, 451, 448]);
        assert_eq!(table.of(300)[..3], [0, 1, 2]);
        assert_eq!(table.of(599)[KEPT - 1], 299 - (KEPT - 1));
    }
}
