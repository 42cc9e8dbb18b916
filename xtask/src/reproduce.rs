//! `cargo xtask reproduce`: the comparison of losses that the README shows, made on the embedded data set by the binary itself.
//!
//! Every loss trains the same network from the same start for the same number of images, on the same loop; only the loss,
//! the plan and the rule of evaluation differ. Whatever order comes out is what is printed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::machine::{commit, machine};
use crate::process::{cargo, root, run, shown, target};

/// The losses compared, each with the key of its own rule.
const LOSSES: [(&str, &str); 3] = [
    ("softmax", "argmax_error"),
    ("triplet", "soft_knn_error"),
    ("magnet", "knc_error"),
];
/// Classes that the ten are merged into for hierarchy recovery.
const GROUPS: usize = 5;
const SET: &str = "fashion-mini";

/// One training of one loss.
#[derive(Clone, Debug, Serialize)]
struct Cell {
    loss: &'static str,
    seed: u64,
    /// Whether the ten classes were merged for training.
    merged: bool,
    /// Values of the report, as shares.
    measures: BTreeMap<String, f64>,
    images: u64,
    /// Wall time of the whole command, in seconds.
    seconds: f64,
    peak_memory_bytes: Option<u64>,
    command: String,
}

/// What stands beside the numbers.
#[derive(Debug, Serialize)]
struct Results {
    data: &'static str,
    commit: String,
    machine: String,
    seeds: u64,
    cells: Vec<Cell>,
}

#[derive(Deserialize)]
struct Report {
    measures: BTreeMap<String, Measure>,
}

#[derive(Deserialize)]
struct Measure {
    value: Option<f64>,
}

#[derive(Deserialize)]
struct Cost {
    images: u64,
    peak_memory_bytes: Option<u64>,
}

/// `reproduce [--seeds N] [--images N]`.
pub(crate) fn reproduce(arguments: &[&str]) -> Result<()> {
    let mut seeds = 3;
    let mut images = None;
    let mut rest = arguments.iter();
    while let Some(&option) = rest.next() {
        let value = rest
            .next()
            .with_context(|| format!("{option} needs a number"))?;
        match option {
            "--seeds" => seeds = value.parse().context("--seeds")?,
            "--images" => images = Some(value.parse::<u64>().context("--images")?),
            other => bail!("reproduce knows --seeds N and --images N, not {other}"),
        }
    }
    ensure!(seeds > 0, "--seeds is 0, must be at least 1");

    println!("building the release binary");
    let start = Instant::now();
    run(&mut cargo(&[
        "build",
        "--release",
        "--quiet",
        "--package",
        "lodestone-cli",
    ]))?;
    println!("built in {:.0} s", start.elapsed().as_secs_f64());

    let folder = target().join("reproduce").join(SET);
    let start = Instant::now();
    let mut cells = Vec::new();
    for merged in [false, true] {
        for (loss, rule) in LOSSES {
            for seed in 0..seeds {
                let cell = train(loss, seed, merged, images, &folder)?;
                let error = cell
                    .measures
                    .get(&format!("{rule}_at_1"))
                    .copied()
                    .unwrap_or(f64::NAN);
                println!(
                    "{loss}{}, seed {seed}: error {:.1} %, {:.1} s",
                    if merged { " on merged classes" } else { "" },
                    100.0 * error,
                    cell.seconds
                );
                cells.push(cell);
            }
        }
    }
    let results = Results {
        data: SET,
        commit: commit(),
        machine: machine(),
        seeds,
        cells,
    };
    let table = table(&results);
    println!("\n{table}");
    println!(
        "trained and evaluated in {:.0} s",
        start.elapsed().as_secs_f64()
    );

    let json = serde_json::to_string_pretty(&results)?;
    let kept = root().join("datasets").join(SET);
    for (name, text) in [("results.md", &table), ("results.json", &json)] {
        let path = kept.join(name);
        // Whole or not at all: a run that is stopped here leaves the last table as it was.
        let temporary = kept.join(format!(".{name}.tmp"));
        std::fs::File::create(&temporary)
            .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
            .and_then(|()| std::fs::rename(&temporary, &path))
            .with_context(|| format!("cannot write {}", path.display()))?;
        println!(
            "saved {}",
            path.strip_prefix(root()).unwrap_or(&path).display()
        );
    }
    Ok(())
}

