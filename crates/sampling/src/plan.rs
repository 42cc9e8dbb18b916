//! The closed set of plans, behind one interface: a plan makes epochs, an epoch makes batches.

mod draws;
mod neighbourhood;
mod per_class;
mod shuffled;

use serde::{Deserialize, Serialize};

pub use draws::SmallGroups;
pub use neighbourhood::NeighbourhoodConfig;
pub use per_class::PerClassConfig;
pub use shuffled::ShuffledConfig;

use crate::{Batch, Classes, Index, LossCache, SamplingError};

/// Which plan, with its settings; in a run file `kind = "neighbourhood"` and so on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum PlanConfig {
    /// Every row once an epoch, in random order.
    Shuffled(ShuffledConfig),
    /// P classes with K images each, the usual diet of pair and triplet losses.
    PerClass(PerClassConfig),
    /// A seed cluster and its nearest imposters, as the magnet loss wants it.
    Neighbourhood(NeighbourhoodConfig),
}

impl PlanConfig {
    /// Checks the settings against the data and makes the plan.
    ///
    /// # Errors
    /// If a setting is impossible in itself or cannot be met by these classes.
    pub fn init(&self, classes: &Classes, seed: u64) -> Result<Plan, SamplingError> {
        match self {
            Self::Shuffled(config) => config.check(classes)?,
            Self::PerClass(config) => config.check(classes)?,
            Self::Neighbourhood(config) => config.check(classes)?,
        }
        Ok(Plan {
            config: self.clone(),
            classes: classes.clone(),
            seed,
        })
    }

    /// Name as in the run file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Shuffled(_) => "shuffled",
            Self::PerClass(_) => "per-class",
            Self::Neighbourhood(_) => "neighbourhood",
        }
    }

    /// Whether batches can only be drawn with a cluster index and a loss cache.
    pub fn needs_index(&self) -> bool {
        match self {
            Self::Shuffled(_) | Self::PerClass(_) => false,
            Self::Neighbourhood(_) => true,
        }
    }
}

/// What a plan by clusters looks at; read only, so that drawing a batch changes nothing.
#[derive(Debug, Clone, Copy)]
pub struct Clusters<'a> {
    /// The current cluster index.
    pub index: &'a Index,
    /// The current losses.
    pub losses: &'a LossCache,
}

/// A plan for one data set: a pure function of (labels, seed, epoch, step) and, for plans by clusters, of the index and the
/// losses of that moment. It keeps no state, so a resumed run needs to know only where it was.
///
/// # Example
/// ```
/// use lodestone_sampling::{Classes, PerClassConfig, PlanConfig};
///
/// let classes = Classes::new(&[0, 0, 0, 1, 1, 1, 2, 2, 2])?;
/// let config = PlanConfig::PerClass(PerClassConfig {
///     classes_per_batch: 2,
///     images_per_class: 3,
///     ..PerClassConfig::default()
/// });
/// let plan = config.init(&classes, 42)?;
/// let epoch = plan.epoch(0);
/// for step in 0..epoch.steps() {
///     let batch = epoch.batch(step, None)?;
///     assert_eq!(batch.rows.len(), 6);
/// }
/// # Ok::<(), lodestone_sampling::SamplingError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    config: PlanConfig,
    classes: Classes,
    seed: u64,
}

impl Plan {
    /// The settings.
    pub fn config(&self) -> &PlanConfig {
        &self.config
    }

    /// The rows it draws from.
    pub fn classes(&self) -> &Classes {
        &self.classes
    }

    /// Refuses an index and a cache that this plan cannot draw from.
    ///
    /// # Errors
    /// If either belongs to other labels, or no seed has as many clusters of other classes as are asked for.
    pub fn check(&self, clusters: Clusters) -> Result<(), SamplingError> {
        clusters.index.check(&self.classes)?;
        clusters.losses.check(&self.classes)?;
        match &self.config {
            PlanConfig::Shuffled(_) | PlanConfig::PerClass(_) => Ok(()),
            PlanConfig::Neighbourhood(config) => config.check_index(clusters.index),
        }
    }

    /// The epoch of that number, from 0. What an epoch is, each plan's settings say.
    pub fn epoch(&self, epoch: u64) -> Epoch<'_> {
        let order = match &self.config {
            PlanConfig::Shuffled(config) => {
                Order::Fixed(config.batches(&self.classes, self.seed, epoch))
            }
            PlanConfig::PerClass(config) => {
                Order::Fixed(config.batches(&self.classes, self.seed, epoch))
            }
            PlanConfig::Neighbourhood(config) => Order::Drawn {
                steps: config.steps(&self.classes),
            },
        };
        Epoch {
            plan: self,
            epoch,
            order,
        }
    }
}

/// One epoch of a plan.
#[derive(Debug, Clone)]
pub struct Epoch<'a> {
    plan: &'a Plan,
    epoch: u64,
    order: Order,
}

#[derive(Debug, Clone)]
enum Order {
    /// All batches are known when the epoch begins.
    Fixed(Vec<Vec<usize>>),
    /// Each batch is drawn when its step comes, from what training knows by then.
    Drawn { steps: usize },
}

impl Epoch<'_> {
    /// Number of batches.
    pub fn steps(&self) -> usize {
        match &self.order {
            Order::Fixed(batches) => batches.len(),
            Order::Drawn { steps } => *steps,
        }
    }

    /// The batch of `step`, from 0. Plans without clusters ignore `clusters`.
    ///
    /// # Errors
    /// If the plan needs clusters and none are given, or they cannot fill a batch.
    ///
    /// # Panics
    /// If `step` is not below [`steps`](Self::steps).
    pub fn batch(&self, step: usize, clusters: Option<Clusters>) -> Result<Batch, SamplingError> {
        assert!(
            step < self.steps(),
            "step {step} of an epoch of {}",
            self.steps()
        );
        let plan = self.plan;
        let random = || {
            let purpose = crate::random::Purpose::Batch;
            crate::random::stream(plan.seed, purpose, self.epoch, step as u64)
        };
        let clusters = || {
            let clusters = clusters.ok_or(SamplingError::NeedsIndex {
                plan: plan.config.name(),
            })?;
            plan.check(clusters).map(|()| clusters)
        };
        match (&self.order, &plan.config) {
            (Order::Fixed(batches), _) => Ok(Batch::of_rows(batches[step].clone())),
            (Order::Drawn { .. }, PlanConfig::Neighbourhood(config)) => {
                config.batch(clusters()?, &mut random())
            }
            (Order::Drawn { .. }, PlanConfig::Shuffled(_) | PlanConfig::PerClass(_)) => {
                unreachable!("the order of these plans is fixed")
            }
        }
    }
}
