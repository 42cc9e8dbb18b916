//! The command line of `cargo xtask reproduce`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use super::experiment::Experiment;
use super::forecast::duration;
use super::loss::Loss;
use super::set::Set;
use super::suite::{Suite, Trunk};

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) sets: Vec<Set>,
    pub(crate) experiments: Vec<Experiment>,
    pub(crate) losses: Vec<Loss>,
    pub(crate) data: Option<PathBuf>,
    pub(crate) weights: Option<PathBuf>,
    pub(crate) attributes: Option<PathBuf>,
    pub(crate) trunk: Trunk,
    /// What the binary computes on, where it is not the processor.
    pub(crate) device: Option<String>,
    /// Seconds.
    pub(crate) budget: Option<f64>,
    pub(crate) seeds: u64,
    pub(crate) trials: Option<usize>,
    /// Only the tables of the README.
    pub(crate) table: bool,
    /// Only the forecast.
    pub(crate) forecast: bool,
    /// Only the command of each training that is left, for other machines.
    pub(crate) commands: bool,
    /// Finished cells are run again.
    pub(crate) rerun: bool,
}

impl Options {
    pub(crate) fn read(arguments: &[&str]) -> Result<Self> {
        let mut options = Self {
            seeds: 3,
            ..Self::default()
        };
        let mut words = arguments.iter();
        while let Some(&word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .copied()
                    .with_context(|| format!("{word} needs a value"))
            };
            match word {
                "--table" => options.table = true,
                "--forecast" => options.forecast = true,
                "--commands" => options.commands = true,
                "--rerun" => options.rerun = true,
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
                "--attributes" => options.attributes = Some(value()?.into()),
                "--trunk" => {
                    options.trunk = match value()? {
                        "googlenet" => Trunk::Googlenet,
                        "inception-v3" => Trunk::InceptionV3,
                        other => bail!("--trunk is {other}, must be googlenet or inception-v3"),
                    }
                }
                "--budget" => {
                    let text = value()?;
                    let seconds = duration(text);
                    options.budget = Some(seconds.with_context(|| {
                        format!("--budget is {text}, must be a time such as 90s, 30m or 2h")
                    })?);
                }
                "--seeds" => options.seeds = number(word, value()?)?,
                "--trials" => options.trials = Some(number(word, value()?)? as usize),
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
                    "reproduce has no option {other}; it has --data, --weights, --attributes, --trunk, --device, --budget, \
                     --seeds, --trials, --losses, --forecast, --commands, --rerun and --table"
                ),
                "e2" => bail!("e2 is e1 on the set imagenet-attributes"),
                name => match (Set::of(name), Experiment::of(name)) {
                    (Some(set), _) => options.sets.push(set),
                    (_, Some(experiment)) => options.experiments.push(experiment),
                    (None, None) => bail!(
                        "reproduce knows no {name}; sets are {}, experiments {}",
                        Set::ALL.map(Set::name).join(", "),
                        Experiment::ALL.map(Experiment::name).join(", ")
                    ),
                },
            }
        }
        if options.sets.is_empty() {
            options.sets.push(Set::FashionMini);
        }
        if options.losses.is_empty() {
            options.losses = Loss::ALL.to_vec();
        }
        ensure!(
            !(options.rerun && options.commands),
            "--commands lists what is left, and --rerun would take away what other machines bring: name one of them"
        );
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

    /// The sets that are asked for, with the rest of what was said.
    pub(crate) fn suites(&self) -> Vec<Suite> {
        let suite = |&set: &Set| Suite {
            set,
            trunk: self.trunk,
            data: self.data.clone(),
            weights: self.weights.clone(),
            trials: self.trials.unwrap_or(set.protocol().trials),
            seeds: self.seeds,
            losses: self.losses.clone(),
            attributes: self.attributes.clone(),
        };
        self.sets.iter().map(suite).collect()
    }
}

/// Kinds of devices, which are also the features that have them.
pub(super) const DEVICES: [&str; 5] = ["cpu", "cuda", "wgpu", "vulkan", "remote"];

/// `cuda` of `cuda:1`.
pub(super) fn kind(device: &str) -> &str {
    device.split(':').next().unwrap_or(device)
}

fn number(option: &str, text: &str) -> Result<u64> {
    let number = text
        .parse()
        .with_context(|| format!("{option} is {text}, must be a number"))?;
    ensure!(number > 0, "{option} is 0, must be at least 1");
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_sets_or_experiments_and_the_small_set_is_taken_where_none_is_named() {
        let options =
            Options::read(&["e8", "--losses", "magnet,softmax", "--budget", "30m"]).unwrap();
        assert_eq!(options.sets, [Set::FashionMini]);
        assert_eq!(options.experiments, [Experiment::Ablation]);
        assert_eq!(options.losses, [Loss::Magnet, Loss::Softmax]);
        assert_eq!(options.budget, Some(1800.0));
        assert_eq!(options.feature(), None);
        let with_device = |name| Options::read(&["--device", name]).unwrap();
        assert_eq!(with_device("cuda:1").feature(), Some("cuda"));
        assert_eq!(with_device("cpu").feature(), None);
        let options = Options::read(&["flowers-102", "--seeds", "5"]).unwrap();
        assert_eq!((options.sets, options.seeds), (vec![Set::Flowers102], 5));
    }

    #[test]
    fn a_mistake_is_named_with_what_would_do() {
        let cases: [(&[&str], &str); 9] = [
            (
                &["--device", "gpu"],
                "--device is gpu, must begin with cpu, cuda,",
            ),
            (
                &["--rerun", "--commands"],
                "--commands lists what is left, and --rerun",
            ),
            (
                &["flowers"],
                "reproduce knows no flowers; sets are fashion-mini,",
            ),
            (
                &["--budget", "soon"],
                "--budget is soon, must be a time such as 90s",
            ),
            (&["--seeds", "0"], "--seeds is 0, must be at least 1"),
            (&["--seeds"], "--seeds needs a value"),
            (
                &["--losses", "hinge"],
                "--losses has hinge, there are softmax,",
            ),
            (&["--sedes", "3"], "reproduce has no option --sedes"),
            (&["e2"], "e2 is e1 on the set imagenet-attributes"),
        ];
        for (arguments, expected) in cases {
            let error = Options::read(arguments).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
