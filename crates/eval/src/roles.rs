//! One table, two roles: which rows ask, which are found, and which are both.

use crate::EvalError;

/// The two sides of a table whose rows may ask, be found, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles {
    /// Table rows that ask, ascending.
    pub queries: Vec<usize>,
    /// Table rows that can be found, ascending.
    pub gallery: Vec<usize>,
    /// For each query its own place in `gallery`, if it can be found: what [`Visibility::own_rows`](crate::Visibility::own_rows)
    /// hides from it.
    pub own: Vec<Option<usize>>,
}

impl Roles {
    /// Sorts rows by their flags.
    ///
    /// # Errors
    /// If the flags differ in number, or no row has one of the roles.
    ///
    /// # Example
    /// ```
    /// use lodestone_eval::Roles;
    ///
    /// let roles = Roles::new(&[true, true, false], &[false, true, true])?;
    /// assert_eq!((roles.queries, roles.gallery), (vec![0, 1], vec![1, 2]));
    /// assert_eq!(roles.own, [None, Some(0)]);
    /// # Ok::<(), lodestone_eval::EvalError>(())
    /// ```
    pub fn new(is_query: &[bool], is_gallery: &[bool]) -> Result<Self, EvalError> {
        if is_query.len() != is_gallery.len() {
            return Err(EvalError::Count {
                what: "gallery flags",
                entries: is_gallery.len(),
                rows: is_query.len(),
            });
        }
        let having =
            |flags: &[bool]| -> Vec<usize> { (0..flags.len()).filter(|&row| flags[row]).collect() };
        let (queries, gallery) = (having(is_query), having(is_gallery));
        if queries.is_empty() {
            return Err(EvalError::Empty("queries"));
        }
        if gallery.is_empty() {
            return Err(EvalError::Empty("gallery rows"));
        }
        let own = queries
            .iter()
            .map(|row| gallery.binary_search(row).ok())
            .collect();
        Ok(Self {
            queries,
            gallery,
            own,
        })
    }

    /// The values of some `rows` of a table of embeddings, in order, to make a side of a search of.
    ///
    /// # Panics
    /// If a row is not in the table.
    pub fn gather(table: crate::Rows, rows: &[usize]) -> Vec<f32> {
        rows.iter()
            .flat_map(|&row| table.row(row))
            .copied()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Rows, Search, Visibility};

    #[test]
    fn a_row_with_both_roles_does_not_find_itself() {
        let table = Rows::new(&[0.0, 0.0, 1.0, 5.0], 1).unwrap();
        let roles = Roles::new(&[true, false, true, false], &[true, true, false, true]).unwrap();
        let queries = Roles::gather(table, &roles.queries);
        let gallery = Roles::gather(table, &roles.gallery);
        let search = Search::between(
            Rows::new(&queries, 1).unwrap(),
            Rows::new(&gallery, 1).unwrap(),
        )
        .unwrap()
        .with_visibility(Visibility::own_rows(&roles.own))
        .unwrap();
        let nearest = search.nearest(1).unwrap();
        // Row 0 finds its copy, row 1; row 2 finds row 0 first of two equals.
        let found: Vec<usize> = nearest.iter().map(|n| roles.gallery[n[0].row]).collect();
        assert_eq!(found, [1, 0]);
    }

    #[test]
    fn a_missing_role_is_an_error() {
        assert!(Roles::new(&[true], &[true, false]).is_err());
        assert!(Roles::new(&[false], &[true]).is_err());
        assert!(Roles::new(&[true], &[false]).is_err());
    }
}
