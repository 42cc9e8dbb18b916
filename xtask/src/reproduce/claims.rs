//! What the paper claims, and the table of what came out here: of magnet, and of the variant that counts the variance less.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result};

use super::ledger::Ledger;
use super::loss::Loss;
use super::paper::{self, Provenance};
use super::set::Set;
use super::verdict::{Question, Verdict, verdict};
use crate::files::read_text;
use crate::process::root;

/// A claim about magnet.
struct Claim {
    /// Name under which `findings.toml` of a set says why it is not met; of the variant with [`VARIANT`] in front.
    id: &'static str,
    text: &'static str,
    provenance: Provenance,
    question: Question,
}

const VARIANT: &str = "tempered-";
/// Name under which `findings.toml` of a set says why it was not run.
pub(super) const NOT_RUN: &str = "not-run";

const CLAIMS: [Claim; 9] = [
    Claim {
        id: "error",
        text: "test error at most the paper's for magnet",
        provenance: Provenance::Recollection,
        question: Question::Error,
    },
    Claim {
        id: "below-softmax",
        text: "error below softmax's on sets of fine classes",
        provenance: Provenance::Paper,
        question: Question::Below {
            other: Loss::Softmax,
            least: 0.0,
        },
    },
    Claim {
        id: "below-triplet",
        text: "error 30 to 40 % below triplet's",
        provenance: Provenance::Paper,
        question: Question::Below {
            other: Loss::Triplet,
            least: 30.0,
        },
    },
    Claim {
        id: "hierarchy-softmax",
        text: "hierarchy recovery: error 10 to 25 % below softmax's",
        provenance: Provenance::Paper,
        question: Question::Recovers {
            other: Loss::Softmax,
            least: 10.0,
        },
    },
    Claim {
        id: "hierarchy-triplet",
        text: "hierarchy recovery: error 25 to 50 % below triplet's",
        provenance: Provenance::Paper,
        question: Question::Recovers {
            other: Loss::Triplet,
            least: 25.0,
        },
    },
    Claim {
        id: "sooner",
        text: "triplet's error in 5 to 30 times fewer iterations",
        provenance: Provenance::Paper,
        question: Question::Sooner { times: 5.0 },
    },
    Claim {
        id: "attributes-softmax",
        text: "attributes concentrate 10 to 25 % more than under softmax",
        provenance: Provenance::Paper,
        question: Question::Concentrates {
            other: Loss::Softmax,
            least: 10.0,
        },
    },
    Claim {
        id: "attributes-triplet",
        text: "attributes concentrate 25 to 50 % more than under triplet",
        provenance: Provenance::Paper,
        question: Question::Concentrates {
            other: Loss::Triplet,
            least: 25.0,
        },
    },
    Claim {
        id: "index-cost",
        text: "the cluster index costs little beside training (we ask for a tenth)",
        provenance: Provenance::Secondary,
        question: Question::CheapIndex { most: 10.0 },
    },
];

/// Both tables, with the reasons that `findings.toml` beside the ledger gives for what is not met.
///
/// # Errors
/// If that file is no TOML of texts.
pub(super) fn tables(ledger: &Ledger, set: Set) -> Result<String> {
    let findings = findings(set, &ledger.set)?;
    let paper = rows(ledger, set, Loss::Magnet, |claim, verdict| {
        let provenance = match claim.question {
            Question::Error => paper::provenance(set, Loss::Magnet),
            _ => claim.provenance,
        };
        let why = reason(&findings, claim.id, verdict);
        [
            &(claim.text.to_owned() + &own_table(claim, set)),
            provenance.in_words(),
            &verdict.ours,
            &verdict.in_words(),
            why,
        ]
        .join(" | ")
    });
    let variant = rows(ledger, set, Loss::TemperedMagnet, |claim, verdict| {
        let why = reason(&findings, &format!("{VARIANT}{}", claim.id), verdict);
        [claim.text, &verdict.ours, &verdict.in_words(), why].join(" | ")
    });
    let mut text = String::new();
    if !paper.is_empty() {
        text += "What the paper says of magnet, and what came out here. Met is what every seed meets, and as all seeds are tested on \
                 the same images, that is no test of significance.\n\n\
                 | claim | known from | ours | met | why not |\n|---|---|---|---|---|\n";
        text += &paper;
    }
    if !variant.is_empty() {
        text += "\nThe same marks put to tempered magnet, our variant, of which the paper does not speak.\n\n\
                 | mark | ours | met | why not |\n|---|---|---|---|\n";
        text += &variant;
    }
    Ok(text)
}

