//! What a finished run wrote into its folder, as an outcome of the ledger.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::ledger::Outcome;
use crate::files::{read_json, read_text};

/// Points of a curve of the variance that are kept.
const VARIANCES: usize = 60;

#[derive(Deserialize)]
struct Report {
    #[serde(default)]
    notes: BTreeMap<String, String>,
    measures: BTreeMap<String, Measure>,
}

#[derive(Deserialize)]
struct Measure {
    value: Option<f64>,
    count: u64,
}

/// Of all sittings together.
#[derive(Deserialize)]
struct Cost {
    steps: u64,
    images: u64,
    seconds: f64,
    peak_memory_bytes: Option<u64>,
}

#[derive(Deserialize)]
struct Record {
    sittings: Vec<Sitting>,
}

#[derive(Deserialize)]
struct Sitting {
    commit: Option<String>,
    device: String,
    machine: String,
}

/// The commit of a sitting that had no repository around it.
const UNKNOWN: &str = "unknown";

/// Where a run comes from, sitting by sitting.
#[derive(Default)]
pub(crate) struct Origin {
    /// Commits, one for each change, with a mark where the tree differed from its commit.
    pub(crate) commits: Vec<String>,
    /// Devices and machines.
    pub(crate) machines: Vec<(String, String)>,
}

/// Where a run comes from; nothing is known where it has no record.
pub(crate) fn origin(folder: &Path) -> Result<Origin> {
    let path = folder.join("run.json");
    if !path.exists() {
        return Ok(Origin::default());
    }
    let record: Record = read_json(&path)?;
    let mut origin = Origin::default();
    for sitting in record.sittings {
        let commit = sitting.commit.as_deref();
        origin.commits.push(commit.unwrap_or(UNKNOWN).to_owned());
        origin.machines.push((sitting.device, sitting.machine));
    }
    origin.commits.dedup();
    Ok(origin)
}

/// Reads the folder of a finished run; `tested` says whether it was to be judged on test images, and not on its validation part
/// alone.
///
/// # Errors
/// If a file is missing or damaged, or the report is not of the images that it should be of.
pub(crate) fn outcome(folder: &Path, tested: bool) -> Result<Outcome> {
    let cost: Cost = read_json(&folder.join("cost.json"))?;
    let (measures, tested) = match tested {
        true => {
            let path = folder.join("report.json");
            let report: Report = read_json(&path)?;
            let part = report.notes.get("part").map_or("test", String::as_str);
            ensure!(
                part == "test",
                "{} is on {part} images, not on test images",
                path.display()
            );
            (measures(&report), count(&report))
        }
        false => (BTreeMap::new(), None),
    };
    let log = Columns::read(&folder.join("log.csv"))?;
    let times = Columns::read(&folder.join("times.csv"))?;
    let refreshes = Columns::read(&folder.join("refreshes.csv"))?;

    let seconds = training_seconds(&times)?;
    let images = log.column("images")?;
    let validations = log.column("validation")?;
    let rows = images.iter().zip(&seconds).zip(&validations);
    let curve: Vec<[f64; 3]> = rows
        .filter_map(|((images, seconds), error)| Some([(*images)?, round(*seconds), (*error)?]))
        .collect();
    Ok(Outcome {
        measures,
        tested,
        validation: curve.last().map(|point| point[2]),
        failure: None,
        images: cost.images,
        steps: cost.steps,
        seconds: round(cost.seconds),
        training_seconds: round(seconds.last().copied().unwrap_or(0.0)),
        refresh_seconds: round(refreshes.column("seconds")?.iter().flatten().sum()),
        refreshes: refreshes.rows.len() as u64,
        peak_memory_bytes: cost.peak_memory_bytes,
        // A single point at the end is the validation error itself.
        curve: if curve.len() > 1 { curve } else { Vec::new() },
        variance: variances(&images, &log.column("variance")?),
    })
}

/// Means over images; means over classes stay in the run's report, for how the paper weighs classes of unlike size is not known.
fn measures(report: &Report) -> BTreeMap<String, f64> {
    let kept = report
        .measures
        .iter()
        .filter(|(name, _)| !name.ends_with("_per_class_mean"));
    kept.filter_map(|(name, measure)| Some((name.clone(), (measure.value? * 1e5).round() / 1e5)))
        .collect()
}

/// Images that an error is a share of.
fn count(report: &Report) -> Option<u64> {
    let mut errors = report
        .measures
        .iter()
        .filter(|(name, _)| name.ends_with("_error_at_1"));
    errors.next().map(|(_, measure)| measure.count)
}

/// Seconds of training up to each step, without evaluations and checkpoints on the way.
fn training_seconds(times: &Columns) -> Result<Vec<f64>> {
    let mut total = vec![0.0; times.rows.len()];
    for part in ["refresh", "wait", "forward", "backward", "update", "other"] {
        for (sum, seconds) in total.iter_mut().zip(times.column(part)?) {
            *sum += seconds.unwrap_or(0.0);
        }
    }
    let mut sum = 0.0;
    Ok(total
        .into_iter()
        .map(|seconds| {
            sum += seconds;
            sum
        })
        .collect())
}

/// Means over equal stretches of the run.
fn variances(images: &[Option<f64>], values: &[Option<f64>]) -> Vec<[f64; 2]> {
    let pairs: Vec<[f64; 2]> = images
        .iter()
        .zip(values)
        .filter_map(|(images, value)| Some([(*images)?, (*value)?]))
        .collect();
    let stretch = pairs.len().div_ceil(VARIANCES).max(1);
    pairs
        .chunks(stretch)
        .map(|chunk| {
            let mean = chunk.iter().map(|pair| pair[1]).sum::<f64>() / chunk.len() as f64;
            [chunk[chunk.len() - 1][0], round(mean)]
        })
        .collect()
}

