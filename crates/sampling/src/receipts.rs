//! Receipts: what an epoch really showed the network, against what its plan promised.

use serde::{Deserialize, Serialize};

use crate::expected_images::ExpectedImages;
use crate::plan::Expectation;
use crate::{
    Batch, ClassReceipt, Classes, ClusterReceipt, Clusters, EpochReceipt, Plan, RowReceipt,
    SamplingError,
};

/// Counts of the running epoch. Serialises with the run, so that an interrupted epoch is counted whole.
///
/// # Example
/// ```
/// use lodestone_sampling::{Classes, PlanConfig, Receipts, ShuffledConfig};
///
/// let classes = Classes::new(&[0, 0, 1])?;
/// let plan = PlanConfig::Shuffled(ShuffledConfig { batch_size: 2, drop_last: false });
/// let plan = plan.init(&classes, 0)?;
/// let epoch = plan.epoch(0);
/// let mut receipts = Receipts::new(&classes);
/// for step in 0..epoch.steps() {
///     receipts.record(&plan, None, &epoch.batch(step, None)?, step as u64)?;
/// }
/// let receipt = receipts.close(0);
/// assert_eq!((receipt.images_drawn, receipt.never_seen), (3, 0));
/// assert_eq!((receipt.classes[0].images, receipt.classes[0].expected), (2, Some(2.0)));
/// # Ok::<(), lodestone_sampling::SamplingError>(())
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipts {
    classes: Classes,
    steps: u64,
    rows: Vec<RowTally>,
    clusters: Vec<ClusterTally>,
    /// False once a batch came from a plan whose frequencies have no formula.
    expectation_known: bool,
    expected: ExpectedImages,
    gaps: Gaps,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct RowTally {
    seen: u64,
    last_step: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct ClusterTally {
    class: usize,
    seeds: u64,
    visits: u64,
    expected_seeds: f64,
    expected_visits: f64,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Gaps {
    sum: u64,
    count: u64,
    longest: u64,
}

impl Receipts {
    /// Nothing counted.
    pub fn new(classes: &Classes) -> Self {
        Self {
            classes: classes.clone(),
            steps: 0,
            rows: vec![RowTally::default(); classes.rows()],
            clusters: Vec::new(),
            expectation_known: true,
            expected: ExpectedImages::default(),
            gaps: Gaps::default(),
        }
    }

    /// Counts the batch that `plan` drew from `clusters` for training step `step`, counted over all epochs.
    ///
    /// Call it before the step's losses are recorded, or the expectation is that of the next draw.
    ///
    /// # Errors
    /// If the plan draws by clusters and none are given, or they cannot be drawn from.
    ///
    /// # Panics
    /// If the batch has rows that these classes do not have.
    pub fn record(
        &mut self,
        plan: &Plan,
        clusters: Option<Clusters>,
        batch: &Batch,
        step: u64,
    ) -> Result<(), SamplingError> {
        self.expect(plan, clusters)?;
        self.steps += 1;
        for &row in &batch.rows {
            let tally = &mut self.rows[row];
            tally.seen += 1;
            // A second occurrence in the same batch is no revisit.
            if let Some(last) = tally.last_step.filter(|&last| last < step) {
                self.gaps.sum += step - last;
                self.gaps.count += 1;
                self.gaps.longest = self.gaps.longest.max(step - last);
            }
            tally.last_step = Some(step);
        }
        for neighbourhood in &batch.neighbourhoods {
            for (place, &position) in neighbourhood.clusters.iter().enumerate() {
                let tally = &mut self.clusters[batch.cluster_ids[position]];
                tally.visits += 1;
                tally.seeds += u64::from(place == 0);
            }
        }
        Ok(())
    }

    fn expect(&mut self, plan: &Plan, clusters: Option<Clusters>) -> Result<(), SamplingError> {
        match plan.expectation(clusters)? {
            Expectation::Unknown => self.expectation_known = false,
            Expectation::Classes(images) => self.expected.add_classes(&images),
            Expectation::Seeds {
                index,
                group,
                seeds,
                shared_by,
            } => {
                let visits = self.expected.add_seeds(index, &group, &seeds, shared_by);
                let clusters = self.clusters.len().max(index.len());
                self.clusters.resize(clusters, ClusterTally::default());
                for (cluster, tally) in self.clusters.iter_mut().take(index.len()).enumerate() {
                    tally.class = index.class_of(cluster);
                    tally.expected_seeds += seeds[cluster];
                    tally.expected_visits += visits[cluster];
                }
            }
        }
        Ok(())
    }

    /// Hands out the receipt of the epoch and starts the next; steps of last visits are kept.
    pub fn close(&mut self, epoch: u64) -> EpochReceipt {
        let known = self.expectation_known;
        let expected = self.expected.take(&self.classes);
        let all_seeds: u64 = self.clusters.iter().map(|tally| tally.seeds).sum();
        let class = |class: usize| {
            let members = || self.classes.members(class).iter();
            ClassReceipt {
                class,
                name: self.classes.name(class).to_string(),
                images: members().map(|&row| self.rows[row].seen).sum(),
                expected: known.then(|| members().map(|&row| expected[row]).sum()),
            }
        };
        let cluster = |(cluster, tally): (usize, &ClusterTally)| ClusterReceipt {
            cluster,
            class: tally.class,
            seeds: tally.seeds,
            seed_share: tally.seeds as f64 / all_seeds.max(1) as f64,
            expected_seeds: tally.expected_seeds,
            visits: tally.visits,
            expected_visits: tally.expected_visits,
        };
        let row = |(row, tally): (usize, &RowTally)| RowReceipt {
            row,
            class: self.classes.labels()[row],
            seen: tally.seen,
            expected: known.then_some(expected[row]),
            last_step: tally.last_step,
        };
        let receipt = EpochReceipt {
            epoch,
            steps: self.steps,
            images_drawn: self.rows.iter().map(|tally| tally.seen).sum(),
            never_seen: self.rows.iter().filter(|tally| tally.seen == 0).count(),
            mean_revisit_gap: (self.gaps.count > 0)
                .then(|| self.gaps.sum as f64 / self.gaps.count as f64),
            longest_revisit_gap: self.gaps.longest,
            classes: (0..self.classes.len()).map(class).collect(),
            clusters: self.clusters.iter().enumerate().map(cluster).collect(),
            rows: self.rows.iter().enumerate().map(row).collect(),
        };
        self.steps = 0;
        self.gaps = Gaps::default();
        self.clusters.clear();
        self.expectation_known = true;
        for tally in &mut self.rows {
            *tally = RowTally {
                last_step: tally.last_step,
                ..RowTally::default()
            };
        }
        receipt
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::line_index;
    use crate::{
        BalancedConfig, Estimator, HardClassesConfig, LossCache, NeighbourhoodConfig,
        PerClassConfig, PlanConfig, ShuffledConfig, SmallGroups, WeightedConfig,
    };

    fn weighted(estimator: Estimator) -> WeightedConfig {
        WeightedConfig {
            neighbourhoods_per_batch: 3,
            clusters_per_neighbourhood: 3,
            examples_per_cluster: 2,
            estimator,
            ..WeightedConfig::default()
        }
    }

    #[test]
    fn what_is_drawn_agrees_with_what_is_expected_for_every_plan() {
        let (index, classes) = line_index(&[(0, 4), (0, 9), (1, 5), (1, 2), (2, 7), (2, 3)]);
        let mut losses = LossCache::new(&classes);
        losses
            .record(&index, &[0, 5, 14, 21], &[0.5, 2.0, 1.0, 0.0], 0)
            .unwrap();
        let clusters = Clusters {
            index: &index,
            losses: &losses,
        };
        let neighbourhood = NeighbourhoodConfig {
            clusters_per_batch: 3,
            examples_per_cluster: 3,
            ..NeighbourhoodConfig::default()
        };
        let per_class = |cover| PerClassConfig {
            classes_per_batch: 2,
            images_per_class: 3,
            cover,
            ..PerClassConfig::default()
        };
        for config in [
            PlanConfig::Shuffled(ShuffledConfig {
                batch_size: 7,
                drop_last: true,
            }),
            PlanConfig::PerClass(per_class(false)),
            PlanConfig::PerClass(per_class(true)),
            PlanConfig::Balanced(BalancedConfig {
                batch_size: 5,
                cover: false,
            }),
            PlanConfig::Neighbourhood(neighbourhood.clone()),
            PlanConfig::Neighbourhood(NeighbourhoodConfig {
                small_clusters: SmallGroups::Short,
                ..neighbourhood
            }),
            PlanConfig::Importance(weighted(Estimator::Unbiased)),
            PlanConfig::Union(weighted(Estimator::SelfNormalised)),
        ] {
            let plan = config.init(&classes, 9).unwrap();
            let mut receipts = Receipts::new(&classes);
            let mut step = 0;
            for epoch in 0..600 {
                let epoch = plan.epoch(epoch);
                for place in 0..epoch.steps() {
                    let batch = epoch.batch(place, Some(clusters)).unwrap();
                    receipts
                        .record(&plan, Some(clusters), &batch, step)
                        .unwrap();
                    step += 1;
                }
            }
            let receipt = receipts.close(0);
            let expected: f64 = receipt
                .classes
                .iter()
                .map(|class| class.expected.unwrap())
                .sum();
            let drawn = receipt.images_drawn as f64;
            assert!(
                (drawn / expected - 1.0).abs() < 0.02,
                "{}: {drawn} {expected}",
                config.name()
            );
            for row in &receipt.rows {
                let expected = row.expected.unwrap();
                // Draws in groups spread a little more than single ones.
                let bound = 6.0 * expected.sqrt() + 1e-6;
                let off = (row.seen as f64 - expected).abs();
                assert!(off < bound, "{}: {row:?}", config.name());
            }
            for cluster in &receipt.clusters {
                for (got, expected) in [
                    (cluster.seeds, cluster.expected_seeds),
                    (cluster.visits, cluster.expected_visits),
                ] {
                    let off = (got as f64 - expected).abs();
                    assert!(
                        off < 5.0 * expected.sqrt() + 1e-6,
                        "{}: {cluster:?}",
                        config.name()
                    );
                }
            }
            assert_eq!(receipt.clusters.is_empty(), !config.needs_index());
        }
    }

    #[test]
    fn a_plan_without_a_formula_leaves_expectations_empty() {
        let (index, classes) = line_index(&[(0, 4), (1, 4), (2, 4)]);
        let losses = LossCache::new(&classes);
        let clusters = Some(Clusters {
            index: &index,
            losses: &losses,
        });
        let config = HardClassesConfig {
            classes_per_batch: 2,
            ..HardClassesConfig::default()
        };
        let plan = PlanConfig::HardClasses(config).init(&classes, 0).unwrap();
        let epoch = plan.epoch(0);
        let mut receipts = Receipts::new(&classes);
        for step in 0..epoch.steps() {
            let batch = epoch.batch(step, clusters).unwrap();
            receipts
                .record(&plan, clusters, &batch, step as u64)
                .unwrap();
        }
        let receipt = receipts.close(0);
        assert!(receipt.rows.iter().all(|row| row.expected.is_none()));
        assert!(receipt.classes.iter().all(|class| class.images >= 4));
    }

    #[test]
    fn gaps_count_steps_between_visits_across_epochs() {
        let classes = Classes::new(&[0, 0]).unwrap();
        let plan = PlanConfig::Shuffled(ShuffledConfig::default())
            .init(&classes, 0)
            .unwrap();
        let mut receipts = Receipts::new(&classes);
        for (rows, step) in [(vec![0, 0], 1), (vec![0], 4), (vec![1], 5)] {
            receipts
                .record(&plan, None, &Batch::of_rows(rows), step)
                .unwrap();
        }
        let first = receipts.close(0);
        assert_eq!(
            (first.mean_revisit_gap, first.longest_revisit_gap),
            (Some(3.0), 3)
        );
        assert_eq!(
            (first.steps, first.images_drawn, first.never_seen),
            (3, 4, 0)
        );
        receipts
            .record(&plan, None, &Batch::of_rows(vec![1]), 10)
            .unwrap();
        let second = receipts.close(1);
        assert_eq!(
            (
                second.mean_revisit_gap,
                second.images_drawn,
                second.never_seen
            ),
            (Some(5.0), 1, 1)
        );
    }
}
