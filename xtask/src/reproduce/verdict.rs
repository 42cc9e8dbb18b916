//! Whether a claim is met: seed by seed, so that what single seeds disagree about is not called decided.

use super::concentration::AT;
use super::convergence;
use super::experiment::Experiment;
use super::ledger::{Ledger, Row};
use super::loss::Loss;
use super::paper;
use super::set::Set;
use super::stats::mean;
use crate::median::median;

/// What is asked of magnet or its variant.
pub(super) enum Question {
    /// Is the error at most what the paper's table has for magnet?
    Error,
    /// Is the error at least `least` percent below another loss's?
    Below { other: Loss, least: f64 },
    /// The same of the classes below merged ones.
    Recovers { other: Loss, least: f64 },
    /// Does it reach triplet's error in `times` fewer images?
    Sooner { times: f64 },
    /// Is the share of neighbours with the same attribute at least `least` percent above another loss's?
    Concentrates { other: Loss, least: f64 },
    /// Does the index take at most so many percent of the training time?
    CheapIndex { most: f64 },
}

/// The answer.
pub(super) struct Verdict {
    /// In numbers.
    pub(super) ours: String,
    /// Whether each seed meets it.
    seeds: Vec<bool>,
}

impl Verdict {
    /// Whether every seed meets it.
    pub(super) fn met(&self) -> bool {
        self.seeds.iter().all(|&met| met)
    }

    pub(super) fn in_words(&self) -> String {
        let (count, met) = (
            self.seeds.len(),
            self.seeds.iter().filter(|&&met| met).count(),
        );
        let all_of_them = match count {
            1 => "1 seed".to_owned(),
            more => format!("{more} seeds"),
        };
        match met {
            0 => format!("**no**, {all_of_them}"),
            all if all == count => format!("yes, {all_of_them}"),
            some => format!("open: met by {some} of {count} seeds"),
        }
    }
}

/// The answer to a question; absent where the ledger lacks the rows.
pub(super) fn verdict(
    question: &Question,
    ledger: &Ledger,
    set: Set,
    loss: Loss,
) -> Option<Verdict> {
    let verdict = match *question {
        Question::Error => error(ledger, set, loss, paper::error(set, Loss::Magnet)?),
        Question::Below { other, least } => {
            let experiment = classified(ledger, &[loss, other]);
            let key = |loss: Loss| format!("{}_error_at_1", loss.rule());
            let pairs = pairs(ledger, experiment, [loss, other], |row, loss| {
                value(row, &key(loss))
            });
            let mut verdict = below(&pairs, least);
            verdict.ours += depth(set, experiment);
            verdict
        }
        Question::Recovers { other, least } => {
            let key = "hierarchy_soft_knn_error_at_1";
            below(
                &pairs(ledger, Experiment::Random, [loss, other], |row, _| {
                    value(row, key)
                }),
                least,
            )
        }
        Question::Sooner { times } => sooner(ledger, loss, times),
        Question::Concentrates { other, least } => {
            let pairs = pairs(
                ledger,
                Experiment::Concentration,
                [loss, other],
                |row, _| share(row),
            );
            concentrates(&pairs, least)
        }
        Question::CheapIndex { most } => cheap_index(ledger, set, loss, most),
    };
    (!verdict.seeds.is_empty()).then_some(verdict)
}

/// The classification that losses are compared by: with all layers trained, and for longer, once all of them were run so with as
/// many seeds. A seed that broke down was run.
pub(super) fn classified(ledger: &Ledger, losses: &[Loss]) -> Experiment {
    let seeds = |experiment, loss| ledger.of(experiment, loss).len();
    let all = |experiment: &Experiment| {
        losses.iter().all(|&loss| {
            let deep = seeds(*experiment, loss);
            deep > 0 && deep >= seeds(Experiment::Classification, loss)
        })
    };
    let deepest = [Experiment::Longer, Experiment::AllLayers];
    let deepest = deepest.into_iter().find(all);
    deepest.unwrap_or(Experiment::Classification)
}

/// What was trained, in words, where a set is run in two depths.
pub(super) fn depth(set: Set, experiment: Experiment) -> &'static str {
    match (set.protocol().all_layers, experiment) {
        (None, _) => "",
        (Some(_), Experiment::AllLayers) => ", all layers trained",
        (Some(_), Experiment::Longer) => ", all layers trained for longer",
        (Some(_), _) => ", lower layers frozen",
    }
}

