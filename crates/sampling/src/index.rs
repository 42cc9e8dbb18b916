//! The cluster index: each class's modes in the space of the embeddings, by K-means within the class.
//!
//! The magnet loss draws its batches from it, and the kNC rule reads its centres at test time.

use lodestone_distances::Rows;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::class_clusters::{ClassClusters, ClassPoints, Joined, Stream};
use crate::classes::fingerprint;
use crate::neighbours::NeighbourTable;
use crate::{Classes, ClusterCount, IndexConfig, SamplingError};

/// Clusters of the training rows, at least one for each class.
///
/// Clusters are numbered by class: those of class 0 come first. Every cluster has members, its centre is their mean, and all
/// centres are finite. Serialises as what cannot be derived; member lists and the neighbour table are made again on reading.
///
/// # Example
/// ```
/// use lodestone_distances::Rows;
/// use lodestone_sampling::{Classes, Index, IndexConfig};
///
/// // Class 0 has two modes, near 0 and near 10; class 1 has one row.
/// let embeddings = [0.0, 1.0, 10.0, 11.0, 5.0];
/// let classes = Classes::new(&[0, 0, 0, 0, 1])?;
/// let config = IndexConfig { clusters_per_class: 2.into(), ..IndexConfig::default() };
/// let index = Index::build(Rows::new(&embeddings, 1)?, &classes, &config, 7)?;
/// assert_eq!(index.len(), 3);
/// assert_eq!(index.cluster_of(2), index.cluster_of(3));
/// assert_eq!(index.centres().row(index.cluster_of(3)), [10.5]);
/// assert_eq!(index.class_of(2), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Record", into = "Record")]
pub struct Index {
    pub(crate) record: Record,
    members: Vec<Vec<usize>>,
    pub(crate) neighbours: NeighbourTable,
    identity: u64,
}

/// What an index is, without what follows from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) config: IndexConfig,
    pub(crate) seed: u64,
    /// How often the index was refreshed since it was built.
    pub(crate) generation: u64,
    /// Of the [`Classes`] it was built for.
    pub(crate) fingerprint: u64,
    pub(crate) dim: usize,
    /// What was asked for each class.
    pub(crate) counts: Vec<ClusterCount>,
    pub(crate) centres: Vec<f32>,
    /// Class of each cluster, ascending.
    pub(crate) classes: Vec<usize>,
    /// Cluster of each row.
    pub(crate) assignment: Vec<usize>,
    /// Sum of squared distances of each cluster's members to its centre.
    pub(crate) inertia: Vec<f64>,
}

impl Index {
    /// Clusters `embeddings`, row `i` of which belongs to row `i` of `classes`.
    ///
    /// The embeddings must come from the evaluation view of the training rows (no augmentation, running statistics), or two
    /// builds would differ. Classes are clustered in parallel; a thread copies the rows of one class at a time.
    ///
    /// # Errors
    /// If the settings are impossible, the row counts differ, or an embedding is not finite.
    pub fn build(
        embeddings: Rows,
        classes: &Classes,
        config: &IndexConfig,
        seed: u64,
    ) -> Result<Self, SamplingError> {
        let counts = config.counts(classes)?;
        check_embeddings(embeddings, classes.rows())?;
        let found: Vec<ClassClusters> = (0..classes.len())
            .into_par_iter()
            .map(|class| {
                let points = ClassPoints::gather(embeddings, classes.members(class));
                points.cluster(
                    config,
                    counts[class],
                    Stream {
                        seed,
                        generation: 0,
                        class,
                    },
                )
            })
            .collect();
        let joined = Joined::new(found, classes.labels());
        Ok(Self::from_record(Record {
            config: config.clone(),
            seed,
            generation: 0,
            fingerprint: classes.fingerprint(),
            dim: embeddings.dim(),
            counts,
            centres: joined.centres,
            classes: joined.classes,
            assignment: joined.assignment,
            inertia: joined.inertia,
        }))
    }

