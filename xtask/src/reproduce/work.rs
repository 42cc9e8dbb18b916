//! Carrying out a cell: starting the binary, going on with a run that was stopped, reading what it left.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::cell::{Cell, Stage, hex};
use super::company::Company;
use super::ledger::{JudgedIn, Outcome};
use super::loss::Loss;
use super::loss::Scale;
use super::options::Options;
use super::outcomes::Rule;
use super::set::{Set, Task};
use crate::files::read_json;
use crate::machine::{commit, machine};
use crate::process::{root, shown, target};

/// How a cell ended.
pub(crate) enum End {
    Done(Box<Done>),
    /// The time was up; the run has saved where it is and goes on the next time.
    Stopped,
}

/// What a finished cell leaves.
pub(crate) struct Done {
    pub(crate) outcome: Outcome,
    pub(crate) commit: String,
    pub(crate) machine: String,
    /// Its folder, with `outcomes.csv` where it was tested.
    pub(crate) folder: PathBuf,
}

/// Where the cells of a set are carried out.
pub(crate) struct Workshop {
    program: PathBuf,
    device: Option<String>,
    data: Option<PathBuf>,
    weights: Option<PathBuf>,
    /// Told to runs: what the binary would say by itself has a mark as soon as a ledger is written.
    commit: String,
    /// Fingerprints of data and weights, and the version of the program.
    pub(crate) inputs: Vec<String>,
    /// Run folders, each named by the key of its run.
    pub(crate) folder: PathBuf,
}

#[derive(Deserialize)]
struct Report {
    #[serde(default)]
    notes: BTreeMap<String, String>,
    measures: BTreeMap<String, Measure>,
    #[serde(default)]
    parts: BTreeMap<String, ReportPart>,
}

#[derive(Deserialize)]
struct ReportPart {
    measures: BTreeMap<String, Measure>,
}

#[derive(Deserialize)]
struct Measure {
    value: Option<f64>,
}

/// Of all sittings together.
#[derive(Deserialize)]
struct Cost {
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

impl Workshop {
    /// # Errors
    /// If the set needs a folder or weights that were not given or are not there, or the program does not start.
    pub(crate) fn new(set: Set, options: &Options, program: &Path) -> Result<Self> {
        let photographs = set.scale() == Scale::Photographs;
        let given = |path: &Option<PathBuf>, option: &str| -> Result<Option<PathBuf>> {
            if !photographs {
                return Ok(None);
            }
            let path = path
                .as_deref()
                .with_context(|| format!("{} needs {option}", set.name()))?;
            // Runs start in the workspace's root, wherever the command was typed.
            let found = path.canonicalize();
            Ok(Some(found.with_context(|| {
                format!("{option} is {}, which cannot be found", path.display())
            })?))
        };
        let data = given(&options.data, "--data FOLDER")?;
        let weights = given(&options.weights, "--weights FILE")?;
        let version = Command::new(program).arg("--version").output();
        let version = version.with_context(|| format!("cannot start {}", program.display()))?;
        ensure!(
            version.status.success(),
            "{} --version failed",
            program.display()
        );
        let version = String::from_utf8_lossy(&version.stdout).into_owned();
        // Devices and features behind the number decide what can be asked of a program and not what comes out.
        let version: Vec<&str> = version.split_whitespace().take(2).collect();
        let of_data = match &data {
            Some(folder) => of_folder(folder)?,
            None => of_file(&root().join("crates/data/fashion-mini/SHA256SUMS"))?,
        };
        let of_weights = weights.as_deref().map(of_file).transpose()?;
        Ok(Self {
            program: program.to_path_buf(),
            device: options.device.clone(),
            commit: std::env::var("LODESTONE_COMMIT").unwrap_or_else(|_| commit()),
            inputs: vec![of_data, of_weights.unwrap_or_default(), version.join(" ")],
            data,
            weights,
            folder: target().join("reproduce").join(set.name()),
        })
    }

