//! The tables of a ledger, in Markdown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::Result;

use super::claims;
use super::convergence;
use super::details::{ablation, concentration, index_cost, maps, search_space, settings};
use super::experiment::Experiment;
use super::ledger::{Ledger, Outcome, Row};
use super::loss::Loss;
use super::paper;
use super::set::Set;
use super::stats::{interval, spread};
use super::verdict::depth;

/// What is shown to everyone: errors, hierarchy recovery, and the paper's claims beside ours.
///
/// # Errors
/// If the reasons beside the ledger cannot be read.
pub(crate) fn headline(ledger: &Ledger, set: Set) -> Result<String> {
    Ok(joined(&[
        errors(ledger, set, Experiment::Classification),
        errors(ledger, set, Experiment::AllLayers),
        errors(ledger, set, Experiment::Longer),
        hierarchy(ledger),
        claims::tables(ledger, set)?,
        circumstances(ledger),
    ]))
}

/// Everything.
///
/// # Errors
/// If the reasons beside the ledger cannot be read.
pub(crate) fn of(ledger: &Ledger, set: Set) -> Result<String> {
    Ok(joined(&[
        errors(ledger, set, Experiment::Classification),
        effort(ledger, set, Experiment::Classification),
        errors(ledger, set, Experiment::AllLayers),
        effort(ledger, set, Experiment::AllLayers),
        errors(ledger, set, Experiment::Longer),
        effort(ledger, set, Experiment::Longer),
        hierarchy(ledger),
        convergence::table(ledger),
        concentration(ledger),
        maps(ledger),
        ablation(ledger),
        index_cost(ledger),
        settings(ledger, set),
        search_space(ledger, set),
        claims::tables(ledger, set)?,
        circumstances(ledger),
    ]))
}

/// Tables that have rows, with an empty line between them.
fn joined(parts: &[String]) -> String {
    let full: Vec<&str> = parts
        .iter()
        .map(String::as_str)
        .filter(|part| !part.is_empty())
        .collect();
    full.join("\n")
}

/// Values of a measure over all rows in percent; absent if a row lacks it, so that nothing is averaged over the rest.
pub(crate) fn percents(rows: &[&Row], key: &str) -> Option<Vec<f64>> {
    let values = rows
        .iter()
        .map(|row| Some(100.0 * row.outcome.measures.get(key)?));
    let values: Vec<f64> = values.collect::<Option<_>>()?;
    (!values.is_empty()).then_some(values)
}

/// Mean and deviation in percent, or a dash.
pub(super) fn percent(rows: &[&Row], key: &str) -> String {
    percents(rows, key).map_or_else(|| "–".into(), |values| spread(&values, 2))
}

/// Rows that did not break down.
pub(super) fn whole<'a>(rows: &[&'a Row]) -> Vec<&'a Row> {
    let whole = rows.iter().filter(|row| row.outcome.failure.is_none());
    whole.copied().collect()
}

/// The number of rows, with `noun` behind it, and how many of them broke down.
pub(super) fn counted(rows: &[&Row], noun: &str) -> String {
    let number = rows.len();
    match number - whole(rows).len() {
        0 => format!("{number}{noun}"),
        broken => format!("{number}{noun}, of which {broken} broke down"),
    }
}

/// A table with a heading, or nothing if it has no rows.
pub(super) fn titled(title: &str, head: &str, rows: String) -> String {
    match rows.is_empty() {
        true => String::new(),
        false => format!("{title}\n\n{head}\n{rows}"),
    }
}

