//! Changing what a table asks for: a validation part held out of training, whole classes held out, coarse classes.

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::table::{Split, Table};

/// Classes that are tested on and never trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "expected one of { share = 0.5, seed = 0 }, { first = 100 } or { classes = [\"..\"] }"
)]
pub enum UnseenClasses {
    /// A share of the classes, dealt at random.
    Share {
        /// Share of the classes that is unseen, above 0 and below 1.
        share: f64,
        /// Seed of the shuffle, kept apart from the run's so that several runs can share one split.
        #[serde(default)]
        seed: u64,
    },
    /// The first classes by number train, all others are unseen: the convention of the field, half and half.
    First {
        /// How many classes train.
        first: usize,
    },
    /// Those that are listed by name.
    Listed {
        /// Names of the unseen classes.
        classes: Vec<String>,
    },
}

/// A share of some classes, rounded to whole ones, at random by `seed`; ascending.
fn dealt(mut classes: Vec<usize>, share: f64, seed: u64) -> Vec<usize> {
    let count = (classes.len() as f64 * share).round() as usize;
    classes.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    classes.truncate(count);
    classes.sort_unstable();
    classes
}

impl Table {
    /// Moves `fraction` of the training rows of every class to the validation split, at random by `seed`.
    ///
    /// The share of each class is rounded to whole rows at random, in such a way that the expected total is exact; no
    /// class loses its last training row. Rows that were in the validation split before stay there.
    ///
    /// # Errors
    /// If `fraction` is not within 0 to 1, 1 excluded.
    pub fn hold_out(&mut self, fraction: f64, seed: u64) -> Result<(), DataError> {
        if !(0.0..1.0).contains(&fraction) {
            let problem = format!("{fraction} is not at least 0 and below 1");
            return Err(DataError::setting("validation_fraction", problem));
        }
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut by_class = vec![Vec::new(); self.classes()];
        for row in self.split(Split::Train) {
            by_class[self.rows[row].label].push(row);
        }
        for mut rows in by_class {
            let share = rows.len() as f64 * fraction;
            let round_up = random.random::<f64>() < share.fract();
            let count = share.floor() as usize + usize::from(round_up);
            rows.shuffle(&mut random);
            let most = rows.len().saturating_sub(1);
            for &row in &rows[..count.min(most)] {
                self.rows[row].split = Split::Validation;
            }
        }
        Ok(())
    }

    /// Sets classes aside that no training sees: all their rows become test rows, whatever they were before. Rows of the other
    /// classes stay in their split. This is how benchmarks of metric learning ask whether an embedding serves for the classes of
    /// tomorrow; labels stay as they are.
    ///
    /// # Errors
    /// If a listed class is none of the table, or if no class would be left on one of the sides.
    pub fn set_unseen(&mut self, unseen: &UnseenClasses) -> Result<(), DataError> {
        let present = self.present();
        let classes = present.len();
        let wrong = |problem: String| Err(DataError::setting("data.unseen", problem));
        let chosen: Vec<usize> = match unseen {
            UnseenClasses::Share { share, seed } => {
                if !(*share > 0.0 && *share < 1.0) {
                    return wrong(format!("share is {share}, must be above 0 and below 1"));
                }
                dealt(present, *share, *seed)
            }
            UnseenClasses::First { first } => present.iter().skip(*first).copied().collect(),
            UnseenClasses::Listed { classes } => {
                let numbers = classes.iter().map(|name| self.class_named(name)).collect();
                match numbers {
                    Ok(numbers) => numbers,
                    Err(name) => {
                        return wrong(format!("`{name}` is no class of {}", self.name));
                    }
                }
            }
        };
        let mut unseen_class = vec![false; self.classes()];
        chosen.iter().for_each(|&class| unseen_class[class] = true);
        for row in self.rows.iter_mut().filter(|row| unseen_class[row.label]) {
            row.split = Split::Test;
        }
        let count = unseen_class.iter().filter(|&&unseen| unseen).count();
        if count == 0 || self.split(Split::Train).is_empty() {
            return wrong(format!(
                "{count} of {classes} classes of {} would be unseen, and {} photographs train: both sides need some",
                self.name,
                self.split(Split::Train).len()
            ));
        }
        Ok(())
    }