    /// Does a cell, at most until `deadline`; a run that is there already is used, and gone on with if it was stopped.
    pub(crate) fn carry_out(&self, cell: &Cell, deadline: Option<Instant>) -> Result<End> {
        let company = Company::begin();
        if cell.label.loss == Loss::Frozen.name() {
            return self.frozen(cell);
        }
        let folder = self.folder.join(cell.key(&self.inputs)?);
        let fresh = !folder.join("run.toml").exists();
        if !folder.join("cost.json").exists() {
            let mut command = self.training(cell, &folder);
            match finish(&mut command, deadline)? {
                Finish::Succeeded(_) => {}
                Finish::Stopped => return Ok(End::Stopped),
                Finish::Failed(reason) if broke_down(&reason) => {
                    // Which photographs were in the batch follows the semicolon, by paths of this machine.
                    let what = reason.split(';').next().unwrap_or_default();
                    let outcome = Outcome {
                        failure: Some(what.to_owned()),
                        ..Outcome::default()
                    };
                    let (commit, machine) = origin(&folder)?;
                    return Ok(End::Done(Box::new(Done {
                        outcome,
                        commit,
                        machine,
                        folder,
                    })));
                }
                Finish::Failed(reason) => bail!("{}: {}: {reason}", cell.label, shown(&command)),
            }
        }
        let mut outcome = outcome(&folder, cell)?;
        if !fresh || company.was_there() {
            outcome.seconds = None;
        }
        let (commit, machine) = origin(&folder)?;
        Ok(End::Done(Box::new(Done {
            outcome,
            commit,
            machine,
            folder,
        })))
    }

    /// The command of a cell's training: from its beginning, or from where it was stopped.
    pub(crate) fn training(&self, cell: &Cell, folder: &Path) -> Command {
        let mut command = self.command("train");
        if folder.join("run.toml").exists() {
            command.arg("--resume").arg(folder);
            self.with_data(&mut command);
            return command;
        }
        command.args(["--config", &cell.base]);
        for set in &cell.sets {
            command.args(["--set", set]);
        }
        self.with_data(&mut command);
        if let Some(weights) = &self.weights {
            command.arg("--weights").arg(weights);
        }
        command.arg("--out").arg(folder);
        command
    }

    fn with_data(&self, command: &mut Command) {
        if let Some(data) = &self.data {
            command.arg("--data").arg(data);
        }
    }

    /// A subcommand of the binary, quiet, in the workspace's root.
    fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(root()).args(["--quiet", subcommand]);
        command.env("LODESTONE_COMMIT", &self.commit);
        if let Some(device) = &self.device {
            command.args(["--device", device]);
        }
        command
    }

    /// The features of the weights as they are.
    fn frozen(&self, cell: &Cell) -> Result<End> {
        let folder = self.folder.join(cell.key(&self.inputs)?);
        let file = folder.join("base.toml");
        let text = toml::to_string(&cell.resolved()?)?;
        crate::files::write_whole(&file, text.as_bytes())?;
        let mut command = self.command("evaluate");
        command.args(["--frozen", "--json", "--force", "--per-query"]);
        command.arg(folder.join("outcomes.csv"));
        command.arg("--config").arg(&file);
        if let Some(weights) = &self.weights {
            command.arg("--weights").arg(weights);
        }
        self.with_data(&mut command);
        let text = match finish(&mut command, None)? {
            Finish::Succeeded(text) => text,
            Finish::Failed(reason) => bail!("{}: {reason}", shown(&command)),
            Finish::Stopped => return Ok(End::Stopped),
        };
        let report: Report = serde_json::from_str(&text)
            .with_context(|| format!("{} printed no report", shown(&command)))?;
        let measures = measures(&report, cell);
        Ok(End::Done(Box::new(Done {
            outcome: Outcome {
                measures,
                ..Outcome::default()
            },
            commit: self.commit.clone(),
            machine: machine(),
            folder,
        })))
    }
}

