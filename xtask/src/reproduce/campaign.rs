//! Running the cells of a suite: what is left, in order, until all is done or the time is up.
//!
//! The plan is worked out anew after every cell from the ledger alone, so a stopped command is continued by starting it again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::alone::Alone;
use super::cell::{Cell, Inputs};
use super::experiment::{Experiment, Unknown};
use super::forecast::{self, in_words};
use super::ledger::{Ledger, Outcome, Row};
use super::options::{Options, kind};
use super::page;
use super::rerun::Rerun;
use super::space;
use super::suite::Suite;
use super::table;
use super::work::{End, Workshop, is_trained};
use crate::machine::{NO_COMMIT, commit, machine};
use crate::process::{in_shell, root, target};

/// Runs a suite as the options say, for at most `budget` seconds, and shows its table.
pub(crate) fn run(
    suite: Suite,
    options: &Options,
    program: &Path,
    budget: Option<f64>,
) -> Result<()> {
    let suite = suite.ready()?;
    let inputs = Inputs::of(&suite, program)?;
    let folder = folder_of(&suite);
    // Before the ledger is read: what another command adds to it until it ends would be lost otherwise.
    let _alone = match options.forecast {
        true => None,
        false => Some(Alone::in_folder(&folder)?),
    };
    let mut ledger = Ledger::open(&suite.ledger(), &suite.name())?;
    let mut campaign = Campaign::new(&suite, &inputs, options, program)?;
    println!("{}", tuning_budget(&suite));
    println!("{}", campaign.forecast(&ledger)?);
    if options.forecast {
        return Ok(());
    }
    let minutes = suite.set.minutes().map(|minutes| 60.0 * minutes);
    let budget = budget.or(minutes);
    let complete = campaign.work(&mut ledger, budget)?;
    println!("\n{}", table::of(&ledger, suite.set)?);
    if !complete {
        println!("{}", campaign.forecast(&ledger)?);
        println!("the same command goes on with what is left");
    }
    let page = page::write(&campaign.workshop, &ledger)?;
    if complete {
        campaign.rerun.close()?;
    }
    println!("the page of all figures is {}", page.display());
    Ok(())
}

/// Where the run folders of a suite lie.
fn folder_of(suite: &Suite) -> PathBuf {
    target().join("reproduce").join(suite.name())
}

/// The command of each training that is left, a line for each; what it leaves in its folder is found when the suite is run.
pub(crate) fn commands(suite: Suite, options: &Options, program: &Path) -> Result<String> {
    let suite = suite.ready()?;
    let inputs = Inputs::of(&suite, program)?;
    let ledger = Ledger::open(&suite.ledger(), &suite.name())?;
    Campaign::new(&suite, &inputs, options, program)?.commands(&ledger)
}

/// Trials come before anything that is to be tuned.
fn with_tuning(asked: &[Experiment]) -> Vec<Experiment> {
    let wanted = |one: &Experiment| *one == Experiment::Tuning || asked.contains(one);
    Experiment::ALL.into_iter().filter(wanted).collect()
}

/// With `--rerun` the experiments that are asked for, and not the trials before them.
fn again(options: &Options) -> Vec<&'static str> {
    let asked = match options.experiments.is_empty() {
        true => &Experiment::ALL[..],
        false => &options.experiments,
    };
    let asked = asked.iter().filter(|_| options.rerun);
    asked.map(|experiment| experiment.name()).collect()
}

/// What every loss is given to choose its settings.
fn tuning_budget(suite: &Suite) -> String {
    let protocol = suite.set.protocol();
    let mut text = format!(
        "{}: each of {} losses gets {} trials of {} images, judged on validation images alone ({}); \
         the best is run with {} seeds on the test images\n",
        suite.name(),
        suite.losses.len(),
        suite.trials,
        protocol.images.0,
        protocol.trial.join(", "),
        suite.seeds,
    );
    for &loss in &suite.losses {
        let levers = space::levers(loss, suite.set.scale());
        let words: Vec<String> = levers.iter().map(|lever| lever.in_words()).collect();
        text += &format!("  {:<17} {}\n", loss.name(), words.join("; "));
    }
    text
}

struct Campaign<'a> {
    workshop: Workshop<'a>,
    experiments: Vec<Experiment>,
    rerun: Rerun,
    /// Where the tree stands.
    commit: String,
}

