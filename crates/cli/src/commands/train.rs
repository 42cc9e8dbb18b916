//! `lodestone train`: from a run file to a trained model and its report.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use lodestone_eval::Report;
use lodestone_train::{Observer, Outcome, Places, RunConfig, Trainer, headline, run_file};
use serde::Serialize;

use crate::args::TrainArguments;
use crate::commands::cache_folder;
use crate::progress::Progress;
use crate::resources::peak_memory;

/// Runs the command.
pub(crate) fn run(arguments: &TrainArguments, progress: &mut Progress) -> Result<()> {
    let device = arguments.device.device.open()?;
    let (config, folder) = match &arguments.resume {
        Some(folder) => (
            run_file::read::<RunConfig>(&folder.join("run.toml"), &[])?,
            folder.clone(),
        ),
        None => {
            let config = configured(arguments)?;
            let folder = arguments
                .out
                .clone()
                .unwrap_or_else(|| default_folder(arguments, &config));
            (config, folder)
        }
    };
    let root = arguments
        .data
        .as_deref()
        .or(config.data.dataset_root.as_deref());
    let table = config.data.set.open(root)?;
    let places = Places {
        cache: cache_folder(&folder),
        run: folder.clone(),
    };
    let trainer = Trainer::new(config.clone(), table, places, device)?;
    let start = progress.elapsed();
    let outcome = if arguments.resume.is_some() {
        trainer.resume(progress)?
    } else {
        trainer.run(progress)?
    };
    finish(&config, &folder, &outcome, progress.elapsed() - start)
}

/// The run file with what the command line says on top.
pub(crate) fn configured(arguments: &TrainArguments) -> Result<RunConfig> {
    let path = arguments
        .config
        .as_deref()
        .context("--config names no run file")?;
    let mut config: RunConfig = run_file::read(path, &arguments.overrides)?;
    if let Some(weights) = &arguments.weights {
        config.model.weights = Some(weights.clone());
    }
    if let Some(root) = &arguments.data {
        config.data.dataset_root = Some(root.clone());
    }
    Ok(config)
}

/// `runs/SET-FILE-SEED`, so that runs of different files and seeds do not meet.
fn default_folder(arguments: &TrainArguments, config: &RunConfig) -> PathBuf {
    let file = arguments
        .config
        .as_deref()
        .and_then(Path::file_stem)
        .unwrap_or_default();
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
}

fn finish(config: &RunConfig, folder: &Path, outcome: &Outcome, time: Duration) -> Result<()> {
    let cost = Cost {
        steps: outcome.steps,
        images: outcome.images,
        seconds: time.as_secs_f64(),
        peak_memory_bytes: peak_memory(),
    };
    let text = serde_json::to_string_pretty(&cost)?;
    lodestone_files::write_whole(&folder.join("cost.json"), |file| writeln!(file, "{text}"))?;
    let memory = cost.peak_memory_bytes.map_or_else(String::new, |bytes| {
        format!(", at most {:.0} MB of memory", bytes as f64 / 1e6)
    });
    println!(
        "{} images in {} steps, {:.0} s{memory}; everything is in {}",
        cost.images,
        cost.steps,
        cost.seconds,
        folder.display()
    );
    if let Some(report) = &outcome.report {
        println!(
            "{}",
            summary(report, &headline(Some(config.loss.class_rule())))
        );
    }
    Ok(())
}

/// The number that the run is about, in one line.
fn summary(report: &Report, key: &str) -> String {
    match report
        .measures
        .get(key)
        .and_then(|measure| Some((measure.value?, measure.count)))
    {
        Some((value, count)) => format!("test {key}: {:.2} % of {count}", 100.0 * value),
        None => format!("test {key}: absent"),
    }
}
