//! Which images enter a batch: plans, the cluster index and the neighbourhood sampler.

mod batch;
mod classes;
mod error;
mod index;
mod kmeans;
mod losses;
mod neighbours;
mod plan;
mod random;
mod seeds;
#[cfg(test)]
mod testing;

pub use batch::{Batch, BatchNotes, Neighbourhood};
pub use classes::Classes;
pub use error::SamplingError;
pub use index::{Index, IndexConfig};
pub use lodestone_distances::Rows;
pub use losses::LossCache;
pub use plan::{
    Clusters, Epoch, NeighbourhoodConfig, PerClassConfig, Plan, PlanConfig, ShuffledConfig,
    SmallGroups,
};
pub use seeds::probabilities;