impl<'a> Campaign<'a> {
    fn new(
        suite: &'a Suite,
        inputs: &'a Inputs,
        options: &'a Options,
        program: &'a Path,
    ) -> Result<Self> {
        let experiments = match options.experiments.is_empty() {
            true => suite.set.experiments(),
            false => with_tuning(&options.experiments),
        };
        let folder = folder_of(suite);
        let commit = commit();
        Ok(Self {
            rerun: Rerun::open(&folder, &again(options))?,
            workshop: Workshop {
                suite,
                inputs,
                program,
                device: options.device.as_deref(),
                commit: Some(commit.clone()).filter(|commit| commit != NO_COMMIT),
                folder,
            },
            experiments,
            commit,
        })
    }

    /// The kind of device that runs are computed on.
    fn device(&self) -> &'a str {
        self.workshop.device.map_or("cpu", kind)
    }

    fn finished(&self, cell: &Cell, ledger: &Ledger) -> Result<bool> {
        let key = cell.key(self.workshop.inputs)?;
        let known = ledger.row(&cell.label).is_some_and(|row| row.key == key);
        Ok(known && !self.rerun.wants(&cell.label))
    }

    fn forecast(&self, ledger: &Ledger) -> Result<String> {
        let suite = self.workshop.suite;
        let mut parts = Vec::new();
        // A run that two experiments share is done once.
        let mut planned = BTreeSet::new();
        for &experiment in &self.experiments {
            let mut left = Vec::new();
            let mut done = 0;
            for cell in experiment.cells(suite, ledger, Unknown::Assumed)? {
                match self.finished(&cell, ledger)? {
                    true => {
                        planned.insert(cell.key(self.workshop.inputs)?);
                        done += 1;
                    }
                    false if planned.insert(cell.key(self.workshop.inputs)?) => left.push(cell),
                    false => {}
                }
            }
            parts.push((experiment, done, left));
        }
        Ok(forecast::table(&parts, suite, ledger, self.device()))
    }

    /// The commands of trainings that are not finished, each once, whatever is asked of them. Those whose setting depends on
    /// trials to come are not among them.
    fn commands(&self, ledger: &Ledger) -> Result<String> {
        let mut lines = Vec::new();
        for experiment in &self.experiments {
            for cell in experiment.cells(self.workshop.suite, ledger, Unknown::LeftOut)? {
                let (key, folder) = (
                    cell.key(self.workshop.inputs)?,
                    self.workshop.run_folder(&cell)?,
                );
                if ledger.rows.iter().any(|row| row.key == key) || is_trained(&folder) {
                    continue;
                }
                // With the commit: where it is typed the program may lie without its repository.
                let line = in_shell(&self.workshop.training(&cell, &folder)) + "\n";
                if !lines.contains(&line) {
                    lines.push(line);
                }
            }
        }
        Ok(lines.concat())
    }

    /// The first cell that is not finished.
    fn next(&self, ledger: &Ledger) -> Result<Option<Cell>> {
        for experiment in &self.experiments {
            for cell in experiment.cells(self.workshop.suite, ledger, Unknown::LeftOut)? {
                if !self.finished(&cell, ledger)? {
                    return Ok(Some(cell));
                }
            }
        }
        Ok(None)
    }

    /// Works until nothing is left, which is true, or `budget` seconds are over.
    fn work(&mut self, ledger: &mut Ledger, budget: Option<f64>) -> Result<bool> {
        let start = Instant::now();
        let deadline = budget.map(|seconds| start + Duration::from_secs_f64(seconds));
        let (commit, machine) = (self.commit.clone(), machine());
        while let Some(cell) = self.next(ledger)? {
            let key = cell.key(self.workshop.inputs)?;
            let anew = self.rerun.wants(&cell.label);
            let usable = |row: &&Row| row.key == key && (!anew || self.rerun.has_run(&row.label));
            let known = ledger.rows.iter().find(usable).cloned();
            let expected = match known.is_some() || is_trained(&self.workshop.run_folder(&cell)?) {
                true => 0.0,
                false => forecast::seconds(&cell, self.workshop.suite, ledger, self.device()),
            };
            let left = budget.map(|budget| budget - start.elapsed().as_secs_f64());
            if let (Some(budget), Some(left)) = (budget, left)
                && expected > left
                && (expected <= budget || left < 10.0)
            {
                // One that fits into a budget of this size waits for the next; a longer one is done piece by piece.
                println!(
                    "{}: needs {}, {} are left",
                    cell.label,
                    in_words(expected),
                    in_words(left.max(0.0))
                );
                return Ok(false);
            }
            let row = |outcome, commit: &str, machine: &str| Row {
                label: cell.label.clone(),
                key: key.clone(),
                file: cell.run.file.clone(),
                sets: cell.run.sets.clone(),
                trials: (cell.label.experiment != Experiment::Tuning.name())
                    .then_some(self.workshop.suite.trials),
                outcome,
                commit: commit.to_owned(),
                machine: machine.to_owned(),
            };
            let row = match known {
                Some(known) => row(known.outcome, &known.commit, &known.machine),
                None => match self.carry_out(&cell, deadline)? {
                    End::Done(outcome) => {
                        let (commit, machine) = self.workshop.origin(&cell, &commit, &machine)?;
                        row(outcome, &commit, &machine)
                    }
                    End::Stopped => {
                        println!("{}: stopped, goes on the next time", cell.label);
                        return Ok(false);
                    }
                },
            };
            println!(
                "{}: {}",
                cell.label,
                in_one_line(&row.outcome, &cell.label.loss)
            );
            let now = |seed| cell.with_seed(seed).key(self.workshop.inputs);
            ledger.record(row, now)?;
            self.workshop.sweep(&cell)?;
            let run = cell.run_key(self.workshop.inputs)?;
            self.rerun.finish(cell.label, run)?;
        }
        for lost in self.unreachable(ledger) {
            println!("{lost}: all trials broke down, so there is no setting to run it with");
        }
        Ok(true)
    }

    /// Does a cell; of a rerun without what an earlier campaign left of it.
    fn carry_out(&mut self, cell: &Cell, deadline: Option<Instant>) -> Result<End> {
        let run = cell.run_key(self.workshop.inputs)?;
        if self.rerun.is_stale(&cell.label, &run) {
            self.workshop.forget(cell)?;
        }
        self.rerun.begin(&cell.label)?;
        self.workshop.carry_out(cell, deadline)
    }

    /// Losses whose trials are through without one that can be used.
    fn unreachable(&self, ledger: &Ledger) -> Vec<&'static str> {
        let suite = self.workshop.suite;
        let lost = |loss: &&super::loss::Loss| ledger.best_trial(**loss, suite.trials).is_none();
        let losses = suite.losses.iter().filter(lost);
        losses.map(|loss| loss.name()).collect()
    }
}

