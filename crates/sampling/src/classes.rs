//! The labelled rows that a plan may draw: which rows each class has, and a fingerprint of them all.

use serde::{Deserialize, Serialize};

use crate::SamplingError;

/// The training rows by class, checked once: labels are 0, 1, … without gaps, and every class has a row.
///
/// A row is a position in the training split. The trainer maps it to a row of its table; no test row can be drawn, because
/// none is ever told.
///
/// # Example
/// ```
/// use lodestone_sampling::Classes;
///
/// let classes = Classes::new(&[1, 0, 1, 1])?;
/// assert_eq!((classes.rows(), classes.len()), (4, 2));
/// assert_eq!(classes.members(1), [0, 2, 3]);
/// # Ok::<(), lodestone_sampling::SamplingError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Classes {
    labels: Vec<usize>,
    members: Vec<Vec<usize>>,
    names: Vec<String>,
}

impl Classes {
    /// Classes named by their number.
    ///
    /// # Errors
    /// If there are no labels, or a number below the highest label never occurs.
    pub fn new(labels: &[usize]) -> Result<Self, SamplingError> {
        let count = labels.iter().max().map_or(0, |last| last + 1);
        Self::named(labels, (0..count).map(|class| class.to_string()).collect())
    }

    /// Classes `0..names.len()` with names, which settings by class refer to.
    ///
    /// # Errors
    /// If there are no labels, a label has no name, or a named class has no row.
    pub fn named(labels: &[usize], names: Vec<String>) -> Result<Self, SamplingError> {
        if labels.is_empty() {
            return Err(SamplingError::NoRows);
        }
        let mut members = vec![Vec::new(); names.len()];
        for (row, &label) in labels.iter().enumerate() {
            let Some(class) = members.get_mut(label) else {
                let last = names.len().saturating_sub(1);
                return Err(SamplingError::LabelOutOfRange { row, label, last });
            };
            class.push(row);
        }
        if let Some(class) = members.iter().position(Vec::is_empty) {
            let (name, classes) = (names[class].clone(), names.len());
            return Err(SamplingError::EmptyClass {
                class,
                name,
                classes,
            });
        }
        Ok(Self {
            labels: labels.to_vec(),
            members,
            names,
        })
    }

    /// Number of classes.
    #[allow(
        clippy::len_without_is_empty,
        reason = "there is always at least one class"
    )]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.labels.len()
    }

    /// Class of each row.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// Rows of `class`, ascending.
    ///
    /// # Panics
    /// If there is no such class.
    pub fn members(&self, class: usize) -> &[usize] {
        &self.members[class]
    }

    /// Name of `class`.
    ///
    /// # Panics
    /// If there is no such class.
    pub fn name(&self, class: usize) -> &str {
        &self.names[class]
    }

    /// Number of the class called `name`.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }

    /// Tells one labelling from another, by the labels of all rows and the names of the classes: an index or a cache of other
    /// labels must not be used with these. Two sets of photographs with the same labels look alike here; whoever knows the files
    /// compares those too.
    pub fn fingerprint(&self) -> u64 {
        let labels = self.labels.iter().map(|&label| label as u64);
        // Each name with its length, so that no two lists of names read alike.
        let names = self
            .names
            .iter()
            .flat_map(|name| std::iter::once(name.len() as u64).chain(name.bytes().map(u64::from)));
        fingerprint(
            std::iter::once(self.len() as u64)
                .chain(labels)
                .chain(names),
        )
    }
}

/// A hash of whole numbers that is the same on every machine and in every version (FNV-1a over their bytes).
pub(crate) fn fingerprint(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0xcbf2_9ce4_8422_2325, |hash, number| {
        number.to_le_bytes().iter().fold(hash, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_are_not_zero_to_c_are_errors_that_name_the_culprit() {
        let named = |labels: &[usize]| Classes::named(labels, vec!["cat".into(), "dog".into()]);
        for (result, message) in [
            (Classes::new(&[]), "there are no rows to draw from"),
            (
                Classes::new(&[0, 2]),
                "class 1 (1) has no rows; labels must be 0..3 without gaps",
            ),
            (
                named(&[0, 0]),
                "class 1 (dog) has no rows; labels must be 0..2 without gaps",
            ),
            (
                named(&[0, 1, 2]),
                "row 2 has label 2, but labels run from 0 to 1",
            ),
        ] {
            assert_eq!(result.unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn the_fingerprint_sees_changed_labels_order_and_names() {
        let of = |labels: &[usize]| Classes::new(labels).unwrap().fingerprint();
        assert_eq!(of(&[0, 1, 1]), of(&[0, 1, 1]));
        assert_ne!(of(&[0, 1, 1]), of(&[0, 1, 0]));
        assert_ne!(of(&[0, 1, 1]), of(&[1, 0, 1]));
        assert_ne!(of(&[0, 1, 1]), of(&[0, 1, 1, 1]));
        let named = |names: [&str; 2]| Classes::named(&[0, 1], names.map(String::from).to_vec());
        let of = |names| named(names).unwrap().fingerprint();
        assert_ne!(of(["beagle", "pug"]), of(["cat", "dog"]));
        assert_ne!(of(["beagle", "pug"]), of(["beaglep", "ug"]));
    }
}
