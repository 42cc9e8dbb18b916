//! Changing what a table asks for: a validation part held out of training, whole classes held out, coarse classes.

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::error::DataError;
use crate::table::{Split, Table};

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

    /// Splits by class instead of by photograph: all rows of the `training_classes` train, all others test. The protocol
    /// of zero-shot retrieval; labels stay as they are.
    ///
    /// # Errors
    /// If a class is not of the table, or if no class is left for one of the sides.
    pub fn split_by_class(&mut self, training_classes: &[usize]) -> Result<(), DataError> {
        let mut trains = vec![false; self.classes()];
        for &class in training_classes {
            *trains.get_mut(class).ok_or_else(|| {
                let problem = format!("class {class}, the largest is {}", self.classes() - 1);
                DataError::setting("training_classes", problem)
            })? = true;
        }
        let count = trains.iter().filter(|&&train| train).count();
        if count == 0 || count == trains.len() {
            let problem = format!("{count} of {} classes train", trains.len());
            return Err(DataError::setting("training_classes", problem));
        }
        for row in &mut self.rows {
            row.split = if trains[row.label] {
                Split::Train
            } else {
                Split::Test
            };
        }
        Ok(())
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
            let Some(class) = self.class_names.iter().position(|known| known == name) else {
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

    #[test]
    fn classes_are_split_whole() {
        let mut split = table(&[3, 2, 4]);
        split.split_by_class(&[2, 0]).unwrap();
        assert_eq!(split.split(Split::Train).len(), 4 + 5);
        assert!(
            split
                .labels(&split.split(Split::Test))
                .iter()
                .all(|&label| label == 1)
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
                three.split_by_class(&[3]),
                "training_classes: class 3, the largest is 2",
            ),
            (
                three.split_by_class(&[0, 1, 2]),
                "training_classes: 3 of 3 classes train",
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
