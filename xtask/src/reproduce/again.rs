//! Training the winners of a set anew, and each number beside that of the ledger.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail, ensure};

use super::alone::Alone;
use super::cell::{Cell, Stage};
use super::ledger::{Ledger, Row};
use super::options::Options;
use super::outcomes::Rule;
use super::plan::Plan;
use super::set::{Set, Task};
use super::statistics::range_of_one_more;
use super::work::{End, Workshop};

/// What a number is beside the ledger's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Same,
    WithinSeeds,
    Differs,
}

impl Verdict {
    fn of(now: f64, ledger: f64, seeds: &[f64]) -> Self {
        if now == ledger {
            return Self::Same;
        }
        match range_of_one_more(seeds) {
            Some((low, high)) if (low..=high).contains(&now) => Self::WithinSeeds,
            _ => Self::Differs,
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::Same => "same to the digit",
            Self::WithinSeeds => "within the seeds' range",
            Self::Differs => "differs",
        }
    }
}

/// Trains seed 0 of every winner of the closed task.
///
/// # Errors
/// If the ledger has none, or a number differs by more than another seed would.
pub(crate) fn run(
    set: Set,
    options: &Options,
    program: &Path,
    deadline: Option<Instant>,
) -> Result<()> {
    let workshop = Workshop::new(set, options, program)?;
    let _alone = Alone::in_folder(&workshop.folder)?;
    let ledger = Ledger::of(set)?;
    let plan = Plan {
        set,
        ledger: &ledger,
    };
    let task = Task::Closed;
    let cells = plan.cells(task, &options.losses_of(set, task))?;
    let reported = |cell: &Cell| (cell.label.stage, cell.label.seed) == (Stage::Test, 0);
    let cells: Vec<Cell> = cells.into_iter().filter(reported).collect();
    ensure!(
        !cells.is_empty(),
        "the ledger of {} has no winner yet: `cargo xtask reproduce {} --campaign` finds them",
        set.name(),
        set.name()
    );
    outln!(
        "{}: the winner of each loss, trained anew with seed 0, beside the ledger",
        set.name()
    )?;
    outln!(
        "{:<18} {:<37} {:>8} {:>8}",
        "loss",
        "rule",
        "now %",
        "ledger %"
    )?;
    let mut worst = Verdict::Same;
    for cell in cells {
        let Some(row) = ledger.row(&cell.label) else {
            continue;
        };
        let anew = Cell {
            // A run of its own, which nothing that lies there is taken for.
            sets: cell
                .sets
                .iter()
                .cloned()
                .chain(["tags=[\"again\"]".into()])
                .collect(),
            ..cell.clone()
        };
        let done = match workshop.carry_out(&anew, deadline)? {
            End::Done(done) => done,
            End::Stopped => bail!("the time was up at {}", cell.label),
        };
        if done.folder.exists() {
            std::fs::remove_dir_all(&done.folder)?;
        }
        worst = worst.max(beside(&cell, row, &done.outcome.measures, &ledger)?);
    }
    ensure!(
        worst != Verdict::Differs,
        "numbers differ from the ledger by more than another seed would: 99 % of seeds lie within its range"
    );
    Ok(())
}

/// Prints the rules of a loss, and gives the worst of their verdicts.
fn beside(
    cell: &Cell,
    row: &Row,
    measures: &std::collections::BTreeMap<String, f64>,
    ledger: &Ledger,
) -> Result<Verdict> {
    let distance = row.outcome.distance.unwrap_or(super::ledger::JudgedIn::Own);
    let mut worst = Verdict::Same;
    for rule in Rule::of(Task::Closed) {
        let key = distance.key(rule.measure().0);
        let (Some(&now), Some(&then)) = (measures.get(&key), row.outcome.measures.get(&key)) else {
            continue;
        };
        let of_seed = |other: &&Row| {
            let label = &other.label;
            (label.stage, &label.loss, &label.task)
                == (Stage::Test, &cell.label.loss, &cell.label.task)
        };
        let seeds = ledger.rows.iter().filter(of_seed);
        let seeds: Vec<f64> = seeds
            .filter_map(|row| row.outcome.measures.get(&key).copied())
            .collect();
        let verdict = Verdict::of(now, then, &seeds);
        outln!(
            "{:<18} {key:<37} {:>8.2} {:>8.2}  {}",
            cell.label.loss,
            100.0 * now,
            100.0 * then,
            verdict.in_words()
        )?;
        worst = worst.max(verdict);
    }
    Ok(worst)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_that_no_seed_would_give_differs() {
        let seeds = [0.20, 0.21, 0.22, 0.21, 0.21];
        assert_eq!(Verdict::of(0.21, 0.21, &seeds), Verdict::Same);
        assert_eq!(Verdict::of(0.23, 0.21, &seeds), Verdict::WithinSeeds);
        assert_eq!(Verdict::of(0.30, 0.21, &seeds), Verdict::Differs);
        assert_eq!(Verdict::of(0.22, 0.21, &[0.21]), Verdict::Differs);
    }
}
