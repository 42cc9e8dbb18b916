//! Ahead, level and behind: words that paired intervals give, corrected for how many losses are compared.

use super::cell::Stage;
use super::ledger::{Ledger, Row};
use super::loss::Loss;
use super::outcomes::{Outcomes, Rule, Units};
use super::set::Task;
use super::statistics::{Difference, compare, holm, mean};

/// What a corrected interval says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Ahead,
    Level,
    Behind,
}

impl Word {
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Ahead => "ahead",
            Self::Level => "level",
            Self::Behind => "behind",
        }
    }
}

/// A loss beside another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beside {
    pub(crate) difference: Difference,
    pub(crate) word: Word,
}

/// A loss by one rule.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) loss: Loss,
    /// Right answers or precision of each seed, as shares.
    pub(crate) seeds: Vec<f64>,
    /// Absent for softmax itself, and where images were not written down.
    pub(crate) softmax: Option<Beside>,
    /// Absent for the best itself.
    pub(crate) best: Option<Beside>,
}

/// The reported rows of a loss with a number.
pub(crate) fn reported(ledger: &Ledger, task: Task, loss: Loss) -> Vec<&Row> {
    let rows = ledger.at(task, loss, Stage::Test).into_iter();
    rows.filter(|row| row.outcome.failure.is_none()).collect()
}

/// The losses of a task by a rule, the best first. Differences count the more the better for errors too: of right answers.
pub(crate) fn standings(
    ledger: &Ledger,
    outcomes: &Outcomes,
    task: Task,
    rule: Rule,
) -> Vec<Standing> {
    let mut all: Vec<(Standing, Vec<Units>)> = Vec::new();
    for loss in ledger.set.losses(task) {
        let rows = reported(ledger, task, loss);
        let seeds: Vec<f64> = rows
            .iter()
            .filter_map(|row| share(row, task, rule))
            .collect();
        if seeds.is_empty() {
            continue;
        }
        let units = rows.iter().filter_map(|row| outcomes.units(&row.key, rule));
        let standing = Standing {
            loss,
            seeds,
            softmax: None,
            best: None,
        };
        all.push((standing, units.collect()));
    }
    all.sort_by(|a, b| mean(&b.0.seeds).total_cmp(&mean(&a.0.seeds)));
    let softmax = all.iter().position(|(one, _)| one.loss == Loss::Softmax);
    let against = |place: Option<usize>| -> Vec<Option<Beside>> {
        let Some(place) = place else {
            return vec![None; all.len()];
        };
        let differences = all.iter().enumerate().map(|(row, (_, units))| {
            let other = (row != place).then_some(&all[place].1)?;
            compare(units, other)
        });
        let differences: Vec<Option<Difference>> = differences.collect();
        let chances: Vec<f64> = differences.iter().flatten().map(|d| d.chance).collect();
        let mut found = holm(&chances).into_iter();
        let words = differences.into_iter().map(|difference| {
            let difference = difference?;
            let word = match (found.next()?, difference.mean > 0.0) {
                (false, _) => Word::Level,
                (true, true) => Word::Ahead,
                (true, false) => Word::Behind,
            };
            Some(Beside { difference, word })
        });
        words.collect()
    };
    let (softmax, best) = (against(softmax), against((!all.is_empty()).then_some(0)));
    all.into_iter()
        .zip(softmax.into_iter().zip(best))
        .map(|((standing, _), (softmax, best))| Standing {
            softmax,
            best,
            ..standing
        })
        .collect()
}

/// Right answers or precision of a reported run, in the distance that its search chose.
fn share(row: &Row, task: Task, rule: Rule) -> Option<f64> {
    let (measure, error) = rule.measure();
    let key = row.outcome.distance?.key(measure);
    let key = match task {
        Task::Unseen => format!("unseen.{key}"),
        _ => key,
    };
    let value = *row.outcome.measures.get(&key)?;
    Some(if error { 1.0 - value } else { value })
}
