//! `cargo xtask bench NAME [--peer PYTHON] [--rounds N]`: our examples and the tools that people use today, in turn.
//!
//! Both sides are whole programs that print one JSON object a line, `{"name": …, "value": …, "unit": …}`; other lines are
//! for people and ignored. Ours and the peer's runs alternate, so that a machine that slows down slows both, and the
//! medians are compared by name.

mod convnet;
mod data;
mod losses;
mod retrieval;
mod sampling;
mod training;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::machine::{commit, machine};
use crate::median::median;
use crate::process::{cargo, root, run, shown};

/// What the command line asks of a bench.
pub(crate) struct Options {
    /// A Python with the peers of `bench/requirements.txt`; without one only our side runs.
    pub(crate) peer: Option<PathBuf>,
    /// Runs of each side; medians are shown.
    pub(crate) rounds: usize,
    /// What the bench itself is asked for, such as a folder.
    pub(crate) rest: Vec<String>,
}

impl Options {
    fn read(arguments: &[&str]) -> Result<Self> {
        let mut options = Self {
            peer: None,
            rounds: 3,
            rest: Vec::new(),
        };
        let mut words = arguments.iter();
        while let Some(&word) = words.next() {
            match word {
                "--peer" => {
                    let python = words.next().context("--peer needs a Python program")?;
                    options.peer = Some(python.into());
                }
                "--rounds" => {
                    let number = words.next().context("--rounds needs a number")?;
                    options.rounds = number
                        .parse()
                        .with_context(|| format!("--rounds is {number}"))?;
                    ensure!(options.rounds > 0, "--rounds is 0, must be at least 1");
                }
                other if other.starts_with('-') => {
                    bail!("bench knows --peer and --rounds, not {other}")
                }
                other => options.rest.push(other.to_owned()),
            }
        }
        Ok(options)
    }
}

/// Runs the bench of a name.
pub(crate) fn bench(arguments: &[&str]) -> Result<()> {
    let [name, rest @ ..] = arguments else {
        bail!("bench needs a name");
    };
    let options = Options::read(rest)?;
    match *name {
        "convnet" => convnet::convnet(&options),
        "data" => data::data(&options),
        "losses" => losses::losses(&options),
        "retrieval" => retrieval::retrieval(&options),
        "sampling" => sampling::sampling(&options),
        "training" => training::training(&options),
        _ => bail!("no bench named {name}"),
    }
}

/// One number that a side printed.
#[derive(Debug, Deserialize)]
struct Line {
    name: String,
    value: f64,
    unit: String,
}

/// All values of one name that a side printed over its rounds.
#[derive(Debug, Default)]
struct Values {
    unit: String,
    ours: Vec<f64>,
    peer: Vec<f64>,
}

/// Numbers of both sides, gathered run by run.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// Names in the order in which they first appeared.
    order: Vec<String>,
    values: BTreeMap<String, Values>,
}

impl Comparison {
    /// Runs ours and the peer's program in turn, `rounds` times each, and gathers what they print.
    pub(crate) fn alternate(
        &mut self,
        rounds: usize,
        ours: &dyn Fn() -> Command,
        peer: Option<&dyn Fn() -> Command>,
    ) -> Result<()> {
        for _ in 0..rounds {
            self.take(&mut ours(), |values| &mut values.ours)?;
            if let Some(peer) = peer {
                self.take(&mut peer(), |values| &mut values.peer)?;
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        command: &mut Command,
        side: impl Fn(&mut Values) -> &mut Vec<f64>,
    ) -> Result<()> {
        let output = command
            .current_dir(root())
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot start {}", shown(command)))?;
        ensure!(
            output.status.success(),
            "{} ended with {}: {}",
            shown(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            if !line.starts_with('{') {
                continue;
            }
            let line: Line = serde_json::from_str(line)
                .with_context(|| format!("{} printed {line}", shown(command)))?;
            if !self.values.contains_key(&line.name) {
                self.order.push(line.name.clone());
            }
            let values = self.values.entry(line.name).or_default();
            values.unit = line.unit;
            side(values).push(line.value);
        }
        Ok(())
    }

    /// Medians as a Markdown table, with the ratio of ours to the peer's, and the machine below.
    pub(crate) fn to_markdown(&self, peer: &str) -> String {
        let mut text = format!(
            "| measure | unit | lodestone | {peer} | lodestone / {peer} |\n|---|---|---:|---:|---:|\n"
        );
        for name in &self.order {
            let values = &self.values[name];
            let cell = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), three_digits);
            let (ours, other) = (median(&values.ours), median(&values.peer));
            let ratio = ours.zip(other).map(|(ours, other)| ours / other);
            text += &format!(
                "| {name} | {} | {} | {} | {} |\n",
                values.unit,
                cell(ours),
                cell(other),
                cell(ratio)
            );
        }
        let rounds = self.values.values().map(|values| values.ours.len()).max();
        text += &format!(
            "\nMedians of {} runs of each side, in turn; commit {}; {}.\n",
            rounds.unwrap_or(0),
            commit(),
            machine()
        );
        text
    }
}

fn three_digits(value: f64) -> String {
    let digits = 2 - (value.abs().max(1e-9).log10().floor() as i32).min(2);
    format!("{value:.0$}", digits as usize)
}

/// Builds an example in release mode and gives the path of its program.
///
/// The whole workspace is named, as each crate alone asks for other features of its dependencies, and each of these sets would
/// be compiled anew.
pub(crate) fn example(name: &str) -> Result<PathBuf> {
    run(&mut cargo(&[
        "build",
        "--release",
        "--quiet",
        "--workspace",
        "--example",
        name,
    ]))?;
    Ok(crate::process::target().join("release/examples").join(name))
}

/// A peer's script below `bench/`, run with the Python of the command line.
pub(crate) fn peer(python: &std::path::Path, script: &str) -> Command {
    let mut command = Command::new(python);
    command.arg(root().join("bench").join(script));
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_with_three_digits() {
        assert_eq!(three_digits(0.012_345), "0.0123");
        assert_eq!(three_digits(1.2345), "1.23");
        assert_eq!(three_digits(1234.5), "1234");
    }

    #[test]
    fn both_sides_meet_by_name_and_other_lines_are_ignored() {
        let mut comparison = Comparison::default();
        let program = |text: &'static str| {
            move || {
                let mut command = Command::new("printf");
                command.arg(text);
                command
            }
        };
        let ours = program("hello\n{\"name\": \"step\", \"value\": 2, \"unit\": \"s\"}\n");
        let peer = program("{\"name\": \"step\", \"value\": 4, \"unit\": \"s\"}\n");
        comparison.alternate(2, &ours, Some(&peer)).unwrap();
        let table = comparison.to_markdown("peer");
        assert!(
            table.contains("| step | s | 2.00 | 4.00 | 0.500 |"),
            "{table}"
        );
    }
}
