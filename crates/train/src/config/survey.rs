//! What a data set is like, as far as settings depend on it.

use lodestone_data::{DecodeLimits, Orientation, Source, Split, Table, decode};

use crate::error::TrainError;

/// Numbers and sizes of the photographs of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Classes that have a training photograph.
    pub classes: usize,
    /// Classes that have test photographs and no training photograph.
    pub unseen: usize,
    /// Training photographs.
    pub train: usize,
    /// Validation photographs.
    pub validation: usize,
    /// Test photographs.
    pub test: usize,
    /// Training photographs of the smallest class, of the middle one and of the largest.
    pub class_sizes: [usize; 3],
    /// Middle length of the shorter side, in pixels, of those that were looked at.
    pub side: usize,
    /// Whether none of those that were looked at has a colour.
    pub grey: bool,
    /// Photographs that were looked at.
    pub looked_at: usize,
}

/// Photographs that are decoded.
const SAMPLE: usize = 48;

impl Survey {
    /// Counts the rows and decodes a few photographs, evenly taken.
    ///
    /// # Errors
    /// If there are not two classes to tell apart, or none of the photographs looked at can be decoded (the first is named).
    pub fn of(table: &Table) -> Result<Self, TrainError> {
        let train = table.split(Split::Train);
        let mut sizes = vec![0; table.classes()];
        for label in table.labels(&train) {
            sizes[label] += 1;
        }
        let mut unseen = table.labels(&table.split(Split::Test));
        unseen.retain(|&label| sizes[label] == 0);
        unseen.sort_unstable();
        unseen.dedup();
        sizes.retain(|&size| size > 0);
        sizes.sort_unstable();
        if sizes.len() < 2 {
            let reason = format!(
                "{}: {} classes with training photographs, but there must be two or more to tell apart: put the photographs of \
                 each class into a folder of its own",
                table.root.display(),
                sizes.len()
            );
            return Err(TrainError::Setting { reason });
        }
        let (mut sides, mut grey) = (Vec::new(), true);
        let mut broken = None;
        for &row in train.iter().step_by(train.len().div_ceil(SAMPLE)) {
            match looks(table, row) {
                Ok((side, is_grey)) => {
                    sides.push(side);
                    grey &= is_grey;
                }
                Err(reason) => broken = broken.or(Some(reason)),
            }
        }
        sides.sort_unstable();
        let Some(&side) = sides.get(sides.len() / 2) else {
            // At least one row was looked at.
            let reason = broken.unwrap_or_default();
            return Err(TrainError::Setting { reason });
        };
        Ok(Self {
            classes: sizes.len(),
            unseen: unseen.len(),
            train: train.len(),
            validation: table.split(Split::Validation).len(),
            test: table.split(Split::Test).len(),
            class_sizes: [sizes[0], sizes[sizes.len() / 2], sizes[sizes.len() - 1]],
            side,
            grey,
            looked_at: sides.len(),
        })
    }
}

/// Shorter side of a photograph and whether it has no colour.
fn looks(table: &Table, row: usize) -> Result<(usize, bool), String> {
    let file = match (&table.rows[row].source, &table.packed) {
        (Source::Packed(_), Some(packed)) => return Ok((packed.width.min(packed.height), true)),
        (Source::Packed(_), None) => return Err(format!("{} has no packed images", table.name)),
        (Source::File(file), _) => table.root.join(file),
    };
    let name = |problem: String| format!("{}: {problem}", file.display());
    let bytes = std::fs::read(&file).map_err(|error| name(error.to_string()))?;
    let pixels = decode(&bytes, Orientation::AsStored, DecodeLimits::default())
        .map_err(|error| name(error.to_string()))?;
    let (colours, _) = pixels.bytes.as_chunks::<3>();
    let grey = colours.iter().all(|[r, g, b]| r == g && g == b);
    Ok((pixels.width.min(pixels.height), grey))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use lodestone_data::{Dataset, Row};

    use super::*;

    #[test]
    fn the_embedded_set_is_small_grey_and_even() {
        let table = Dataset::FashionMini.open(None).unwrap();
        let survey = Survey::of(&table).unwrap();
        let expected = Survey {
            classes: 10,
            unseen: 0,
            train: 4000,
            validation: 0,
            test: 1000,
            class_sizes: [400; 3],
            side: 28,
            grey: true,
            looked_at: survey.looked_at,
        };
        assert_eq!(survey, expected);
        assert!((40..=48).contains(&survey.looked_at));
    }

    #[test]
    fn one_class_is_told_with_what_to_do() {
        let rows = vec![Row::file("a", 0, Split::Train)];
        let table = Table::of_files("t", Path::new("shelf"), vec!["a".into()], rows);
        let error = Survey::of(&table).unwrap_err().to_string();
        assert!(error.starts_with("shelf: 1 classes"), "{error}");
        assert!(error.contains("a folder of its own"), "{error}");
    }
}
