//! Which gallery rows a query may see.
//!
//! A row never finds itself, and that is decided by **which row it is**, never by a distance of 0: a second copy of the same
//! photograph is a legitimate hit. Frames of the query's own sequence can be hidden as well.

use std::collections::BTreeMap;

use crate::EvalError;

/// The gallery rows that are hidden from each query.
#[derive(Debug, Clone, Copy, Default)]
pub struct Visibility<'a> {
    own: Own<'a>,
    sequences: Option<Sequences<'a>>,
}

#[derive(Debug, Clone, Copy, Default)]
enum Own<'a> {
    /// Queries are not in the gallery.
    #[default]
    Absent,
    /// Query `i` is gallery row `i`.
    SameRow,
    /// Query `i` is gallery row `rows[i]`, if any.
    Given(&'a [Option<usize>]),
}

#[derive(Debug, Clone, Copy)]
struct Sequences<'a> {
    of_queries: &'a [usize],
    of_gallery: &'a [usize],
}

/// Own rows of some queries, and the sequences of these queries and of the gallery.
type OfQueries<'a> = (Vec<Option<usize>>, Option<(Vec<usize>, &'a [usize])>);

impl<'a> Visibility<'a> {
    /// Every query sees the whole gallery.
    pub fn everything() -> Self {
        Self::default()
    }

    /// Gallery and queries are the same rows in the same order; each is hidden from itself.
    pub fn leave_one_out() -> Self {
        Self {
            own: Own::SameRow,
            sequences: None,
        }
    }

    /// Query `i` is hidden from itself where `own[i]` names the gallery row that it is: rows may have both roles.
    pub fn own_rows(own: &'a [Option<usize>]) -> Self {
        Self {
            own: Own::Given(own),
            sequences: None,
        }
    }

    /// Also hides gallery rows whose sequence is the query's own.
    pub fn without_own_sequence(self, of_queries: &'a [usize], of_gallery: &'a [usize]) -> Self {
        Self {
            sequences: Some(Sequences {
                of_queries,
                of_gallery,
            }),
            ..self
        }
    }

    /// The gallery row that `query` is.
    #[inline]
    fn own_row(&self, query: usize) -> Option<usize> {
        match self.own {
            Own::Absent => None,
            Own::SameRow => Some(query),
            Own::Given(own) => own[query],
        }
    }

    /// Whether `query` must not see gallery row `row`.
    #[inline]
    pub fn hides(&self, query: usize, row: usize) -> bool {
        self.own_row(query) == Some(row)
            || self
                .sequences
                .is_some_and(|s| s.of_queries[query] == s.of_gallery[row])
    }

    /// The most rows of a gallery of `gallery` rows that any of `queries` queries may see.
    pub(crate) fn most_visible(&self, queries: usize, gallery: usize) -> usize {
        let mut sizes = BTreeMap::<usize, usize>::new();
        for &sequence in self.sequences.map_or(&[][..], |s| s.of_gallery) {
            *sizes.entry(sequence).or_default() += 1;
        }
        let hidden = |query: usize| {
            let own = self.own_row(query);
            let Some(s) = self.sequences else {
                return usize::from(own.is_some());
            };
            let sequence = s.of_queries[query];
            let beside = own.is_some_and(|row| s.of_gallery[row] != sequence);
            sizes.get(&sequence).copied().unwrap_or(0) + usize::from(beside)
        };
        gallery - (0..queries).map(hidden).min().unwrap_or(0)
    }

    /// How many rows of a gallery of `gallery` rows `query` may see.
    pub fn visible(&self, query: usize, gallery: usize) -> usize {
        match (self.own, self.sequences) {
            (Own::Absent, None) => gallery,
            (Own::SameRow, None) => gallery - 1,
            (Own::Given(own), None) => gallery - usize::from(own[query].is_some()),
            (_, Some(_)) => (0..gallery).filter(|&row| !self.hides(query, row)).count(),
        }
    }

    /// Whether swapping the two sides leaves what is hidden as it was, so that one distance serves both of its rows.
    pub(crate) fn is_symmetric(&self) -> bool {
        match (self.own, self.sequences) {
            (Own::SameRow, None) => true,
            (Own::SameRow, Some(s)) => std::ptr::eq(s.of_queries, s.of_gallery),
            (Own::Absent | Own::Given(_), _) => false,
        }
    }

