//! The paper's table of errors with ours beside it, set by set; what was not run is there too, with the reason.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;

use super::claims::{NOT_RUN, findings};
use super::ledger::Ledger;
use super::loss::Loss;
use super::paper;
use super::set::Set;
use super::table::{counted, percent, whole};
use super::verdict::{classified, depth};

/// The table; `ledger_of` gives the place of a set's ledger.
pub(crate) fn table(ledger_of: &dyn Fn(Set) -> Result<PathBuf>) -> Result<String> {
    let mut text = String::from(
        "| set | loss | paper, error@1 % | known from | ours % | |\n|---|---|---:|---|---:|---|\n",
    );
    for set in Set::ALL {
        let ledger = Ledger::open(&ledger_of(set)?, set.name())?;
        for loss in Loss::PAPER {
            let Some(error) = paper::error(set, loss) else {
                continue;
            };
            let (ours, why) = ours(&ledger, set, loss)?;
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "| {} | {} | {error:.1} | {} | {ours} | {why} |",
                set.name(),
                loss.name(),
                paper::provenance(set, loss).in_words()
            );
        }
    }
    Ok(text)
}

/// Our error with seeds and depth, or why there is none.
fn ours(ledger: &Ledger, set: Set, loss: Loss) -> Result<(String, String)> {
    // The three of a set beside each other at one depth.
    let experiment = classified(ledger, &Loss::PAPER);
    let rows = ledger.of(experiment, loss);
    if rows.is_empty() {
        let why = findings(set, set.name())?.remove(NOT_RUN);
        return Ok(("–".into(), why.unwrap_or_else(|| "not run".into())));
    }
    let error = percent(&whole(&rows), &format!("{}_error_at_1", loss.rule()));
    let noun = if rows.len() == 1 { " seed" } else { " seeds" };
    Ok((error, counted(&rows, noun) + depth(set, experiment)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_the_paper_stands_there_and_says_that_it_was_not_run() {
        let text = table(&|_| Ok(PathBuf::from("/no such folder/results.json"))).unwrap();
        assert_eq!(text.lines().count(), 2 + 4 * 3);
        assert!(
            text.contains("| flowers-102 | magnet | 8.6 | recollection, cited elsewhere | – |"),
            "{text}"
        );
        assert!(
            text.contains("| oxford-iiit-pet | softmax | 11.3 | recollection | – |"),
            "{text}"
        );
    }
}
