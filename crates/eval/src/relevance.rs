//! Which gallery rows are relevant to a query: those of its class that it may see.

use std::collections::BTreeMap;

use crate::EvalError;
use crate::Search;
use crate::labelled::same_count;

/// Labels of both sides of a search, and the gallery rows of each class.
///
/// Any labelling will do: fine classes, coarse classes, or identities.
#[derive(Debug)]
pub(crate) struct Relevance<'a> {
    pub(crate) query_labels: &'a [usize],
    pub(crate) gallery_labels: &'a [usize],
    rows_of_class: BTreeMap<usize, Vec<u32>>,
}

impl<'a> Relevance<'a> {
    pub(crate) fn new(
        search: &Search,
        query_labels: &'a [usize],
        gallery_labels: &'a [usize],
    ) -> Result<Self, EvalError> {
        same_count("query labels", query_labels.len(), search.queries())?;
        same_count("gallery labels", gallery_labels.len(), search.gallery())?;
        let mut rows_of_class = BTreeMap::<usize, Vec<u32>>::new();
        for (row, &label) in gallery_labels.iter().enumerate() {
            // `Search` holds at most 2^32 - 1 rows.
            rows_of_class.entry(label).or_default().push(row as u32);
        }
        Ok(Self {
            query_labels,
            gallery_labels,
            rows_of_class,
        })
    }

    /// The relevant rows of `query`, ascending.
    pub(crate) fn rows(&self, search: &Search, query: usize) -> impl Iterator<Item = u32> {
        let rows = self.rows_of_class.get(&self.query_labels[query]);
        let visibility = search.visibility();
        rows.into_iter()
            .flatten()
            .copied()
            .filter(move |&row| !visibility.hides(query, row as usize))
    }

    /// How many rows are relevant to `query`: its R.
    pub(crate) fn count(&self, search: &Search, query: usize) -> usize {
        self.rows(search, query).count()
    }

    /// Whether gallery row `row` has the class of `query`.
    pub(crate) fn same_class(&self, query: usize, row: usize) -> bool {
        self.query_labels[query] == self.gallery_labels[row]
    }
}
