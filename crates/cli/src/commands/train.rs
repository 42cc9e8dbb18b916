//! `lodestone train`: from a run file to a trained model and its report.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use lodestone_eval::Report;
use lodestone_files::told;
use lodestone_train::{Lap, Outcome, Places, Precision, RunConfig, TrainError, Trainer, run_file};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::alone;
use crate::args::TrainArguments;
use crate::commands::cache_folder;
use crate::commands::headlines::headlines;
use crate::commands::init::{Suggested, plan};
use crate::commands::open_table::open_table;
use crate::commands::opened::short_hex;
use crate::device::DeviceName;
use crate::output::write_or_go_on;
use crate::progress::Progress;
use crate::run_folder::{Recorder, RunFolder, check_free};
use crate::shell::quoted;

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
        folder: folder.clone(),
        data: arguments.data.clone(),
        device: arguments.device.device.clone(),
        workers: arguments.workers.clone(),
        resume: arguments.resume.is_some(),
        force: arguments.force,
    };
    job.run(progress)?;
    write_or_go_on(&format!("next: lodestone report {}", quoted(&folder)));
    Ok(())
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
    /// Whether the run may take the place of another in its folder.
    pub(crate) force: bool,
}

impl Job {
    /// Trains, and says what it cost. Ctrl-C ends it after its step with [`Interrupted`].
    pub(crate) fn run(self, progress: &mut Progress) -> Result<()> {
        let Self { config, folder, .. } = self;
        let _alone = alone::in_run(&folder, progress)?;
        if !self.resume && !self.force {
            check_free(&folder)?;
        }
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
        let before = self.resume.then_some(folder.as_path());
        let (table, left_out) = open_table(&config.data, root, &places.cache, before, progress)?;
        let left_out = config.data.skip_broken.then_some(left_out);
        let fingerprint = table.fingerprint()?;
        let trainer = Trainer::new(config.clone(), table, places, device)?.sharing_with(workers);
        progress.catch_interrupts()?;
        let names: Vec<String> = std::iter::once(&self.device)
            .chain(&self.workers)
            .map(DeviceName::with_model)
            .collect();
        let name = names.join(" + ");
        let run = RunFolder::begin(&folder, fingerprint, left_out, name, self.resume);
        let mut recorder = Recorder::new(progress, &folder, run);
        let result = if self.resume {
            trainer.resume(&mut recorder)
        } else {
            trainer.run(&mut recorder)
        };
        match result {
            Ok(outcome) if outcome.stopped => {
                recorder.end("interrupted")?;
                Err(Interrupted {
                    step: outcome.steps,
                    folder,
                }
                .into())
            }
            Ok(outcome) => {
                let run = recorder.end("finished")?;
                finish(&config, &folder, &outcome, &run)
            }
            Err(error) => {
                // What went wrong is the error; that it could not be written down as well is not.
                let _ = recorder.end(&told(&error));
                Err(match error {
                    TrainError::Photograph { step, source } => Stopped {
                        step,
                        folder,
                        source,
                    }
                    .into(),
                    error => error.into(),
                })
            }
        }
    }
}

/// The run was stopped by Ctrl-C or by SIGTERM and has saved where it is.
#[derive(Debug, thiserror::Error)]
#[error(
    "interrupted after step {step}; go on with `lodestone train --resume {}`",
    quoted(folder)
)]
pub(crate) struct Interrupted {
    step: usize,
    folder: PathBuf,
}

/// The run ended for want of a photograph and has saved where it is.
#[derive(Debug, thiserror::Error)]
#[error(
    "stopped after step {step}, which is saved: when the photograph is back, go on with `lodestone train --resume {}`",
    quoted(folder)
)]
struct Stopped {
    step: usize,
    folder: PathBuf,
    #[source]
    source: Box<TrainError>,
}

