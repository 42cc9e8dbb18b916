//! How soon a loss is as good as triplet is at its end, counted in images and in seconds of training.

use std::fmt::Write as _;

use super::experiment::Experiment;
use super::ledger::{Ledger, Row};
use super::loss::Loss;
use super::stats::mean;
use crate::median::median;

/// When a loss reached the error that triplet ends with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reached {
    /// Medians over the seeds that reached it, at the first evaluation that did.
    pub(crate) images: f64,
    pub(crate) seconds: f64,
    pub(crate) seeds: usize,
    pub(crate) of: usize,
}

/// Mean validation error of triplet at the end.
pub(crate) fn target(ledger: &Ledger) -> Option<f64> {
    let rows = ledger.of(Experiment::Convergence, Loss::Triplet);
    let ends = rows.iter().map(|row| row.outcome.validation);
    let ends: Vec<f64> = ends.collect::<Option<_>>()?;
    (!ends.is_empty()).then(|| mean(&ends))
}

/// When a loss reached `target`; absent if no seed did.
pub(crate) fn reached(ledger: &Ledger, loss: Loss, target: f64) -> Option<Reached> {
    let rows = ledger.of(Experiment::Convergence, loss);
    let first = |row: &&Row| {
        row.outcome
            .curve
            .iter()
            .find(|point| point[2] <= target)
            .copied()
    };
    let points: Vec<[f64; 3]> = rows.iter().filter_map(first).collect();
    let middle = |of: usize| median(&points.iter().map(|point| point[of]).collect::<Vec<_>>());
    Some(Reached {
        images: middle(0)?,
        seconds: middle(1)?,
        seeds: points.len(),
        of: rows.len(),
    })
}

/// The table.
pub(crate) fn table(ledger: &Ledger) -> String {
    let Some(target) = target(ledger) else {
        return String::new();
    };
    let triplet = reached(ledger, Loss::Triplet, target);
    let mut text = format!(
        "Convergence: when the validation error is first at or below {:.2} %, which triplet ends with (medians; it is looked at \
         a dozen times a run).\n\n\
         | loss | seeds that reach it | images | seconds with refreshes | triplet's images / its own | triplet's seconds / its own |\n\
         |---|---:|---:|---:|---:|---:|\n",
        100.0 * target
    );
    for loss in Loss::PAPER {
        let count = ledger.of(Experiment::Convergence, loss).len();
        let found = reached(ledger, loss, target);
        // Writing to a string cannot fail.
        let _ = match (count, found) {
            (0, _) => Ok(()),
            (_, None) => writeln!(text, "| {} | 0 of {count} | – | – | – | – |", loss.name()),
            (_, Some(own)) => {
                let ratio = |of: fn(&Reached) -> f64| {
                    triplet.map_or_else(
                        || "–".into(),
                        |triplet| format!("{:.2}", of(&triplet) / of(&own)),
                    )
                };
                writeln!(
                    text,
                    "| {} | {} of {} | {:.0} | {:.2} | {} | {} |",
                    loss.name(),
                    own.seeds,
                    own.of,
                    own.images,
                    own.seconds,
                    ratio(|reached| reached.images),
                    ratio(|reached| reached.seconds)
                )
            }
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::ledger::{Outcome, testing::ledger};
    use super::*;

    #[test]
    fn the_first_evaluation_at_or_below_the_target_counts() {
        let row = |loss, curve: Vec<[f64; 3]>| {
            let validation = curve.last().map(|point| point[2]);
            let outcome = Outcome {
                curve,
                validation,
                ..Outcome::default()
            };
            (Experiment::Convergence, loss, "tuned", 0, outcome)
        };
        let ledger = ledger(vec![
            row(Loss::Triplet, vec![[100.0, 1.0, 0.5], [200.0, 2.0, 0.25]]),
            row(
                Loss::Magnet,
                vec![[50.0, 1.0, 0.25], [100.0, 2.0, 0.5], [200.0, 4.0, 0.125]],
            ),
            row(Loss::Softmax, vec![[100.0, 1.0, 0.5]]),
        ]);
        assert_eq!(target(&ledger), Some(0.25));
        let magnet = reached(&ledger, Loss::Magnet, 0.25).unwrap();
        assert_eq!((magnet.images, magnet.seconds), (50.0, 1.0));
        assert_eq!(reached(&ledger, Loss::Softmax, 0.25), None);
        let text = table(&ledger);
        assert!(
            text.contains("| magnet | 1 of 1 | 50 | 1.00 | 4.00 | 2.00 |"),
            "{text}"
        );
        assert!(text.contains("| softmax | 0 of 1 | – |"), "{text}");
    }
}