    /// Holds whole classes out of training, a `share` of them at random by `seed`: their training rows become validation rows, so
    /// that settings are chosen on classes that were not trained on either.
    ///
    /// # Errors
    /// If `share` is not within 0 to 1, both excluded, the table has validation rows already, or a side would have no class.
    pub fn hold_out_classes(&mut self, share: f64, seed: u64) -> Result<(), DataError> {
        let wrong = |problem: String| Err(DataError::setting("data.validation_classes", problem));
        if !(share > 0.0 && share < 1.0) {
            return wrong(format!("{share}, must be above 0 and below 1"));
        }
        let official = self.split(Split::Validation).len();
        if official > 0 {
            return wrong(format!(
                "{share}, but {} has {official} validation photographs of its own, of classes that are trained on",
                self.name
            ));
        }
        let mut training = self.labels(&self.split(Split::Train));
        training.sort_unstable();
        training.dedup();
        let classes = training.len();
        let chosen = dealt(training, share, seed);
        if chosen.is_empty() || chosen.len() == classes {
            return wrong(format!(
                "{share}, which is {} of {classes} training classes: both sides need some",
                chosen.len()
            ));
        }
        for row in &mut self.rows {
            if row.split == Split::Train && chosen.binary_search(&row.label).is_ok() {
                row.split = Split::Validation;
            }
        }
        Ok(())
    }

    /// Classes that have a row, ascending.
    fn present(&self) -> Vec<usize> {
        let mut present: Vec<usize> = self.rows.iter().map(|row| row.label).collect();
        present.sort_unstable();
        present.dedup();
        present
    }

