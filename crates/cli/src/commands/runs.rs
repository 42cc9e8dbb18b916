//! `lodestone runs`: what runs reached, what they cost, and in which settings they differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use lodestone_eval::Mode;
use lodestone_train::{RunConfig, headline, run_file};
use serde::Serialize;
use serde_json::Value;

use crate::args::RunsArguments;
use crate::run_folder::RunFolder;

/// Runs the command.
pub(crate) fn run(arguments: &RunsArguments) -> Result<()> {
    let mut folders = Vec::new();
    for folder in &arguments.folders {
        folders.extend(runs_in(folder)?);
    }
    let runs: Vec<Run> = folders
        .iter()
        .map(|folder| Run::read(folder))
        .collect::<Result<_>>()?;
    if arguments.json {
        outln!("{}", serde_json::to_string_pretty(&runs)?)?;
    } else {
        out!("{}", shown(&runs))?;
    }
    Ok(())
}

/// The folder itself if it is a run, or the runs right below it, by name.
fn runs_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let is_run = |folder: &Path| folder.join("run.toml").exists();
    if is_run(folder) {
        return Ok(vec![folder.to_path_buf()]);
    }
    let entries = std::fs::read_dir(folder);
    let mut found: Vec<PathBuf> = entries
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_run(path))
        .collect();
    found.sort();
    if found.is_empty() {
        bail!("{}: no run.toml here or one folder below", folder.display());
    }
    Ok(found)
}

/// What is known of a run from its folder.
#[derive(Debug, Serialize)]
struct Run {
    folder: PathBuf,
    /// How its last sitting ended; `running or killed` where it did not say.
    state: String,
    commit: Option<String>,
    data: String,
    steps: Option<u64>,
    images: Option<u64>,
    seconds: Option<f64>,
    /// Loss of the last step in the log.
    loss: Option<f64>,
    /// Name of the number that the run's loss is judged by.
    headline: String,
    /// The images that the measures are of: test, or validation where a set has no test images.
    part: Option<String>,
    /// Value of each measure of the report.
    measures: BTreeMap<String, f64>,
    /// Settings by their paths.
    settings: BTreeMap<String, String>,
}

impl Run {
    fn read(folder: &Path) -> Result<Self> {
        let file = folder.join("run.toml");
        let config: RunConfig = run_file::read(&file, &[])?;
        let record = RunFolder::read(folder);
        let last = record.sittings.last();
        let cost = json(&folder.join("cost.json"));
        let report = json(&folder.join("report.json"));
        let log = last_row(&folder.join("log.csv"));
        let number = |key: &str| log.get(key).and_then(|cell| cell.parse::<f64>().ok());
        let whole = |key: &str| number(key).map(|value| value as u64);
        let of_parts = report["parts"].as_object().into_iter().flatten();
        let of_parts = of_parts.flat_map(|(part, of_part)| {
            let named = of_part["measures"].as_object().into_iter().flatten();
            named.map(move |(name, measure)| (format!("{part}.{name}"), measure))
        });
        let measures = report["measures"].as_object().into_iter().flatten();
        let measures = measures.map(|(name, measure)| (name.clone(), measure));
        Ok(Self {
            folder: folder.to_path_buf(),
            state: match last.map(|sitting| &sitting.outcome) {
                Some(Some(outcome)) => outcome.clone(),
                Some(None) => "running or killed".into(),
                None => "unknown".into(),
            },
            commit: last.and_then(|sitting| sitting.commit.clone()),
            data: record.data.chars().take(12).collect(),
            steps: whole("step"),
            images: whole("images"),
            seconds: cost["seconds"].as_f64(),
            loss: number("loss"),
            headline: match report["notes"]["rule"].as_str() {
                Some(rule) => rule.to_owned(),
                None => headline(Some(config.loss.class_rule()), Mode::TrainGallery),
            },
            part: report["notes"]["part"].as_str().map(str::to_owned),
            measures: measures
                .chain(of_parts)
                .filter_map(|(name, measure)| Some((name, measure["value"].as_f64()?)))
                .collect(),
            settings: run_file::by_key(&config),
        })
    }

