//! The rank of every relevant row, without a ranked list.
//!
//! A row's rank is one more than the number of rows before it. So the whole ranking of a query, which mean average precision
//! asks for, needs only a counter for each of its R relevant rows: each other row raises the counters of those behind it.

use crate::nearest::{NearestRows, Neighbour, enclose};
use crate::sweep::{Candidate, Collector};

/// What a ranking of the whole gallery says about one query.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RelevantRanks {
    /// 1-based ranks of the relevant rows, ascending.
    pub(crate) ranks: Vec<u32>,
    /// For each of them the number of rows at its distance or nearer: its rank when equal distances are one threshold.
    pub(crate) tied_ranks: Vec<u32>,
    /// The first row of another class.
    pub(crate) nearest_wrong: Option<Neighbour>,
}

/// Counts rows of other classes between the relevant rows of one query.
#[derive(Debug)]
pub(crate) struct RankCounter {
    /// Relevant rows in rank order.
    relevant: Vec<Neighbour>,
    /// `before[i]`: other rows behind relevant row `i - 1` and before relevant row `i`.
    before: Vec<u32>,
    /// `level_behind[i]`: other rows as near as relevant row `i`, but behind it by row number.
    level_behind: Vec<u32>,
    farthest: f32,
    wrong: NearestRows,
    same_class: Vec<u32>,
}

impl RankCounter {
    /// Starts with the `relevant` rows of a query, in ascending order.
    pub(crate) fn new(relevant: impl Iterator<Item = u32>, exact: impl Fn(u32) -> f64) -> Self {
        let same_class: Vec<u32> = relevant.collect();
        let mut relevant: Vec<Neighbour> = same_class
            .iter()
            .map(|&row| Neighbour {
                squared_distance: exact(row),
                row: row as usize,
            })
            .collect();
        relevant.sort_unstable_by(Neighbour::rank_order);
        let farthest = relevant
            .last()
            .map_or(f32::NEG_INFINITY, |n| enclose(n.squared_distance).1);
        Self {
            before: vec![0; relevant.len()],
            level_behind: vec![0; relevant.len()],
            relevant,
            farthest,
            wrong: NearestRows::new(1),
            same_class,
        }
    }

    /// Memory of one of these for `relevant` rows.
    pub(crate) fn bytes(relevant: f64) -> f64 {
        let entry = size_of::<Neighbour>() + 3 * size_of::<u32>();
        size_of::<Self>() as f64 + NearestRows::bytes(1) + relevant * entry as f64
    }

    pub(crate) fn finish(self, exact: impl Fn(u32) -> f64) -> RelevantRanks {
        let mut others = 0;
        let ranks: Vec<u32> = self
            .before
            .iter()
            .zip(1..)
            .map(|(&before, position)| {
                others += before;
                position + others
            })
            .collect();
        let mut tied_ranks = ranks.clone();
        for i in (0..ranks.len()).rev() {
            let level = i + 1 < ranks.len()
                && self.relevant[i].squared_distance == self.relevant[i + 1].squared_distance;
            tied_ranks[i] = match level {
                true => tied_ranks[i + 1],
                false => ranks[i] + self.level_behind[i],
            };
        }
        RelevantRanks {
            ranks,
            tied_ranks,
            nearest_wrong: self.wrong.finish(exact).first().copied(),
        }
    }

    /// Counts a row whose distance is certain.
    fn count_exact(&mut self, row: Neighbour) {
        let at = self
            .relevant
            .partition_point(|r| r.rank_order(&row).is_lt());
        if let Some(count) = self.before.get_mut(at) {
            *count += 1;
        }
        // Only the last relevant row of a group at one distance is asked for those level with it and behind it.
        if at > 0 && self.relevant[at - 1].squared_distance == row.squared_distance {
            let group_ends = self
                .relevant
                .get(at)
                .is_none_or(|next| next.squared_distance > row.squared_distance);
            if group_ends {
                self.level_behind[at - 1] += 1;
            }
        }
    }
}

impl Collector for RankCounter {
    fn bound(&self) -> f32 {
        self.farthest.max(self.wrong.bound())
    }

    fn offer(&mut self, candidate: Candidate, exact: impl Fn(u32) -> f64) {
        if self.same_class.binary_search(&candidate.row).is_ok() {
            return;
        }
        if candidate.lower <= self.wrong.bound() {
            self.wrong.offer(candidate, &exact);
        }
        let (lower, upper) = (f64::from(candidate.lower), f64::from(candidate.upper));
        let first = self
            .relevant
            .partition_point(|r| r.squared_distance < lower);
        let undecided = self.relevant[first..]
            .first()
            .is_some_and(|r| r.squared_distance <= upper);
        if undecided {
            self.count_exact(Neighbour {
                squared_distance: exact(candidate.row),
                row: candidate.row as usize,
            });
        } else if let Some(count) = self.before.get_mut(first) {
            *count += 1;
        }
    }
}