fn train(
    loss: &'static str,
    seed: u64,
    merged: bool,
    images: Option<u64>,
    folder: &Path,
) -> Result<Cell> {
    let name = format!("{loss}{}-seed{seed}", if merged { "-merged" } else { "" });
    let out = folder.join(name);
    let mut overrides = vec![format!("seed={seed}")];
    if merged {
        overrides.push(format!(
            "data.coarse={{kind=\"random\",groups={GROUPS},seed=0}}"
        ));
    }
    if let Some(images) = images {
        overrides.push(format!("train.images={images}"));
    }
    let mut command = Command::new(target().join("release/lodestone"));
    command.current_dir(root());
    command.args([
        "--quiet",
        "train",
        "--config",
        &format!("datasets/{SET}/{loss}.toml"),
    ]);
    for text in &overrides {
        command.args(["--set", text]);
    }
    let shown = shown(&command);
    command.arg("--out").arg(&out);
    let start = Instant::now();
    let output = command
        .output()
        .with_context(|| format!("cannot start {shown}"))?;
    let seconds = start.elapsed().as_secs_f64();
    ensure!(
        output.status.success(),
        "{shown} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let report: Report = read(&out.join("report.json"))?;
    let cost: Cost = read(&out.join("cost.json"))?;
    let measures = report
        .measures
        .into_iter()
        .filter_map(|(name, measure)| Some((name, measure.value?)));
    Ok(Cell {
        loss,
        seed,
        merged,
        measures: measures.collect(),
        images: cost.images,
        seconds,
        peak_memory_bytes: cost.peak_memory_bytes,
        command: shown,
    })
}

fn read<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))
}

/// Two tables in Markdown: classification, and recovery of the classes that training saw merged.
fn table(results: &Results) -> String {
    let mut text = String::from(
        "| loss | rule | error@1 % | error@5 % | recall@1 % | MAP@R % | images seen | seconds | peak MB |\n\
         |---|---|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for (loss, rule) in LOSSES {
        let cells: Vec<&Cell> = results
            .cells
            .iter()
            .filter(|cell| cell.loss == loss && !cell.merged)
            .collect();
        // Writing to a string cannot fail; so below.
        let _ = writeln!(
            text,
            "| {loss} | {} | {} | {} | {} | {} | {} | {} | {} |",
            rule.trim_end_matches("_error"),
            percent(&cells, &format!("{rule}_at_1")),
            percent(&cells, &format!("{rule}_at_5")),
            percent(&cells, "recall_at_1"),
            percent(&cells, "map_at_r"),
            cells.first().map_or(0, |cell| cell.images),
            spread(cells.iter().map(|cell| cell.seconds), 1),
            cells
                .iter()
                .filter_map(|cell| cell.peak_memory_bytes)
                .max()
                .map_or_else(|| "?".into(), |bytes| format!("{:.0}", bytes as f64 / 1e6)),
        );
    }
    let _ = write!(
        text,
        "\nTrained on {GROUPS} merged classes, tested on the ten (guessing inside the right merged class is wrong half of the time):\n\n\
         | loss | error@1 % on merged classes | fine error@1 %, soft kNN | fine error@1 %, nearest class mean | chance % |\n\
         |---|---:|---:|---:|---:|\n"
    );
    for (loss, rule) in LOSSES {
        let cells: Vec<&Cell> = results
            .cells
            .iter()
            .filter(|cell| cell.loss == loss && cell.merged)
            .collect();
        let _ = writeln!(
            text,
            "| {loss} | {} | {} | {} | {} |",
            percent(&cells, &format!("{rule}_at_1")),
            percent(&cells, "hierarchy_soft_knn_error_at_1"),
            percent(&cells, "hierarchy_class_mean_error_at_1"),
            percent(&cells, "hierarchy_chance_error_at_1"),
        );
    }
    let _ = write!(
        text,
        "\nMean ± standard deviation over seeds 0 to {}; commit {}; {}.\n",
        results.seeds - 1,
        results.commit,
        results.machine
    );
    text
}

fn percent(cells: &[&Cell], key: &str) -> String {
    let values: Vec<f64> = cells
        .iter()
        .filter_map(|cell| cell.measures.get(key))
        .map(|value| 100.0 * value)
        .collect();
    if values.len() == cells.len() {
        spread(values.into_iter(), 2)
    } else {
        "absent".into()
    }
}

/// Mean ± sample standard deviation.
fn spread(values: impl Iterator<Item = f64>, digits: usize) -> String {
    let values: Vec<f64> = values.collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    if values.len() < 2 {
        return format!("{mean:.digits$}");
    }
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let deviation = (squares / (values.len() - 1) as f64).sqrt();
    format!("{mean:.digits$} ± {deviation:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_is_the_sample_standard_deviation() {
        // Mean 2, squares 1 + 0 + 1, divided by 2.
        assert_eq!(spread([1.0, 2.0, 3.0].into_iter(), 2), "2.00 ± 1.00");
        assert_eq!(spread([1.5].into_iter(), 1), "1.5");
    }

    #[test]
    fn a_measure_that_some_cell_lacks_is_absent_and_not_averaged_over_the_rest() {
        let cell = |measures: BTreeMap<String, f64>| Cell {
            loss: "magnet",
            seed: 0,
            merged: false,
            measures,
            images: 0,
            seconds: 0.0,
            peak_memory_bytes: None,
            command: String::new(),
        };
        let with = cell(BTreeMap::from([("recall_at_1".into(), 0.5)]));
        let without = cell(BTreeMap::new());
        assert_eq!(percent(&[&with, &without], "recall_at_1"), "absent");
        assert_eq!(percent(&[&with, &with], "recall_at_1"), "50.00 ± 0.00");
    }
}