/// What the folder of a finished run says.
fn outcome(folder: &Path, cell: &Cell) -> Result<Outcome> {
    let cost: Cost = read_json(&folder.join("cost.json"))?;
    let path = folder.join("report.json");
    let report: Report = read_json(&path)?;
    let wanted = match cell.label.stage {
        Stage::Test => "test",
        _ => "validation",
    };
    let part = report.notes.get("part").map_or("test", String::as_str);
    ensure!(
        part == wanted,
        "{} is on {part} images, not on {wanted} images",
        path.display()
    );
    let measures = measures(&report, cell);
    let better = (wanted == "validation").then(|| held_out(&measures, &cell.label.task));
    let (distance, value) = better.flatten().unzip();
    Ok(Outcome {
        measures,
        held_out: value,
        distance,
        failure: None,
        seconds: Some((cost.seconds * 10.0).round() / 10.0),
        peak_memory_bytes: cost.peak_memory_bytes,
    })
}

/// The better distance of a trial, and its error or 1 − MAP@R.
fn held_out(measures: &BTreeMap<String, f64>, task: &str) -> Option<(JudgedIn, f64)> {
    let rule = match task == Task::Unseen.name() {
        true => Rule::MapAtR,
        false => Rule::NearestClassMean,
    };
    let (measure, error) = rule.measure();
    let value = |distance: JudgedIn| {
        let value = *measures.get(&distance.key(measure))?;
        Some((distance, if error { value } else { round(1.0 - value) }))
    };
    let both = JudgedIn::ALL.into_iter().filter_map(value);
    both.min_by(|a, b| a.1.total_cmp(&b.1))
}

/// The common rules in both distances and the loss's own rule, of the whole report and of its parts.
fn measures(report: &Report, cell: &Cell) -> BTreeMap<String, f64> {
    let own = Loss::of(&cell.label.loss).map_or("", Loss::own_rule);
    let wanted = |name: &str| {
        let plain = name.strip_suffix(".cosine").unwrap_or(name);
        let common = Task::ALL
            .iter()
            .flat_map(|&task| Rule::of(task))
            .any(|rule| rule.measure().0 == plain);
        common || plain == format!("{own}_error_at_1") || plain.starts_with("hierarchy_")
    };
    let mut all = BTreeMap::new();
    let parts = report
        .parts
        .iter()
        .map(|(name, part)| (format!("{name}."), &part.measures));
    for (prefix, measures) in std::iter::once((String::new(), &report.measures)).chain(parts) {
        for (name, measure) in measures.iter().filter(|(name, _)| wanted(name)) {
            if let Some(value) = measure.value {
                all.insert(format!("{prefix}{name}"), round(value));
            }
        }
    }
    all
}

/// Six digits: a share of a million images.
fn round(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// Commit and machine of a run, one after the other where its sittings had several.
fn origin(folder: &Path) -> Result<(String, String)> {
    let path = folder.join("run.json");
    if !path.exists() {
        return Ok((commit(), machine()));
    }
    let record: Record = read_json(&path)?;
    let mut commits = Vec::new();
    let mut machines = Vec::new();
    for sitting in record.sittings {
        commits.push(sitting.commit.unwrap_or_else(|| "unknown".into()));
        machines.push(match sitting.device.as_str() {
            "cpu" => sitting.machine,
            device => format!("{device}, {}", sitting.machine),
        });
    }
    commits.dedup();
    machines.dedup();
    Ok((commits.join(", then "), machines.join(", then ")))
}

/// Whether a run ended because its loss became infinite, which is a result of its settings.
fn broke_down(reason: &str) -> bool {
    ["the loss is", "not finite", "NaN"]
        .iter()
        .any(|words| reason.contains(words))
}

fn of_file(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(hex(&Sha256::digest(bytes)[..8]))
}

/// By names and sizes: reading every photograph would take longer than some cells.
fn of_folder(folder: &Path) -> Result<String> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(inner) = folders.pop() {
        let entries =
            fs::read_dir(&inner).with_context(|| format!("cannot read {}", inner.display()))?;
        for entry in entries {
            let path = entry?.path();
            let about =
                fs::metadata(&path).with_context(|| format!("cannot read {}", path.display()))?;
            match about.is_dir() {
                true => folders.push(path),
                false => {
                    let name = path.strip_prefix(folder).unwrap_or(&path);
                    files.push((name.to_string_lossy().into_owned(), about.len()));
                }
            }
        }
    }
    files.sort_unstable();
    let mut digest = Sha256::new();
    for (name, size) in files {
        digest.update(format!("{name} {size}\n"));
    }
    Ok(hex(&digest.finalize()[..8]))
}

