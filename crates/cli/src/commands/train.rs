//! `lodestone train`: from a run file to a trained model and its report.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use lodestone_eval::Report;
use lodestone_train::{Lap, Observer, Outcome, Places, Precision, RunConfig, Trainer, run_file};
use serde::Serialize;

use crate::args::TrainArguments;
use crate::commands::cache_folder;
use crate::commands::headlines::headlines;
use crate::commands::init::{Suggested, plan};
use crate::commands::open_table::open_table;
use crate::device::DeviceName;
use crate::progress::Progress;
use crate::resources::peak_memory;
use crate::run_folder::{Before, RunFolder};

/// Runs the command.
pub(crate) fn run(arguments: &TrainArguments, progress: &mut Progress) -> Result<()> {
    let (config, folder) = match &arguments.resume {
        Some(folder) => (
            run_file::read::<RunConfig>(&folder.join("run.toml"), &[])?,
            folder.clone(),
        ),
        None => {
            let config = configured(arguments, progress)?;
            let folder = arguments
                .out
                .clone()
                .unwrap_or_else(|| default_folder(arguments, &config));
            (config, folder)
        }
    };
    let job = Job {
        config,
        folder,
        data: arguments.data.clone(),
        device: arguments.device.device.clone(),
        workers: arguments.workers.clone(),
        resume: arguments.resume.is_some(),
    };
    job.run(progress)
}

/// A run that is all settled.
pub(crate) struct Job {
    pub(crate) config: RunConfig,
    pub(crate) folder: PathBuf,
    /// Where the data set lies, if not where the run file says.
    pub(crate) data: Option<PathBuf>,
    pub(crate) device: DeviceName,
    /// Devices that share each batch with it.
    pub(crate) workers: Vec<DeviceName>,
    pub(crate) resume: bool,
}

impl Job {
    /// Trains, and says what it cost. Ctrl-C ends it after its step with [`Interrupted`].
    pub(crate) fn run(self, progress: &mut Progress) -> Result<()> {
        let Self { config, folder, .. } = self;
        let device = if self.resume {
            self.device.open_to_resume()?
        } else {
            self.device.open()?
        };
        let workers: Result<Vec<_>> = self.workers.iter().map(DeviceName::open).collect();
        let workers = workers?;
        if let Some(hint) = self.device.hint() {
            progress.note(hint);
        }
        let precision = config.model.precision;
        if precision != Precision::F32 && self.device.is_cpu() {
            progress.note(&format!(
                "model.precision is {}, which on the cpu saves neither time nor memory",
                precision.name()
            ));
        }
        let root = self.data.as_deref().or(config.data.dataset_root.as_deref());
        let places = Places {
            cache: cache_folder(&folder),
            run: folder.clone(),
        };
        let table = open_table(&config.data, root, &places.cache, progress)?;
        let fingerprint = table.fingerprint()?;
        let trainer = Trainer::new(config.clone(), table, places, device)?.sharing_with(workers);
        progress.catch_interrupts()?;
        let names: Vec<String> = std::iter::once(&self.device)
            .chain(&self.workers)
            .map(DeviceName::with_model)
            .collect();
        let name = names.join(" + ");
        let before = Before::read(&folder);
        let record = RunFolder::begin(&folder, fingerprint, name, self.resume)?;
        let start = progress.elapsed();
        let result = if self.resume {
            trainer.resume(progress)
        } else {
            trainer.run(progress)
        };
        match result {
            Ok(outcome) if outcome.stopped => {
                record.end(&folder, "interrupted")?;
                Err(Interrupted {
                    step: outcome.steps,
                    folder,
                }
                .into())
            }
            Ok(outcome) => {
                finish(&config, &folder, &outcome, progress.elapsed() - start)?;
                record.end(&folder, "finished")
            }
            Err(error) => {
                record.failed(&folder, &error.to_string(), self.resume, &before);
                Err(error.into())
            }
        }
    }
}

