//! Which images enter a batch: plans, the cluster index and the neighbourhood sampler.

mod batch;
mod class_clusters;
mod classes;
mod cluster_count;
mod cluster_sums;
mod drift;
mod error;
mod fused;
mod imposters;
mod index;
mod index_config;
mod kmeans;
mod losses;
mod mapped;
mod matching;
mod modes;
mod neighbours;
mod plan;
mod random;
mod receipts;
mod refresh;
mod refresh_policy;
mod seeds;
#[cfg(test)]
mod testing;

pub use batch::{Batch, BatchNotes, Neighbourhood};
pub use classes::Classes;
pub use drift::Probe;
pub use error::SamplingError;
pub use fused::FusedEmbeddings;
pub use index::Index;
pub use index_config::{Auto, ClusterCount, Criterion, IndexConfig, RefreshStart};
pub use lodestone_distances::Rows;
pub use losses::LossCache;
pub use mapped::{MappedError, MappedRows};
pub use modes::Mode;
pub use plan::{
    BalancedConfig, Clusters, Epoch, Estimator, HardClassesConfig, NeighbourhoodConfig,
    PerClassConfig, Plan, PlanConfig, ShuffledConfig, SmallGroups, WeightedConfig,
};
pub use receipts::{ClassReceipt, ClusterReceipt, EpochReceipt, Receipts, RowReceipt};
pub use refresh::RefreshReport;
pub use refresh_policy::{Decision, RefreshPolicy};
pub use seeds::probabilities;
