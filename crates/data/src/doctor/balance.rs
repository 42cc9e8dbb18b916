//! How many photographs each split and class has.

use serde::Serialize;

use super::{Count, SplitCount};
use crate::official::Official;
use crate::table::{Split, Table};

/// Photographs of a class in each split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassCount {
    /// Name of the class.
    pub name: String,
    /// Training photographs.
    pub train: usize,
    /// Validation photographs.
    pub validation: usize,
    /// Test photographs.
    pub test: usize,
}

/// Counts of every class, by label.
pub(super) fn classes(table: &Table) -> Vec<ClassCount> {
    let empty = |name: &String| ClassCount {
        name: name.clone(),
        train: 0,
        validation: 0,
        test: 0,
    };
    let mut counts: Vec<ClassCount> = table.class_names.iter().map(empty).collect();
    for row in &table.rows {
        let class = &mut counts[row.label];
        *match row.split {
            Split::Train => &mut class.train,
            Split::Validation => &mut class.validation,
            Split::Test => &mut class.test,
        } += 1;
    }
    counts
}

/// Fewest and most training photographs of a class that has any.
pub(super) fn extremes(counts: &[ClassCount]) -> Option<[usize; 2]> {
    let filled = || counts.iter().map(|class| class.train).filter(|&n| n > 0);
    Some([filled().min()?, filled().max()?])
}

/// Counts of the splits that have photographs, or should have.
pub(super) fn splits(table: &Table, official: &Official) -> Vec<SplitCount> {
    let known = |split| {
        let mut rows = official.rows.iter();
        rows.find(|(other, _)| *other == split)
            .map(|(_, rows)| *rows)
    };
    [Split::Train, Split::Validation, Split::Test]
        .map(|split| SplitCount {
            split,
            rows: Count {
                found: table.split(split).len(),
                official: known(split),
            },
        })
        .into_iter()
        .filter(|split| split.rows.found > 0 || split.rows.official.is_some())
        .collect()
}