/// Errors of each loss by its own rule.
fn errors(ledger: &Ledger, set: Set, experiment: Experiment) -> String {
    let mut rows = String::new();
    for loss in Loss::ALL {
        let cells = ledger.of(experiment, loss);
        if cells.is_empty() {
            continue;
        }
        let (cells, seeds) = (whole(&cells), counted(&cells, ""));
        let rule = loss.rule();
        let error = format!("{rule}_error_at_1");
        let between = interval(
            &percents(&cells, &error).unwrap_or_default(),
            tested(&cells),
        );
        // Writing to a string cannot fail; so below.
        let _ = writeln!(
            rows,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {seeds} |",
            loss.name(),
            loss.rule_in_words(),
            percent(&cells, &error),
            between.map_or_else(
                || "–".into(),
                |(low, high)| {
                    let alone = if cells.len() == 1 {
                        ", images alone"
                    } else {
                        ""
                    };
                    format!("{low:.2} to {high:.2}{alone}")
                }
            ),
            paper::error(set, loss).map_or_else(|| "–".into(), |error| format!("{error:.1}")),
            percent(&cells, &format!("{rule}_error_at_5")),
            percent(&cells, "recall_at_1"),
            percent(&cells, "map_at_r"),
        );
    }
    let title = format!(
        "Classification error on the test images of {}{}. {}",
        ledger.set,
        depth(set, experiment),
        tuning(ledger, set, experiment)
    );
    let head = "| loss | rule | error@1 % | 95 % interval | paper % | error@5 % | recall@1 % | MAP@R % | seeds |\n\
         |---|---|---:|---:|---:|---:|---:|---:|---:|";
    titled(&title, head, rows)
}

/// How the settings were chosen, in a sentence.
fn tuning(ledger: &Ledger, set: Set, experiment: Experiment) -> String {
    let rows = Loss::ALL
        .into_iter()
        .flat_map(|loss| ledger.of(experiment, loss));
    let counts: BTreeSet<usize> = rows.filter_map(|row| row.trials).collect();
    let counts: Vec<String> = counts.iter().map(usize::to_string).collect();
    let frozen = match experiment {
        Experiment::AllLayers | Experiment::Longer => " with the lower layers frozen",
        _ => "",
    };
    format!(
        "Settings: the best of {} trials of each loss{frozen}, of {} images each, judged on validation images.",
        counts.join(" or "),
        set.protocol().images.0
    )
}

/// What the runs behind the errors took.
fn effort(ledger: &Ledger, set: Set, experiment: Experiment) -> String {
    let mut rows = String::new();
    for loss in Loss::ALL {
        // Seconds of different machines are not averaged.
        let mut machines: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
        let cells = ledger.of(experiment, loss).into_iter();
        for row in cells.filter(|row| row.outcome.failure.is_none()) {
            machines.entry(&row.machine).or_default().push(row);
        }
        for (machine, cells) in machines {
            let spread_of = |of: fn(&Outcome) -> f64| {
                let values: Vec<f64> = cells.iter().map(|row| of(&row.outcome)).collect();
                spread(&values, 1)
            };
            let memory = cells
                .iter()
                .filter_map(|row| row.outcome.peak_memory_bytes)
                .max();
            let commits: BTreeSet<&str> = cells.iter().map(|row| row.commit.as_str()).collect();
            let _ = writeln!(
                rows,
                "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                loss.name(),
                cells.len(),
                cells[0].outcome.images,
                spread_of(|outcome| outcome.training_seconds),
                spread_of(|outcome| outcome.refresh_seconds),
                spread_of(|outcome| outcome.seconds),
                memory.map_or_else(|| "?".into(), |bytes| format!("{:.0}", bytes as f64 / 1e6)),
                commits.into_iter().collect::<Vec<_>>().join(", "),
                machine,
            );
        }
    }
    let title = format!(
        "What these runs took{}: seconds of training, of these for the cluster index, and of the whole command with evaluation and, \
         where it was the first to need them, the caches of frozen layers. Memory counts pages of mapped caches.",
        depth(set, experiment)
    );
    let head = "| loss | seeds | images seen | training s | of these index s | command s | peak MB | commit | machine |\n\
         |---|---:|---:|---:|---:|---:|---:|---|---|";
    titled(&title, head, rows)
}

/// Test images behind an error, if all rows tell the same.
pub(super) fn tested(rows: &[&Row]) -> Option<u64> {
    let first = rows.first()?.outcome.tested?;
    rows.iter()
        .all(|row| row.outcome.tested == Some(first))
        .then_some(first)
}