    /// Number of clusters.
    #[allow(
        clippy::len_without_is_empty,
        reason = "there is always at least one cluster"
    )]
    pub fn len(&self) -> usize {
        self.record.classes.len()
    }

    /// Number of training rows.
    pub fn rows(&self) -> usize {
        self.record.assignment.len()
    }

    /// Centres of all clusters, `[clusters, dim]`, in the space of the embeddings.
    pub fn centres(&self) -> Rows<'_> {
        Rows::new(&self.record.centres, self.record.dim).expect("centres are whole rows")
    }

    /// Class of each cluster, `[clusters]`, ascending.
    pub fn cluster_classes(&self) -> &[usize] {
        &self.record.classes
    }

    /// Class of `cluster`.
    ///
    /// # Panics
    /// If there is no such cluster; so for the other functions of a cluster.
    pub fn class_of(&self, cluster: usize) -> usize {
        self.record.classes[cluster]
    }

    /// Rows of `cluster`, ascending; never empty.
    pub fn members(&self, cluster: usize) -> &[usize] {
        &self.members[cluster]
    }

    /// Cluster of a training row.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn cluster_of(&self, row: usize) -> usize {
        self.record.assignment[row]
    }

    /// Cluster of each training row, `[rows]`.
    pub fn assignment(&self) -> &[usize] {
        &self.record.assignment
    }

    /// `Σ ‖r - μ(r)‖²` over all training rows, in squared units of the embedding.
    pub fn inertia(&self) -> f64 {
        self.record.inertia.iter().sum()
    }

    /// `1/(N-1) Σ ‖r - μ(r)‖²`: the paper's σ² over the whole training set, summed over dimensions.
    pub fn variance(&self) -> f64 {
        self.inertia() / self.rows().saturating_sub(1).max(1) as f64
    }

    /// How often the index was refreshed since it was built.
    pub fn generation(&self) -> u64 {
        self.record.generation
    }

    /// Length of an embedding.
    pub fn dim(&self) -> usize {
        self.record.dim
    }

    /// How the clusters are found.
    pub fn config(&self) -> &IndexConfig {
        &self.record.config
    }

    /// Refuses an index that was built for other labels.
    ///
    /// # Errors
    /// [`SamplingError::OtherDataSet`] with both fingerprints.
    pub fn check(&self, classes: &Classes) -> Result<(), SamplingError> {
        self.check_fingerprint(classes.fingerprint())
    }

    /// The same against a fingerprint that is known already.
    pub(crate) fn check_fingerprint(&self, expected: u64) -> Result<(), SamplingError> {
        let found = self.record.fingerprint;
        if found != expected {
            return Err(SamplingError::OtherDataSet {
                part: "the cluster index",
                found,
                expected,
            });
        }
        Ok(())
    }

    /// Seed of the draws that made it.
    pub fn seed(&self) -> u64 {
        self.record.seed
    }

    /// Tells this assignment of rows to clusters, with who is near whom, from any other: a loss cache knows by it when its means
    /// are stale, receipts when their neighbourhoods are.
    pub(crate) fn identity(&self) -> u64 {
        self.identity
    }

    pub(crate) fn from_record(record: Record) -> Self {
        let mut members = vec![Vec::new(); record.classes.len()];
        for (row, &cluster) in record.assignment.iter().enumerate() {
            members[cluster].push(row);
        }
        let centres = Rows::new(&record.centres, record.dim).expect("centres are whole rows");
        let neighbours = NeighbourTable::build(centres, &record.classes);
        let assignment = record.assignment.iter().map(|&cluster| cluster as u64);
        let identity = fingerprint(assignment.chain(neighbours.numbers()));
        Self {
            record,
            members,
            neighbours,
            identity,
        }
    }
}

impl From<Index> for Record {
    fn from(index: Index) -> Self {
        index.record
    }
}

impl TryFrom<Record> for Index {
    type Error = String;

    fn try_from(record: Record) -> Result<Self, String> {
        let clusters = record.classes.len();
        let sizes = [record.centres.len(), record.inertia.len() * record.dim];
        if record.dim == 0 || sizes != [clusters * record.dim; 2] {
            return Err(format!(
                "{} values of centres and {} inertias for {clusters} clusters of {} dimensions",
                record.centres.len(),
                record.inertia.len(),
                record.dim
            ));
        }
        let mut empty = vec![true; clusters];
        for (row, &cluster) in record.assignment.iter().enumerate() {
            match empty.get_mut(cluster) {
                Some(empty) => *empty = false,
                None => return Err(format!("row {row} is in cluster {cluster} of {clusters}")),
            }
        }
        if let Some(cluster) = empty.iter().position(|&empty| empty) {
            return Err(format!("cluster {cluster} has no members"));
        }
        if let Some(value) = record.centres.iter().position(|value| !value.is_finite()) {
            return Err(format!("centre {} is not finite", value / record.dim));
        }
        let asked = record.counts.len();
        if !record.classes.is_sorted() || record.classes.last().is_some_and(|&last| last >= asked) {
            let classes = &record.classes;
            return Err(format!(
                "clusters of classes {classes:?}; they must ascend and be below {asked}"
            ));
        }
        Ok(Self::from_record(record))
    }
}

