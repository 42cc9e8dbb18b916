//! `cargo xtask check`: everything that must hold before a change is taken, cheapest first.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::process::{self, cargo, watch};
use crate::reproduce;

/// Runs all checks and stops at the first that fails; the test totals are printed in any case.
pub(crate) fn run() -> Result<()> {
    let mut totals = Totals::default();
    let result = steps(&mut totals);
    // What failed matters more than whether the totals could be printed.
    result.and(totals.print())
}

fn steps(totals: &mut Totals) -> Result<()> {
    step("format", || {
        process::run(&mut cargo(&["fmt", "--all", "--check"]))
    })?;
    step("tables", reproduce::check)?;
    step("lints", || {
        let clippy = [
            "clippy",
            "--quiet",
            "--workspace",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ];
        process::run(&mut cargo(&clippy))
    })?;
    step("unit and end-to-end tests", || {
        // nextest runs tests of all crates side by side; cargo's own runner does the same work one crate at a time.
        let nextest = [
            "nextest",
            "run",
            "--workspace",
            "--no-fail-fast",
            "--success-output",
            "immediate",
        ];
        let plain = [
            "test",
            "--workspace",
            "--no-fail-fast",
            "--lib",
            "--bins",
            "--tests",
            "--",
            "--show-output",
        ];
        tests(if has_nextest() { &nextest } else { &plain }, totals)
    })?;
    step("doc tests", || {
        tests(&["test", "--workspace", "--doc", "--no-fail-fast"], totals)
    })?;
    step("documentation", || {
        let mut doc = cargo(&["doc", "--quiet", "--workspace", "--no-deps", "--lib"]);
        process::run(doc.env("RUSTDOCFLAGS", "--deny warnings"))
    })
}

fn step(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    outln!("── {name}")?;
    let start = Instant::now();
    work()?;
    outln!("   {name}: {:.0} s", start.elapsed().as_secs_f64())
}

fn has_nextest() -> bool {
    cargo(&["nextest", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn tests(arguments: &[&str], totals: &mut Totals) -> Result<()> {
    let success = watch(&mut cargo(arguments), |line| totals.read(line))?;
    ensure!(success, "cargo {} found failures", arguments[0]);
    Ok(())
}

/// What the test runners said, added up.
#[derive(Debug, Default, PartialEq)]
struct Totals {
    passed: usize,
    failed: usize,
    /// Reasons that tests gave for not running, such as a folder that is absent.
    skipped: BTreeSet<String>,
    /// Whether the lines that come are what a passed test printed.
    inside_passed: bool,
}

impl Totals {
    fn print(&self) -> Result<()> {
        outln!("")?;
        for reason in &self.skipped {
            outln!("{reason}")?;
        }
        let (passed, failed, skipped) = (self.passed, self.failed, self.skipped.len());
        outln!("{passed} passed, {failed} failed, {skipped} skipped")
    }

    /// Reads a line of cargo's runner or of nextest; returns whether it is worth showing. What a passed test printed is not,
    /// and its own closing line must not be counted beside nextest's.
    fn read(&mut self, line: &str) -> bool {
        let line = line.trim();
        if line.starts_with("skipped: ") {
            self.skipped.insert(line.to_owned());
        }
        if [
            "PASS [",
            "FAIL [",
            "SLOW [",
            "TIMEOUT [",
            "Summary [",
            "────",
        ]
        .iter()
        .any(|mark| line.starts_with(mark))
        {
            self.inside_passed = line.starts_with("PASS [");
            if line.starts_with("Summary [") {
                self.add(line);
            }
            return !self.inside_passed;
        }
        if line.starts_with("test result: ") && !self.inside_passed {
            self.add(line);
        }
        !self.inside_passed
    }

    fn add(&mut self, line: &str) {
        self.passed += number_before(line, "passed");
        self.failed += number_before(line, "failed");
    }
}

/// The number in front of `word`, 0 if the word is absent.
fn number_before(line: &str, word: &str) -> usize {
    let mut previous = "";
    for token in line
        .split([' ', ',', ';'])
        .filter(|token| !token.is_empty())
    {
        if token == word {
            return previous.parse().unwrap_or(0);
        }
        previous = token;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_add_up_both_runners_and_keep_each_reason_once() {
        let mut totals = Totals::default();
        for line in [
            "test result: ok. 12 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s",
            "     Summary [   0.007s] 30 tests run: 28 passed (1 slow), 2 failed, 4 skipped",
            "        PASS [   0.1s] (1/30) a::b c",
            "    test result: ok. 1 passed; 0 failed; 0 ignored; finished in 0.00s",
            "    skipped: ../shared is absent",
            "────────────",
            "skipped: ../shared is absent",
        ] {
            totals.read(line);
        }
        let skipped = BTreeSet::from(["skipped: ../shared is absent".to_owned()]);
        assert_eq!(
            totals,
            Totals {
                passed: 40,
                failed: 3,
                skipped,
                inside_passed: false
            }
        );
    }
}
