//! `lodestone pretrain`: the network of a run file trained as a classifier, to start another loss from.
//!
//! Rippel et al. start magnet from three epochs of softmax on ImageNet. Everything that decides what the network sees stays
//! as the run file says: data, views, network, optimiser. Loss, plan and schedule are a classifier's.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use lodestone_losses::{LossConfig, SoftmaxLossConfig};
use lodestone_models::{HeadInitialisation, HeadKind};
use lodestone_sampling::{IndexConfig, PlanConfig, ShuffledConfig};
use lodestone_train::{AnnealingConfig, Parts, RunConfig, ScheduleConfig, TrainConfig, run_file};

use crate::args::PretrainArguments;
use crate::commands::train::{Job, folder_of};
use crate::output::write_or_go_on;
use crate::progress::Progress;
use crate::shell::quoted;

/// Runs the command.
pub(crate) fn run(arguments: &PretrainArguments, progress: &mut Progress) -> Result<()> {
    let (config, folder) = match &arguments.resume {
        Some(folder) => (
            run_file::read::<RunConfig>(&folder.join("run.toml"), &[])?,
            folder.clone(),
        ),
        None => {
            let config = classifier(arguments)?;
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
        workers: Vec::new(),
        resume: arguments.resume.is_some(),
        force: arguments.force,
    };
    job.run(progress)?;
    write_or_go_on(&format!(
        "start from it with `lodestone train --weights {}`",
        quoted(&folder.join("model.safetensors"))
    ));
    Ok(())
}

/// The run file with a classifier's loss, plan and schedule.
fn classifier(arguments: &PretrainArguments) -> Result<RunConfig> {
    let path = arguments
        .config
        .as_deref()
        .context("--config names no run file")?;
    if arguments.epochs == 0 {
        bail!("--epochs is 0, must be at least 1");
    }
    let mut config: RunConfig = run_file::read(path, &arguments.overrides)?;
    if let Some(weights) = &arguments.weights {
        config.model.weights = Some(weights.clone());
    }
    if let Some(root) = &arguments.data {
        config.data.dataset_root = Some(root.clone());
    }
    config.loss = LossConfig::Softmax(SoftmaxLossConfig::default());
    config.sampler = PlanConfig::Shuffled(ShuffledConfig {
        batch_size: arguments.batch,
        ..ShuffledConfig::default()
    });
    config.index = IndexConfig::default();
    // A classifier's logits need their length, and a hidden layer of the head is none of the trunk.
    config.model.head.normalise = false;
    config.model.head.kind = HeadKind::Linear;
    config.model.head.initialise = HeadInitialisation::Uniform;
    config.model.calibrate_head = false;
    config.schedule = ScheduleConfig {
        annealing: AnnealingConfig::Constant,
        ..config.schedule
    };
    let table = config.data.set.open(config.data.dataset_root.as_deref())?;
    let images = Parts::new(&table, &config)?.train.len();
    config.train = TrainConfig {
        images: arguments.epochs * images,
        watch: None,
        ..config.train
    };
    Ok(config)
}

fn default_folder(arguments: &PretrainArguments, config: &RunConfig) -> PathBuf {
    let mut changes = arguments.overrides.clone();
    changes.push(format!(
        "--epochs {} --batch {}",
        arguments.epochs, arguments.batch
    ));
    changes.extend(
        arguments
            .weights
            .as_ref()
            .map(|file| format!("--weights {}", file.display())),
    );
    let ending = format!("pretrain-seed{}", config.seed);
    folder_of(config, arguments.config.as_deref(), &ending, &changes)
}