fn value(row: &Row, key: &str) -> Option<f64> {
    Some(100.0 * row.outcome.measures.get(key)?)
}

/// A measure of two losses with one seed.
struct Pair {
    /// Absent if the run broke down, which meets nothing.
    own: Option<f64>,
    other: f64,
}

/// A measure of two losses, seed by seed; seeds without a number of the other one are left out.
fn pairs(
    ledger: &Ledger,
    experiment: Experiment,
    [loss, other]: [Loss; 2],
    of: impl Fn(&Row, Loss) -> Option<f64>,
) -> Vec<Pair> {
    let others = ledger.of(experiment, other);
    let rows = ledger.of(experiment, loss);
    let pair = |row: &&Row| {
        let beside = others
            .iter()
            .find(|beside| beside.label.seed == row.label.seed)?;
        let own = of(row, loss);
        let known = own.is_some() || row.outcome.failure.is_some();
        known.then_some(Pair {
            own,
            other: of(beside, other)?,
        })
    };
    rows.iter().filter_map(pair).collect()
}

/// Means over the seeds that did not break down; absent if all did.
fn means(pairs: &[Pair]) -> Option<[f64; 2]> {
    let whole = pairs
        .iter()
        .filter_map(|pair| Some([pair.own?, pair.other]));
    let whole: Vec<[f64; 2]> = whole.collect();
    let of = |place: usize| mean(&whole.iter().map(|pair| pair[place]).collect::<Vec<_>>());
    (!whole.is_empty()).then(|| [of(0), of(1)])
}

/// What is said of runs that all broke down.
const BROKE_DOWN: &str = "broke down";

fn error(ledger: &Ledger, set: Set, loss: Loss, wanted: f64) -> Verdict {
    let experiment = classified(ledger, &[loss]);
    let key = format!("{}_error_at_1", loss.rule());
    let rows = ledger.of(experiment, loss);
    let errors: Vec<Option<f64>> = rows.iter().map(|row| value(row, &key)).collect();
    let whole: Vec<f64> = errors.iter().copied().flatten().collect();
    Verdict {
        ours: match whole.is_empty() {
            true => BROKE_DOWN.into(),
            false => format!(
                "{:.2} against {wanted:.1} %{}",
                mean(&whole),
                depth(set, experiment)
            ),
        },
        seeds: errors
            .iter()
            .map(|error| error.is_some_and(|error| error <= wanted))
            .collect(),
    }
}

/// The verdict on two losses: `words` of their means, and whether each seed `meets` it.
fn compared(
    pairs: &[Pair],
    words: impl Fn(f64, f64) -> String,
    meets: impl Fn(f64, f64) -> bool,
) -> Verdict {
    Verdict {
        ours: means(pairs).map_or_else(|| BROKE_DOWN.into(), |[own, other]| words(own, other)),
        seeds: pairs
            .iter()
            .map(|pair| pair.own.is_some_and(|own| meets(own, pair.other)))
            .collect(),
    }
}

fn below(pairs: &[Pair], least: f64) -> Verdict {
    let less = |own: f64, other: f64| 100.0 * (1.0 - own / other);
    let words = |own, other| {
        let all = less(own, other);
        let side = if all >= 0.0 { "below" } else { "above" };
        format!("{own:.2} against {other:.2} %: {:.0} % {side}", all.abs())
    };
    compared(pairs, words, |own, other| {
        less(own, other) >= least && less(own, other) > 0.0
    })
}

fn sooner(ledger: &Ledger, loss: Loss, times: f64) -> Verdict {
    let ratios: Vec<Option<f64>> = convergence::races(ledger, loss)
        .iter()
        .map(|race| Some(race.triplet.images / race.own?.images))
        .collect();
    let reached: Vec<f64> = ratios.iter().copied().flatten().collect();
    Verdict {
        ours: match median(&reached) {
            None => "not reached".into(),
            Some(ratio) if reached.len() == ratios.len() => format!("{ratio:.1} times fewer"),
            Some(ratio) => {
                format!(
                    "{ratio:.1} times fewer in the {} of {} seeds that reach it",
                    reached.len(),
                    ratios.len()
                )
            }
        },
        seeds: ratios
            .iter()
            .map(|ratio| ratio.is_some_and(|ratio| ratio >= times))
            .collect(),
    }
}