/// Four digits behind the point, so that the ledger stays readable.
fn round(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// A log of numbers, by column.
struct Columns {
    path: String,
    names: Vec<String>,
    rows: Vec<Vec<Option<f64>>>,
}

impl Columns {
    fn read(path: &Path) -> Result<Self> {
        let text = read_text(path)?;
        let mut lines = text.lines();
        let path = path.display().to_string();
        let names = lines.next().with_context(|| format!("{path} is empty"))?;
        let names: Vec<String> = names.split(',').map(str::to_owned).collect();
        let mut rows = Vec::new();
        for (number, line) in lines.enumerate() {
            let cells = line.split(',').map(|cell| match cell {
                "" => Ok(None),
                number => number.parse().map(Some),
            });
            let cells: Vec<Option<f64>> = cells
                .collect::<Result<_, _>>()
                .with_context(|| format!("{path} line {}: {line}", number + 2))?;
            ensure!(
                cells.len() == names.len(),
                "{path} line {} has {} values, the header {}",
                number + 2,
                cells.len(),
                names.len()
            );
            rows.push(cells);
        }
        Ok(Self { path, names, rows })
    }

    fn column(&self, name: &str) -> Result<Vec<Option<f64>>> {
        let place = self.names.iter().position(|known| known == name);
        let place = place.with_context(|| format!("{} has no column {name}", self.path))?;
        Ok(self.rows.iter().map(|row| row[place]).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::write_whole;

    /// Two steps; an evaluation of half a second after the second one.
    fn run_folder(name: &str) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("lodestone-{name}-{}", std::process::id()));
        let files = [
            (
                "cost.json",
                r#"{"steps":2,"images":96,"seconds":7.0,"sittings":3,"peak_memory_bytes":9,"shares":{}}"#,
            ),
            (
                "run.json",
                r#"{"sittings":[{"commit":"abc with changes","device":"cpu","machine":"m","started":10,"ended":14,"peak_memory_bytes":9},
                    {"commit":"abc","device":"cpu","machine":"m","started":20,"ended":null},
                    {"commit":null,"device":"cuda","machine":"m","started":30,"ended":33}]}"#,
            ),
            (
                "log.csv",
                "images,variance,validation\n48,2.0,\n96,1.0,0.25\n",
            ),
            (
                "times.csv",
                "step,seconds,refresh,wait,forward,backward,update,other,keep\n\
                 1,0.3,0.1,0,0.1,0.1,0,0,0\n2,1.0,0,0,0.1,0.1,0,0,0.5\n",
            ),
            ("refreshes.csv", "step,seconds\n1,0.1\n"),
        ];
        for (file, text) in files {
            write_whole(&folder.join(file), text.as_bytes()).unwrap();
        }
        folder
    }

    #[test]
    fn evaluations_are_not_training_and_sittings_name_their_commits() {
        let folder = run_folder("readings");
        let found = outcome(&folder, false).unwrap();
        // One that was to be tested has a report, and of the test images.
        let missing = format!("{:#}", outcome(&folder, true).unwrap_err());
        assert!(missing.contains("report.json"), "{missing}");
        let report = r#"{"notes":{"part":"validation"},"measures":{}}"#;
        write_whole(&folder.join("report.json"), report.as_bytes()).unwrap();
        let wrong = format!("{:#}", outcome(&folder, true).unwrap_err());
        assert!(wrong.contains("is on validation images"), "{wrong}");
        let origin = origin(&folder).unwrap();
        assert_eq!(origin.commits, ["abc with changes", "abc", UNKNOWN]);
        let devices: Vec<&str> = origin
            .machines
            .iter()
            .map(|(device, _)| device.as_str())
            .collect();
        assert_eq!(devices, ["cpu", "cpu", "cuda"]);
        assert_eq!(found.seconds, 7.0);
        assert_eq!(found.peak_memory_bytes, Some(9));
        assert_eq!(found.training_seconds, 0.5);
        assert_eq!((found.refresh_seconds, found.refreshes), (0.1, 1));
        assert_eq!(found.validation, Some(0.25));
        assert_eq!(found.curve, Vec::<[f64; 3]>::new());
        assert_eq!(found.variance, [[48.0, 2.0], [96.0, 1.0]]);
        assert!(found.measures.is_empty());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_report_gives_the_means_over_images_and_how_many_images_an_error_counts() {
        let folder = run_folder("report");
        let report = r#"{"measures":{"map_at_r":{"value":0.5,"count":7},"knc_error_at_1":{"value":0.25,"count":8},
            "knc_error_at_1_per_class_mean":{"value":0.3,"count":2},"argmax_error_at_1":{"value":null,"count":8}}}"#;
        write_whole(&folder.join("report.json"), report.as_bytes()).unwrap();
        let found = outcome(&folder, true).unwrap();
        assert_eq!(found.tested, Some(8));
        let kept = found.measures.iter();
        let kept: Vec<(&str, f64)> = kept.map(|(name, &value)| (name.as_str(), value)).collect();
        assert_eq!(kept, [("knc_error_at_1", 0.25), ("map_at_r", 0.5)]);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_damaged_log_is_named_with_its_line() {
        let folder = run_folder("damaged");
        write_whole(
            &folder.join("log.csv"),
            b"images,variance,validation\n48,x,\n",
        )
        .unwrap();
        let error = format!("{:#}", outcome(&folder, false).unwrap_err());
        assert!(error.contains("log.csv line 2: 48,x,"), "{error}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