    fn name(&self) -> String {
        self.folder.display().to_string()
    }
}

fn json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// Cells of the last row of a CSV file, by column.
fn last_row(path: &Path) -> BTreeMap<String, String> {
    let Ok(mut reader) = csv::Reader::from_path(path) else {
        return BTreeMap::new();
    };
    let columns = reader.headers().cloned().unwrap_or_default();
    let last = reader.records().flatten().last().unwrap_or_default();
    let pairs = columns.iter().zip(last.iter());
    pairs
        .map(|(name, cell)| (name.to_owned(), cell.to_owned()))
        .collect()
}

/// Three tables: the runs, their measures side by side, the settings that are not the same in all.
fn shown(runs: &[Run]) -> String {
    let cell = |value: Option<String>| value.unwrap_or_else(|| "–".into());
    let mut lines = vec![
        [
            "run",
            "steps",
            "images",
            "seconds",
            "last loss",
            "headline",
            "value",
            "state",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for run in runs {
        let value = run.measures.get(&run.headline);
        lines.push(vec![
            run.name(),
            cell(run.steps.map(|steps| steps.to_string())),
            cell(run.images.map(|images| images.to_string())),
            cell(run.seconds.map(|seconds| format!("{seconds:.0}"))),
            cell(run.loss.map(|loss| format!("{loss:.4}"))),
            run.headline.clone(),
            cell(value.map(|value| match run.part.as_deref() {
                Some("validation") => format!("{value:.4} (validation)"),
                _ => format!("{value:.4}"),
            })),
            run.state.clone(),
        ]);
    }
    let mut text = table(&lines);
    let header = |first: &str| {
        let names = runs.iter().map(Run::name);
        std::iter::once(first.to_owned()).chain(names).collect()
    };
    let measures: BTreeSet<&String> = runs.iter().flat_map(|run| run.measures.keys()).collect();
    if !measures.is_empty() {
        let mut lines: Vec<Vec<String>> = vec![header("measure")];
        for measure in measures {
            let values = runs.iter().map(|run| {
                let value = run.measures.get(measure);
                cell(value.map(|value| format!("{value:.4}")))
            });
            lines.push(std::iter::once(measure.clone()).chain(values).collect());
        }
        text.push('\n');
        text += &table(&lines);
    }
    let differing = differing(runs);
    if runs.len() > 1 {
        text.push('\n');
        if differing.is_empty() {
            text += "all settings are the same\n";
        } else {
            let mut lines: Vec<Vec<String>> = vec![header("setting that differs")];
            for key in differing {
                let values = runs.iter().map(|run| cell(run.settings.get(key).cloned()));
                lines.push(std::iter::once(key.clone()).chain(values).collect());
            }
            text += &table(&lines);
        }
        let data: BTreeSet<&str> = runs.iter().map(|run| run.data.as_str()).collect();
        if data.len() > 1 {
            let data: Vec<&str> = data.into_iter().collect();
            let _ = writeln!(
                text,
                "\nthe runs saw different data: fingerprints {}",
                data.join(", ")
            );
        }
    }
    text
}

/// Keys whose values are not the same in all runs.
fn differing(runs: &[Run]) -> Vec<&String> {
    let keys: BTreeSet<&String> = runs.iter().flat_map(|run| run.settings.keys()).collect();
    let same = |key: &&String| {
        let values: BTreeSet<_> = runs.iter().map(|run| run.settings.get(*key)).collect();
        values.len() == 1
    };
    keys.into_iter().filter(|key| !same(key)).collect()
}

/// Lines as columns of equal width.
fn table(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let cells = line.iter().zip(&widths);
        let line: Vec<String> = cells
            .map(|(cell, &width)| format!("{cell:width$}"))
            .collect();
        text += line.join("  ").trim_end();
        text.push('\n');
    }
    text
}
