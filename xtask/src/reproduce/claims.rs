//! What the paper says, beside what we found: each claim with where its words come from, and whether ours meet it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::concentration::AT;
use super::convergence;
use super::experiment::Experiment;
use super::ledger::{Ledger, Row};
use super::loss::Loss;
use super::paper::{self, Provenance};
use super::set::Set;
use super::stats::mean;
use super::table::percents;
use crate::files::read_text;
use crate::process::root;

/// A claim as it came out.
struct Verdict {
    /// Name under which `findings.toml` of the set gives the reason.
    id: &'static str,
    text: String,
    provenance: Provenance,
    ours: String,
    met: bool,
}

/// The claims that the ledger has the rows for.
fn verdicts(ledger: &Ledger, set: Set) -> Vec<Verdict> {
    let mut all = Vec::new();
    let tempered = Loss::TemperedMagnet;
    all.extend(error_of_the_table(ledger, set, Loss::Magnet, "error"));
    all.extend(error_of_the_table(ledger, set, tempered, "tempered-error"));
    // The paper's claims, and after them the same put to the variant that counts the variance less.
    let (errors, merged) = (Experiment::Classification, Experiment::Random);
    for (id, experiment, losses, least, text) in [
        (
            "below-softmax",
            errors,
            [Loss::Magnet, Loss::Softmax],
            0.0,
            "magnet's error is below softmax's on sets of fine classes",
        ),
        (
            "below-triplet",
            errors,
            [Loss::Magnet, Loss::Triplet],
            30.0,
            "magnet's error is 30 to 40 % below triplet's",
        ),
        (
            "hierarchy-softmax",
            merged,
            [Loss::Magnet, Loss::Softmax],
            10.0,
            "hierarchy recovery: magnet's error is 10 to 25 % below softmax's",
        ),
        (
            "hierarchy-triplet",
            merged,
            [Loss::Magnet, Loss::Triplet],
            25.0,
            "hierarchy recovery: magnet's error is 25 to 50 % below triplet's",
        ),
        (
            "tempered-below-softmax",
            errors,
            [tempered, Loss::Softmax],
            0.0,
            "tempered magnet, a variant of ours: below softmax's",
        ),
        (
            "tempered-below-triplet",
            errors,
            [tempered, Loss::Triplet],
            30.0,
            "tempered magnet: 30 to 40 % below triplet's",
        ),
        (
            "tempered-hierarchy-softmax",
            merged,
            [tempered, Loss::Softmax],
            10.0,
            "hierarchy recovery, tempered magnet: 10 to 25 % below softmax's",
        ),
        (
            "tempered-hierarchy-triplet",
            merged,
            [tempered, Loss::Triplet],
            25.0,
            "hierarchy recovery, tempered magnet: 25 to 50 % below triplet's",
        ),
    ] {
        all.extend(below(ledger, experiment, losses, id, least, text));
    }
    all.extend(sooner(ledger));
    all.extend(concentrated(
        ledger,
        Loss::Softmax,
        "attributes-softmax",
        10.0,
    ));
    all.extend(concentrated(
        ledger,
        Loss::Triplet,
        "attributes-triplet",
        25.0,
    ));
    all.extend(cheap_index(ledger));
    all
}

/// The paper's own number for magnet, where the ledger has ours for `loss`, magnet or its variant.
fn error_of_the_table(ledger: &Ledger, set: Set, loss: Loss, id: &'static str) -> Option<Verdict> {
    let wanted = paper::error(set, Loss::Magnet)?;
    let ours = error(ledger, classified(ledger, &[loss]), loss)?;
    Some(Verdict {
        id,
        text: format!("{}'s test error is {wanted:.1} %", loss.name()),
        provenance: paper::provenance(set, Loss::Magnet),
        ours: format!("{ours:.2} %"),
        met: ours <= wanted,
    })
}

/// The classification that losses are compared by: with all layers trained if all of them were run so.
pub(super) fn classified(ledger: &Ledger, losses: &[Loss]) -> Experiment {
    let all = losses
        .iter()
        .all(|&loss| !ledger.of(Experiment::AllLayers, loss).is_empty());
    match all {
        true => Experiment::AllLayers,
        false => Experiment::Classification,
    }
}

