//! The closed set of plans, behind one interface: a plan makes epochs, an epoch makes batches.

mod balanced;
mod draws;
mod epoch;
mod group;
mod hard_classes;
mod neighbourhood;
mod per_class;
mod shuffled;
mod weighted;

use serde::{Deserialize, Serialize};

pub use balanced::BalancedConfig;
pub use draws::SmallGroups;
pub use epoch::Epoch;
pub(crate) use group::Group;
pub use hard_classes::HardClassesConfig;
pub use neighbourhood::NeighbourhoodConfig;
pub use per_class::PerClassConfig;
pub use shuffled::ShuffledConfig;
pub use weighted::{Estimator, WeightedConfig};

use crate::{Classes, Index, IndexConfig, LossCache, SamplingError};
use weighted::even_over_eligible;

/// Which plan, with its settings; in a run file `kind = "neighbourhood"` and so on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum PlanConfig {
    /// Every row once an epoch, in random order.
    Shuffled(ShuffledConfig),
    /// P classes with K images each, the usual batches of pair and triplet losses.
    PerClass(PerClassConfig),
    /// Classes take turns, so that all are equally frequent.
    Balanced(BalancedConfig),
    /// A class and those nearest to it in the index.
    HardClasses(HardClassesConfig),
    /// A seed cluster and its nearest imposters, for the magnet loss.
    Neighbourhood(NeighbourhoodConfig),
    /// Several neighbourhoods with evenly drawn seeds, weighted; each has examples of its own.
    Importance(WeightedConfig),
    /// The same, but neighbourhoods share the examples of a common cluster.
    Union(WeightedConfig),
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
            Self::Balanced(config) => config.check()?,
            Self::HardClasses(config) => config.check(classes)?,
            Self::Neighbourhood(config) => config.group().check(classes)?,
            Self::Importance(config) | Self::Union(config) => config.check(classes)?,
        }
        let (config, fingerprint) = (self.clone(), classes.fingerprint());
        let images_per_class = match self {
            Self::PerClass(config) => config.expectation(classes),
            _ => Vec::new(),
        };
        Ok(Plan {
            config,
            classes: classes.clone(),
            fingerprint,
            seed,
            images_per_class,
        })
    }

    /// Name as in the run file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Shuffled(_) => "shuffled",
            Self::PerClass(_) => "per-class",
            Self::Balanced(_) => "balanced",
            Self::HardClasses(_) => "hard-classes",
            Self::Neighbourhood(_) => "neighbourhood",
            Self::Importance(_) => "importance",
            Self::Union(_) => "union",
        }
    }

    /// Whether batches can only be drawn with a cluster index and a loss cache.
    pub fn needs_index(&self) -> bool {
        match self {
            Self::Shuffled(_) | Self::PerClass(_) | Self::Balanced(_) => false,
            Self::HardClasses(_)
            | Self::Neighbourhood(_)
            | Self::Importance(_)
            | Self::Union(_) => true,
        }
    }

    /// Whether batches are drawn by what the loss said of each example before, which must then not be negative.
    pub fn reads_losses(&self) -> bool {
        self.group().is_some()
    }

    /// How neighbourhoods are filled, for the plans that have them.
    fn group(&self) -> Option<Group> {
        match self {
            Self::Shuffled(_) | Self::PerClass(_) | Self::Balanced(_) | Self::HardClasses(_) => {
                None
            }
            Self::Neighbourhood(config) => Some(config.group()),
            Self::Importance(config) | Self::Union(config) => Some(config.group()),
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
    fingerprint: u64,
    seed: u64,
    /// Images of each class that a batch holds on average, of the plan by classes: asked for with every batch.
    images_per_class: Vec<f64>,
}

/// How often one batch is expected to hold what.
pub(crate) enum Expectation<'a> {
    /// There is no formula.
    Unknown,
    /// Images of each class, evenly over its members.
    Classes(Vec<f64>),
    /// Times that each cluster opens a neighbourhood of `group`.
    Seeds {
        index: &'a Index,
        group: Group,
        seeds: Vec<f64>,
        /// The number of neighbourhoods that share examples, if they do.
        shared_by: Option<usize>,
    },
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

    /// Refuses settings of an index that could not fill a batch of this plan, before the index is built. Names of classes and
    /// counts are checked as well.
    ///
    /// # Errors
    /// If `index` does not fit the classes, or more clusters are asked for than any index of these settings has.
    ///
    /// # Example
    /// ```
    /// use lodestone_sampling::{Classes, IndexConfig, NeighbourhoodConfig, PlanConfig};
    ///
    /// let classes = Classes::new(&[0, 0, 0, 0, 1, 1, 1, 1])?;
    /// let plan = PlanConfig::Neighbourhood(NeighbourhoodConfig::default()).init(&classes, 0)?;
    /// let index = IndexConfig { clusters_per_class: 2.into(), ..IndexConfig::default() };
    /// assert_eq!(
    ///     plan.check_settings(&index).unwrap_err().to_string(),
    ///     "clusters_per_batch is 12: there are at most 2 clusters of other classes, so 3 is the most"
    /// );
    /// # Ok::<(), lodestone_sampling::SamplingError>(())
    /// ```
    pub fn check_settings(&self, index: &IndexConfig) -> Result<(), SamplingError> {
        let most = index.most(&self.classes)?;
        match self.config.group() {
            Some(group) => group.check_counts(&most),
            None => Ok(()),
        }
    }

    /// Refuses an index and a cache that this plan cannot draw from.
    ///
    /// # Errors
    /// If either belongs to other labels, or no seed has as many clusters of other classes as are asked for.
    pub fn check(&self, clusters: Clusters) -> Result<(), SamplingError> {
        clusters.index.check_fingerprint(self.fingerprint)?;
        clusters.losses.check_fingerprint(self.fingerprint)?;
        match self.config.group() {
            Some(group) => group.check_index(clusters.index),
            None => Ok(()),
        }
    }

    /// The epoch of that number, from 0. What an epoch is, each plan's settings say.
    pub fn epoch(&self, epoch: u64) -> Epoch<'_> {
        Epoch::new(self, epoch)
    }

    /// The clusters, if they are given and fit.
    fn require<'a>(&self, clusters: Option<Clusters<'a>>) -> Result<Clusters<'a>, SamplingError> {
        let clusters = clusters.ok_or(SamplingError::NeedsIndex {
            plan: self.config.name(),
        })?;
        // Fewer clusters than are asked for make a smaller batch, which says so: a refresh may lose some at any time.
        clusters.index.check_fingerprint(self.fingerprint)?;
        clusters.losses.check_fingerprint(self.fingerprint)?;
        Ok(clusters)
    }

    /// What the next batch is expected to hold; for plans that fix an epoch at its begin, an average batch of it.
    pub(crate) fn expectation<'a>(
        &self,
        clusters: Option<Clusters<'a>>,
    ) -> Result<Expectation<'a>, SamplingError> {
        let per_row = |batch: f64| {
            let share = batch / self.classes.rows() as f64;
            let images =
                (0..self.classes.len()).map(|c| self.classes.members(c).len() as f64 * share);
            Expectation::Classes(images.collect())
        };
        Ok(match &self.config {
            PlanConfig::Shuffled(config) => per_row(config.mean_batch(&self.classes)),
            PlanConfig::PerClass(_) => Expectation::Classes(self.images_per_class.clone()),
            PlanConfig::Balanced(config) => {
                let images = config.mean_batch(&self.classes) / self.classes.len() as f64;
                Expectation::Classes(vec![images; self.classes.len()])
            }
            PlanConfig::HardClasses(_) => Expectation::Unknown,
            PlanConfig::Neighbourhood(config) => {
                let clusters = self.require(clusters)?;
                let (index, group) = (clusters.index, config.group());
                let seeds = group.probabilities(clusters)?;
                Expectation::Seeds {
                    index,
                    group,
                    seeds,
                    shared_by: None,
                }
            }
            PlanConfig::Importance(config) | PlanConfig::Union(config) => {
                let clusters = self.require(clusters)?;
                let (index, group) = (clusters.index, config.group());
                let count = config.neighbourhoods_per_batch;
                let mut seeds = even_over_eligible(&group.probabilities(clusters)?);
                seeds.iter_mut().for_each(|share| *share *= count as f64);
                let shared = matches!(self.config, PlanConfig::Union(_));
                Expectation::Seeds {
                    index,
                    group,
                    seeds,
                    shared_by: shared.then_some(count),
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Batch;
    use crate::testing::line_index;

    fn every_plan() -> Vec<PlanConfig> {
        let weighted = WeightedConfig {
            clusters_per_neighbourhood: 3,
            ..WeightedConfig::default()
        };
        vec![
            PlanConfig::Shuffled(ShuffledConfig {
                batch_size: 6,
                drop_last: false,
            }),
            PlanConfig::PerClass(PerClassConfig {
                classes_per_batch: 2,
                ..PerClassConfig::default()
            }),
            PlanConfig::Balanced(BalancedConfig::default()),
            PlanConfig::HardClasses(HardClassesConfig {
                classes_per_batch: 2,
                ..HardClassesConfig::default()
            }),
            PlanConfig::Neighbourhood(NeighbourhoodConfig {
                clusters_per_batch: 3,
                ..NeighbourhoodConfig::default()
            }),
            PlanConfig::Importance(weighted.clone()),
            PlanConfig::Union(weighted),
        ]
    }

    /// Batches from `from` on, with losses and index moving as in training.
    fn run(
        plan: &Plan,
        index: &mut Index,
        losses: &mut LossCache,
        from: u64,
        to: u64,
    ) -> Vec<Batch> {
        let mut batches = Vec::new();
        for global in from..to {
            let steps = plan.epoch(0).steps() as u64;
            let epoch = plan.epoch(global / steps);
            let clusters = Clusters { index, losses };
            let batch = epoch
                .batch((global % steps) as usize, Some(clusters))
                .unwrap();
            let values: Vec<f32> = batch
                .rows
                .iter()
                .map(|&row| (row as f32 * 0.37 + global as f32 * 0.1).sin().abs())
                .collect();
            losses.record(index, &batch.rows, &values, global).unwrap();
            if global % 7 == 3 {
                let moved: Vec<f32> = (0..index.rows())
                    .map(|row| (row as f32 * 1.7 + global as f32).sin())
                    .collect();
                index.refresh(crate::Rows::new(&moved, 1).unwrap()).unwrap();
            }
            batches.push(batch);
        }
        batches
    }

    #[test]
    fn a_restored_run_continues_with_the_very_same_batches() {
        let (index, classes) = line_index(&[(0, 6), (0, 5), (1, 7), (1, 4), (2, 9), (2, 3)]);
        for config in every_plan() {
            let plan = config.init(&classes, 77).unwrap();
            let (mut index, mut losses) = (index.clone(), LossCache::new(&classes));
            run(&plan, &mut index, &mut losses, 0, 12);
            let state = serde_json::to_string(&(&config, &classes, &index, &losses)).unwrap();
            let expected = run(&plan, &mut index, &mut losses, 12, 40);
            let (config, classes, mut index, mut losses): (PlanConfig, Classes, Index, LossCache) =
                serde_json::from_str(&state).unwrap();
            let plan = config.init(&classes, 77).unwrap();
            assert_eq!(
                run(&plan, &mut index, &mut losses, 12, 40),
                expected,
                "{}",
                config.name()
            );
            let other = config.init(&classes, 78).unwrap();
            assert_ne!(
                run(&other, &mut index, &mut losses, 12, 40),
                expected,
                "{}",
                config.name()
            );
        }
    }

    #[test]
    fn an_index_or_a_cache_of_other_labels_is_refused() {
        let (index, classes) = line_index(&[(0, 6), (1, 6), (2, 6)]);
        let (other, other_classes) = line_index(&[(0, 6), (1, 7), (2, 5)]);
        for config in every_plan().into_iter().filter(PlanConfig::needs_index) {
            let plan = config.init(&classes, 0).unwrap();
            for (index, losses, part) in [
                (&other, LossCache::new(&classes), "the cluster index"),
                (&index, LossCache::new(&other_classes), "the loss cache"),
            ] {
                let clusters = Clusters {
                    index,
                    losses: &losses,
                };
                let error = plan.epoch(0).batch(0, Some(clusters)).unwrap_err();
                assert!(error.to_string().starts_with(part), "{error}");
            }
        }
    }

    #[test]
    fn a_run_file_names_the_plan_and_knows_its_keys_only() {
        for config in every_plan() {
            let text = serde_json::to_string(&config).unwrap();
            assert!(
                text.contains(&format!("\"kind\":\"{}\"", config.name())),
                "{text}"
            );
            assert_eq!(serde_json::from_str::<PlanConfig>(&text).unwrap(), config);
        }
        for text in [
            r#"{"kind": "shuffled", "batchsize": 5}"#,
            r#"{"kind": "random"}"#,
            r#"{"kind": "neighbourhood", "small_clusters": "drop"}"#,
        ] {
            assert!(serde_json::from_str::<PlanConfig>(text).is_err(), "{text}");
        }
    }
}
