//! The files that are made from the ledgers: tables in `docs/results.md` and the README, run files of the winners.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::cell::{Stage, resolved};
use super::ledger::Ledger;
use super::loss::Loss;
use super::page;
use super::plan::Plan;
use super::set::{Set, Task};
use crate::files::{read_text, write_whole};
use crate::process::root;

/// Losses whose winners have run files.
const WITH_FILES: [Loss; 5] = [
    Loss::Softmax,
    Loss::Triplet,
    Loss::Magnet,
    Loss::TemperedMagnet,
    Loss::ProxyAnchor,
];

/// Writes every file anew that is not what the ledgers say.
pub(crate) fn write() -> Result<()> {
    for (path, text) in made()? {
        if read_text(&path).unwrap_or_default() != text {
            write_whole(&path, text.as_bytes())?;
            outln!("saved {}", from_root(&path))?;
        }
    }
    Ok(())
}

/// Checks that no file differs from its ledger.
///
/// # Errors
/// If one does; it is named with the command that makes it anew.
pub(crate) fn check() -> Result<()> {
    for (path, text) in made()? {
        ensure!(
            read_text(&path)? == text,
            "{} is not what its ledger says: run `cargo xtask reproduce --table`",
            from_root(&path)
        );
    }
    Ok(())
}

fn from_root(path: &Path) -> String {
    let below = path.strip_prefix(root()).unwrap_or(path);
    below.display().to_string()
}

/// The files as they should be.
fn made() -> Result<Vec<(PathBuf, String)>> {
    let mut tables = format!("{}\n", page::RULES);
    let mut files = Vec::new();
    for set in Set::ALL {
        let ledger = Ledger::of(set)?;
        if ledger.rows.is_empty() {
            continue;
        }
        tables += &page::of(set)?;
        tables += "\n";
        for loss in WITH_FILES {
            if let Some(text) = run_file(&ledger, loss)? {
                files.push((set.folder().join(format!("{}.toml", loss.name())), text));
            }
        }
    }
    for (name, mark, table) in [
        ("README.md", "summary", page::summary()?),
        ("docs/results.md", "comparison", tables),
    ] {
        let path = root().join(name);
        let text = between(&read_text(&path)?, mark, &table).with_context(|| name.to_owned())?;
        files.push((path, text));
    }
    Ok(files)
}

/// The run file of a loss's winner, with all that is set.
fn run_file(ledger: &Ledger, loss: Loss) -> Result<Option<String>> {
    let set = ledger.set;
    let plan = Plan { set, ledger };
    let cells = plan.cells(Task::Closed, &[loss])?;
    let wanted =
        |cell: &&super::cell::Cell| (cell.label.stage, cell.label.seed) == (Stage::Test, 0);
    let Some(cell) = cells.iter().find(wanted) else {
        return Ok(None);
    };
    let table = resolved(&cell.base, &cell.sets)?;
    Ok(Some(format!(
        "# {} on {}: the winner of its search, as `cargo xtask reproduce` found it. Made from the ledger.\n{}",
        loss.name(),
        set.name(),
        toml::to_string_pretty(&table)?
    )))
}

/// `text` with the table between its marks.
///
/// # Errors
/// If one of the marks is not there.
fn between(text: &str, name: &str, table: &str) -> Result<String> {
    let (start, end) = (
        format!("<!-- results:{name} -->"),
        format!("<!-- /results:{name} -->"),
    );
    let (before, rest) = text
        .split_once(&start)
        .with_context(|| format!("there is no line `{start}`"))?;
    let (_, after) = rest
        .split_once(&end)
        .with_context(|| format!("`{start}` is not followed by `{end}`"))?;
    Ok(format!("{before}{start}\n\n{table}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let text = "a\n<!-- results:x -->\nold\n<!-- /results:x -->\nb\n";
        let once = between(text, "x", "new\n").unwrap();
        assert_eq!(
            once,
            "a\n<!-- results:x -->\n\nnew\n\n<!-- /results:x -->\nb\n"
        );
        assert_eq!(between(&once, "x", "new\n").unwrap(), once);
        let missing = between(text, "y", "new\n").unwrap_err().to_string();
        assert!(
            missing.contains("no line `<!-- results:y -->`"),
            "{missing}"
        );
        assert!(between("<!-- results:x -->", "x", "").is_err());
    }
}
