//! The rows of a gallery, and what changes when some come or go.

use std::collections::{BTreeMap, BTreeSet};

use lodestone_eval::{Rows, Search};

use crate::GalleryError;
use crate::calibration::{Calibration, Probes};
use crate::centres::Centres;
use crate::settings::Settings;

/// What is known of a row beside its embedding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where the photograph lies; a gallery holds each path once.
    pub path: String,
    /// Name of its class; empty if nobody says.
    pub class: String,
}

/// Embedded photographs that can be searched.
#[derive(Debug, Clone, PartialEq)]
pub struct Gallery {
    pub(crate) settings: Settings,
    pub(crate) dim: usize,
    /// `[rows, dim]`.
    pub(crate) values: Vec<f32>,
    /// A number for each row that is never given again.
    pub(crate) keys: Vec<u64>,
    pub(crate) next_key: u64,
    pub(crate) paths: Vec<String>,
    /// Positions in `classes`.
    pub(crate) labels: Vec<usize>,
    /// Names of the classes in the order in which they came; one without rows keeps its place.
    pub(crate) classes: Vec<String>,
    pub(crate) centres: Centres,
    pub(crate) calibration: Calibration,
    pub(crate) probes: Probes,
    /// Grows with each write, and names the file of the graph.
    pub(crate) generation: u64,
}

impl Gallery {
    /// An empty gallery of embeddings of `dim` values.
    pub fn new(dim: usize, settings: Settings) -> Self {
        Self {
            settings,
            dim,
            values: Vec::new(),
            keys: Vec::new(),
            next_key: 0,
            paths: Vec::new(),
            labels: Vec::new(),
            classes: Vec::new(),
            centres: Centres::default(),
            calibration: Calibration::default(),
            probes: Probes::default(),
            generation: 0,
        }
    }

    /// Adds rows, and centres of their classes anew; other classes keep theirs. A path that is there already is replaced.
    /// Returns how many were replaced.
    ///
    /// # Errors
    /// If there is not one entry a row, the embeddings have another length, or one is not finite; the gallery is then as before.
    pub fn add(&mut self, rows: Rows, entries: &[Entry]) -> Result<usize, GalleryError> {
        self.fits(rows, entries.len())?;
        // Of a path that is given twice the later row counts.
        let last: BTreeMap<&str, usize> = (0..)
            .zip(entries)
            .map(|(row, entry)| (entry.path.as_str(), row))
            .collect();
        let mut changed = self.clone();
        let (mut touched, replaced) =
            changed.take_out(|row| last.contains_key(self.paths[row].as_str()));
        for (row, entry) in entries.iter().enumerate() {
            if last[entry.path.as_str()] != row {
                continue;
            }
            let label = changed.class(&entry.class);
            touched.insert(label);
            changed.values.extend(rows.row(row));
            changed.keys.push(changed.next_key);
            changed.next_key += 1;
            changed.paths.push(entry.path.clone());
            changed.labels.push(label);
        }
        changed.settle(&touched)?;
        *self = changed;
        Ok(replaced)
    }

    /// Takes out the rows that `goes` says by path and class name, and returns how many those were.
    ///
    /// # Errors
    /// If what is left cannot be clustered again, which does not happen to rows that were added once.
    pub fn remove(&mut self, goes: impl Fn(&str, &str) -> bool) -> Result<usize, GalleryError> {
        let mut changed = self.clone();
        let (touched, count) =
            changed.take_out(|row| goes(&self.paths[row], &self.classes[self.labels[row]]));
        changed.settle(&touched)?;
        *self = changed;
        Ok(count)
    }

    /// Learns from photographs that the model was not trained on how far known and unknown photographs are from what is nearest:
    /// those whose class has rows here are known, now and after rows came or went. Without such photographs, or with fewer than
    /// twenty of a kind, the rows of the gallery play them. `from` says what they are.
    ///
    /// # Errors
    /// If there is not one class a row, the embeddings have another length, or one is not finite.
    pub fn calibrate(
        &mut self,
        rows: Rows,
        classes: &[String],
        from: String,
    ) -> Result<(), GalleryError> {
        self.fits(rows, classes.len())?;
        self.probes = Probes {
            values: rows.values().to_vec(),
            classes: classes.to_vec(),
            from,
        };
        self.calibration =
            Calibration::measure(self.rows(), &self.labels, &self.classes, &self.probes)?;
        Ok(())
    }

