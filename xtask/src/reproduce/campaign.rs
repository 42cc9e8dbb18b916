//! Running the cells of a set: what is left, in order, until all is done or the time is up.
//!
//! The plan is worked out anew after every cell from the ledger alone, so a stopped command is continued by starting it again.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::alone::Alone;
use super::cell::{Cell, Stage};
use super::ledger::{JudgedIn, Ledger, Row};
use super::loss::Loss;
use super::options::Options;
use super::outcomes::Outcomes;
use super::plan::{KEPT, POINTS, Plan};
use super::set::{Set, Task};
use super::work::{Done, End, Workshop};

/// Runs what is left of a set until `deadline`; false if something is still left then.
pub(crate) fn run(
    set: Set,
    options: &Options,
    program: &Path,
    deadline: Option<Instant>,
) -> Result<bool> {
    let workshop = Workshop::new(set, options, program)?;
    // Before the ledger is read: what another command adds to it until it ends would be lost otherwise.
    let _alone = Alone::in_folder(&workshop.folder)?;
    let mut ledger = Ledger::of(set)?;
    outln!("{}", forecast(set, options, &ledger)?)?;
    for task in options.tasks_of(set) {
        let losses = options.losses_of(set, task);
        while let Some(cell) = next(task, &losses, &ledger, &workshop)? {
            let expected = seconds(&cell, &ledger);
            let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left < Duration::from_secs_f64(expected.min(60.0))) {
                outln!(
                    "{}: needs {}; the same command goes on",
                    cell.label,
                    in_words(expected)
                )?;
                return Ok(false);
            }
            let done = match workshop.carry_out(&cell, deadline)? {
                End::Done(done) => done,
                End::Stopped => {
                    outln!("{}: stopped; the same command goes on", cell.label)?;
                    return Ok(false);
                }
            };
            record(cell, *done, task, &mut ledger, &workshop)?;
        }
        let plan = Plan {
            set,
            ledger: &ledger,
        };
        let labels: BTreeSet<_> = plan
            .cells(task, &losses)?
            .into_iter()
            .map(|c| c.label)
            .collect();
        ledger.prune(task, &losses, &labels)?;
    }
    Ok(true)
}

/// The first cell whose row is missing or was made with something else.
fn next(task: Task, losses: &[Loss], ledger: &Ledger, workshop: &Workshop) -> Result<Option<Cell>> {
    let plan = Plan {
        set: ledger.set,
        ledger,
    };
    for cell in plan.cells(task, losses)? {
        let key = cell.key(&workshop.inputs)?;
        if ledger.row(&cell.label).is_none_or(|row| row.key != key) {
            return Ok(Some(cell));
        }
    }
    Ok(None)
}

fn record(
    cell: Cell,
    done: Done,
    task: Task,
    ledger: &mut Ledger,
    workshop: &Workshop,
) -> Result<()> {
    let key = cell.key(&workshop.inputs)?;
    let Done {
        mut outcome,
        commit,
        machine,
        folder,
    } = done;
    let line = match (&outcome.failure, outcome.held_out) {
        (Some(reason), _) => format!("broke down: {reason}"),
        (None, Some(value)) => format!("{:.2} % on held-out images", 100.0 * value),
        (None, None) => {
            let measures = outcome
                .measures
                .iter()
                .filter(|(name, _)| !name.contains('.'));
            let words = measures.map(|(name, value)| format!("{name} {:.2} %", 100.0 * value));
            words.collect::<Vec<_>>().join(", ")
        }
    };
    outln!("{}: {line}", cell.label)?;
    if cell.label.stage == Stage::Test && outcome.failure.is_none() {
        let plan = Plan {
            set: ledger.set,
            ledger,
        };
        let loss = Loss::of(&cell.label.loss).context("a loss of the ledger")?;
        let winner = plan
            .winner(task.searched(), loss)
            .and_then(|row| row.outcome.distance);
        // Nothing is held out for features that are not trained: published features are ranked by cosine.
        let untrained = (loss == Loss::Frozen).then_some(JudgedIn::Cosine);
        let distance = winner.or(untrained).unwrap_or(JudgedIn::Own);
        outcome.distance = Some(distance);
        if task.is_searched() || task == Task::AllLayers {
            let file = folder.join("outcomes.csv");
            let alive = |key: &str| ledger.rows.iter().any(|row| row.key == key);
            Outcomes::of(ledger.set)?.record(&key, &file, task, distance, &alive)?;
        }
    }
    ledger.record(Row {
        label: cell.label,
        key,
        sets: cell.sets,
        outcome,
        commit,
        machine,
    })?;
    // Its numbers are in the ledger, and nothing else is asked of it.
    if folder.exists() {
        std::fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}

/// What a set costs, what of it is done, and what every loss is given.
pub(crate) fn forecast(set: Set, options: &Options, ledger: &Ledger) -> Result<String> {
    let plan = Plan { set, ledger };
    let mut text = format!(
        "{}: every loss gets {POINTS} settings of {} images, the best {KEPT} of {}, and the best of these {} seeds\n",
        set.name(),
        set.images() / 4,
        set.images(),
        set.seeds(Task::Closed),
    );
    let mut total = 0.0;
    for task in options.tasks_of(set) {
        let losses = options.losses_of(set, task);
        let known = plan.cells(task, &losses)?;
        let (done, left): (Vec<&Cell>, Vec<&Cell>) = known
            .iter()
            .partition(|cell| ledger.row(&cell.label).is_some());
        // Those that wait for others are as long as a reported run.
        let unknown = plan.count(task, &losses)?.saturating_sub(known.len());
        let waiting = set.images() as f64 / set.rate() + set.overhead();
        let time =
            left.iter().map(|cell| seconds(cell, ledger)).sum::<f64>() + waiting * unknown as f64;
        total += time;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "  {:<12} {:>4} done {:>4} left {:>9}",
            task.name(),
            done.len(),
            left.len() + unknown,
            in_words(time)
        );
    }
    let _ = write!(text, "  together {}", in_words(total));
    Ok(text)
}

/// What a cell will take: as a quiet one of its stage took, scaled by its images, or what the set says.
fn seconds(cell: &Cell, ledger: &Ledger) -> f64 {
    let stage = cell.label.stage;
    let told = ledger
        .rows
        .iter()
        .filter(|row| row.label.stage == stage && row.label.task == cell.label.task);
    let mut told: Vec<f64> = told.filter_map(|row| row.outcome.seconds).collect();
    told.sort_by(f64::total_cmp);
    let set = ledger.set;
    let assumed = cell.images as f64 / set.rate() + set.overhead();
    told.get(told.len() / 2).copied().unwrap_or(assumed)
}

/// Seconds, minutes or hours.
fn in_words(seconds: f64) -> String {
    match seconds {
        s if s < 100.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reproduce::ledger::testing::{ledger, row};

    #[test]
    fn a_forecast_counts_what_is_known_and_what_waits_for_it() {
        let options = Options::read(&["closed", "--losses", "magnet", "--forecast"]).unwrap();
        let empty = forecast(Set::FashionMini, &options, &ledger(Vec::new())).unwrap();
        assert!(
            empty.contains("closed          0 done   25 left"),
            "{empty}"
        );
        let mut one = row(Loss::Magnet, Stage::Quarter, "point 0", 0, Some(0.2));
        one.outcome.seconds = Some(1000.0);
        let begun = forecast(Set::FashionMini, &options, &ledger(vec![one])).unwrap();
        assert!(
            begun.contains("closed          1 done   24 left     4.2 h"),
            "{begun}"
        );
    }
}
