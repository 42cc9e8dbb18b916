//! How soon a loss is as good as triplet is at its end, counted in images and in seconds of training.
//!
//! Each seed holds out its own validation images, so a loss runs against triplet of the same seed: towards the error that this
//! triplet ends with, on the same images.

use std::fmt::Write as _;

use super::experiment::Experiment;
use super::ledger::{Ledger, Row};
use super::loss::Loss;
use super::stats::mean;
use crate::median::median;

/// The first evaluation at or below the error that was to be reached. Seconds are those of the machine that the row names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Moment {
    pub(super) images: f64,
    pub(super) seconds: f64,
}

/// A loss against triplet, with one seed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Race {
    /// Validation error that triplet ends with.
    pub(super) target: f64,
    /// When triplet first had it.
    pub(super) triplet: Moment,
    /// When the loss first had it; absent if it never did.
    pub(super) own: Option<Moment>,
    /// Whether both ran on one machine, so that their seconds compare.
    pub(super) one_machine: bool,
}

/// The races of a loss, one for each seed that it shares with triplet.
pub(super) fn races(ledger: &Ledger, loss: Loss) -> Vec<Race> {
    let triplets = ledger.of(Experiment::Convergence, Loss::Triplet);
    let rows = ledger.of(Experiment::Convergence, loss);
    let race = |row: &&Row| {
        let triplet = triplets
            .iter()
            .find(|other| other.label.seed == row.label.seed)?;
        let target = triplet.outcome.validation?;
        Some(Race {
            target,
            triplet: first(triplet, target)?,
            own: first(row, target),
            one_machine: triplet.machine == row.machine,
        })
    };
    rows.iter().filter_map(race).collect()
}

fn first(row: &Row, target: f64) -> Option<Moment> {
    let point = row.outcome.curve.iter().find(|point| point[2] <= target)?;
    Some(Moment {
        images: point[0],
        seconds: point[1],
    })
}

/// The table.
pub(super) fn table(ledger: &Ledger) -> String {
    let targets: Vec<f64> = races(ledger, Loss::Triplet)
        .iter()
        .map(|race| 100.0 * race.target)
        .collect();
    if targets.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "Convergence: when the validation error is first at or below the one that triplet of the same seed, on the same validation \
         images, ends with ({:.2} % in the mean; it is looked at a dozen times a run). Medians of the seeds that reach it.\n\n\
         | loss | seeds that reach it | images | seconds with refreshes | triplet's images / its own | triplet's seconds / its own |\n\
         |---|---:|---:|---:|---:|---:|\n",
        mean(&targets)
    );
    for loss in Loss::WITH_TEMPERED {
        let races = races(ledger, loss);
        let ran: Vec<(Moment, Moment)> = races
            .iter()
            .filter_map(|race| Some((race.triplet, race.own?)))
            .collect();
        let middle = |digits: usize, of: fn(&(Moment, Moment)) -> f64| {
            let values: Vec<f64> = ran.iter().map(of).collect();
            median(&values).map_or_else(|| "–".into(), |value| format!("{value:.digits$}"))
        };
        let one_machine = races.iter().all(|race| race.one_machine);
        let seconds = |of| {
            if one_machine {
                middle(2, of)
            } else {
                "–".into()
            }
        };
        if !races.is_empty() {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "| {} | {} of {} | {} | {} | {} | {} |",
                loss.name(),
                ran.len(),
                races.len(),
                middle(0, |(_, own)| own.images),
                seconds(|(_, own)| own.seconds),
                middle(2, |(triplet, own)| triplet.images / own.images),
                seconds(|(triplet, own)| triplet.seconds / own.seconds)
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::ledger::{Outcome, testing::ledger};
    use super::*;

    fn row(
        loss: Loss,
        seed: u64,
        curve: Vec<[f64; 3]>,
    ) -> (Experiment, Loss, &'static str, u64, Outcome) {
        let validation = curve.last().map(|point| point[2]);
        let outcome = Outcome {
            curve,
            validation,
            ..Outcome::default()
        };
        (Experiment::Convergence, loss, "tuned", seed, outcome)
    }

    #[test]
    fn each_seed_runs_towards_the_end_of_its_own_triplet() {
        let ledger = ledger(vec![
            row(
                Loss::Triplet,
                0,
                vec![[100.0, 1.0, 0.5], [200.0, 2.0, 0.25]],
            ),
            row(
                Loss::Triplet,
                1,
                vec![[100.0, 1.0, 0.1], [200.0, 2.0, 0.125]],
            ),
            row(
                Loss::Magnet,
                0,
                vec![[50.0, 1.0, 0.25], [100.0, 2.0, 0.5], [200.0, 4.0, 0.125]],
            ),
            row(Loss::Magnet, 1, vec![[50.0, 1.0, 0.25], [100.0, 2.0, 0.2]]),
            row(Loss::Softmax, 0, vec![[100.0, 1.0, 0.5]]),
        ]);
        let magnet = races(&ledger, Loss::Magnet);
        assert_eq!(
            magnet[0].own,
            Some(Moment {
                images: 50.0,
                seconds: 1.0
            })
        );
        assert_eq!(magnet[0].triplet.images, 200.0);
        // Seed 1's triplet was below its own end on the way, and magnet never is.
        assert_eq!(
            (magnet[1].target, magnet[1].triplet.images, magnet[1].own),
            (0.125, 100.0, None)
        );
        let text = table(&ledger);
        assert!(
            text.contains("| triplet | 2 of 2 | 150 | 1.50 | 1.00 | 1.00 |"),
            "{text}"
        );
        assert!(
            text.contains("| magnet | 1 of 2 | 50 | 1.00 | 4.00 | 2.00 |"),
            "{text}"
        );
        assert!(
            text.contains("| softmax | 0 of 1 | – | – | – | – |"),
            "{text}"
        );
    }
}
