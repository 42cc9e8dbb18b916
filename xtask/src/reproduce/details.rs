//! The tables that only the page of a set shows: concentration, maps, ablations, cost of the index, chosen settings.

use std::fmt::Write as _;

use super::ablation::ABLATIONS;
use super::concentration::{AT, BASE};
use super::experiment::Experiment;
use super::ledger::Ledger;
use super::loss::Loss;
use super::set::{Scale, Set};
use super::space;
use super::stats::{mean, spread};
use super::table::{percent, percents, titled};

pub(super) fn concentration(ledger: &Ledger) -> String {
    let sizes = ["1", "8", "32", "128"];
    let mut rows = String::new();
    for loss in Loss::WITH_TEMPERED {
        let cells = ledger.of(Experiment::Concentration, loss);
        if cells.is_empty() {
            continue;
        }
        let shares = sizes.map(|size| percent(&cells, &format!("{AT}{size}")));
        let base = percent(&cells, BASE);
        let _ = writeln!(
            rows,
            "| {} | {} | {base} |",
            loss.name(),
            shares.join(" | ")
        );
    }
    let head = "| loss | 1 neighbour | 8 | 32 | 128 | all images |\n|---|---:|---:|---:|---:|---:|";
    titled(
        "Concentration of attributes: share of the nearest test images that have an attribute of the image in their middle, %. \
         Where a set has no attribute labels, the classes that training saw merged stand in for them.",
        head,
        rows,
    )
}

pub(super) fn maps(ledger: &Ledger) -> String {
    let mut rows = String::new();
    for loss in Loss::WITH_TEMPERED {
        for row in ledger.of(Experiment::Map, loss) {
            let value = |key: &str| row.outcome.measures.get(key).copied().unwrap_or(f64::NAN);
            let (space, map) = (value("silhouette"), value("silhouette_on_map"));
            let _ = writeln!(rows, "| {} | {space:.3} | {map:.3} |", loss.name());
        }
    }
    let head = "| loss | silhouette in the embedding | on the t-SNE map |\n|---|---:|---:|";
    titled(
        "Classes inside two merged classes, seed 0: do they lie apart?",
        head,
        rows,
    )
}

pub(super) fn ablation(ledger: &Ledger) -> String {
    let key = format!("{}_error_at_1", Loss::Magnet.rule());
    let errors = |name: &str| {
        let cells = ledger.seeds(Experiment::Ablation, Loss::Magnet, name);
        (percents(&cells, &key), cells)
    };
    let Some(reference) = errors("nothing changed").0.map(|values| mean(&values)) else {
        return String::new();
    };
    let mut rows = String::new();
    for (name, _) in ABLATIONS {
        let (values, cells) = errors(name);
        if cells.is_empty() {
            continue;
        }
        let seconds: Vec<f64> = cells
            .iter()
            .map(|row| row.outcome.training_seconds)
            .collect();
        let (error, difference) = match &values {
            Some(values) => (
                spread(values, 2),
                format!("{:+.2}", mean(values) - reference),
            ),
            None => ("broke down".into(), "–".into()),
        };
        let share: Vec<f64> = cells
            .iter()
            .map(|row| 100.0 * row.outcome.refresh_seconds / row.outcome.training_seconds.max(1e-9))
            .collect();
        let _ = writeln!(
            rows,
            "| {name} | {error} | {difference} | {} | {} | {} |",
            cells.len(),
            spread(&seconds, 1),
            spread(&share, 1)
        );
    }
    let head = "| changed | error@1 % | difference | seeds | training seconds | of which index % |\n|---|---:|---:|---:|---:|---:|";
    titled(
        "Ablations of magnet, one change at a time from its tuned setting.",
        head,
        rows,
    )
}

pub(super) fn index_cost(ledger: &Ledger) -> String {
    let mut rows = String::new();
    for row in ledger.of(Experiment::IndexCost, Loss::Magnet) {
        let outcome = &row.outcome;
        let each = outcome.refresh_seconds / outcome.refreshes.max(1) as f64;
        let share = 100.0 * outcome.refresh_seconds / outcome.training_seconds.max(1e-9);
        let _ = writeln!(
            rows,
            "| {} | {} | {each:.3} | {:.2} | {share:.1} |",
            row.label.setting, outcome.refreshes, outcome.training_seconds
        );
    }
    let head = "| index | times built | seconds each | training seconds | share % |\n|---|---:|---:|---:|---:|";
    titled("Cost of the cluster index.", head, rows)
}

/// What tuning chose.
pub(super) fn settings(ledger: &Ledger) -> String {
    let mut rows = String::new();
    for loss in Loss::ALL {
        let trials = ledger.of(Experiment::Tuning, loss);
        let Some((number, error)) = ledger.best_trial(loss, trials.len()) else {
            continue;
        };
        let chosen = space::trial(loss, set_scale(ledger), number);
        let chosen = match chosen.is_empty() {
            true => "the run file as it stands".into(),
            false => format!("`{}`", chosen.join("` `")),
        };
        let _ = writeln!(
            rows,
            "| {} | {} | {number} | {:.2} | {chosen} |",
            loss.name(),
            trials.len(),
            100.0 * error
        );
    }
    let head =
        "| loss | trials | best | its validation error % | settings |\n|---|---:|---:|---:|---|";
    titled("What the trials chose.", head, rows)
}

fn set_scale(ledger: &Ledger) -> Scale {
    let set = Set::ALL
        .into_iter()
        .rev()
        .find(|set| ledger.set.starts_with(set.name()));
    set.unwrap_or(Set::FashionMini).scale()
}

#[cfg(test)]
mod tests {
    use super::super::ledger::testing::{ledger, measured};
    use super::*;

    #[test]
    fn ablations_stand_beside_what_was_changed() {
        let error = |value| measured(&[("knc_error_at_1", value)]);
        let ledger = ledger(vec![
            (
                Experiment::Ablation,
                Loss::Magnet,
                "nothing changed",
                0,
                error(0.20),
            ),
            (Experiment::Ablation, Loss::Magnet, "gap 0", 0, error(0.23)),
        ]);
        let text = ablation(&ledger);
        assert!(text.contains("| gap 0 | 23.00 | +3.00 | 1 |"), "{text}");
        assert!(!text.contains("gap 1"), "{text}");
    }
}