/// Mean error@1 in percent: by the loss's own rule, of fine classes where training saw merged ones.
fn error(ledger: &Ledger, experiment: Experiment, loss: Loss) -> Option<f64> {
    let key = match experiment {
        Experiment::Random | Experiment::Mixed => "hierarchy_soft_knn_error_at_1".into(),
        _ => format!("{}_error_at_1", loss.rule()),
    };
    Some(mean(&percents(&ledger.of(experiment, loss), &key)?))
}

/// Whether the error of the first, magnet or its variant, is at least `least` percent below another's.
fn below(
    ledger: &Ledger,
    experiment: Experiment,
    [loss, other]: [Loss; 2],
    id: &'static str,
    least: f64,
    text: &str,
) -> Option<Verdict> {
    let experiment = match experiment {
        Experiment::Classification => classified(ledger, &[loss, other]),
        _ => experiment,
    };
    let magnet = error(ledger, experiment, loss)?;
    let others = error(ledger, experiment, other)?;
    let less = 100.0 * (1.0 - magnet / others);
    Some(Verdict {
        id,
        text: text.to_owned(),
        provenance: Provenance::Paper,
        ours: format!("{magnet:.2} against {others:.2} %: {}", more_or_less(less)),
        met: less >= least && less > 0.0,
    })
}

fn more_or_less(less: f64) -> String {
    match less >= 0.0 {
        true => format!("{less:.0} % below"),
        false => format!("{:.0} % above", -less),
    }
}

fn sooner(ledger: &Ledger) -> Option<Verdict> {
    let target = convergence::target(ledger)?;
    let triplet = convergence::reached(ledger, Loss::Triplet, target)?;
    if ledger.of(Experiment::Convergence, Loss::Magnet).is_empty() {
        return None;
    }
    let magnet = convergence::reached(ledger, Loss::Magnet, target);
    let ratio = magnet.map(|magnet| triplet.images / magnet.images);
    Some(Verdict {
        id: "sooner",
        text: "magnet reaches triplet's error in 5 to 30 times fewer iterations".into(),
        provenance: Provenance::Paper,
        ours: ratio.map_or_else(
            || "not reached".into(),
            |ratio| format!("{ratio:.1} times fewer"),
        ),
        met: ratio.is_some_and(|ratio| ratio >= 5.0),
    })
}

/// Whether the share of neighbours with the attribute, averaged over neighbourhood sizes, is `least` percent above another's.
fn concentrated(ledger: &Ledger, other: Loss, id: &'static str, least: f64) -> Option<Verdict> {
    let share = |loss| {
        let rows = ledger.of(Experiment::Concentration, loss);
        let of = |row: &&Row| {
            let measures = row.outcome.measures.iter();
            let shares: Vec<f64> = measures
                .filter(|(name, _)| name.starts_with(AT))
                .map(|(_, &v)| v)
                .collect();
            mean(&shares)
        };
        (!rows.is_empty()).then(|| mean(&rows.iter().map(of).collect::<Vec<_>>()))
    };
    let (magnet, others) = (share(Loss::Magnet)?, share(other)?);
    let more = 100.0 * (magnet / others - 1.0);
    let band = if least < 20.0 { "10 to 25" } else { "25 to 50" };
    Some(Verdict {
        id,
        text: format!(
            "attributes concentrate {band} % more under magnet than under {}",
            other.name()
        ),
        provenance: Provenance::Paper,
        ours: format!(
            "{:.1} against {:.1} %: {more:+.0} %",
            100.0 * magnet,
            100.0 * others
        ),
        met: more >= least,
    })
}

