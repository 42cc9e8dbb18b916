//! The runs behind the cells: what an experiment sets on top of a loss's run file.

use super::cell::{Cell, Label, Run};
use super::experiment::Experiment;
use super::loss::Loss;
use super::set::NO_TEST;
use super::space;
use super::suite::Suite;

/// Validations along a convergence curve.
const POINTS: u64 = 12;
/// No step has this number: the last one alone is validated.
const AT_THE_END: &str = "train.valid_period=1000000000";

/// The votes of the published rule: what they reach was tuned for some losses and for the unmerged classes, so that it would
/// favour these where the classes below are asked for.
const PUBLISHED_VOTES: &str = "evaluation.vote_variance=1.0";

/// A reported run on classes merged at random, for each seed in another way.
pub(super) fn random(suite: &Suite, loss: Loss, sets: Vec<String>, seed: u64) -> Run {
    let groups = suite.set.random_groups();
    let merging = format!("data.coarse={{kind=\"random\",groups={groups},seed={seed}}}");
    merged(suite, loss, sets, &merging)
}

/// A reported run on merged classes.
pub(super) fn merged(suite: &Suite, loss: Loss, sets: Vec<String>, merging: &str) -> Run {
    last(suite, loss, sets).with(&[merging, PUBLISHED_VOTES])
}

/// A run that is reported.
pub(super) fn last(suite: &Suite, loss: Loss, sets: Vec<String>) -> Run {
    let protocol = suite.set.protocol();
    let run = Run::new(suite, loss, protocol.images.1, protocol.judged.1);
    run.with_owned(suite.on_trunk(protocol.last))
        .with_owned(sets)
}

/// A run that is reported, with nothing frozen.
pub(super) fn all_layers(
    suite: &Suite,
    protocol: &[&str],
    images: u64,
    loss: Loss,
    sets: Vec<String>,
) -> Run {
    let judged = suite.set.protocol().judged.1;
    let run = Run::new(suite, loss, images, judged);
    run.with(protocol).with_owned(sets)
}

/// Every loss has trial 0 before any has trial 1, so that a command that is cut short has been fair.
pub(super) fn trials(suite: &Suite) -> Vec<Cell> {
    let protocol = suite.set.protocol();
    let numbers = 0..suite.trials;
    let pairs = numbers.flat_map(|number| suite.losses.iter().map(move |&loss| (number, loss)));
    pairs
        .map(|(number, loss)| {
            let run = Run::new(suite, loss, protocol.images.0, protocol.judged.0)
                .with_owned(suite.on_trunk(protocol.trial))
                .with(&[AT_THE_END])
                .with_owned(space::trial(loss, suite.set.scale(), number));
            Label::new(Experiment::Tuning, loss, &trial_name(number), 0).trains(run)
        })
        .collect()
}

/// Name of a trial in the ledger.
pub(super) fn trial_name(number: usize) -> String {
    format!("trial {number}")
}

/// As a reported run, but on the training part of the trials, with the error on their validation part on the way.
pub(super) fn convergence(suite: &Suite, loss: Loss, sets: Vec<String>) -> Run {
    let protocol = suite.set.protocol();
    let judged = protocol.judged.0 * POINTS;
    let run = Run::new(suite, loss, protocol.images.1, judged);
    let period = (protocol.images.1 / 48 / POINTS).max(1);
    run.with_owned(suite.on_trunk(protocol.trial))
        .with(&[&format!("train.valid_period={period}")])
        .with_owned(sets)
}

/// Short runs with more clusters in a class, and with fewer images.
pub(super) fn index_costs(suite: &Suite, tuned: &dyn Fn(Loss) -> Option<Vec<String>>) -> Vec<Cell> {
    let Some(sets) = tuned(Loss::Magnet).filter(|_| suite.losses.contains(&Loss::Magnet)) else {
        return Vec::new();
    };
    let protocol = suite.set.protocol();
    let swept: [(&str, &[&str]); 6] = [
        ("K 1", &["index.clusters_per_class=1"]),
        ("K 4", &["index.clusters_per_class=4"]),
        ("K 16", &["index.clusters_per_class=16"]),
        (
            "K 4, half of the images",
            &["index.clusters_per_class=4", "data.validation=0.5"],
        ),
        (
            "K 4, a quarter of the images",
            &["index.clusters_per_class=4", "data.validation=0.75"],
        ),
        (
            "K 4, refreshed each 4 epochs",
            &[
                "index.clusters_per_class=4",
                "train.refresh={when=\"epochs\",every=4}",
            ],
        ),
    ];
    swept
        .into_iter()
        .map(|(name, changes)| {
            let run = Run::new(suite, Loss::Magnet, protocol.images.1, 0)
                .with_owned(suite.on_trunk(protocol.last))
                .with(&[NO_TEST])
                .with_owned(sets.clone())
                .with(changes);
            Label::new(Experiment::IndexCost, Loss::Magnet, name, 0).trains(run)
        })
        .collect()
}