/// The run was stopped by Ctrl-C or by SIGTERM and has saved where it is.
#[derive(Debug, thiserror::Error)]
#[error("interrupted after step {step}; go on with `lodestone train --resume {}`", folder.display())]
pub(crate) struct Interrupted {
    step: usize,
    folder: PathBuf,
}

/// The run file, or one that suits the folder, with what the command line says on top.
fn configured(arguments: &TrainArguments, progress: &Progress) -> Result<RunConfig> {
    let mut config: RunConfig = match (&arguments.folder, &arguments.config) {
        (Some(folder), _) => {
            let suggested = Suggested::new(folder, &arguments.wishes)?;
            progress.note(&suggested.found());
            for hint in suggested.hints() {
                progress.note(&hint);
            }
            let config = suggested.config(&arguments.overrides)?;
            progress.note(&plan(&config));
            config
        }
        (None, Some(path)) => {
            if arguments.wishes.loss.is_some() {
                anyhow::bail!(
                    "--loss is for a folder; the loss of {} is its own: --set loss.kind=…",
                    path.display()
                );
            }
            run_file::read(path, &arguments.overrides)?
        }
        (None, None) => anyhow::bail!("name a folder of photographs, or a run file with --config"),
    };
    if let Some(weights) = &arguments.wishes.weights {
        config.model.weights = Some(weights.clone());
    }
    config.model.partial_weights |= arguments.partial;
    config.data.skip_broken |= arguments.skip_broken;
    if let Some(root) = &arguments.data {
        config.data.dataset_root = Some(root.clone());
    }
    Ok(config)
}

/// `runs/SET-FILE-SEED`, so that runs of different files and seeds do not meet.
fn default_folder(arguments: &TrainArguments, config: &RunConfig) -> PathBuf {
    let named = arguments.folder.as_deref().or(arguments.config.as_deref());
    let file = named.and_then(Path::file_stem).unwrap_or_default();
    let name = format!(
        "{}-{}-seed{}",
        config.data.set.name(),
        file.to_string_lossy(),
        config.seed
    );
    Path::new("runs").join(name)
}

/// What a run cost, beside its report.
#[derive(Debug, Serialize)]
struct Cost {
    steps: usize,
    images: usize,
    seconds: f64,
    peak_memory_bytes: Option<u64>,
    /// Share of the training time of each part of a step, over this sitting.
    shares: BTreeMap<&'static str, f64>,
}

fn finish(config: &RunConfig, folder: &Path, outcome: &Outcome, time: Duration) -> Result<()> {
    let shares = Lap::ALL.map(|lap| (lap.name(), outcome.times.share(lap)));
    let cost = Cost {
        steps: outcome.steps,
        images: outcome.images,
        seconds: time.as_secs_f64(),
        peak_memory_bytes: peak_memory(),
        shares: shares.into_iter().collect(),
    };
    let text = serde_json::to_string_pretty(&cost)?;
    lodestone_files::write_whole(&folder.join("cost.json"), |file| writeln!(file, "{text}"))?;
    let memory = cost.peak_memory_bytes.map_or_else(String::new, |bytes| {
        format!(", at most {:.0} MB of memory", bytes as f64 / 1e6)
    });
    let percent = |lap| 100.0 * outcome.times.share(lap);
    let refresh = if config.sampler.needs_index() {
        format!("{:.1} % on the cluster index, ", percent(Lap::Refresh))
    } else {
        String::new()
    };
    println!(
        "{} images in {} steps, {:.0} s ({refresh}{:.1} % waiting for images){memory}; everything is in {}",
        cost.images,
        cost.steps,
        cost.seconds,
        percent(Lap::Wait),
        folder.display()
    );
    if let Some(report) = &outcome.report {
        println!("{}", summary(report));
    }
    Ok(())
}

/// The numbers that the run is about, in one line.
fn summary(report: &Report) -> String {
    let part = report.notes.get("part").map_or("test", String::as_str);
    let numbers: Vec<String> = headlines(report)
        .into_iter()
        .map(|(key, value)| format!("{key}: {value}"))
        .collect();
    format!(
        "{part} {} of {}",
        numbers.join(", "),
        report.setting.queries
    )
}
