//! One name, several numbers: how other libraries count, under names that say so.
//!
//! Read in pytorch-metric-learning 2.9 (`utils/accuracy_calculator.py`), OML 3 and 4 (`functional/metrics.py`) and scikit-learn 1.9.

use crate::ranking_metric::{Depth, RankingMetric, RetrievalConfig};
use crate::scores::{AtCut, QueryScores};

/// Whose divisors, and whose treatment of lone queries.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Convention {
    /// The definitions of [`RankingMetric`].
    Lodestone,
    /// pytorch-metric-learning: mean average precision cut at k is still divided by R.
    Pml,
    /// open-metric-learning: average precision is divided by the hits found, precision@k by min(k, R), and lone queries stay
    /// in with 0.
    Oml,
    /// scikit-learn: rows at one distance are one threshold of the average precision.
    Sklearn,
}

impl Convention {
    /// `map_at_5`, or `map_at_5.oml` when it is not our own.
    pub fn name(self, metric: RankingMetric) -> String {
        let suffix = match self {
            Self::Lodestone => "",
            Self::Pml => ".pml",
            Self::Oml => ".oml",
            Self::Sklearn => ".sklearn",
        };
        metric.name() + suffix
    }

    /// What a report shows under this convention: the numbers that the library has.
    pub fn metrics(self, config: &RetrievalConfig) -> Vec<RankingMetric> {
        use RankingMetric::*;
        let at_cuts = |of: &[fn(usize) -> RankingMetric]| -> Vec<RankingMetric> {
            let cuts = config.cuts.iter();
            cuts.flat_map(|&k| of.iter().map(move |metric| metric(k)))
                .collect()
        };
        let full = config.depth == Depth::Full;
        let over_all = |metrics: &[RankingMetric]| if full { metrics.to_vec() } else { Vec::new() };
        match self {
            Self::Lodestone => RankingMetric::standard(config),
            Self::Pml => [
                vec![PrecisionAt1, RPrecision, MapAtR],
                at_cuts(&[MapAt]),
                over_all(&[MeanAveragePrecision, MeanReciprocalRank]),
            ]
            .concat(),
            Self::Oml => [
                at_cuts(&[RecallAt, PrecisionAt, MapAt]),
                over_all(&[MeanAveragePrecision]),
            ]
            .concat(),
            Self::Sklearn => over_all(&[MeanAveragePrecision]),
        }
    }

    /// Whether a query that has nothing to find counts, as a miss.
    pub(crate) fn keeps_lone(self) -> bool {
        match self {
            Self::Oml => true,
            Self::Lodestone | Self::Pml | Self::Sklearn => false,
        }
    }

    /// One query's value; absent if it has none or if what it needs was not computed.
    pub(crate) fn score(
        self,
        scores: &QueryScores,
        cuts: &[usize],
        metric: RankingMetric,
    ) -> Option<f64> {
        use RankingMetric::*;
        let relevant = scores.relevant as f64;
        if scores.is_lone() {
            // OML's precision is 0/0 here, so that only its CMC and its average precision are kept.
            let kept = matches!(metric, RecallAt(_) | MapAt(_) | MeanAveragePrecision);
            return (self.keeps_lone() && kept).then_some(0.0);
        }
        let at = |k: usize| -> Option<AtCut> {
            let place = cuts.iter().position(|&cut| cut == k)?;
            Some(scores.at[place])
        };
        let over_hits = |cut: AtCut| match cut.hits {
            0 => 0.0,
            hits => cut.precision_sum / hits as f64,
        };
        Some(match metric {
            PrecisionAt1 => match scores.first_hit {
                Some(rank) => f64::from(rank == 1),
                None => 0.0,
            },
            RecallAt(k) => f64::from(at(k)?.hits > 0),
            RecallIrAt(k) => at(k)?.hits as f64 / relevant,
            PrecisionAt(k) => match self {
                Self::Oml => at(k)?.hits as f64 / relevant.min(k as f64),
                Self::Lodestone | Self::Pml | Self::Sklearn => at(k)?.hits as f64 / k as f64,
            },
            PrecisionAtCapped(k) => at(k)?.hits as f64 / relevant.min(k as f64),
            RPrecision => scores.r_precision(),
            MapAtR => scores.map_at_r(),
            MapAt(k) => match self {
                Self::Lodestone | Self::Sklearn => at(k)?.precision_sum / relevant.min(k as f64),
                Self::Pml => at(k)?.precision_sum / relevant,
                Self::Oml => over_hits(at(k)?),
            },
            MeanAveragePrecision => match self {
                Self::Sklearn => scores.average_precision_tied?,
                // Over the whole ranking the hits found are all R.
                Self::Lodestone | Self::Pml | Self::Oml => scores.average_precision?,
            },
            MeanReciprocalRank => 1.0 / scores.first_hit? as f64,
        })
    }
}
