//! The tables of the README and of `results.md` beside each ledger, made from the ledgers.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use super::campaign::from_root;
use super::ledger::Ledger;
use super::options::Options;
use super::overview;
use super::set::Set;
use super::suite::{Suite, Trunk};
use super::table;
use crate::files::{read_text, write_whole};
use crate::process::root;

const END: &str = "<!-- end of results -->";

/// Writes every table anew.
pub(crate) fn regenerate() -> Result<()> {
    for (path, text) in made()? {
        if read_text(&path).unwrap_or_default() != text {
            write_whole(&path, text.as_bytes())?;
            println!("saved {}", from_root(&path));
        }
    }
    Ok(())
}

/// Checks that no table differs from its ledger.
///
/// # Errors
/// If one does; its file is named with the command that makes it anew.
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

/// The files with tables as they should be.
fn made() -> Result<Vec<(PathBuf, String)>> {
    let readme = root().join("README.md");
    let mut text = read_text(&readme)?;
    let mut files = Vec::new();
    for (set, trunk) in Set::ALL
        .into_iter()
        .flat_map(|set| TRUNKS.map(|trunk| (set, trunk)))
    {
        let suite = suite(set, trunk)?;
        let path = suite.ledger();
        if !path.exists() {
            continue;
        }
        let ledger = Ledger::open(&path, &suite.name())?;
        // The other trunk's tables stand beside its ledger alone.
        if trunk == Trunk::Googlenet {
            text = between(&text, &suite.name(), &table::headline(&ledger, set)?)
                .with_context(|| from_root(&readme))?;
        }
        let name = suite.name();
        let page = format!(
            "# {name}: results\n\nMade by `cargo xtask reproduce --table` from the ledger beside this page.\n\n"
        );
        files.push((path.with_extension("md"), page + &table::of(&ledger, set)?));
    }
    let ledger_of = |set| Ok(suite(set, Trunk::Googlenet)?.ledger());
    text = between(&text, "the paper", &overview::table(&ledger_of)?)?;
    files.push((readme, text));
    Ok(files)
}

const TRUNKS: [Trunk; 2] = [Trunk::Googlenet, Trunk::InceptionV3];

fn suite(set: Set, trunk: Trunk) -> Result<Suite> {
    let mut options = Options::read(&[set.name()])?;
    options.trunk = trunk;
    options.suites().pop().context("no suite")
}

/// `text` with the table between the marks of a set.
///
/// # Errors
/// If one of the marks is not there.
fn between(text: &str, name: &str, table: &str) -> Result<String> {
    let start = format!("<!-- results of {name}, made by cargo xtask reproduce -->");
    let (before, rest) = text
        .split_once(&start)
        .with_context(|| format!("there is no line `{start}`"))?;
    let (_, after) = rest
        .split_once(END)
        .with_context(|| format!("`{start}` is not followed by `{END}`"))?;
    Ok(format!("{before}{start}\n\n{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let text = "a\n<!-- results of x, made by cargo xtask reproduce -->\nold\n<!-- end of results -->\nb\n";
        let once = between(text, "x", "new\n").unwrap();
        assert_eq!(
            once,
            "a\n<!-- results of x, made by cargo xtask reproduce -->\n\nnew\n\n<!-- end of results -->\nb\n"
        );
        assert_eq!(between(&once, "x", "new\n").unwrap(), once);
        let missing = between(text, "y", "new\n").unwrap_err().to_string();
        assert!(missing.contains("no line `<!-- results of y,"), "{missing}");
        let open = "<!-- results of x, made by cargo xtask reproduce -->";
        assert!(between(open, "x", "").is_err());
    }
}