/// Share of neighbours with the attribute in percent, averaged over neighbourhood sizes.
fn share(row: &Row) -> Option<f64> {
    let measures = row.outcome.measures.iter();
    let shares = measures
        .filter(|(name, _)| name.starts_with(AT))
        .map(|(_, &share)| 100.0 * share);
    let shares: Vec<f64> = shares.collect();
    (!shares.is_empty()).then(|| mean(&shares))
}

fn concentrates(pairs: &[Pair], least: f64) -> Verdict {
    let more = |own: f64, other: f64| 100.0 * (own / other - 1.0);
    let words = |own, other| {
        let all = more(own, other);
        let side = if all >= 0.0 { "more" } else { "less" };
        format!("{own:.1} against {other:.1} %: {:.0} % {side}", all.abs())
    };
    compared(pairs, words, |own, other| more(own, other) >= least)
}

fn cheap_index(ledger: &Ledger, set: Set, loss: Loss, most: f64) -> Verdict {
    let experiment = classified(ledger, &[loss]);
    let rows = ledger.of(experiment, loss);
    let shares: Vec<f64> = rows
        .iter()
        .filter_map(|row| row.outcome.index_share())
        .collect();
    Verdict {
        ours: format!(
            "{:.1} % of the training time{}",
            mean(&shares),
            depth(set, experiment)
        ),
        seeds: shares.iter().map(|&share| share <= most).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ledger::testing::{ledger, measured};
    use super::*;

    const UPPER: Experiment = Experiment::Classification;
    const ALL: Experiment = Experiment::AllLayers;
    const LONGER: Experiment = Experiment::Longer;

    /// Errors of a loss with seeds 0, 1 and so on.
    fn errors(rows: &[(Experiment, Loss, &[f64])]) -> Ledger {
        let rows = rows.iter().flat_map(|&(experiment, loss, values)| {
            let key = format!("{}_error_at_1", loss.rule());
            let row = move |(seed, &value): (usize, &f64)| {
                (
                    experiment,
                    loss,
                    "tuned",
                    seed as u64,
                    measured(&[(&key, value)]),
                )
            };
            values.iter().enumerate().map(row).collect::<Vec<_>>()
        });
        ledger(rows.collect())
    }

    fn asked(question: &Question, ledger: &Ledger) -> Verdict {
        verdict(question, ledger, Set::Flowers102, Loss::Magnet).unwrap()
    }

    fn below(other: Loss, least: f64) -> Question {
        Question::Below { other, least }
    }

    #[test]
    fn a_claim_is_met_from_its_lower_bound_on() {
        let of = |magnet, other| {
            let ledger = errors(&[
                (UPPER, Loss::Magnet, &[magnet; 3]),
                (UPPER, Loss::Triplet, &[other; 3]),
            ]);
            let error = asked(&Question::Error, &ledger).in_words();
            [
                error,
                asked(&below(Loss::Triplet, 30.0), &ledger).in_words(),
            ]
        };
        assert_eq!(of(0.086, 0.125), ["yes, 3 seeds"; 2]);
        assert_eq!(of(0.087, 0.124), ["**no**, 3 seeds"; 2]);
        // An equal error is not below.
        let equal = errors(&[
            (UPPER, Loss::Magnet, &[0.1; 3]),
            (UPPER, Loss::Softmax, &[0.1; 3]),
        ]);
        assert_eq!(
            asked(&below(Loss::Softmax, 0.0), &equal).in_words(),
            "**no**, 3 seeds"
        );
    }

    #[test]
    fn seeds_that_disagree_leave_a_claim_open_and_all_are_counted() {
        let of = |magnet: &[f64]| {
            let ledger = errors(&[
                (UPPER, Loss::Magnet, magnet),
                (UPPER, Loss::Softmax, &[0.2; 3]),
            ]);
            asked(&below(Loss::Softmax, 0.0), &ledger).in_words()
        };
        assert_eq!(of(&[0.1, 0.1, 0.3]), "open: met by 2 of 3 seeds");
        assert_eq!(of(&[0.1]), "yes, 1 seed");
        assert_eq!(of(&[0.3, 0.3]), "**no**, 2 seeds");
        // A fourth seed of magnet has no softmax beside it.
        assert_eq!(of(&[0.1, 0.1, 0.1, 0.9]), "yes, 3 seeds");
    }

    #[test]
    fn losses_are_compared_with_all_layers_trained_once_all_have_as_many_seeds_of_it() {
        let mut rows: Vec<(Experiment, Loss, &[f64])> = vec![
            (UPPER, Loss::Magnet, &[0.10, 0.10]),
            (UPPER, Loss::Softmax, &[0.12, 0.12]),
            (ALL, Loss::Magnet, &[0.09, 0.09]),
            (ALL, Loss::Softmax, &[0.08]),
        ];
        let half = asked(&below(Loss::Softmax, 0.0), &errors(&rows));
        assert_eq!(
            half.ours,
            "10.00 against 12.00 %: 17 % below, lower layers frozen"
        );
        rows[3].2 = &[0.08, 0.08];
        let whole = asked(&below(Loss::Softmax, 0.0), &errors(&rows));
        assert_eq!(
            whole.ours,
            "9.00 against 8.00 %: 12 % above, all layers trained"
        );
        assert_eq!(whole.in_words(), "**no**, 2 seeds");
        // One seed of a longer training is too few.
        rows.push((LONGER, Loss::Magnet, &[0.06, 0.06]));
        rows.push((LONGER, Loss::Softmax, &[0.08]));
        assert_eq!(
            asked(&below(Loss::Softmax, 0.0), &errors(&rows)).ours,
            whole.ours
        );
        rows[5].2 = &[0.08, 0.08];
        let longer = asked(&below(Loss::Softmax, 0.0), &errors(&rows));
        assert_eq!(
            longer.ours,
            "6.00 against 8.00 %: 25 % below, all layers trained for longer"
        );
    }

    #[test]
    fn a_seed_that_broke_down_does_not_take_a_comparison_back_to_frozen_layers() {
        let mut rows = errors(&[
            (UPPER, Loss::Magnet, &[0.10, 0.10]),
            (UPPER, Loss::Softmax, &[0.12, 0.12]),
            (ALL, Loss::Magnet, &[0.09, 0.09]),
            (ALL, Loss::Softmax, &[0.08, 0.08]),
        ]);
        let deep = |row: &&mut Row| {
            row.label.experiment == ALL.name() && row.label.loss == Loss::Magnet.name()
        };
        let broken = rows.rows.iter_mut().find(deep).unwrap();
        broken.outcome.measures.clear();
        broken.outcome.failure = Some("the loss is inf".into());
        let verdict = asked(&below(Loss::Softmax, 0.0), &rows);
        assert!(
            verdict.ours.ends_with("all layers trained"),
            "{}",
            verdict.ours
        );
        assert_eq!(verdict.seeds, [false, false]);
    }

    #[test]
    fn a_seed_that_broke_down_meets_nothing_and_leaves_the_mean_to_the_others() {
        let mut rows = errors(&[
            (UPPER, Loss::Magnet, &[0.05, 0.05, 0.05]),
            (UPPER, Loss::Softmax, &[0.1; 3]),
        ]);
        let magnets = rows
            .rows
            .iter_mut()
            .filter(|row| row.label.loss == Loss::Magnet.name());
        let last = magnets.last().unwrap();
        last.outcome.measures.clear();
        last.outcome.failure = Some("the loss is inf".into());
        let against = asked(&below(Loss::Softmax, 0.0), &rows);
        assert_eq!(against.in_words(), "open: met by 2 of 3 seeds");
        assert!(
            against.ours.starts_with("5.00 against 10.00 %: 50 % below"),
            "{}",
            against.ours
        );
        assert_eq!(
            asked(&Question::Error, &rows).in_words(),
            "open: met by 2 of 3 seeds"
        );
        assert!(
            verdict(
                &Question::CheapIndex { most: 10.0 },
                &rows,
                Set::Flowers102,
                Loss::Magnet
            )
            .is_none()
        );
    }
}
