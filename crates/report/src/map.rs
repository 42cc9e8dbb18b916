//! Two coordinates for each embedding, so that what is near stays near on a screen.

mod neighbours;
mod principal;

use lodestone_eval::Rows;

use crate::ReportError;

/// How the map is drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Layout {
    /// The two directions of largest variance: distances are true but for what the other directions hold.
    Principal,
    /// Near ones are pulled together and others pushed apart: shows groups, and says little of how far apart they lie.
    #[default]
    Neighbours,
}

/// Coordinates `[rows, 2]` on a map; equal seeds give equal maps on any number of threads.
///
/// # Errors
/// If there are no rows or an embedding is not finite.
///
/// # Example
/// ```
/// use lodestone_eval::Rows;
/// use lodestone_report::{Layout, map};
///
/// let rows = Rows::new(&[0.0, 0.0, 4.0, 3.0, 8.0, 6.0], 2).unwrap();
/// let on_a_line = map(rows, Layout::Principal, 0)?;
/// // The points lie on a line, 5 from one to the next.
/// assert!((on_a_line[1][0] - on_a_line[0][0]).abs() - 5.0 < 1e-4);
/// assert!(on_a_line.iter().all(|point| point[1].abs() < 1e-3));
/// # Ok::<(), lodestone_report::ReportError>(())
/// ```
pub fn map(rows: Rows, layout: Layout, seed: u64) -> Result<Vec<[f32; 2]>, ReportError> {
    let principal = principal::project(rows, seed);
    match layout {
        Layout::Principal => Ok(principal),
        Layout::Neighbours => neighbours::arrange(rows, principal, seed),
    }
}
