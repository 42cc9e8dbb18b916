//! Carrying out a cell: starting the binary, going on with a run that was stopped, reading what it left.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::cell::{Cell, Inputs, Work};
use super::concentration;
use super::experiment::Experiment;
use super::ledger::Outcome;
use super::map;
use super::readings;
use super::set::NO_TEST;
use super::suite::Suite;
use crate::process::{root, shown};

/// How a cell ended.
pub(crate) enum End {
    Done(Outcome),
    /// The time was up; the run has saved where it is and goes on the next time.
    Stopped,
}

/// Where the cells of a suite are carried out.
pub(crate) struct Workshop<'a> {
    pub(crate) suite: &'a Suite,
    pub(crate) inputs: &'a Inputs,
    /// The binary, and what it computes on where that is not the processor.
    pub(crate) program: &'a Path,
    pub(crate) device: Option<&'a str>,
    /// The commit that runs are told; absent in a copy without git.
    pub(crate) commit: Option<String>,
    /// Run folders, each named by the key of its run.
    pub(crate) folder: PathBuf,
}

impl Workshop<'_> {
    /// The folder of a cell's run.
    pub(crate) fn run_folder(&self, cell: &Cell) -> Result<PathBuf> {
        Ok(self.folder.join(cell.run_key(self.inputs)?))
    }

    /// Takes away what is left of a cell's run.
    pub(crate) fn forget(&self, cell: &Cell) -> Result<()> {
        let folder = self.run_folder(cell)?;
        match folder.exists() {
            true => remove(&folder),
            false => Ok(()),
        }
    }

    /// The commit and the machine that a cell's run was made with: what is true `now` and `here` if all its sittings were so,
    /// otherwise theirs, one after the other. A folder may have been brought from another machine.
    pub(crate) fn origin(&self, cell: &Cell, now: &str, here: &str) -> Result<(String, String)> {
        let origin = readings::origin(&self.run_folder(cell)?)?;
        let commit = made_at(&origin.commits, now);
        Ok((commit, made_on(&origin.machines, here)))
    }

    /// Does a cell, at most until `deadline`; a run that is there already is used, and gone on with if it was stopped.
    pub(crate) fn carry_out(&self, cell: &Cell, deadline: Option<Instant>) -> Result<End> {
        let folder = self.run_folder(cell)?;
        let started = Instant::now();
        // What is asked of a run needs its folder, which another machine's ledger does not bring along.
        let trained = match self.train(cell, &folder, deadline)? {
            End::Stopped => return Ok(End::Stopped),
            End::Done(outcome) => outcome,
        };
        let measures = match cell.work {
            _ if trained.failure.is_some() => return Ok(End::Done(trained)),
            Work::Train => return Ok(End::Done(trained)),
            Work::Concentration => {
                let kept = self.embeddings(&folder)?;
                concentration::measure(self, &kept)?
            }
            Work::Map => {
                let kept = self.embeddings(&folder)?;
                map::measure(&kept, &folder)?
            }
        };
        Ok(End::Done(Outcome {
            measures,
            images: trained.images,
            steps: trained.steps,
            seconds: started.elapsed().as_secs_f64(),
            ..Outcome::default()
        }))
    }

    fn train(&self, cell: &Cell, folder: &Path, deadline: Option<Instant>) -> Result<End> {
        if !is_trained(folder) {
            let mut command = self.training(cell, folder);
            match finish(&mut command, deadline)? {
                Finish::Succeeded(_) => {}
                Finish::Stopped => return Ok(End::Stopped),
                Finish::Failed(reason) if broke_down(&reason) => {
                    let failure = Some(reason);
                    return Ok(End::Done(Outcome {
                        failure,
                        ..Outcome::default()
                    }));
                }
                Finish::Failed(reason) => bail!("{}: {}: {reason}", cell.label, shown(&command)),
            }
        }
        let tested = !cell.run.sets.iter().any(|set| set == NO_TEST);
        Ok(End::Done(readings::outcome(folder, tested)?))
    }

    /// The command of a cell's training: from its beginning, or from where it was stopped.
    pub(crate) fn training(&self, cell: &Cell, folder: &Path) -> Command {
        let mut command = self.command("train");
        if folder.join("run.toml").exists() {
            command.arg("--resume").arg(folder);
            self.with_data(&mut command);
            return command;
        }
        command.args(["--config", &cell.run.file]);
        for set in &cell.run.sets {
            command.args(["--set", set]);
        }
        self.with_data(&mut command);
        if let Some(weights) = &self.suite.weights {
            command.arg("--weights").arg(weights);
        }
        command.arg("--out").arg(folder);
        command
    }

    /// Where the photographs lie now, which for a run that was begun earlier or elsewhere need not be what its run file says.
    fn with_data(&self, command: &mut Command) {
        if let Some(data) = &self.suite.data {
            command.arg("--data").arg(data);
        }
    }

    /// Embeddings, labels and small pictures of a run's test images, in a folder of its own.
    fn embeddings(&self, run: &Path) -> Result<PathBuf> {
        let kept = run.join("kept");
        if !kept.join("queries.jpg").exists() {
            let mut command = self.command("evaluate");
            command.arg(run).arg("--save-embeddings").arg(&kept);
            self.with_data(&mut command);
            self.output(&mut command)?;
        }
        Ok(kept)
    }

    /// A subcommand of the binary that computes, quiet, in the workspace's root.
    pub(crate) fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(self.program);
        command.current_dir(root()).args(["--quiet", subcommand]);
        // What the binary would say by itself has a mark as soon as a ledger is written.
        if let Some(commit) = &self.commit {
            command.env("LODESTONE_COMMIT", commit);
        }
        if let Some(device) = self.device {
            command.args(["--device", device]);
        }
        command
    }

    /// Runs a command to its end and gives what it printed.
    pub(crate) fn output(&self, command: &mut Command) -> Result<String> {
        match finish(command, None)? {
            Finish::Succeeded(text) => Ok(text),
            Finish::Failed(reason) => bail!("{}: {reason}", shown(command)),
            Finish::Stopped => bail!("{} was interrupted", shown(command)),
        }
    }

    /// Takes the folder of a finished trial away: its numbers are in the ledger, and nothing else is asked of it.
    pub(crate) fn sweep(&self, cell: &Cell) -> Result<()> {
        match cell.label.experiment == Experiment::Tuning.name() {
            true => self.forget(cell),
            false => Ok(()),
        }
    }
}

