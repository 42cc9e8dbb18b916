//! The command line of `cargo xtask reproduce`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use super::loss::Loss;
use super::set::{Set, Task};

/// What is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The winners are trained anew and compared with the ledger.
    #[default]
    Again,
    /// What is missing is run.
    Campaign,
    /// What is missing is counted.
    Forecast,
    /// The tables are printed, and written where they differ.
    Table,
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) mode: Mode,
    pub(crate) sets: Vec<Set>,
    /// All of a set if empty.
    pub(crate) tasks: Vec<Task>,
    /// All of a task if empty.
    pub(crate) losses: Vec<Loss>,
    pub(crate) data: Option<PathBuf>,
    pub(crate) weights: Option<PathBuf>,
    /// What the binary computes on, where it is not the processor.
    pub(crate) device: Option<String>,
    /// A binary that is there already, rather than one built now.
    pub(crate) program: Option<PathBuf>,
    /// Seconds.
    pub(crate) budget: Option<f64>,
}

/// Kinds of devices, which are also the features that have them.
const DEVICES: [&str; 5] = ["cpu", "cuda", "wgpu", "vulkan", "remote"];

impl Options {
    pub(crate) fn read(arguments: &[&str]) -> Result<Self> {
        let mut options = Self::default();
        let mut words = arguments.iter();
        while let Some(&word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .copied()
                    .with_context(|| format!("{word} needs a value"))
            };
            let mode = match word {
                "--campaign" => Some(Mode::Campaign),
                "--forecast" => Some(Mode::Forecast),
                "--table" => Some(Mode::Table),
                _ => None,
            };
            if let Some(mode) = mode {
                ensure!(
                    options.mode == Mode::Again,
                    "{word} and another of --campaign, --forecast and --table: name one"
                );
                options.mode = mode;
                continue;
            }
            match word {
                "--device" => {
                    let name = value()?;
                    ensure!(
                        DEVICES.contains(&kind(name)),
                        "--device is {name}, must begin with {}",
                        DEVICES.join(", ")
                    );
                    options.device = Some(name.into());
                }
                "--data" => options.data = Some(value()?.into()),
                "--weights" => options.weights = Some(value()?.into()),
                "--program" => options.program = Some(value()?.into()),
                "--budget" => {
                    let text = value()?;
                    let seconds = duration(text);
                    options.budget = Some(seconds.with_context(|| {
                        format!("--budget is {text}, must be a time such as 90s, 30m or 2h")
                    })?);
                }
                "--losses" => {
                    for name in value()?.split(',') {
                        let known = || Loss::ALL.map(Loss::name).join(", ");
                        let loss = Loss::of(name);
                        options.losses.push(loss.with_context(|| {
                            format!("--losses has {name}, there are {}", known())
                        })?);
                    }
                }
                other if other.starts_with('-') => bail!(
                    "reproduce has no option {other}; it has --campaign, --forecast, --table, --data, --weights, --losses, \
                     --budget, --device and --program"
                ),
                name => match (Set::of(name), Task::of(name)) {
                    (Some(set), _) => options.sets.push(set),
                    (_, Some(task)) => options.tasks.push(task),
                    (None, None) => bail!(
                        "reproduce knows no {name}; sets are {}, questions {}",
                        Set::ALL.map(Set::name).join(", "),
                        Task::ALL.map(Task::name).join(", ")
                    ),
                },
            }
        }
        if options.sets.is_empty() {
            options.sets.push(Set::FashionMini);
        }
        ensure!(
            options.data.is_none() || options.sets.len() == 1,
            "--data is given for {} sets, name one of them",
            options.sets.len()
        );
        Ok(options)
    }

    /// The feature of the binary that has the device: `cuda` of `cuda:1`. The processor is there without.
    pub(crate) fn feature(&self) -> Option<&str> {
        let kind = kind(self.device.as_deref()?);
        (kind != "cpu").then_some(kind)
    }

    /// The tasks of a set that are asked for.
    pub(crate) fn tasks_of(&self, set: Set) -> Vec<Task> {
        let wanted = |task: &Task| self.tasks.is_empty() || self.tasks.contains(task);
        set.tasks().iter().copied().filter(wanted).collect()
    }

    /// The losses of a task that are asked for.
    pub(crate) fn losses_of(&self, set: Set, task: Task) -> Vec<Loss> {
        let wanted = |loss: &Loss| self.losses.is_empty() || self.losses.contains(loss);
        set.losses(task).into_iter().filter(wanted).collect()
    }
}

/// `cuda` of `cuda:1`.
fn kind(device: &str) -> &str {
    device.split(':').next().unwrap_or(device)
}

/// Seconds of `90s`, `30m`, `2h`; a number alone is minutes.
fn duration(text: &str) -> Option<f64> {
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) => (number, &text[number.len()..]),
        None => (text, "m"),
    };
    let number: f64 = number.parse().ok()?;
    let seconds = match unit {
        "s" => number,
        "h" => 3600.0 * number,
        _ => 60.0 * number,
    };
    (seconds > 0.0 && seconds.is_finite()).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_sets_or_questions_and_the_embedded_set_is_taken_where_none_is_named() {
        let options = Options::read(&["closed", "--losses", "magnet,softmax", "--budget", "30m"]);
        let options = options.unwrap();
        assert_eq!(
            (options.mode, options.sets.clone()),
            (Mode::Again, vec![Set::FashionMini])
        );
        assert_eq!(options.tasks_of(Set::FashionMini), [Task::Closed]);
        assert_eq!(
            options.losses_of(Set::FashionMini, Task::Closed),
            [Loss::Softmax, Loss::Magnet]
        );
        assert_eq!(options.budget, Some(1800.0));
        assert_eq!(options.feature(), None);
        let with_device = Options::read(&["--device", "cuda:1", "--campaign"]).unwrap();
        assert_eq!(with_device.feature(), Some("cuda"));
        assert_eq!(with_device.mode, Mode::Campaign);
    }

    #[test]
    fn a_mistake_is_named_with_what_would_do() {
        let cases: [(&[&str], &str); 8] = [
            (
                &["--device", "gpu"],
                "--device is gpu, must begin with cpu, cuda,",
            ),
            (&["--table", "--campaign"], "--campaign and another of"),
            (
                &["flowers"],
                "reproduce knows no flowers; sets are fashion-mini,",
            ),
            (
                &["--budget", "soon"],
                "--budget is soon, must be a time such as 90s",
            ),
            (&["--budget"], "--budget needs a value"),
            (
                &["--losses", "hinge"],
                "--losses has hinge, there are softmax,",
            ),
            (&["--sedes", "3"], "reproduce has no option --sedes"),
            (
                &["flowers-102", "oxford-iiit-pet", "--data", "x"],
                "--data is given for 2 sets",
            ),
        ];
        for (arguments, expected) in cases {
            let error = Options::read(arguments).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn durations_have_a_unit_and_are_minutes_without() {
        assert_eq!(
            ["90s", "30m", "2h", "8"].map(duration),
            [Some(90.0), Some(1800.0), Some(7200.0), Some(480.0)]
        );
        assert_eq!(["", "m", "-3m", "0", "3 days"].map(duration), [None; 5]);
    }
}
