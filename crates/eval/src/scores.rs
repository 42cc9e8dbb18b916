//! What one query's ranking is worth: every ranking metric from the ranks of its relevant rows.

use serde::{Deserialize, Serialize};

use crate::nearest::Neighbour;

/// The numbers of one query from which all ranking metrics follow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueryScores {
    /// R: relevant rows that the query may see. 0 marks a lone query, which has no score.
    pub relevant: usize,
    /// 1-based rank of the first relevant row; absent if the ranking was not followed that far.
    pub first_hit: Option<usize>,
    /// For each cut-off k: hits among the first k, and the sum of P(i) over them.
    pub at: Vec<AtCut>,
    /// The same for the cut-off R.
    pub at_r: AtCut,
    /// `1/R Σ rel_i P(i)` over the whole ranking; absent if it was not followed to the last relevant row.
    pub average_precision: Option<f64>,
    /// The same with rows of equal distance as one threshold.
    pub average_precision_tied: Option<f64>,
    /// The first row of another class; absent if there is none.
    pub nearest_wrong: Option<Neighbour>,
}

/// A ranking cut after some rank.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct AtCut {
    /// rel_1 + .. + rel_k.
    pub hits: usize,
    /// Σ_{i ≤ k} rel_i P(i).
    pub precision_sum: f64,
}

impl AtCut {
    fn of(ranks: &[u32], cut: usize) -> Self {
        let hits = ranks.partition_point(|&rank| rank as usize <= cut);
        Self {
            hits,
            precision_sum: precision_sum(&ranks[..hits]),
        }
    }
}

/// Σ (hits so far / rank) over ascending ranks of hits.
fn precision_sum(ranks: &[u32]) -> f64 {
    let hits = (1..).zip(ranks);
    hits.map(|(found, &rank)| f64::from(found) / f64::from(rank))
        .sum()
}

impl QueryScores {
    /// From the `ranks` of all relevant rows, ascending.
    pub(crate) fn complete(
        ranks: &[u32],
        tied_ranks: &[u32],
        nearest_wrong: Option<Neighbour>,
        cuts: &[usize],
    ) -> Self {
        let relevant = ranks.len();
        // Of several hits at one distance, all count at the rank where that distance ends.
        let tied: f64 = tied_ranks
            .iter()
            .map(|&rank| {
                let hits = tied_ranks.partition_point(|&r| r <= rank);
                hits as f64 / f64::from(rank)
            })
            .sum();
        let mean = |sum: f64| (relevant > 0).then(|| sum / relevant as f64);
        Self {
            average_precision: mean(precision_sum(ranks)),
            average_precision_tied: mean(tied),
            ..Self::partial(ranks, relevant, nearest_wrong, cuts)
        }
    }

    /// From the ranks of those of the `relevant` rows that were found before the list ended; the list is at least as long as
    /// R and as every cut.
    pub(crate) fn partial(
        ranks: &[u32],
        relevant: usize,
        nearest_wrong: Option<Neighbour>,
        cuts: &[usize],
    ) -> Self {
        Self {
            relevant,
            first_hit: ranks.first().map(|&rank| rank as usize),
            at: cuts.iter().map(|&cut| AtCut::of(ranks, cut)).collect(),
            at_r: AtCut::of(ranks, relevant),
            average_precision: None,
            average_precision_tied: None,
            nearest_wrong,
        }
    }

    /// Whether there is nothing this query could find.
    pub fn is_lone(&self) -> bool {
        self.relevant == 0
    }

    /// Share of hits among the first R.
    pub fn r_precision(&self) -> f64 {
        self.at_r.hits as f64 / self.relevant as f64
    }

    /// `1/R Σ_{i ≤ R} rel_i P(i)`.
    pub fn map_at_r(&self) -> f64 {
        self.at_r.precision_sum / self.relevant as f64
    }
}