enum Finish {
    /// With what was printed.
    Succeeded(String),
    Stopped,
    /// With the line of the error.
    Failed(String),
}

/// Runs a command to its end; at the deadline it is asked to save and stop, as Ctrl-C would.
fn finish(command: &mut Command, deadline: Option<Instant>) -> Result<Finish> {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    let process = child.id();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let output = match deadline {
        None => receiver.recv()?,
        Some(deadline) => {
            let left = deadline.saturating_duration_since(Instant::now());
            match receiver.recv_timeout(left) {
                Ok(output) => output,
                Err(_) => {
                    // It fails for a process that has just ended by itself, whose answer is waited for all the same.
                    Command::new("kill")
                        .args(["-TERM", &process.to_string()])
                        .stderr(Stdio::null())
                        .status()
                        .context("cannot start kill")?;
                    receiver.recv()?
                }
            }
        }
    }?;
    let error = String::from_utf8_lossy(&output.stderr);
    Ok(match output.status.code() {
        Some(0) => Finish::Succeeded(String::from_utf8_lossy(&output.stdout).into_owned()),
        Some(130) => Finish::Stopped,
        _ => {
            let line = error.lines().rfind(|line| !line.trim().is_empty());
            let line = line
                .unwrap_or("no word of why")
                .trim_start_matches("error: ");
            Finish::Failed(format!("{line} ({})", output.status))
        }
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_command_at_its_deadline_is_asked_to_stop_and_may_save() {
        let start = Instant::now();
        // As the binary does: SIGTERM, save, exit status 130.
        let script = "trap 'kill $!; exit 130' TERM; sleep 60 >/dev/null 2>&1 & wait";
        let deadline = Some(start + Duration::from_millis(300));
        let end = finish(&mut shell(script), deadline).unwrap();
        assert!(matches!(end, Finish::Stopped));
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn the_last_line_of_an_error_is_the_reason() {
        let end = finish(
            &mut shell("echo a >&2; echo error: b is 3 >&2; exit 2"),
            None,
        )
        .unwrap();
        let Finish::Failed(reason) = end else {
            panic!("it did not fail")
        };
        assert_eq!(reason, "b is 3 (exit status: 2)");
        let end = finish(&mut shell("echo done"), None).unwrap();
        assert!(matches!(end, Finish::Succeeded(text) if text == "done\n"));
    }

    #[test]
    fn a_trial_is_chosen_by_the_better_of_two_distances() {
        let measures = |pairs: &[(&str, f64)]| {
            let owned = pairs.iter().map(|&(name, value)| (name.to_owned(), value));
            owned.collect::<BTreeMap<_, _>>()
        };
        let closed = measures(&[
            ("nearest_class_mean_error_at_1", 0.2),
            ("nearest_class_mean_error_at_1.cosine", 0.1),
        ]);
        assert_eq!(held_out(&closed, "closed"), Some((JudgedIn::Cosine, 0.1)));
        let unseen = measures(&[("map_at_r", 0.75), ("map_at_r.cosine", 0.5)]);
        assert_eq!(held_out(&unseen, "unseen"), Some((JudgedIn::Own, 0.25)));
        assert_eq!(held_out(&unseen, "closed"), None);
    }

    #[test]
    fn a_folder_changes_its_print_with_a_file() {
        let folder = std::env::temp_dir().join(format!("lodestone-print-{}", std::process::id()));
        crate::files::write_whole(&folder.join("a/1.jpg"), b"x").unwrap();
        let first = of_folder(&folder).unwrap();
        assert_eq!(of_folder(&folder).unwrap(), first);
        crate::files::write_whole(&folder.join("a/2.jpg"), b"").unwrap();
        assert_ne!(of_folder(&folder).unwrap(), first);
        fs::remove_dir_all(folder).unwrap();
    }
}