    /// The own row of each of `queries`, and if sequences are hidden the sequences of both sides, for a search that asks only
    /// these.
    pub(crate) fn of_queries(&self, queries: &[usize]) -> OfQueries<'a> {
        let own = |&query: &usize| self.own_row(query);
        let sequences = self.sequences.map(|s| {
            let of_queries = queries.iter().map(|&query| s.of_queries[query]);
            (of_queries.collect(), s.of_gallery)
        });
        (queries.iter().map(own).collect(), sequences)
    }

    /// Checks the lengths of everything that was given against the two sides.
    pub(crate) fn check(&self, queries: usize, gallery: usize) -> Result<(), EvalError> {
        let same = |what, entries, rows| match entries == rows {
            true => Ok(()),
            false => Err(EvalError::Count {
                what,
                entries,
                rows,
            }),
        };
        match self.own {
            Own::Absent => {}
            Own::SameRow => same("queries", queries, gallery)?,
            Own::Given(own) => {
                same("own rows", own.len(), queries)?;
                for (query, row) in own.iter().enumerate() {
                    if let Some(row) = *row
                        && row >= gallery
                    {
                        return Err(EvalError::BadList {
                            query,
                            row,
                            problem: "is not in the gallery",
                        });
                    }
                }
            }
        }
        if let Some(s) = self.sequences {
            same("query sequences", s.of_queries.len(), queries)?;
            same("gallery sequences", s.of_gallery.len(), gallery)?;
        }
        Ok(())
    }
}

/// The hidden rows of each query, found without a walk through the gallery.
#[derive(Debug)]
pub(crate) struct Hidden<'a> {
    visibility: Visibility<'a>,
    of_sequence: BTreeMap<usize, Vec<usize>>,
}

impl<'a> Hidden<'a> {
    pub(crate) fn new(visibility: Visibility<'a>) -> Self {
        let mut of_sequence = BTreeMap::<usize, Vec<usize>>::new();
        let sequences = visibility.sequences.map_or(&[][..], |s| s.of_gallery);
        for (row, &sequence) in sequences.iter().enumerate() {
            of_sequence.entry(sequence).or_default().push(row);
        }
        Self {
            visibility,
            of_sequence,
        }
    }

    /// The gallery rows that `query` does not see, ascending.
    pub(crate) fn of(&self, query: usize) -> Vec<usize> {
        let sequence = self.visibility.sequences.map(|s| s.of_queries[query]);
        let mut rows = sequence
            .and_then(|sequence| self.of_sequence.get(&sequence).cloned())
            .unwrap_or_default();
        if let Some(own) = self.visibility.own_row(query)
            && let Err(place) = rows.binary_search(&own)
        {
            rows.insert(place, own);
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_that_is_visible_is_the_largest_count() {
        let (of_queries, of_gallery) = ([1, 2, 9], [1, 1, 2, 3, 1]);
        let own = [Some(3), None, Some(0)];
        for visibility in [
            Visibility::everything(),
            Visibility::own_rows(&own),
            Visibility::everything().without_own_sequence(&of_queries, &of_gallery),
            Visibility::own_rows(&own).without_own_sequence(&of_queries, &of_gallery),
            Visibility::leave_one_out().without_own_sequence(&of_gallery, &of_gallery),
        ] {
            let queries = if visibility.is_symmetric() { 5 } else { 3 };
            let counts = (0..queries).map(|query| visibility.visible(query, 5));
            assert_eq!(
                visibility.most_visible(queries, 5),
                counts.max().unwrap(),
                "{visibility:?}"
            );
        }
    }

    #[test]
    fn hidden_rows_are_those_that_hides_names() {
        let (of_queries, of_gallery) = ([3, 1, 3], [1, 3, 2, 3]);
        let own = [Some(2), None, Some(3)];
        for visibility in [
            Visibility::everything(),
            Visibility::leave_one_out(),
            Visibility::own_rows(&own),
            Visibility::own_rows(&own).without_own_sequence(&of_queries, &of_gallery),
            Visibility::everything().without_own_sequence(&of_queries, &of_gallery),
        ] {
            let hidden = Hidden::new(visibility);
            for query in 0..3 {
                let named: Vec<usize> =
                    (0..4).filter(|&row| visibility.hides(query, row)).collect();
                assert_eq!(hidden.of(query), named, "{visibility:?}");
            }
        }
    }
}
