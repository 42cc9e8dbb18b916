//! A receipt in a few numbers, for the report and the log of a run.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{ClassReceipt, ClusterReceipt, EpochReceipt};

/// What an epoch showed, without its tables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReceiptSummary {
    /// Number of the epoch.
    pub epoch: u64,
    /// Steps recorded.
    pub steps: u64,
    /// Images drawn, repetitions counted.
    pub images_drawn: u64,
    /// Training rows.
    pub rows: usize,
    /// Training rows that no batch held.
    pub rows_never_seen: usize,
    /// Classes of which no batch held an image.
    pub classes_never_seen: usize,
    /// The class that got least of what the plan promised it; absent where the plan has no formula.
    pub least_served: Option<ClassShare>,
    /// The class that got most.
    pub most_served: Option<ClassShare>,
    /// Mean number of steps between two visits of an image.
    pub mean_revisit_gap: Option<f64>,
    /// The longest of these gaps.
    pub longest_revisit_gap: u64,
    /// How seeds spread over the clusters; absent for plans without clusters.
    pub seeds: Option<SeedSpread>,
}

/// A class and how many of its promised images it got.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassShare {
    /// Name of the class.
    pub class: String,
    /// Images drawn over images expected.
    pub share: f64,
}

/// How seeds spread over the clusters in an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SeedSpread {
    /// Clusters.
    pub clusters: usize,
    /// Clusters that were never the seed.
    pub never: usize,
    /// Clusters that were in no neighbourhood, as seed or imposter.
    pub never_visited: usize,
    /// Largest share of one cluster.
    pub largest_share: f64,
    /// `-Σ share ln share`, in nats: 0 when one cluster has all seeds.
    pub entropy: f64,
    /// `ln clusters`, the entropy of even shares.
    pub largest_entropy: f64,
}

impl EpochReceipt {
    /// The receipt in a few numbers.
    pub fn summary(&self) -> ReceiptSummary {
        let mut shares: Vec<(f64, &str)> = self.classes.iter().filter_map(share).collect();
        shares.sort_by(|a, b| a.0.total_cmp(&b.0));
        let served = |place: Option<&(f64, &str)>| {
            place.map(|&(share, class)| ClassShare {
                class: class.to_owned(),
                share,
            })
        };
        ReceiptSummary {
            epoch: self.epoch,
            steps: self.steps,
            images_drawn: self.images_drawn,
            rows: self.rows.len(),
            rows_never_seen: self.never_seen,
            classes_never_seen: self.classes.iter().filter(|c| c.images == 0).count(),
            least_served: served(shares.first()),
            most_served: served(shares.last()),
            mean_revisit_gap: self.mean_revisit_gap,
            longest_revisit_gap: self.longest_revisit_gap,
            seeds: (!self.clusters.is_empty()).then(|| spread(&self.clusters)),
        }
    }
}

fn share(class: &ClassReceipt) -> Option<(f64, &str)> {
    let expected = class.expected.filter(|&expected| expected > 0.0)?;
    Some((class.images as f64 / expected, class.name.as_str()))
}

fn spread(clusters: &[ClusterReceipt]) -> SeedSpread {
    let shares = || clusters.iter().map(|cluster| cluster.seed_share);
    SeedSpread {
        clusters: clusters.len(),
        never: clusters.iter().filter(|cluster| cluster.seeds == 0).count(),
        never_visited: clusters.iter().filter(|c| c.visits == 0).count(),
        largest_share: shares().fold(0.0, f64::max),
        entropy: -shares()
            .filter(|&share| share > 0.0)
            .map(|share| share * share.ln())
            .sum::<f64>(),
        largest_entropy: (clusters.len() as f64).ln(),
    }
}

/// One sentence.
impl fmt::Display for ReceiptSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "epoch {}: {} images in {} steps, {} of {} rows and {} classes never",
            self.epoch,
            self.images_drawn,
            self.steps,
            self.rows_never_seen,
            self.rows,
            self.classes_never_seen
        )?;
        if let (Some(least), Some(most)) = (&self.least_served, &self.most_served) {
            write!(
                f,
                "; classes got {:.2} ({}) to {:.2} ({}) of what was expected",
                least.share, least.class, most.share, most.class
            )?;
        }
        if let Some(gap) = self.mean_revisit_gap {
            write!(
                f,
                "; images came again after {gap:.1} steps, {} at most",
                self.longest_revisit_gap
            )?;
        }
        if let Some(seeds) = &self.seeds {
            write!(
                f,
                "; {} of {} clusters never the seed, largest share {:.1} %, entropy {:.2} of {:.2} nats",
                seeds.never,
                seeds.clusters,
                100.0 * seeds.largest_share,
                seeds.entropy,
                seeds.largest_entropy
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RowReceipt;

    fn cluster(cluster: usize, seeds: u64, visits: u64) -> ClusterReceipt {
        ClusterReceipt {
            cluster,
            class: cluster / 2,
            seeds,
            seed_share: seeds as f64 / 4.0,
            expected_seeds: 1.0,
            visits,
            expected_visits: 2.0,
        }
    }

    #[test]
    fn a_receipt_in_a_few_numbers_by_hand() {
        let class = |class: usize, images, expected| ClassReceipt {
            class,
            name: ["cat", "dog", "owl"][class].to_owned(),
            images,
            expected,
        };
        let row = |row| RowReceipt {
            row,
            class: row,
            seen: 5,
            expected: None,
            last_step: None,
        };
        let receipt = EpochReceipt {
            epoch: 7,
            steps: 4,
            images_drawn: 15,
            never_seen: 0,
            mean_revisit_gap: Some(1.25),
            longest_revisit_gap: 3,
            classes: vec![
                class(0, 9, Some(6.0)),
                class(1, 6, Some(8.0)),
                class(2, 0, None),
            ],
            // Shares 1/2, 1/4, 1/4, 0: entropy is 1.5 ln 2.
            clusters: vec![
                cluster(0, 2, 2),
                cluster(1, 1, 4),
                cluster(2, 1, 1),
                cluster(3, 0, 1),
            ],
            rows: (0..3).map(row).collect(),
        };
        let summary = receipt.summary();
        let seeds = summary.seeds.unwrap();
        assert!((seeds.entropy - 1.5 * std::f64::consts::LN_2).abs() < 1e-12);
        assert_eq!((seeds.never, seeds.never_visited), (1, 0));
        assert_eq!(
            summary.to_string(),
            "epoch 7: 15 images in 4 steps, 0 of 3 rows and 1 classes never; classes got 0.75 (dog) to 1.50 (cat) of what was \
             expected; images came again after 1.2 steps, 3 at most; 1 of 4 clusters never the seed, largest share 50.0 %, \
             entropy 1.04 of 1.39 nats"
        );
    }
}
