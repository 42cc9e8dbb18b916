//! An epoch of a plan: as much of its order as is known when it begins, and its batches.

use super::hard_classes::Seed;
use super::weighted::Examples;
use super::{Clusters, HardClassesConfig, NeighbourhoodConfig, Plan, PlanConfig, WeightedConfig};
use crate::random::{Purpose, stream};
use crate::{Batch, SamplingError};

/// One epoch of a plan.
#[derive(Debug, Clone)]
pub struct Epoch<'a> {
    plan: &'a Plan,
    epoch: u64,
    order: Order<'a>,
}

/// What is known of the batches when the epoch begins.
#[derive(Debug, Clone)]
enum Order<'a> {
    /// All of them.
    Fixed(Vec<Vec<usize>>),
    /// The class around which each is drawn when its step comes.
    Around(&'a HardClassesConfig, Vec<Seed>),
    /// Nothing but their number: they are drawn from what training knows by then.
    Neighbourhood(&'a NeighbourhoodConfig),
    /// The same for weighted neighbourhoods.
    Weighted(&'a WeightedConfig, Examples),
}

impl<'a> Epoch<'a> {
    pub(super) fn new(plan: &'a Plan, epoch: u64) -> Self {
        let (classes, seed) = (&plan.classes, plan.seed);
        let order = match &plan.config {
            PlanConfig::Shuffled(config) => Order::Fixed(config.batches(classes, seed, epoch)),
            PlanConfig::PerClass(config) => Order::Fixed(config.batches(classes, seed, epoch)),
            PlanConfig::Balanced(config) => Order::Fixed(config.batches(classes, seed, epoch)),
            PlanConfig::HardClasses(config) => {
                Order::Around(config, config.seeds(classes, seed, epoch))
            }
            PlanConfig::Neighbourhood(config) => Order::Neighbourhood(config),
            PlanConfig::Importance(config) => Order::Weighted(config, Examples::Own),
            PlanConfig::Union(config) => Order::Weighted(config, Examples::Shared),
        };
        Self { plan, epoch, order }
    }

    /// Number of batches.
    pub fn steps(&self) -> usize {
        match &self.order {
            Order::Fixed(batches) => batches.len(),
            Order::Around(_, seeds) => seeds.len(),
            Order::Neighbourhood(config) => config.steps(&self.plan.classes),
            Order::Weighted(config, _) => config.steps(&self.plan.classes),
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
        let mut random = stream(plan.seed, Purpose::Batch, self.epoch, step as u64);
        match &self.order {
            Order::Fixed(batches) => Ok(Batch::of_rows(batches[step].clone())),
            Order::Around(config, seeds) => {
                let index = plan.require(clusters)?.index;
                Ok(config.batch(&plan.classes, index, &seeds[step], &mut random))
            }
            Order::Neighbourhood(config) => config.batch(plan.require(clusters)?, &mut random),
            Order::Weighted(config, examples) => {
                config.batch(plan.require(clusters)?, *examples, &mut random)
            }
        }
    }
}
