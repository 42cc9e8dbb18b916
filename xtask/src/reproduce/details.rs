//! The tables that only the page of a set shows: concentration, maps, ablations, cost of the index, chosen settings.

use std::fmt::Write as _;

use super::ablation::{self, ABLATIONS};
use super::cell::Label;
use super::concentration::{AT, BASE};
use super::experiment::Experiment;
use super::ledger::{Ledger, Outcome, Row};
use super::levers;
use super::loss::Loss;
use super::runs::trial_name;
use super::set::Set;
use super::space::{self, Lever};
use super::stats::{mean, spread};
use super::table::{counted, percent, titled, whole};

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
         Where a set has no attribute labels, the classes that training saw merged stand in for them. The claims \
         below average over 1, 2, 4 and so on up to 128 neighbours.",
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
    let reference = ledger.seeds(Experiment::Ablation, Loss::Magnet, ablation::REFERENCE);
    let mut rows = String::new();
    for (name, _) in ABLATIONS {
        let cells = ledger.seeds(Experiment::Ablation, Loss::Magnet, name);
        let (whole, seeds) = (whole(&cells), counted(&cells, ""));
        let errors: Vec<f64> = whole
            .iter()
            .filter_map(|row| ablation::error(row))
            .collect();
        if cells.is_empty() {
            continue;
        }
        // Each seed against the same seed with nothing changed.
        let beside = |row: &&Row| {
            let same = reference
                .iter()
                .find(|other| other.label.seed == row.label.seed)?;
            Some(ablation::error(row)? - ablation::error(same)?)
        };
        let differences: Vec<f64> = whole.iter().filter_map(beside).collect();
        let of = |measure: fn(&Outcome) -> Option<f64>| {
            let values: Vec<f64> = whole
                .iter()
                .filter_map(|row| measure(&row.outcome))
                .collect();
            // Seconds of different machines are not averaged.
            let here = whole
                .windows(2)
                .all(|rows| rows[0].machine == rows[1].machine);
            match here {
                true => if_any(&values, |values| spread(values, 1)),
                false => "–".into(),
            }
        };
        let _ = writeln!(
            rows,
            "| {name} | {} | {} | {seeds} | {} | {} |",
            if_any(&errors, |values| spread(values, 2)),
            if_any(&differences, signed),
            of(|outcome| Some(outcome.training_seconds)),
            of(Outcome::index_share),
        );
    }
    let head = "| changed | error@1 % | difference, seed by seed | seeds | training seconds | of which index % |\n|---|---:|---:|---:|---:|---:|";
    titled(
        "Ablations of magnet, one change at a time from its tuned setting; a change to what the setting has already gives it again. A batch \
         with fewer clusters than the setting asks for (K 1 on few classes), or with neighbourhoods that share examples, is smaller, \
         and the run has more steps for the same images.",
        head,
        rows,
    )
}

/// `of` the values, or a dash if there are none.
fn if_any(values: &[f64], of: impl Fn(&[f64]) -> String) -> String {
    match values {
        [] => "–".into(),
        some => of(some),
    }
}

/// Mean and deviation with the sign of the mean.
fn signed(values: &[f64]) -> String {
    let plus = if mean(values) >= 0.0 { "+" } else { "" };
    format!("{plus}{}", spread(values, 2))
}

pub(super) fn index_cost(ledger: &Ledger) -> String {
    let mut rows = String::new();
    for row in ledger.of(Experiment::IndexCost, Loss::Magnet) {
        let outcome = &row.outcome;
        let each = outcome.refresh_seconds / outcome.refreshes.max(1) as f64;
        let Some(share) = outcome.index_share() else {
            continue;
        };
        let _ = writeln!(
            rows,
            "| {} | {} | {each:.3} | {:.2} | {share:.1} |",
            row.label.setting, outcome.refreshes, outcome.training_seconds
        );
    }
    let head = "| index | times built | seconds each | training seconds | share % |\n|---|---:|---:|---:|---:|";
    titled("Cost of the cluster index.", head, rows)
}

