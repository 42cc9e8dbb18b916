//! How many photographs each split and class has.

use serde::Serialize;

use super::{Count, RoleCounts, SplitCount};
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

impl ClassCount {
    /// Photographs in one split.
    pub fn of(&self, split: Split) -> usize {
        match split {
            Split::Train => self.train,
            Split::Validation => self.validation,
            Split::Test => self.test,
        }
    }

    /// Photographs in all splits.
    pub fn all(&self) -> usize {
        self.train + self.validation + self.test
    }
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
pub(super) fn splits(
    table: &Table,
    classes: &[ClassCount],
    official: &Official,
) -> Vec<SplitCount> {
    let known = |counts: &[(Split, usize)], split| {
        let mut counts = counts.iter();
        let found = counts.find(|(other, _)| *other == split);
        found.map(|(_, count)| *count)
    };
    [Split::Train, Split::Validation, Split::Test]
        .map(|split| SplitCount {
            split,
            rows: Count {
                found: table.split(split).len(),
                official: known(&official.rows, split),
            },
            classes: Count {
                found: classes.iter().filter(|class| class.of(split) > 0).count(),
                official: known(&official.split_classes, split),
            },
        })
        .into_iter()
        .filter(|split| split.rows.found > 0 || split.rows.official.is_some())
        .collect()
}

/// Counts of the rows that ask and that are looked for, if there are any or should be.
pub(super) fn roles(table: &Table, official: &Official) -> Option<RoleCounts> {
    let roles = || table.rows.iter().filter_map(|row| row.roles);
    let known = official.roles;
    (known.is_some() || roles().next().is_some()).then(|| RoleCounts {
        queries: Count {
            found: roles().filter(|roles| roles.query).count(),
            official: known.map(|[queries, _]| queries),
        },
        gallery: Count {
            found: roles().filter(|roles| roles.gallery).count(),
            official: known.map(|[_, gallery]| gallery),
        },
    })
}
