//! Which images enter a batch: plans, the cluster index and the neighbourhood sampler.

mod batch;
mod class_clusters;
mod classes;
mod cluster_count;
mod error;
mod index;
mod index_config;
mod kmeans;
mod losses;
mod matching;
mod neighbours;
mod plan;
mod random;
mod refresh;
mod seeds;
#[cfg(test)]
mod testing;

pub use batch::{Batch, BatchNotes, Neighbourhood};
pub use classes::Classes;
pub use error::SamplingError;
pub use index::Index;
pub use index_config::{Auto, ClusterCount, Criterion, IndexConfig, RefreshStart};
pub use lodestone_distances::Rows;
pub use losses::LossCache;
pub use plan::{
    Clusters, Epoch, NeighbourhoodConfig, PerClassConfig, Plan, PlanConfig, ShuffledConfig,
    SmallGroups,
};
pub use refresh::RefreshReport;
pub use seeds::probabilities;
