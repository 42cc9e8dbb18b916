//! Which ranking metrics there are, and which are computed.

use crate::EvalError;

/// How far each query's ranking is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Depth {
    /// To the last relevant row, wherever it is: all metrics.
    #[default]
    Full,
    /// To the largest R and the largest cut-off: all but mean average precision and the reciprocal rank of a late first hit.
    /// Faster where classes are small.
    UpToR,
}

/// Which ranking metrics to compute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrievalConfig {
    /// The cut-offs k of recall@k and its relatives, each at least 1.
    pub cuts: Vec<usize>,
    /// How far rankings are followed.
    pub depth: Depth,
}

impl Default for RetrievalConfig {
    /// Cut-offs 1, 2, 4 and 8, full depth.
    fn default() -> Self {
        Self {
            cuts: vec![1, 2, 4, 8],
            depth: Depth::Full,
        }
    }
}

impl RetrievalConfig {
    pub(crate) fn check(&self) -> Result<(), EvalError> {
        match self.cuts.contains(&0) {
            false => Ok(()),
            true => Err(EvalError::OutOfRange {
                name: "k",
                value: 0.0,
                must_be: "at least 1",
            }),
        }
    }

    pub(crate) fn largest_cut(&self) -> usize {
        self.cuts.iter().copied().max().unwrap_or(1)
    }
}

/// A ranking metric. Each is a mean over the queries that have something to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RankingMetric {
    /// rel_1. The same number as recall@1, CMC@1 and hit@1.
    PrecisionAt1,
    /// 1 if there is a hit among the first k, else 0: recall in the sense of metric learning, = CMC@k.
    RecallAt(usize),
    /// Share of the relevant rows that are among the first k: recall in the sense of information retrieval.
    RecallIrAt(usize),
    /// Hits among the first k, divided by k, also where R is less than k.
    PrecisionAt(usize),
    /// Hits among the first k, divided by min(k, R).
    PrecisionAtCapped(usize),
    /// Hits among the first R, divided by R.
    RPrecision,
    /// `1/R Σ_{i ≤ R} rel_i P(i)`.
    MapAtR,
    /// `1/R Σ_i rel_i P(i)` over the whole ranking.
    MeanAveragePrecision,
    /// `1/min(k, R) Σ_{i ≤ k} rel_i P(i)`.
    MapAt(usize),
    /// 1 / rank of the first hit.
    MeanReciprocalRank,
}

impl RankingMetric {
    /// The contract's name, without a convention's suffix.
    pub fn name(&self) -> String {
        match self {
            Self::PrecisionAt1 => "precision_at_1".into(),
            Self::RecallAt(k) => format!("recall_at_{k}"),
            Self::RecallIrAt(k) => format!("recall_ir_at_{k}"),
            Self::PrecisionAt(k) => format!("precision_at_{k}"),
            Self::PrecisionAtCapped(k) => format!("precision_at_{k}_capped"),
            Self::RPrecision => "r_precision".into(),
            Self::MapAtR => "map_at_r".into(),
            Self::MeanAveragePrecision => "mean_average_precision".into(),
            Self::MapAt(k) => format!("map_at_{k}"),
            Self::MeanReciprocalRank => "mean_reciprocal_rank".into(),
        }
    }
}