/// What came out, for those who watch.
fn in_one_line(outcome: &Outcome, loss: &str) -> String {
    if let Some(failure) = &outcome.failure {
        return format!("broke down: {failure}");
    }
    let rule = super::loss::Loss::of(loss).map_or("", super::loss::Loss::rule);
    let keys = [
        "hierarchy_soft_knn_error_at_1".to_owned(),
        format!("{rule}_error_at_1"),
        "silhouette".to_owned(),
        "concentration_at_8".to_owned(),
    ];
    let known = keys
        .iter()
        .find_map(|key| Some((key, outcome.measures.get(key)?)));
    let number = match (known, outcome.validation) {
        (Some((key, value)), _) => format!("{key} {value:.4}"),
        (None, Some(value)) => format!("validation error {:.2} %", 100.0 * value),
        (None, None) => "done".to_owned(),
    };
    format!("{number}, {}", in_words(outcome.seconds))
}

/// A path as a person in the workspace would type it.
pub(crate) fn from_root(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::super::cell::Label;
    use super::super::loss::Loss;
    use super::super::runs::trial_name;
    use super::*;
    use crate::files::{read_text, write_whole};

    /// A program in place of the binary, which writes down how it was called and leaves a finished run, and what it works on.
    struct Stage {
        folder: PathBuf,
        options: Options,
    }

    impl Stage {
        /// `first` are commands of the shell before the run is finished, with its folder in `$out`.
        fn new(name: &str, first: &str) -> Self {
            let folder =
                std::env::temp_dir().join(format!("lodestone-{name}-{}", std::process::id()));
            let report = r#"{"notes":{"part":"test"},"measures":{"argmax_error_at_1":{"value":0.25,"count":8}}}"#;
            let cost = r#"{"steps":1,"images":48,"seconds":1.0,"peak_memory_bytes":7}"#;
            let script = format!(
                "#!/bin/sh\necho \"$LODESTONE_COMMIT: $*\" >> {calls}\n\
                 while [ $# -gt 0 ]; do case \"$1\" in --out|--resume) out=$2;; esac; shift; done\n\
                 mkdir -p \"$out\"\n{first}\n\
                 echo '{report}' > \"$out/report.json\"\n\
                 printf '{{\"sittings\":[]}}' > \"$out/run.json\"\n\
                 printf 'images,variance,validation\\n48,,0.25\\n' > \"$out/log.csv\"\n\
                 printf 'refresh,wait,forward,backward,update,other\\n0,0,0.5,0.5,0,0\\n' > \"$out/times.csv\"\n\
                 printf 'seconds\\n' > \"$out/refreshes.csv\"\n\
                 echo '{cost}' > \"$out/cost.json\"\n",
                calls = folder.join("calls").display(),
            );
            let program = folder.join("program");
            write_whole(&program, script.as_bytes()).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
            let asked = ["e1", "--losses", "softmax", "--trials", "1", "--seeds", "2"];
            let options = Options::read(&asked).unwrap();
            Self { folder, options }
        }

        /// Works on what is left as a command would; whether nothing is left, and the ledger.
        fn works(&self) -> (bool, Ledger) {
            let suite = self.options.suites().remove(0);
            let inputs = Inputs {
                texts: Vec::new(),
                attributes: "none".into(),
            };
            let program = self.folder.join("program");
            let mut campaign = Campaign::new(&suite, &inputs, &self.options, &program).unwrap();
            campaign.workshop.folder = self.folder.join("runs");
            campaign.workshop.commit = Some("abc".into());
            let mut ledger =
                Ledger::open(&self.folder.join("results.json"), "fashion-mini").unwrap();
            let through = campaign.work(&mut ledger, None).unwrap();
            (through, ledger)
        }

        fn calls(&self) -> Vec<String> {
            let text = read_text(&self.folder.join("calls")).unwrap();
            text.lines().map(str::to_owned).collect()
        }
    }

    #[test]
    fn a_command_that_was_stopped_goes_on_and_does_nothing_twice() {
        // Seed 1 is interrupted at its first start, after its run file was written.
        let first = "if grep -q 'seed=1' \"$(dirname $0)/calls\" && ! [ -e \"$out/run.toml\" ]; then \
                     touch \"$out/run.toml\"; exit 130; fi";
        let stage = Stage::new("campaign", first);
        let (through, ledger) = stage.works();
        let known: Vec<String> = ledger
            .rows
            .iter()
            .map(|row| row.label.to_string())
            .collect();
        assert!(!through);
        assert_eq!(
            known,
            [
                "e1 softmax, tuned, seed 0",
                "tuning softmax, trial 0, seed 0"
            ]
        );
        assert_eq!(ledger.rows[0].trials, Some(1));
        assert_eq!(ledger.rows[0].outcome.measures["argmax_error_at_1"], 0.25);
        // The trial was judged on validation images, whatever a report says.
        assert!(ledger.rows[1].outcome.measures.is_empty());
        assert_eq!(ledger.rows[1].outcome.validation, Some(0.25));

        let (through, ledger) = stage.works();
        assert!(through);
        assert_eq!(ledger.rows.len(), 3);
        let calls = stage.calls();
        assert_eq!(calls.len(), 4, "{calls:?}");
        assert!(
            calls[3].starts_with("abc: --quiet train --resume "),
            "{calls:?}"
        );

        let (through, again) = stage.works();
        assert!(through);
        assert_eq!(again.rows, ledger.rows);
        assert_eq!(stage.calls().len(), 4);
        fs::remove_dir_all(&stage.folder).unwrap();
    }

    #[test]
    fn a_loss_whose_trials_all_broke_down_ends_the_campaign_like_any_other() {
        let stage = Stage::new(
            "all-broke",
            "echo 'error: the loss is inf at step 3' >&2; exit 1",
        );
        let (through, ledger) = stage.works();
        assert!(through);
        let trial = Label::new(Experiment::Tuning, Loss::Softmax, &trial_name(0), 0);
        assert_eq!(ledger.rows.len(), 1);
        assert!(ledger.row(&trial).unwrap().outcome.failure.is_some());
        fs::remove_dir_all(&stage.folder).unwrap();
    }
}