/// Whether a folder holds a training that came to its end, here or on another machine.
pub(crate) fn is_trained(folder: &Path) -> bool {
    folder.join("cost.json").exists()
}

fn remove(folder: &Path) -> Result<()> {
    fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
}

/// Whether a run ended because its loss became infinite, which is a result of its settings: the others are run all the same.
fn broke_down(reason: &str) -> bool {
    reason.contains("the loss is") || reason.contains("weights are not finite")
}

/// `now` where no sitting says otherwise.
fn made_at(sittings: &[String], now: &str) -> String {
    match sittings.is_empty() {
        true => now.to_owned(),
        false => sittings.join(", then "),
    }
}

/// `here` if all sittings, of which the binary wrote down device and machine, were on its processor, otherwise theirs.
fn made_on(sittings: &[(String, String)], here: &str) -> String {
    // The binary names processor, cores, memory and system; of AVX-512 it says nothing.
    let known = |machine: &str| {
        let parts = machine
            .split(", ")
            .filter(|part| !part.ends_with("AVX-512"));
        parts.take(3).collect::<Vec<_>>().join(", ")
    };
    let at_home = |(device, machine): &(String, String)| {
        device.starts_with("cpu") && known(machine) == known(here)
    };
    if sittings.iter().all(at_home) {
        return here.to_owned();
    }
    let named = sittings
        .iter()
        .map(|(device, machine)| match device.as_str() {
            "cpu" => machine.clone(),
            device => format!("{device}, {machine}"),
        });
    let mut named: Vec<String> = named.collect();
    named.dedup();
    named.join(", then ")
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

    use super::super::cell::{Label, Run};
    use super::super::loss::Loss;
    use super::super::options::Options;
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
    fn a_training_that_broke_down_is_a_result_whatever_was_to_be_asked_of_it() {
        use std::os::unix::fs::PermissionsExt;

        let folder = std::env::temp_dir().join(format!("lodestone-broken-{}", std::process::id()));
        let program = folder.join("lodestone");
        let script = b"#!/bin/sh\necho 'error: the loss is inf at step 3' >&2\nexit 1\n";
        crate::files::write_whole(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let suite = Options::read(&[]).unwrap().suites().remove(0);
        let inputs = Inputs {
            texts: Vec::new(),
            attributes: "none".into(),
        };
        let workshop = Workshop {
            suite: &suite,
            inputs: &inputs,
            program: &program,
            device: None,
            commit: None,
            folder: folder.clone(),
        };
        for work in [Work::Train, Work::Concentration, Work::Map] {
            let label = Label::new(Experiment::Concentration, Loss::Magnet, "tuned", 0);
            let cell = label.asks(Run::new(&suite, Loss::Magnet, 48, 0), work);
            let End::Done(outcome) = workshop.carry_out(&cell, None).unwrap() else {
                panic!("it was stopped")
            };
            assert!(
                outcome
                    .failure
                    .unwrap()
                    .contains("the loss is inf at step 3")
            );
        }
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_row_names_the_commits_that_its_run_was_made_at() {
        let made = |sittings: &[&str], now| {
            let sittings: Vec<String> = sittings.iter().map(|&commit| commit.into()).collect();
            made_at(&sittings, now)
        };
        assert_eq!(made(&["abc with changes"], "abc"), "abc with changes");
        assert_eq!(made(&["abc"], "abc with changes"), "abc");
        assert_eq!(made(&["old"], "abc"), "old");
        assert_eq!(made(&["old", "abc"], "abc"), "old, then abc");
        assert_eq!(made(&[], "no commit"), "no commit");
    }

    #[test]
    fn a_row_names_the_card_or_the_other_machine_that_its_run_was_made_on() {
        let here = "Xeon, 2 cores, AVX-512, 24 GiB, linux";
        let made = |sittings: &[(&str, &str)]| {
            let own = |&(device, machine): &(&str, &str)| (device.to_owned(), machine.to_owned());
            made_on(&sittings.iter().map(own).collect::<Vec<_>>(), here)
        };
        let same = "Xeon, 2 cores, 24 GiB, linux x86_64";
        let other = "Xeon, 16 cores, 128 GiB, linux x86_64";
        assert_eq!(made(&[]), here);
        assert_eq!(made(&[("cpu", same), ("cpu", same)]), here);
        assert_eq!(made(&[("cpu", other)]), other);
        let smaller = "Xeon, 2 cores, 8 GiB, linux x86_64";
        assert_eq!(made(&[("cpu", smaller)]), smaller);
        let card = format!("cuda (NVIDIA H100), {other}");
        assert_eq!(made(&[("cuda (NVIDIA H100)", other); 2]), card);
        assert_eq!(
            made(&[("cpu", same), ("cuda (NVIDIA H100)", other)]),
            format!("{same}, then {card}")
        );
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
}
