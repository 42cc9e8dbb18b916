//! The tables of a ledger, in Markdown.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::claims;
use super::convergence;
use super::details::{ablation, concentration, index_cost, maps, settings};
use super::experiment::Experiment;
use super::ledger::{Ledger, Row};
use super::loss::Loss;
use super::paper;
use super::set::Set;
use super::stats::{interval, spread};

/// What is shown to everyone: errors, hierarchy recovery, and the paper's claims beside ours.
pub(crate) fn headline(ledger: &Ledger, set: Set) -> String {
    let parts = [
        classification(ledger, set, Experiment::Classification),
        classification(ledger, set, Experiment::AllLayers),
        hierarchy(ledger),
        claims::table(ledger, set),
        circumstances(ledger),
    ];
    joined(&parts)
}

/// Everything.
pub(crate) fn of(ledger: &Ledger, set: Set) -> String {
    let parts = [
        classification(ledger, set, Experiment::Classification),
        classification(ledger, set, Experiment::AllLayers),
        hierarchy(ledger),
        convergence::table(ledger),
        concentration(ledger),
        maps(ledger),
        ablation(ledger),
        index_cost(ledger),
        settings(ledger),
        claims::table(ledger, set),
        circumstances(ledger),
    ];
    joined(&parts)
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

/// A table with a heading, or nothing if it has no rows.
pub(super) fn titled(title: &str, head: &str, rows: String) -> String {
    match rows.is_empty() {
        true => String::new(),
        false => format!("{title}\n\n{head}\n{rows}"),
    }
}

fn classification(ledger: &Ledger, set: Set, experiment: Experiment) -> String {
    let mut rows = String::new();
    for loss in Loss::ALL {
        let cells = ledger.of(experiment, loss);
        if cells.is_empty() {
            continue;
        }
        let rule = loss.rule();
        let error = format!("{rule}_error_at_1");
        let values = percents(&cells, &error).unwrap_or_default();
        let between = interval(&values);
        let trials = ledger.of(Experiment::Tuning, loss).len();
        let best = ledger.best_trial(loss, trials);
        let seconds: Vec<f64> = cells.iter().map(|row| row.outcome.seconds).collect();
        let memory = cells
            .iter()
            .filter_map(|row| row.outcome.peak_memory_bytes)
            .max();
        // Writing to a string cannot fail; so below.
        let _ = writeln!(
            rows,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            loss.name(),
            loss.rule_in_words(),
            percent(&cells, &error),
            between.map_or_else(
                || "–".into(),
                |(low, high)| format!("{low:.2} to {high:.2}")
            ),
            paper::error(set, loss).map_or_else(|| "–".into(), |error| format!("{error:.1}")),
            percent(&cells, &format!("{rule}_error_at_5")),
            percent(&cells, "recall_at_1"),
            percent(&cells, "map_at_r"),
            best.map_or_else(|| "–".into(), |(_, error)| format!("{:.2}", 100.0 * error)),
            cells.len(),
            cells[0].outcome.images,
            spread(&seconds, 1),
            memory.map_or_else(|| "?".into(), |bytes| format!("{:.0}", bytes as f64 / 1e6)),
        );
    }
    let trials = ledger.of(Experiment::Tuning, Loss::Softmax).len();
    let layers = match experiment {
        Experiment::AllLayers => ", all layers trained",
        _ if set.protocol().all_layers.is_some() => ", lower layers frozen",
        _ => "",
    };
    let title = format!(
        "Classification error on the test images of {}{layers}; every loss was tuned with {trials} trials judged on validation images.",
        ledger.set
    );
    let head = "| loss | rule | error@1 % | 95 % interval | paper % | error@5 % | recall@1 % | MAP@R % | validation error of the best trial % | seeds | images seen | seconds | peak MB |\n\
         |---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|";
    titled(&title, head, rows)
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
                "| {name} | {} | {} | {} | {} | {} |",
                loss.name(),
                percent(&cells, &format!("{}_error_at_1", loss.rule())),
                percent(&cells, "hierarchy_soft_knn_error_at_1"),
                percent(&cells, "hierarchy_class_mean_error_at_1"),
                percent(&cells, "hierarchy_chance_error_at_1"),
            );
        }
    }
    let head = "| merged | loss | error@1 % on merged classes | fine error@1 %, soft kNN | fine error@1 %, nearest class mean | chance % |\n\
         |---|---|---:|---:|---:|---:|";
    titled(
        "Hierarchy recovery: trained on merged classes, tested on those below them.",
        head,
        rows,
    )
}

/// Commits and machines of all rows.
fn circumstances(ledger: &Ledger) -> String {
    let distinct = |of: &dyn Fn(&Row) -> String| {
        let all: BTreeSet<String> = ledger.rows.iter().map(of).collect();
        all.into_iter().collect::<Vec<_>>().join(", ")
    };
    match ledger.rows.is_empty() {
        true => String::new(),
        false => format!(
            "Mean ± standard deviation over seeds; intervals are a bootstrap over seeds; commit {}; {}.\n",
            distinct(&|row| row.commit.clone()),
            distinct(&|row| row.machine.clone())
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ledger::testing::{ledger, measured};
    use super::*;

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
        let text = of(&ledger, Set::FashionMini);
        assert!(
            text.contains("| magnet | kNC | 37.50 ± 17.68 | 25.00 to 50.00 |"),
            "{text}"
        );
    }
}