fn cheap_index(ledger: &Ledger) -> Option<Verdict> {
    let rows = ledger.of(Experiment::Classification, Loss::Magnet);
    let shares = rows
        .iter()
        .map(|row| row.outcome.refresh_seconds / row.outcome.training_seconds.max(1e-9));
    let shares: Vec<f64> = shares.collect();
    (!shares.is_empty()).then(|| {
        let share = 100.0 * mean(&shares);
        Verdict {
            id: "index-cost",
            text: "the cluster index costs little beside training (we ask for a tenth)".into(),
            provenance: Provenance::Recollection,
            ours: format!("{share:.1} % of the training time"),
            met: share <= 10.0,
        }
    })
}

/// The table, with the reasons that `findings.toml` beside the ledger gives for unmet claims.
pub(crate) fn table(ledger: &Ledger, set: Set) -> String {
    let verdicts = verdicts(ledger, set);
    if verdicts.is_empty() {
        return String::new();
    }
    let findings = findings(set);
    let mut text = String::from(
        "What the paper says, and what came out here.\n\n\
         | claim | known from | ours | met | why not |\n|---|---|---|---|---|\n",
    );
    for verdict in verdicts {
        let reason = match (verdict.met, findings.get(verdict.id)) {
            (true, _) => "",
            (false, Some(reason)) => reason.as_str(),
            (false, None) => "not found yet",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {reason} |",
            verdict.text,
            verdict.provenance.in_words(),
            verdict.ours,
            if verdict.met { "yes" } else { "**no**" },
        );
    }
    text
}

/// Reasons by claim; a set without the file has none yet.
pub(super) fn findings(set: Set) -> BTreeMap<String, String> {
    let path = root()
        .join("datasets")
        .join(set.name())
        .join("findings.toml");
    let text = read_text(&path).unwrap_or_default();
    toml::from_str(&text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::ledger::testing::{ledger, measured};
    use super::*;

    fn errors(magnet: f64, softmax: f64, triplet: f64) -> Ledger {
        let row = |loss: Loss, value| {
            let key = format!("{}_error_at_1", loss.rule());
            (
                Experiment::Classification,
                loss,
                "tuned",
                0,
                measured(&[(&key, value)]),
            )
        };
        ledger(vec![
            row(Loss::Magnet, magnet),
            row(Loss::Softmax, softmax),
            row(Loss::Triplet, triplet),
        ])
    }

    fn met(ledger: &Ledger, set: Set, id: &str) -> bool {
        let all = verdicts(ledger, set);
        all.iter().find(|verdict| verdict.id == id).unwrap().met
    }

    #[test]
    fn a_claim_is_met_from_its_lower_bound_on() {
        let flowers = |magnet, softmax, triplet| errors(magnet, softmax, triplet);
        let good = flowers(0.086, 0.091, 0.125);
        for id in ["error", "below-softmax", "below-triplet"] {
            assert!(met(&good, Set::Flowers102, id), "{id}");
        }
        let bad = flowers(0.09, 0.09, 0.12);
        for id in ["error", "below-softmax", "below-triplet"] {
            assert!(!met(&bad, Set::Flowers102, id), "{id}");
        }
    }

    #[test]
    fn claims_without_rows_are_not_judged() {
        let ids: Vec<&str> = verdicts(&errors(0.2, 0.2, 0.2), Set::FashionMini)
            .iter()
            .map(|v| v.id)
            .collect();
        assert_eq!(ids, ["below-softmax", "below-triplet", "index-cost"]);
    }

    #[test]
    fn losses_are_compared_with_all_layers_trained_once_both_were() {
        let row = |experiment, loss: Loss, value| {
            let key = format!("{}_error_at_1", loss.rule());
            (experiment, loss, "tuned", 0, measured(&[(&key, value)]))
        };
        let (upper, all) = (Experiment::Classification, Experiment::AllLayers);
        let mut rows = vec![
            row(upper, Loss::Magnet, 0.10),
            row(upper, Loss::Softmax, 0.12),
            row(all, Loss::Magnet, 0.09),
        ];
        let half = ledger(rows.clone());
        assert!(met(&half, Set::Flowers102, "below-softmax"));
        rows.push(row(all, Loss::Softmax, 0.08));
        assert!(!met(&ledger(rows), Set::Flowers102, "below-softmax"));
    }
}
