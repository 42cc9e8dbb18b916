//! The k nearest rows of each query, exactly, with ties broken by the lower row.

use std::cmp::Ordering;

use crate::sweep::{Candidate, Collector};
use crate::{EvalError, Forecast, Search};

/// A gallery row and its distance from the query.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Neighbour {
    /// Squared Euclidean distance.
    pub squared_distance: f64,
    /// Gallery row number.
    pub row: usize,
}

impl Neighbour {
    /// The order of every ranking: nearer first, then the lower row.
    pub(crate) fn rank_order(&self, other: &Self) -> Ordering {
        let distance = self.squared_distance.total_cmp(&other.squared_distance);
        distance.then(self.row.cmp(&other.row))
    }
}

impl Search<'_> {
    /// The `k` nearest visible rows of each query, nearest first; fewer if it sees fewer.
    ///
    /// # Errors
    /// [`EvalError::OutOfRange`] if `k` is 0, [`EvalError::Memory`] if the limit is too small.
    pub fn nearest(&self, k: usize) -> Result<Vec<Vec<Neighbour>>, EvalError> {
        let k = k.min(self.gallery().len());
        let result = (k * size_of::<Neighbour>() + size_of::<Vec<Neighbour>>()) as f64;
        self.nearest_map(k, result, |_, neighbours| neighbours.to_vec())
    }

    /// Hands the `k` nearest rows of each query to `use_them` and keeps only what that returns, `bytes` a query.
    pub(crate) fn nearest_map<T: Send>(
        &self,
        k: usize,
        bytes: f64,
        use_them: impl Fn(usize, &[Neighbour]) -> T + Sync,
    ) -> Result<Vec<T>, EvalError> {
        if k == 0 {
            return Err(EvalError::OutOfRange {
                name: "k",
                value: 0.0,
                must_be: "at least 1",
            });
        }
        let k = k.min(self.gallery().len());
        let plan = self.plan(NearestRows::bytes(k), bytes)?;
        Ok(self.sweep(
            &plan,
            |_| NearestRows::new(k),
            |query, rows| use_them(query, &rows.finish(|row| self.exact(query, row))),
        ))
    }

    /// What [`nearest`](Self::nearest) will cost.
    ///
    /// # Errors
    /// [`EvalError::Memory`] if the limit is too small.
    pub fn forecast_nearest(&self, k: usize) -> Result<Forecast, EvalError> {
        let k = k.min(self.gallery().len());
        let result = (k * size_of::<Neighbour>() + size_of::<Vec<Neighbour>>()) as f64;
        Ok(self.plan(NearestRows::bytes(k), result)?.forecast)
    }
}

/// The running k nearest rows of one query.
///
/// Rows are kept with lower and upper bounds of their distance. The k-th smallest upper bound limits the k-th smallest
/// distance, so a row whose lower bound exceeds it is out. Exact distances are computed only for what is left at the end, or
/// when so many bounds overlap that the list would not shrink otherwise.
#[derive(Debug)]
pub(crate) struct NearestRows {
    k: usize,
    bound: f32,
    candidates: Vec<Candidate>,
}

impl NearestRows {
    pub(crate) fn new(k: usize) -> Self {
        Self {
            k,
            bound: f32::INFINITY,
            candidates: Vec::new(),
        }
    }

    /// Memory of one of these while it is in use.
    pub(crate) fn bytes(k: usize) -> f64 {
        (size_of::<Self>() + Self::capacity(k) * size_of::<Candidate>()) as f64
    }

    /// Half again as many as are wanted, so that pruning costs a constant for each offered row.
    fn capacity(k: usize) -> usize {
        k + (k / 2).max(32)
    }

    pub(crate) fn finish(mut self, exact: impl Fn(u32) -> f64) -> Vec<Neighbour> {
        self.prune_by_bounds();
        self.settle(&exact)
    }

    /// Drops what the bounds alone rule out.
    fn prune_by_bounds(&mut self) {
        if self.candidates.len() > self.k {
            let by_upper = |a: &Candidate, b: &Candidate| a.upper.total_cmp(&b.upper);
            let (_, kth, _) = self.candidates.select_nth_unstable_by(self.k - 1, by_upper);
            self.bound = self.bound.min(kth.upper);
            let bound = self.bound;
            self.candidates.retain(|c| c.lower <= bound);
        }
    }

    /// Computes the distances of all candidates and keeps the k first in rank order.
    fn settle(&mut self, exact: &impl Fn(u32) -> f64) -> Vec<Neighbour> {
        let mut neighbours: Vec<Neighbour> = self
            .candidates
            .iter()
            .map(|c| Neighbour {
                squared_distance: exact(c.row),
                row: c.row as usize,
            })
            .collect();
        neighbours.sort_unstable_by(Neighbour::rank_order);
        neighbours.truncate(self.k);
        neighbours
    }
}

impl Collector for NearestRows {
    fn bound(&self) -> f32 {
        self.bound
    }

    fn offer(&mut self, candidate: Candidate, exact: impl Fn(u32) -> f64) {
        let capacity = Self::capacity(self.k);
        if self.candidates.is_empty() {
            self.candidates.reserve_exact(capacity);
        }
        self.candidates.push(candidate);
        if self.candidates.len() == capacity {
            self.prune_by_bounds();
            if self.candidates.len() > capacity - 8 {
                let neighbours = self.settle(&exact);
                self.candidates.clear();
                self.candidates.extend(neighbours.iter().map(|n| {
                    let (lower, upper) = enclose(n.squared_distance);
                    let row = n.row as u32;
                    Candidate { lower, upper, row }
                }));
                // `settle` left k rows, and the last of them is the farthest.
                self.bound = self.candidates[self.k - 1].upper;
            }
        }
    }
}

/// The nearest f32 values at or below and at or above `x`.
pub(crate) fn enclose(x: f64) -> (f32, f32) {
    let rounded = x as f32;
    match f64::from(rounded).total_cmp(&x) {
        Ordering::Less => (rounded, rounded.next_up()),
        Ordering::Equal => (rounded, rounded),
        Ordering::Greater => (rounded.next_down(), rounded),
    }
}