/// What tuning chose, as the row of the best trial has it.
pub(super) fn settings(ledger: &Ledger, set: Set) -> String {
    let mut rows = String::new();
    for loss in Loss::ALL {
        // Those that the reported runs were chosen from; there may be more by now.
        let behind = ledger.of(Experiment::Classification, loss);
        let behind = behind.iter().filter_map(|row| row.trials).max();
        let trials = behind.unwrap_or_else(|| ledger.of(Experiment::Tuning, loss).len());
        let Some((number, error)) = ledger.best_trial(loss, trials) else {
            continue;
        };
        let as_good = ledger.as_good_trials(loss, trials);
        let best = match &as_good[..] {
            [] | [_] => number.to_string(),
            [first, others @ ..] => {
                let others: Vec<String> = others.iter().map(usize::to_string).collect();
                format!("{first}, as good as {}", others.join(", "))
            }
        };
        let sets = |number| {
            let row = ledger.row(&Label::new(
                Experiment::Tuning,
                loss,
                &trial_name(number),
                0,
            ));
            row.map(|row| row.sets.as_slice()).unwrap_or_default()
        };
        let first = sets(0);
        let drawn = sets(number).iter().filter(|set| !first.contains(set));
        let own = loss.changes().iter().copied();
        let settings: Vec<&str> = own.chain(drawn.map(String::as_str)).collect();
        let settings = match settings.is_empty() {
            true => String::new(),
            false => format!(" with `{}`", settings.join("` `")),
        };
        let errors: Vec<String> = (0..trials)
            .map(|number| trial_error(ledger, loss, number))
            .collect();
        let _ = writeln!(
            rows,
            "| {} | {} | {best} | {:.2} | {} | `{}.toml`{settings} |",
            loss.name(),
            space::levers(loss, set.scale()).len(),
            100.0 * error,
            errors.join(", "),
            loss.run_file(),
        );
    }
    let head = "| loss | levers | best trial | its validation error % | of each trial % | settings |\n|---|---:|---:|---:|---|---|";
    titled(
        "What the trials chose. Trial 0 is the run file with what makes it that loss, whose settings were set by hand; the others are \
         points of one sequence in the levers below.",
        head,
        rows,
    )
}

/// Validation error of a trial in percent, or what else became of it.
fn trial_error(ledger: &Ledger, loss: Loss, number: usize) -> String {
    let label = Label::new(Experiment::Tuning, loss, &trial_name(number), 0);
    let outcome = ledger.row(&label).map(|row| &row.outcome);
    match outcome.map(|outcome| (&outcome.failure, outcome.validation)) {
        Some((None, Some(error))) => format!("{:.2}", 100.0 * error),
        Some(_) => "broke down".into(),
        None => "–".into(),
    }
}

/// The space that the trials are drawn from, as the program declares it.
pub(super) fn search_space(ledger: &Ledger, set: Set) -> String {
    let words = |levers: Vec<Lever>| {
        let words: Vec<String> = levers.iter().map(Lever::in_words).collect();
        words.join("; ")
    };
    let mut rows = String::new();
    for loss in Loss::ALL {
        if !ledger.of(Experiment::Tuning, loss).is_empty() {
            let own = words(levers::own(loss, set.scale()));
            let own = if own.is_empty() { "–" } else { &own };
            let _ = writeln!(rows, "| {} | {own} |", loss.name());
        }
    }
    if !rows.is_empty() {
        let shared = words(levers::shared(set.scale()));
        rows.insert_str(0, &format!("| all losses | {shared} |\n"));
    }
    titled(
        "Levers: those that all losses share, and those of a loss. Ranges are searched evenly on the logarithm.",
        "| loss | levers |\n|---|---|",
        rows,
    )
}

#[cfg(test)]
mod tests {
    use super::super::ledger::testing::{ledger, measured};
    use super::*;

    #[test]
    fn ablations_stand_beside_what_was_changed() {
        let error = |value| measured(&[("knc_error_at_1", value)]);
        let row = |name, seed, outcome| (Experiment::Ablation, Loss::Magnet, name, seed, outcome);
        let failed = Outcome {
            failure: Some("the loss is infinite".into()),
            ..Outcome::default()
        };
        let ledger = ledger(vec![
            row("nothing changed", 0, error(0.195)),
            row("nothing changed", 1, error(0.205)),
            row("gap 0", 0, error(0.22)),
            row("gap 0", 1, error(0.24)),
            row("gap 0", 2, failed),
        ]);
        let text = ablation(&ledger);
        assert!(
            text.contains("| gap 0 | 23.00 ± 1.41 | +3.00 ± 0.71 | 3, of which 1 broke down |"),
            "{text}"
        );
        assert!(
            text.contains("| nothing changed | 20.00 ± 0.71 | +0.00 ± 0.00 | 2 |"),
            "{text}"
        );
        assert!(!text.contains("gap 1"), "{text}");
    }
}
