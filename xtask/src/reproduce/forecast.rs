//! How long the cells that are left will take, and how much memory: from what the ledger measured, and from the protocol's
//! own figures before anything was.

use std::fmt::Write as _;

use super::cell::{Cell, Work};
use super::experiment::Experiment;
use super::ledger::{Ledger, Row};
use super::suite::Suite;
use crate::median::median;

/// Seconds to start the binary and to open the data.
const START: f64 = 0.5;

/// Seconds that a cell will take on a kind of device, from what rows of that kind took.
pub(crate) fn seconds(cell: &Cell, suite: &Suite, ledger: &Ledger, device: &str) -> f64 {
    let measured = |wanted: &dyn Fn(&Row) -> bool| {
        let rows = ledger.rows.iter().filter(|row| {
            row.label.experiment == cell.label.experiment
                && row.device() == device
                && row.outcome.images > 0
                && wanted(row)
        });
        let each: Vec<f64> = rows
            .map(|row| row.outcome.seconds / row.outcome.images as f64)
            .collect();
        median(&each).map(|each| each * cell.run.images as f64)
    };
    let known = measured(&|row| row.label.loss == cell.label.loss).or_else(|| measured(&|_| true));
    known.unwrap_or_else(|| {
        let protocol = suite.set.protocol();
        let nothing_frozen = [Experiment::AllLayers, Experiment::Longer].map(Experiment::name);
        let rate = match protocol.all_layers {
            Some(all) if nothing_frozen.contains(&cell.label.experiment.as_str()) => all.rate,
            _ => protocol.rate,
        };
        // A forward pass is a third of a step.
        let judged = cell.run.judged as f64 / 3.0 / rate;
        match cell.work {
            Work::Train => START + cell.run.images as f64 / rate + judged,
            Work::Concentration | Work::Map => 2.0 * START + judged,
        }
    })
}

/// Bytes of the largest process.
pub(crate) fn memory(suite: &Suite, ledger: &Ledger) -> f64 {
    let measured = ledger
        .rows
        .iter()
        .filter_map(|row| row.outcome.peak_memory_bytes);
    measured
        .max()
        .map_or(suite.set.protocol().memory, |bytes| bytes as f64)
}

/// What is done and what is left of each experiment, as a table.
pub(crate) fn table(
    parts: &[(Experiment, usize, Vec<Cell>)],
    suite: &Suite,
    ledger: &Ledger,
    device: &str,
) -> String {
    let mut text = String::from(
        "experiment                                              done  left  forecast\n",
    );
    let mut total = 0.0;
    for (experiment, done, left) in parts {
        let time: f64 = left
            .iter()
            .map(|cell| seconds(cell, suite, ledger, device))
            .fold(0.0, |sum, time| sum + time);
        total += time;
        let name = format!("{:<6} {}", experiment.name(), experiment.title());
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{name:<55} {done:>4}  {:>4}  {:>8}",
            left.len(),
            in_words(time)
        );
    }
    let _ = writeln!(
        text,
        "together {}, up to {:.1} GB of memory",
        in_words(total),
        memory(suite, ledger) / 1e9
    );
    text
}

/// Seconds, minutes or hours.
pub(crate) fn in_words(seconds: f64) -> String {
    match seconds {
        s if s < 100.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// `90s`, `30m`, `2h`, or minutes.
pub(crate) fn duration(text: &str) -> Option<f64> {
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) => (number, &text[number.len()..]),
        None => (text, "m"),
    };
    let number: f64 = number.parse().ok()?;
    let seconds = match unit {
        "s" => number,
        "h" => 3600.0 * number,
        _ => 60.0 * number,
    };
    (seconds > 0.0 && seconds.is_finite()).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reproduce::cell::{Label, Run};
    use crate::reproduce::ledger::{Outcome, testing};
    use crate::reproduce::loss::Loss;
    use crate::reproduce::options::Options;

    #[test]
    fn durations_have_a_unit_and_are_minutes_without() {
        assert_eq!(
            ["90s", "30m", "2h", "8"].map(duration),
            [Some(90.0), Some(1800.0), Some(7200.0), Some(480.0)]
        );
        assert_eq!(["", "m", "-3m", "0", "3 days"].map(duration), [None; 5]);
    }

    #[test]
    fn a_forecast_follows_what_the_same_loss_took_before() {
        let options = Options::read(&[]).unwrap();
        let suite = options.suites().remove(0);
        let cell = |loss| {
            let run = Run::new(&suite, loss, 12_000, 5000);
            Label::new(Experiment::Classification, loss, "tuned", 1).trains(run)
        };
        let row = |loss, seconds| {
            let outcome = Outcome {
                seconds,
                images: 6000,
                ..Outcome::default()
            };
            (Experiment::Classification, loss, "tuned", 0, outcome)
        };
        let empty = testing::ledger(Vec::new());
        let mut ledger = testing::ledger(vec![
            row(Loss::Magnet, 4.0),
            row(Loss::Softmax, 1.0),
            row(Loss::Triplet, 0.5),
        ]);
        ledger.rows[2].machine = "cuda (a card), a machine".into();
        let on = |device, loss, ledger| seconds(&cell(loss), &suite, ledger, device);
        assert_eq!(on("cpu", Loss::Magnet, &ledger), 8.0);
        // Of another loss the median of all is known, and what a card took says nothing of a processor.
        assert_eq!(on("cpu", Loss::Triplet, &ledger), 5.0);
        assert_eq!(on("cuda", Loss::Magnet, &ledger), 1.0);
        assert!(on("cpu", Loss::Magnet, &empty) > 1.0);
    }
}