/// Refuses another number of rows, and embeddings of another length.
pub(crate) fn check_shape(embeddings: Rows, rows: usize, dim: usize) -> Result<(), SamplingError> {
    check_rows(embeddings, rows)?;
    if embeddings.dim() != dim {
        let (given, index) = (embeddings.dim(), dim);
        return Err(SamplingError::Dimension { given, index });
    }
    Ok(())
}

/// Refuses embeddings of these training rows that are not as many, of another length, or not finite.
pub(crate) fn check_batch(
    embeddings: Rows,
    rows: &[usize],
    dim: usize,
) -> Result<(), SamplingError> {
    check_shape(embeddings, rows.len(), dim)?;
    check_embeddings(embeddings, rows.len()).map_err(|mut error| {
        if let SamplingError::EmbeddingNotFinite { row, .. } = &mut error {
            *row = rows[*row];
        }
        error
    })
}

fn check_rows(embeddings: Rows, rows: usize) -> Result<(), SamplingError> {
    if embeddings.len() != rows {
        let embeddings = embeddings.len();
        return Err(SamplingError::RowCount { embeddings, rows });
    }
    Ok(())
}

/// Names the first row that holds NaN or an infinity, and refuses another number of rows.
pub(crate) fn check_embeddings(embeddings: Rows, rows: usize) -> Result<(), SamplingError> {
    check_rows(embeddings, rows)?;
    let bad = |value: &f32| !value.is_finite();
    // A whole row is looked at without branches, which is many times faster than stopping at its first bad value.
    let any_bad = |row: &[f32]| row.iter().fold(false, |any, value| any | bad(value));
    let rows = embeddings.values().par_chunks_exact(embeddings.dim());
    let Some(row) = rows.position_first(any_bad) else {
        return Ok(());
    };
    let values = embeddings.row(row);
    let dimension = values
        .iter()
        .position(bad)
        .expect("the row was found by it");
    Err(SamplingError::EmbeddingNotFinite {
        row,
        dimension,
        value: values[dimension],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::grid_index;

    #[test]
    fn a_nan_embedding_is_an_error_that_names_the_row() {
        let values = [0.0, 1.0, 2.0, f32::NAN, 4.0, 5.0];
        let classes = Classes::new(&[0, 0, 1]).unwrap();
        let embeddings = Rows::new(&values, 2).unwrap();
        let error = Index::build(embeddings, &classes, &IndexConfig::default(), 0).unwrap_err();
        assert_eq!(
            error.to_string(),
            "embedding of row 1 holds NaN at dimension 1; the model has diverged"
        );
    }

    #[test]
    fn rows_and_labels_must_agree() {
        let classes = Classes::new(&[0, 1, 0]).unwrap();
        let embeddings = Rows::new(&[0.0, 1.0], 1).unwrap();
        let error = Index::build(embeddings, &classes, &IndexConfig::default(), 0).unwrap_err();
        assert_eq!(
            error,
            SamplingError::RowCount {
                embeddings: 2,
                rows: 3
            }
        );
    }

    #[test]
    fn clusters_are_within_one_class_and_cover_every_row_once() {
        let index = grid_index(4, 30, 3);
        let mut seen = vec![0; index.rows()];
        for cluster in 0..index.len() {
            for &row in index.members(cluster) {
                seen[row] += 1;
                assert_eq!(row % 4, index.class_of(cluster));
            }
        }
        assert_eq!(seen, vec![1; 120]);
        assert!(index.cluster_classes().is_sorted());
    }

    #[test]
    fn an_index_survives_serialisation_and_a_broken_one_is_refused() {
        let index = grid_index(3, 20, 2);
        let text = serde_json::to_string(&index).unwrap();
        assert_eq!(serde_json::from_str::<Index>(&text).unwrap(), index);
        let mut record = index.record.clone();
        record.assignment[4] = 99;
        let broken = serde_json::to_string(&record).unwrap();
        let error = serde_json::from_str::<Index>(&broken).unwrap_err();
        assert!(
            error.to_string().contains("row 4 is in cluster 99 of 6"),
            "{error}"
        );
    }

    #[test]
    fn another_data_set_is_told_by_its_fingerprint() {
        let index = grid_index(2, 5, 1);
        let other = Classes::new(&[0, 1, 1]).unwrap();
        assert!(matches!(
            index.check(&other),
            Err(SamplingError::OtherDataSet { .. })
        ));
    }
}
