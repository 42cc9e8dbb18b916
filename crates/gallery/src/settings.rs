//! What a gallery is made with.

use serde::{Deserialize, Serialize};

/// How neighbours are found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// By all distances.
    #[default]
    Exact,
    /// By a graph (HNSW) that may miss some; what it finds is ranked by exact distances.
    Graph,
}

/// What a gallery is made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// How neighbours are found.
    pub kind: Kind,
    /// Cluster centres of each class that vote for a query's class; a class with fewer rows has as many as rows.
    pub clusters_per_class: usize,
    /// Seed of K-means.
    pub seed: u64,
    /// What made the embeddings, such as the checksum of a model file; a search can compare it with its own.
    pub model: Option<String>,
}

impl Default for Settings {
    /// Exact, with three centres a class.
    fn default() -> Self {
        Self {
            kind: Kind::Exact,
            clusters_per_class: 3,
            seed: 0,
            model: None,
        }
    }
}
