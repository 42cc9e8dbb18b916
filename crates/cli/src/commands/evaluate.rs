//! `lodestone evaluate`: a finished run, or a frozen trunk, judged on its test images.

use anyhow::{Context, Result};
use lodestone_eval::Report;
use lodestone_train::{Places, RunConfig, Trainer, run_file};

use crate::args::EvaluateArguments;
use crate::commands::cache_folder;
use crate::progress::Progress;

/// Runs the command.
pub(crate) fn run(arguments: &EvaluateArguments, progress: &mut Progress) -> Result<()> {
    let device = arguments.device.device.open()?;
    let file = match (&arguments.run, &arguments.config) {
        (Some(run), _) => run.join("run.toml"),
        (None, Some(config)) => config.clone(),
        (None, None) => anyhow::bail!("name a run, or --frozen with --config"),
    };
    let mut config: RunConfig = run_file::read(&file, &arguments.overrides)?;
    if let Some(weights) = &arguments.weights {
        config.model.weights = Some(weights.clone());
    }
    if let Some(root) = &arguments.data {
        config.data.dataset_root = Some(root.clone());
    }
    let table = config.data.set.open(config.data.dataset_root.as_deref())?;
    let folder = arguments
        .run
        .clone()
        .unwrap_or_else(|| "runs/frozen".into());
    let places = Places {
        cache: cache_folder(&folder),
        run: folder,
    };
    let trainer = Trainer::new(config, table, places, device)?;
    let report = if arguments.frozen {
        trainer.judge_features(progress)?
    } else {
        trainer
            .judge_finished(progress)
            .context("only a finished run can be evaluated")?
    };
    print(&report, arguments.json);
    Ok(())
}

fn print(report: &Report, json: bool) {
    if json {
        println!("{}", report.to_json());
    } else {
        println!("{}", report.to_markdown());
    }
}