    /// The number of the class of this name, or the name.
    fn class_named<'a>(&self, name: &'a str) -> Result<usize, &'a str> {
        let known = self.class_names.iter().position(|known| known == name);
        known.ok_or(name)
    }

    /// Fills the coarse column by merging classes at random into `groups` of nearly equal size, by `seed`.
    ///
    /// Training on these labels and testing on the fine ones asks whether an embedding recovers a structure that it was
    /// not shown (Rippel et al., section 4.3). Groups are named by their classes, joined by ` + `.
    ///
    /// # Errors
    /// If there are not at least two groups, or fewer classes than groups.
    pub fn merge_classes(&mut self, groups: usize, seed: u64) -> Result<(), DataError> {
        if groups < 2 || groups > self.classes() {
            let problem = format!("{groups} is not within 2..={} (classes)", self.classes());
            return Err(DataError::setting("groups", problem));
        }
        let mut order: Vec<usize> = (0..self.classes()).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let mut group_of = vec![0; self.classes()];
        for (position, class) in order.into_iter().enumerate() {
            group_of[class] = position % groups;
        }
        self.merge_into(&group_of, groups);
        Ok(())
    }

    /// Fills the coarse column by merging the classes that are listed together, by name.
    ///
    /// # Errors
    /// If there are not at least two groups, a name is no class, or a class stands in none or in two of the groups.
    pub fn merge_listed(&mut self, groups: &[Vec<String>]) -> Result<(), DataError> {
        let wrong = |problem: String| Err(DataError::setting("merged", problem));
        if groups.len() < 2 {
            return wrong(format!("{} groups, must be at least 2", groups.len()));
        }
        let mut group_of = vec![None; self.classes()];
        for (group, name) in groups
            .iter()
            .enumerate()
            .flat_map(|(group, names)| names.iter().map(move |name| (group, name)))
        {
            let Ok(class) = self.class_named(name) else {
                return wrong(format!("`{name}` is no class of {}", self.name));
            };
            if let Some(first) = group_of[class].replace(group) {
                return wrong(format!(
                    "`{name}` stands in group {first} and in group {group}"
                ));
            }
        }
        let Some(group_of) = group_of.iter().copied().collect::<Option<Vec<usize>>>() else {
            let missing = group_of
                .iter()
                .position(Option::is_none)
                .unwrap_or_default();
            return wrong(format!(
                "`{}` stands in no group",
                self.class_names[missing]
            ));
        };
        self.merge_into(&group_of, groups.len());
        Ok(())
    }

    /// Fills the coarse column with the group of each class.
    fn merge_into(&mut self, group_of: &[usize], groups: usize) {
        let mut members = vec![Vec::new(); groups];
        for (class, &group) in group_of.iter().enumerate() {
            members[group].push(self.class_names[class].as_str());
        }
        self.coarse_names = members.into_iter().map(|names| names.join(" + ")).collect();
        for row in &mut self.rows {
            row.coarse = Some(group_of[row.label]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::table::Row;

    /// `counts[class]` training rows and one test row of each class.
    fn table(counts: &[usize]) -> Table {
        let mut rows = Vec::new();
        for (class, &count) in counts.iter().enumerate() {
            rows.extend((0..count).map(|n| Row::file(format!("{class}/{n}"), class, Split::Train)));
            rows.push(Row::file(format!("{class}/t"), class, Split::Test));
        }
        let names = (0..counts.len()).map(|class| format!("c{class}")).collect();
        Table::of_files("t", Path::new(""), names, rows)
    }

    fn validation_counts(table: &Table) -> Vec<usize> {
        let labels = table.labels(&table.split(Split::Validation));
        (0..table.classes())
            .map(|class| labels.iter().filter(|&&l| l == class).count())
            .collect()
    }

    #[test]
    fn every_class_gives_its_share_and_keeps_a_row() {
        let mut held = table(&[10, 20, 1, 0]);
        held.hold_out(0.3, 1).unwrap();
        assert_eq!(validation_counts(&held), [3, 6, 0, 0]);
        assert_eq!(held.split(Split::Test).len(), 4);
        let mut again = table(&[10, 20, 1, 0]);
        again.hold_out(0.3, 1).unwrap();
        assert_eq!(held.rows, again.rows);
        let mut other = table(&[10, 20, 1, 0]);
        other.hold_out(0.3, 2).unwrap();
        assert_ne!(held.rows, other.rows);
    }

    #[test]
    fn small_classes_are_rounded_without_bias() {
        let mut held = table(&[2; 1000]);
        held.hold_out(0.25, 3).unwrap();
        let total: usize = validation_counts(&held).iter().sum();
        // 500 expected with a deviation of 16.
        assert!((440..560).contains(&total), "{total}");
    }

    /// Classes with a row of the split.
    fn classes_of(table: &Table, split: Split) -> Vec<usize> {
        let mut classes = table.labels(&table.split(split));
        classes.dedup();
        classes
    }

    #[test]
    fn unseen_classes_are_tested_on_whole_and_the_others_stay_as_they_are() {
        let mut first = table(&[3, 2, 4]);
        first
            .set_unseen(&UnseenClasses::First { first: 2 })
            .unwrap();
        assert_eq!(classes_of(&first, Split::Train), [0, 1]);
        // Class 2 with all of its rows, classes 0 and 1 with their test row.
        assert_eq!(
            first.labels(&first.split(Split::Test)),
            [0, 1, 2, 2, 2, 2, 2]
        );

        let mut listed = table(&[3, 2, 4]);
        let classes = vec!["c0".to_owned()];
        listed
            .set_unseen(&UnseenClasses::Listed { classes })
            .unwrap();
        assert_eq!(classes_of(&listed, Split::Train), [1, 2]);

        let share = |seed| {
            let mut shared = table(&[2; 40]);
            let unseen = UnseenClasses::Share { share: 0.25, seed };
            shared.set_unseen(&unseen).unwrap();
            classes_of(&shared, Split::Train)
        };
        assert_eq!(share(1).len(), 30);
        assert_eq!(share(1), share(1));
        assert_ne!(share(1), share(2));
    }

    #[test]
    fn a_class_without_rows_counts_for_neither_side() {
        let mut gap = table(&[3, 2, 4]);
        gap.rows.retain(|row| row.label != 1);
        gap.set_unseen(&UnseenClasses::First { first: 1 }).unwrap();
        assert_eq!(classes_of(&gap, Split::Train), [0]);
        let error = gap.set_unseen(&UnseenClasses::First { first: 2 });
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("0 of 2 classes of t would be unseen"),
            "{error}"
        );
    }

    #[test]
    fn classes_of_validation_are_training_classes_held_out_whole() {
        let mut held = table(&[2; 10]);
        held.set_unseen(&UnseenClasses::First { first: 5 }).unwrap();
        held.hold_out_classes(0.4, 3).unwrap();
        let validation = classes_of(&held, Split::Validation);
        assert_eq!(
            (validation.len(), classes_of(&held, Split::Train).len()),
            (2, 3)
        );
        assert!(validation.iter().all(|&class| class < 5), "{validation:?}");
        let error = held.hold_out_classes(0.4, 3).unwrap_err().to_string();
        assert!(
            error.contains("has 4 validation photographs of its own"),
            "{error}"
        );
    }

    #[test]
    fn merged_groups_have_nearly_equal_size() {
        let mut merged = table(&[1; 11]);
        merged.merge_classes(4, 7).unwrap();
        let rows: Vec<usize> = (0..merged.rows.len()).collect();
        let coarse = merged.coarse_labels(&rows).unwrap();
        let sizes: Vec<usize> = (0..4)
            .map(|group| coarse.iter().filter(|&&c| c == group).count() / 2)
            .collect();
        assert_eq!(sizes, [3, 3, 3, 2]);
        for (row, group) in merged.rows.iter().zip(coarse) {
            let name = &merged.class_names[row.label];
            assert!(
                merged.coarse_names[group]
                    .split(" + ")
                    .any(|member| member == name)
            );
        }
    }

    fn listed(groups: &[&[&str]]) -> Vec<Vec<String>> {
        let owned = |names: &&[&str]| names.iter().map(|&name| name.to_owned()).collect();
        groups.iter().map(owned).collect()
    }

    #[test]
    fn listed_classes_are_merged_by_name() {
        let mut merged = table(&[1; 3]);
        merged
            .merge_listed(&listed(&[&["c2", "c0"], &["c1"]]))
            .unwrap();
        assert_eq!(merged.coarse_names, ["c0 + c2", "c1"]);
        // A training and a test row of each class, class by class.
        let rows: Vec<usize> = (0..6).collect();
        assert_eq!(merged.coarse_labels(&rows), Some(vec![0, 0, 1, 1, 0, 0]));
    }

    #[test]
    fn impossible_wishes_are_named() {
        let mut three = table(&[3, 2, 4]);
        let cases = [
            (three.hold_out(1.0, 0), "validation_fraction: 1 is not"),
            (
                three.set_unseen(&UnseenClasses::Listed {
                    classes: vec!["c9".into()],
                }),
                "data.unseen: `c9` is no class of t",
            ),
            (
                three.set_unseen(&UnseenClasses::First { first: 3 }),
                "data.unseen: 0 of 3 classes of t would be unseen",
            ),
            (
                three.clone().set_unseen(&UnseenClasses::First { first: 0 }),
                "data.unseen: 3 of 3 classes of t would be unseen, and 0 photographs train",
            ),
            (
                three.set_unseen(&UnseenClasses::Share {
                    share: 1.0,
                    seed: 0,
                }),
                "data.unseen: share is 1, must be above 0 and below 1",
            ),
            (
                three.set_unseen(&UnseenClasses::Share {
                    share: 0.1,
                    seed: 0,
                }),
                "data.unseen: 0 of 3 classes of t would be unseen",
            ),
            (
                three.hold_out_classes(0.1, 0),
                "data.validation_classes: 0.1, which is 0 of 3 training classes",
            ),
            (three.merge_classes(4, 0), "groups: 4 is not within 2..=3"),
            (three.merge_classes(1, 0), "groups: 1 is not within 2..=3"),
            (
                three.merge_listed(&listed(&[&["c0", "c1", "c2"]])),
                "merged: 1 groups, must be at least 2",
            ),
            (
                three.merge_listed(&listed(&[&["c0", "x"], &["c1"]])),
                "merged: `x` is no class of t",
            ),
            (
                three.merge_listed(&listed(&[&["c0"], &["c1", "c0"]])),
                "merged: `c0` stands in group 0 and in group 1",
            ),
            (
                three.merge_listed(&listed(&[&["c0"], &["c1"]])),
                "merged: `c2` stands in no group",
            ),
        ];
        for (result, expected) in cases {
            let message = result.unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