/// What the paper's own table has of a set where its words are about all sets.
fn own_table(claim: &Claim, set: Set) -> String {
    let Question::Below { other, .. } = claim.question else {
        return String::new();
    };
    let pair = paper::error(set, Loss::Magnet).zip(paper::error(set, other));
    pair.map_or_else(String::new, |(magnet, other)| {
        let below = 100.0 * (1.0 - magnet / other);
        let side = if below < 0.0 { "above" } else { "below" };
        let below = below.abs();
        format!(" (by its table, as we recollect it, {below:.0} % {side} here, {magnet:.1} against {other:.1})")
    })
}

/// A line for each claim that the ledger has the rows for.
fn rows(
    ledger: &Ledger,
    set: Set,
    loss: Loss,
    line: impl Fn(&Claim, &Verdict) -> String,
) -> String {
    let mut text = String::new();
    for claim in &CLAIMS {
        if let Some(verdict) = verdict(&claim.question, ledger, set, loss) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "| {} |", line(claim, &verdict));
        }
    }
    text
}

fn reason<'a>(findings: &'a BTreeMap<String, String>, id: &str, verdict: &Verdict) -> &'a str {
    match (verdict.met(), findings.get(id)) {
        (true, _) => "",
        (false, Some(reason)) => reason,
        (false, None) => "not found yet",
    }
}

/// Reasons by claim, of `findings.toml` or, for the other trunk's ledger, of `findings-inception-v3.toml`; a ledger without the file
/// has none yet.
///
/// # Errors
/// If the file is no TOML of texts.
pub(super) fn findings(set: Set, ledger: &str) -> Result<BTreeMap<String, String>> {
    let trunk = ledger.strip_prefix(set.name()).unwrap_or_default();
    let path = root()
        .join("datasets")
        .join(set.name())
        .join(format!("findings{trunk}.toml"));
    match path.exists() {
        false => Ok(BTreeMap::new()),
        true => toml::from_str(&read_text(&path)?)
            .with_context(|| format!("cannot understand {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::experiment::Experiment;
    use super::super::ledger::testing::{ledger, measured};
    use super::*;

    #[test]
    fn every_reason_belongs_to_a_claim() {
        for set in Set::ALL {
            for id in findings(set, set.name()).unwrap().keys() {
                let plain = id.strip_prefix(VARIANT).unwrap_or(id);
                assert!(
                    id == NOT_RUN || CLAIMS.iter().any(|claim| claim.id == plain),
                    "{}: no claim {id}",
                    set.name()
                );
            }
        }
    }

    #[test]
    fn the_variant_is_asked_in_a_table_of_its_own_and_claims_without_rows_are_left_out() {
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
        let both = ledger(vec![
            row(Loss::Softmax, 0.2),
            row(Loss::Magnet, 0.25),
            row(Loss::TemperedMagnet, 0.15),
        ]);
        let text = tables(&both, Set::FashionMini).unwrap();
        let (paper, variant) = text.split_once("our variant").unwrap();
        assert!(
            paper.contains("| 25.00 against 20.00 %: 25 % above | **no**, 1 seed |"),
            "{paper}"
        );
        assert!(
            variant.contains("| 15.00 against 20.00 %: 25 % below | yes, 1 seed |  |"),
            "{variant}"
        );
        assert!(
            !text.contains("hierarchy") && !text.contains("triplet"),
            "{text}"
        );
        assert_eq!(tables(&ledger(Vec::new()), Set::FashionMini).unwrap(), "");
    }

    #[test]
    fn a_claim_on_all_sets_stands_beside_the_papers_own_numbers_of_this_one() {
        let triplet = CLAIMS
            .iter()
            .find(|claim| claim.id == "below-triplet")
            .unwrap();
        let here = own_table(triplet, Set::Flowers102);
        assert_eq!(
            here,
            " (by its table, as we recollect it, 22 % below here, 8.6 against 11.0)"
        );
        assert_eq!(own_table(triplet, Set::FashionMini), "");
        let softmax = CLAIMS
            .iter()
            .find(|claim| claim.id == "below-softmax")
            .unwrap();
        assert!(own_table(softmax, Set::ImagenetAttributes).contains("13 % above here"));
    }

    #[test]
    fn the_other_trunk_has_reasons_of_its_own() {
        assert!(!findings(Set::Flowers102, "flowers-102").unwrap().is_empty());
        let other = findings(Set::Flowers102, "flowers-102-inception-v3").unwrap();
        assert!(other.is_empty());
    }
}