fn hierarchy(ledger: &Ledger) -> String {
    let mut rows = String::new();
    for (experiment, name) in [
        (Experiment::Random, "at random"),
        (Experiment::Mixed, "unlike kinds"),
    ] {
        for loss in Loss::WITH_TEMPERED {
            let cells = ledger.of(experiment, loss);
            if cells.is_empty() {
                continue;
            }
            let _ = writeln!(
                rows,
                "| {name} | {} | {} | {} | {} | {} | {} |",
                loss.name(),
                percent(&cells, &format!("{}_error_at_1", loss.rule())),
                percent(&cells, "hierarchy_soft_knn_error_at_1"),
                percent(&cells, "hierarchy_soft_knn_error_at_5"),
                percent(&cells, "hierarchy_class_mean_error_at_1"),
                percent(&cells, "hierarchy_chance_error_at_1"),
            );
        }
    }
    let head = "| merged | loss | error@1 % on merged classes | fine error@1 %, soft kNN | error@5 % | fine error@1 %, nearest class mean | chance % |\n\
         |---|---|---:|---:|---:|---:|---:|";
    titled(
        "Hierarchy recovery: trained on merged classes, tested on those below them, with the votes of the published rule for every \
         loss. Each seed merges at random anew; the claims below are asked of that. \"Unlike kinds\" stands for the paper's Mixed, \
         whose definition we have not seen.",
        head,
        rows,
    )
}

/// Commits and machines of all rows.
fn circumstances(ledger: &Ledger) -> String {
    let distinct = |of: &dyn Fn(&Row) -> String, between: &str| {
        let all: BTreeSet<String> = ledger.rows.iter().map(of).collect();
        all.into_iter().collect::<Vec<_>>().join(between)
    };
    match ledger.rows.is_empty() {
        true => String::new(),
        false => format!(
            "Mean ± standard deviation over seeds; intervals are for the mean of all seeds (Student's t) on test images drawn anew, \
             with one seed for that seed; commit {}; {}.\n",
            distinct(&|row| row.commit.clone(), ", "),
            distinct(&|row| row.machine.clone(), " and ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ledger::testing::{ledger, measured};
    use super::*;

    #[test]
    fn seconds_of_two_machines_are_not_averaged() {
        let outcome = |seconds| Outcome {
            seconds,
            training_seconds: seconds,
            images: 48,
            ..Outcome::default()
        };
        let row = |seed, seconds| {
            (
                Experiment::Classification,
                Loss::Magnet,
                "tuned",
                seed,
                outcome(seconds),
            )
        };
        let mut rows = ledger(vec![row(0, 100.0), row(1, 120.0), row(2, 3.0)]);
        rows.rows[2].machine = "cuda (a card), another".into();
        let text = effort(&rows, Set::FashionMini, Experiment::Classification);
        assert!(
            text.contains("| magnet | 2 | 48 | 110.0 ± 14.1 |"),
            "{text}"
        );
        assert!(text.contains("| magnet | 1 | 48 | 3.0 |"), "{text}");
    }

    #[test]
    fn a_measure_that_some_seed_lacks_is_absent_and_not_averaged_over_the_rest() {
        let ledger = ledger(vec![
            (
                Experiment::Classification,
                Loss::Magnet,
                "tuned",
                0,
                measured(&[("knc_error_at_1", 0.5), ("map_at_r", 0.25)]),
            ),
            (
                Experiment::Classification,
                Loss::Magnet,
                "tuned",
                1,
                measured(&[("knc_error_at_1", 0.25)]),
            ),
        ]);
        let rows = ledger.of(Experiment::Classification, Loss::Magnet);
        assert_eq!(percent(&rows, "map_at_r"), "–");
        assert_eq!(percents(&rows, "knc_error_at_1"), Some(vec![50.0, 25.0]));
        let text = of(&ledger, Set::FashionMini).unwrap();
        assert!(
            text.contains("| magnet | kNC | 37.50 ± 17.68 | 0.00 to 100.00 |"),
            "{text}"
        );
    }
}