/// The run file, or one that suits the folder, with what the command line says on top.
fn configured(arguments: &TrainArguments, progress: &Progress) -> Result<RunConfig> {
    let mut config: RunConfig = match (&arguments.folder, &arguments.config) {
        (Some(folder), _) => {
            let suggested = Suggested::new(folder, &arguments.wishes, arguments.skip_broken)?;
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
                    "--loss is for a folder; {} already sets the loss: change it with --set loss.kind=…",
                    path.display()
                );
            }
            if let Some(share) = arguments.wishes.unseen {
                anyhow::bail!(
                    "--unseen is for a folder; for {} use --set 'data.unseen={{share={share}}}'",
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

fn default_folder(arguments: &TrainArguments, config: &RunConfig) -> PathBuf {
    let wishes = &arguments.wishes;
    let mut changes = arguments.overrides.clone();
    changes.extend(wishes.loss.map(|loss| format!("--loss {loss:?}")));
    changes.extend(
        wishes
            .weights
            .as_ref()
            .map(|file| format!("--weights {}", file.display())),
    );
    changes.extend(wishes.unseen.map(|share| format!("--unseen {share}")));
    changes.extend(arguments.partial.then(|| "--partial".to_owned()));
    changes.extend(arguments.skip_broken.then(|| "--skip-broken".to_owned()));
    let named = arguments.folder.as_deref().or(arguments.config.as_deref());
    folder_of(config, named, &format!("seed{}", config.seed), &changes)
}

/// `runs/SET-FILE-ENDING`, and a mark of what the command line changes of the file's settings: runs that differ in one of them do
/// not meet.
pub(crate) fn folder_of(
    config: &RunConfig,
    file: Option<&Path>,
    ending: &str,
    changes: &[String],
) -> PathBuf {
    let file = file.and_then(Path::file_stem).unwrap_or_default();
    let mut name = format!(
        "{}-{}-{ending}",
        config.data.set.name(),
        file.to_string_lossy()
    );
    // The seed stands in the name.
    let changes: Vec<&str> = changes
        .iter()
        .map(String::as_str)
        .filter(|change| !change.starts_with("seed="))
        .collect();
    if !changes.is_empty() {
        let mark = short_hex(&Sha256::digest(changes.join("\n")));
        name += &format!("-{}", &mark[..8]);
    }
    Path::new("runs").join(name)
}

/// What a run cost over all its sittings, beside its report.
#[derive(Debug, Serialize)]
struct Cost {
    steps: usize,
    images: usize,
    seconds: f64,
    /// Starts of the program.
    sittings: usize,
    /// The most that one of them had.
    peak_memory_bytes: Option<u64>,
    /// Share of the training time of each part of a step.
    shares: BTreeMap<&'static str, f64>,
}

fn finish(config: &RunConfig, folder: &Path, outcome: &Outcome, run: &RunFolder) -> Result<()> {
    let shares = Lap::ALL.map(|lap| (lap.name(), outcome.times.share(lap)));
    let cost = Cost {
        steps: outcome.steps,
        images: outcome.images,
        seconds: run.seconds(),
        sittings: run.sittings.len(),
        peak_memory_bytes: run.peak_memory(),
        shares: shares.into_iter().collect(),
    };
    let text = serde_json::to_string_pretty(&cost)?;
    lodestone_files::write_whole(&folder.join("cost.json"), |file| writeln!(file, "{text}"))?;
    let percent = |lap| 100.0 * outcome.times.share(lap);
    let refresh = if config.sampler.needs_index() {
        format!("{:.1} % on the cluster index, ", percent(Lap::Refresh))
    } else {
        String::new()
    };
    let mut said = format!(
        "{} images in {} steps, {} ({refresh}{:.1} % waiting for images); everything is in {}",
        cost.images,
        cost.steps,
        run.cost().unwrap_or_default(),
        percent(Lap::Wait),
        folder.display()
    );
    if let Some(report) = &outcome.report {
        said += "\n";
        said += &summary(report);
    }
    write_or_go_on(&said);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_different_settings_have_different_folders() {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/fashion-mini/magnet.toml");
        let named = |changes: &[&str]| {
            let changes: Vec<String> = changes.iter().map(|&text| text.to_owned()).collect();
            let config: RunConfig = run_file::read(&file, &changes).unwrap();
            let ending = format!("seed{}", config.seed);
            folder_of(&config, Some(&file), &ending, &changes)
        };
        assert_eq!(named(&[]), Path::new("runs/fashion-mini-magnet-seed0"));
        assert_eq!(
            named(&["seed=2"]),
            Path::new("runs/fashion-mini-magnet-seed2")
        );
        let folders = [
            named(&[]),
            named(&["loss.gap=4"]),
            named(&["loss.gap=5"]),
            named(&["loss.gap=4", "train.images=96"]),
        ];
        for (place, folder) in folders.iter().enumerate() {
            assert!(!folders[..place].contains(folder), "{}", folder.display());
        }
        assert_eq!(named(&["loss.gap=4"]), folders[1]);
    }
}