    /// What tells known photographs from unknown ones, in words.
    pub fn calibrated_on(&self) -> String {
        let Calibration {
            known,
            unknown,
            held_out,
        } = &self.calibration;
        let (known, unknown, from) = (known.len(), unknown.len(), &self.probes.from);
        match held_out {
            [true, true] => format!(
                "{known} held-out photographs of classes that are here and {unknown} of others, of {from}"
            ),
            [true, false] => format!(
                "{known} held-out photographs of classes that are here, of {from}, and {unknown} rows of its own with their class left \
                 out"
            ),
            [false, _] => format!(
                "{known} rows of its own with themselves left out and {unknown} with their class left out; photographs that were \
                 trained on lie nearer to their class than others do"
            ),
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Length of an embedding.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// What it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Name and number of rows of each class that has any, in the order in which they came.
    pub fn class_sizes(&self) -> Vec<(&str, usize)> {
        let mut sizes = vec![0; self.classes.len()];
        for &label in &self.labels {
            sizes[label] += 1;
        }
        let named = self.classes.iter().map(String::as_str).zip(sizes);
        named.filter(|&(_, size)| size > 0).collect()
    }

    /// The path of each row.
    pub fn paths(&self) -> &[String] {
        &self.paths
    }

    /// Whether any row has a class. Where none has, there are no centres and no calibration: a search finds rows, and says
    /// neither what a query would be called nor whether it is known.
    pub fn has_classes(&self) -> bool {
        let mut sizes = self.class_sizes().into_iter();
        sizes.any(|(name, _)| !name.is_empty())
    }

    /// Number of cluster centres.
    pub fn centres(&self) -> usize {
        self.centres.labels.len()
    }

    /// The embeddings, `[rows, dim]`.
    ///
    /// # Panics
    /// Never: rows are added whole.
    pub fn rows(&self) -> Rows<'_> {
        Rows::new(&self.values, self.dim).expect("rows are added whole")
    }

    /// Refuses rows of another length, and another number of entries.
    fn fits(&self, rows: Rows, entries: usize) -> Result<(), GalleryError> {
        if entries != rows.len() {
            let rows = rows.len();
            return Err(GalleryError::Count { entries, rows });
        }
        self.has_length(rows)
    }

    /// Refuses rows of another length.
    pub(crate) fn has_length(&self, rows: Rows) -> Result<(), GalleryError> {
        if rows.dim() != self.dim {
            let (given, gallery) = (rows.dim(), self.dim);
            return Err(GalleryError::Dimension { given, gallery });
        }
        Ok(())
    }

    fn class(&mut self, name: &str) -> usize {
        let known = self.classes.iter().position(|class| class == name);
        known.unwrap_or_else(|| {
            self.classes.push(name.to_owned());
            self.classes.len() - 1
        })
    }

    /// Takes rows out; returns their classes and their number.
    fn take_out(&mut self, goes: impl Fn(usize) -> bool) -> (BTreeSet<usize>, usize) {
        let (mut touched, mut kept) = (BTreeSet::new(), 0);
        let rows = self.len();
        for row in 0..rows {
            if goes(row) {
                touched.insert(self.labels[row]);
                continue;
            }
            self.values
                .copy_within(row * self.dim..(row + 1) * self.dim, kept * self.dim);
            self.keys[kept] = self.keys[row];
            self.paths.swap(kept, row);
            self.labels[kept] = self.labels[row];
            kept += 1;
        }
        self.values.truncate(kept * self.dim);
        self.keys.truncate(kept);
        self.paths.truncate(kept);
        self.labels.truncate(kept);
        (touched, rows - kept)
    }

    /// Computes anew what follows from the rows.
    fn settle(&mut self, touched: &BTreeSet<usize>) -> Result<(), GalleryError> {
        let rows = Rows::new(&self.values, self.dim).expect("rows are added whole");
        let centres = std::mem::take(&mut self.centres);
        if !self.has_classes() {
            self.calibration = Calibration::default();
            // What no distance can be computed with is refused here as well.
            if !rows.is_empty() {
                Search::leave_one_out(rows)?;
            }
            return Ok(());
        }
        // Rows that came before any had a class have no centres yet.
        let with: BTreeSet<usize> = centres.labels.iter().copied().collect();
        let without: BTreeSet<usize> = self.labels.iter().copied().collect();
        let touched = &(&without - &with) | touched;
        self.centres = centres.renewed(rows, &self.labels, &touched, &self.settings)?;
        self.calibration = Calibration::measure(rows, &self.labels, &self.classes, &self.probes)?;
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// `count` rows of each class of `names`, class `i` around `10 i`, at paths `NAME/ROW.jpg`.
    pub(crate) fn filled(names: &[&str], count: usize) -> Gallery {
        let mut gallery = Gallery::new(2, Settings::default());
        for (class, name) in (0_u8..).zip(names) {
            let (values, entries) = class_of(name, class, count);
            gallery
                .add(Rows::new(&values, 2).unwrap(), &entries)
                .unwrap();
        }
        gallery
    }

    pub(crate) fn class_of(name: &str, class: u8, count: usize) -> (Vec<f32>, Vec<Entry>) {
        let entry = |row: usize| Entry {
            path: format!("{name}/{row}.jpg"),
            class: name.to_owned(),
        };
        let value = |row: usize| {
            let spread = (row * 7919 % 101) as f32 / 101.0;
            [10.0 * f32::from(class) + spread, spread * spread]
        };
        (
            (0..count).flat_map(value).collect(),
            (0..count).map(entry).collect(),
        )
    }

    #[test]
    fn a_path_stands_once_and_keys_are_never_given_again() {
        let mut gallery = filled(&["a", "b"], 4);
        let again = Entry {
            path: "a/1.jpg".into(),
            class: "b".into(),
        };
        let rows = [9.0, 9.0];
        let replaced = gallery
            .add(Rows::new(&rows, 2).unwrap(), std::slice::from_ref(&again))
            .unwrap();
        assert_eq!((replaced, gallery.len()), (1, 8));
        assert_eq!(gallery.keys, [0, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(gallery.class_sizes(), [("a", 3), ("b", 5)]);
        assert_eq!(gallery.rows().row(7), rows);
        assert_eq!(gallery.paths()[7], "a/1.jpg");
    }

    #[test]
    fn a_class_goes_and_another_comes_while_the_rest_keeps_its_centres() {
        let mut gallery = filled(&["a", "b"], 9);
        let centres_of = |gallery: &Gallery, class: usize| -> Vec<Vec<f32>> {
            let centres = gallery.centres.rows(2);
            (0..centres.len())
                .filter(|&at| gallery.centres.labels[at] == class)
                .map(|at| centres.row(at).to_vec())
                .collect()
        };
        let of_b = centres_of(&gallery, 1);
        assert_eq!(gallery.remove(|_, class| class == "a").unwrap(), 9);
        let (values, entries) = class_of("c", 5, 2);
        gallery
            .add(Rows::new(&values, 2).unwrap(), &entries)
            .unwrap();
        assert_eq!(gallery.class_sizes(), [("b", 9), ("c", 2)]);
        assert_eq!(centres_of(&gallery, 1), of_b);
        assert_eq!(
            (centres_of(&gallery, 0).len(), centres_of(&gallery, 2).len()),
            (0, 2)
        );
        assert_eq!(gallery.remove(|_, _| true).unwrap(), 11);
        assert!(gallery.is_empty());
    }

    #[test]
    fn rows_without_a_class_are_found_and_named_nothing() {
        let mut gallery = filled(&[""], 9);
        assert!(!gallery.has_classes());
        assert_eq!((gallery.len(), gallery.centres()), (9, 0));
        let query = [0.01, 0.0];
        let ask = |gallery: &Gallery| {
            let rows = Rows::new(&query, 2).unwrap();
            gallery.search(rows, 2, 0.95).unwrap().remove(0)
        };
        let answer = ask(&gallery);
        let paths = answer.nearest.iter().map(|near| near.path.as_str());
        assert_eq!(paths.collect::<Vec<_>>(), ["/0.jpg", "/5.jpg"]);
        assert!(answer.classes.is_empty());
        assert_eq!(
            (answer.unknown, answer.unknown_beyond, answer.familiarity),
            (None, None, None)
        );
        let entry = Entry {
            path: "x".into(),
            class: String::new(),
        };
        let rows = Rows::new(&[f32::NAN, 0.0], 2).unwrap();
        let before = gallery.clone();
        assert!(gallery.add(rows, std::slice::from_ref(&entry)).is_err());
        assert_eq!(gallery, before);
        // With a class beside them they are a class of their own.
        let (values, entries) = class_of("b", 1, 9);
        gallery
            .add(Rows::new(&values, 2).unwrap(), &entries)
            .unwrap();
        assert_eq!((gallery.has_classes(), gallery.centres()), (true, 6));
        assert_eq!(ask(&gallery).classes[0].class_name, "");
        gallery.remove(|_, class| class == "b").unwrap();
        assert_eq!((gallery.has_classes(), gallery.centres()), (false, 0));
        assert_eq!(gallery.remove(|_, _| true).unwrap(), 9);
    }

    #[test]
    fn what_does_not_fit_leaves_the_gallery_as_it_was() {
        let mut gallery = filled(&["a", "b"], 3);
        let before = gallery.clone();
        let entry = Entry {
            path: "x".into(),
            class: "a".into(),
        };
        let add = |gallery: &mut Gallery, values: &[f32], dim| {
            let rows = Rows::new(values, dim).unwrap();
            let error = gallery.add(rows, std::slice::from_ref(&entry)).unwrap_err();
            error.to_string()
        };
        let cases: [(&[f32], usize, &str); 3] = [
            (
                &[1.0],
                1,
                "embeddings of 1 values do not go into a gallery of 2",
            ),
            (&[1.0; 4], 2, "1 entries for 2 embeddings"),
            (&[f32::NAN, 1.0], 2, "NaN"),
        ];
        for (values, dim, expected) in cases {
            let error = add(&mut gallery, values, dim);
            assert!(error.contains(expected), "{error}");
            assert_eq!(gallery, before);
        }
    }
}
