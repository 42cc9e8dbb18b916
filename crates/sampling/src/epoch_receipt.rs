//! The receipt of one epoch, as values and as CSV tables.

use std::path::Path;

use lodestone_files::{WriteError, write_whole};
use serde::{Deserialize, Serialize};

/// What one epoch showed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochReceipt {
    /// Number of the epoch.
    pub epoch: u64,
    /// Steps recorded.
    pub steps: u64,
    /// Images drawn, repetitions counted.
    pub images_drawn: u64,
    /// Training rows that no batch held.
    pub never_seen: usize,
    /// Mean number of steps between two visits of an image, over the visits of this epoch that were not the first.
    pub mean_revisit_gap: Option<f64>,
    /// The longest of these gaps.
    pub longest_revisit_gap: u64,
    /// One line for each class.
    pub classes: Vec<ClassReceipt>,
    /// One line for each cluster; empty for plans without clusters.
    pub clusters: Vec<ClusterReceipt>,
    /// One line for each training row.
    pub rows: Vec<RowReceipt>,
}

/// How often images of a class were seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassReceipt {
    /// Number of the class.
    pub class: usize,
    /// Its name.
    pub name: String,
    /// Images drawn of it.
    pub images: u64,
    /// Images expected, where the plan has a formula for it.
    pub expected: Option<f64>,
}

/// How often a cluster was drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterReceipt {
    /// Number of the cluster.
    pub cluster: usize,
    /// Its class.
    pub class: usize,
    /// How often it was the seed.
    pub seeds: u64,
    /// Its share of all seeds.
    pub seed_share: f64,
    /// How often the probabilities of the steps let one expect it as seed.
    pub expected_seeds: f64,
    /// How often it was in a neighbourhood, as seed or imposter.
    pub visits: u64,
    /// How often that was to be expected: `Σ` over steps and seeds of the seed's probability, where it calls this cluster.
    pub expected_visits: f64,
}

/// How often an image was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowReceipt {
    /// The training row.
    pub row: usize,
    /// Its class.
    pub class: usize,
    /// How often it was drawn.
    pub seen: u64,
    /// How often that was to be expected, where the plan has a formula for it.
    pub expected: Option<f64>,
    /// Step of its last visit, in this epoch or before.
    pub last_step: Option<u64>,
}

impl EpochReceipt {
    /// Writes `classes.csv`, `clusters.csv` (if there are any) and `rows.csv` into `folder`; unknown expectations are empty.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write_csv(&self, folder: &Path) -> Result<(), WriteError> {
        write_rows(&folder.join("classes.csv"), &self.classes)?;
        if !self.clusters.is_empty() {
            write_rows(&folder.join("clusters.csv"), &self.clusters)?;
        }
        write_rows(&folder.join("rows.csv"), &self.rows)
    }
}

fn write_rows<T: Serialize>(path: &Path, rows: &[T]) -> Result<(), WriteError> {
    write_whole(path, |file| {
        let mut writer = csv::Writer::from_writer(file);
        rows.iter().try_for_each(|row| writer.serialize(row))?;
        writer.flush()
    })
}

#[cfg(test)]
mod tests {
    use crate::{Classes, PlanConfig, Receipts, ShuffledConfig};

    #[test]
    fn tables_have_a_header_and_a_line_for_each() {
        let classes = Classes::named(&[0, 1], vec!["cat, grey".into(), "dog".into()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let plan = PlanConfig::Shuffled(ShuffledConfig::default())
            .init(&classes, 0)
            .unwrap();
        let mut receipts = Receipts::new(&classes);
        receipts
            .record(&plan, None, &plan.epoch(0).batch(0, None).unwrap(), 0)
            .unwrap();
        receipts.close(0).write_csv(folder.path()).unwrap();
        let read = |name| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(
            read("classes.csv"),
            "class,name,images,expected\n0,\"cat, grey\",1,1.0\n1,dog,1,1.0\n"
        );
        assert_eq!(
            read("rows.csv"),
            "row,class,seen,expected,last_step\n0,0,1,1.0,0\n1,1,1,1.0,0\n"
        );
        assert!(!folder.path().join("clusters.csv").exists());
    }
}
