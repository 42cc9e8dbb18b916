//! Small made-up data for the tests of this crate.

use lodestone_distances::Rows;
use rand::RngExt;

use crate::random::{Purpose, stream};
use crate::{Classes, Index, IndexConfig};

/// Rows `0..classes * per_class` in the plane, row `i` of class `i % classes`, scattered without structure.
pub(crate) fn scattered(classes: usize, per_class: usize, seed: u64) -> (Vec<f32>, Classes) {
    let rows = classes * per_class;
    let labels: Vec<usize> = (0..rows).map(|row| row % classes).collect();
    let mut random = stream(seed, Purpose::Batch, 0, 0);
    let values = (0..rows * 2)
        .map(|_| random.random_range(-1.0..1.0))
        .collect();
    (values, Classes::new(&labels).unwrap())
}

/// An index of scattered rows.
pub(crate) fn grid_index(classes: usize, per_class: usize, clusters_per_class: usize) -> Index {
    let (values, classes) = scattered(classes, per_class, 1);
    let config = IndexConfig {
        clusters_per_class: clusters_per_class.into(),
        ..IndexConfig::default()
    };
    Index::build(Rows::new(&values, 2).unwrap(), &classes, &config, 3).unwrap()
}

/// An index on a line with one cluster for each listed `(class, members)`, at positions 0, 100, 200, …. Clusters are numbered by
/// class and from left to right, rows from left to right. All classes have the same number of clusters.
pub(crate) fn line_index(clusters: &[(usize, usize)]) -> (Index, Classes) {
    let mut labels = Vec::new();
    let mut values = Vec::new();
    let mut per_class = vec![0; clusters.iter().map(|&(class, _)| class + 1).max().unwrap()];
    for (position, &(class, members)) in clusters.iter().enumerate() {
        per_class[class] += 1;
        for member in 0..members {
            labels.push(class);
            values.push(position as f32 * 100.0 + member as f32 / members as f32);
        }
    }
    let classes = Classes::new(&labels).unwrap();
    let config = IndexConfig {
        clusters_per_class: per_class[0].into(),
        restarts: 20,
        ..IndexConfig::default()
    };
    assert!(per_class.iter().all(|&count| count == per_class[0]));
    let index = Index::build(Rows::new(&values, 1).unwrap(), &classes, &config, 0).unwrap();
    // K-means numbers the clusters of a class in the order it found them; the tests want them from left to right.
    let mut record = index.record.clone();
    let place = |cluster: usize| (index.class_of(cluster), index.centres().row(cluster)[0]);
    let mut order: Vec<usize> = (0..index.len()).collect();
    order.sort_by(|&a, &b| place(a).partial_cmp(&place(b)).unwrap());
    for (new, &old) in order.iter().enumerate() {
        record.centres[new] = index.centres().row(old)[0];
        record.inertia[new] = index.record.inertia[old];
        for &row in index.members(old) {
            record.assignment[row] = new;
        }
    }
    let index = Index::try_from(record).unwrap();
    let mut expected = clusters.to_vec();
    expected.sort_by_key(|&(class, _)| class);
    for (cluster, &(class, members)) in expected.iter().enumerate() {
        let found = (index.class_of(cluster), index.members(cluster).len());
        assert_eq!(found, (class, members));
    }
    (index, classes)
}
