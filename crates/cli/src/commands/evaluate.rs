//! `lodestone evaluate`: a finished run, a frozen trunk, or embedding files.

mod divided;
mod files;
mod matrix;
mod parts;
mod questions;
mod sides;

pub(crate) use self::matrix::Matrix;

use std::path::Path;

use anyhow::{Result, ensure};
use lodestone_eval::{Report, Retrieval, RetrievalPart};
use lodestone_models::{HeadInitialisation, HeadKind, ModelDescription, WeightFile};
use lodestone_train::{
    KEPT, ModelConfig, Places, RunConfig, Trainer, is_outcomes, report_of_kept, run_file,
};

use crate::args::EvaluateArguments;
use crate::commands::cache_folder;
use crate::commands::open_table::open_table;
use crate::commands::opened::{model_file, weight_file};
use crate::overwrite;
use crate::progress::Progress;

/// Runs the command.
pub(crate) fn run(arguments: &EvaluateArguments, progress: &mut Progress) -> Result<()> {
    // Told before hours of ranking.
    check_outputs(arguments)?;
    let asks = arguments.files.asks();
    let report = match &arguments.files.embeddings {
        Some(folder) if folder.is_dir() => {
            ensure!(
                !asks && arguments.files.mode.is_none(),
                "{} is a folder, whose report is fixed: for other questions name its file, --embeddings {}",
                folder.display(),
                folder.join("queries.npy").display()
            );
            report_of_kept(folder)?
        }
        Some(_) => {
            let name = &arguments.device.device;
            let on_cpu = name.to_string().starts_with("cpu");
            match files::report(&arguments.files, &name.open()?, on_cpu, progress)? {
                Some(report) => report,
                None => return Ok(()),
            }
        }
        None => {
            ensure!(
                !asks,
                "a run is judged as its run file says; for other questions keep its embeddings (--save-embeddings kept) and ask \
                 those: --embeddings kept/queries.npy --gallery kept/gallery.npy"
            );
            of_run(arguments, progress)?
        }
    };
    if let Some(folder) = &arguments.out {
        save(&report, folder)?;
    }
    if arguments.json {
        outln!("{}", report.to_json())?;
    } else {
        outln!("{}", report.to_markdown())?;
    }
    Ok(())
}

/// Refuses to write over what is none of the files that the same options write.
fn check_outputs(arguments: &EvaluateArguments) -> Result<()> {
    let (force, files) = (arguments.force, &arguments.files);
    if let Some(file) = &files.shown.per_query {
        let is_one = match files.embeddings {
            Some(_) => Retrieval::is_csv,
            None => is_outcomes,
        };
        overwrite::check(file, force, is_one)?;
    }
    if files.shard.is_some() {
        for file in &files.scores {
            overwrite::check(file, force, |file| RetrievalPart::read(file).is_ok())?;
        }
    }
    if let Some(folder) = &arguments.out {
        let report = std::fs::read(folder.join("report.json")).unwrap_or_default();
        let is_one = serde_json::from_slice::<Report>(&report).is_ok();
        for name in ["report.json", "report.md"] {
            overwrite::check(&folder.join(name), force, |_| is_one)?;
        }
    }
    if let Some(folder) = &arguments.save_embeddings {
        let is_one = folder.join(KEPT[0]).is_file();
        for name in KEPT {
            overwrite::check(&folder.join(name), force, |_| is_one)?;
        }
    }
    Ok(())
}

/// Judges a finished run or a frozen trunk on the test images of its run file, or on those of validation where it has none.
fn of_run(arguments: &EvaluateArguments, progress: &mut Progress) -> Result<Report> {
    let device = arguments.device.device.open()?;
    let file = match (&arguments.run, &arguments.config) {
        (Some(run), _) => run.join("run.toml"),
        (None, Some(config)) => config.clone(),
        (None, None) => anyhow::bail!("name a run, or --frozen with --config"),
    };
    let mut config: RunConfig = run_file::read(&file, &arguments.overrides)?;
    if let Some(weights) = &arguments.weights {
        config.model.weights = Some(model_file(weights));
        if arguments.frozen {
            frozen_as(&mut config.model, &weight_file(weights)?)?;
        }
    }
    config.model.partial_weights |= arguments.partial;
    if let Some(mode) = arguments.files.mode {
        config.evaluation.mode = Some(mode.mode());
    }
    if let Some(root) = &arguments.data {
        config.data.dataset_root = Some(root.clone());
    }
    let folder = arguments
        .run
        .clone()
        .unwrap_or_else(|| "runs/frozen".into());
    let places = Places {
        cache: cache_folder(&folder),
        run: folder,
    };
    let root = config.data.dataset_root.as_deref();
    let run = arguments.run.as_deref();
    let (table, _) = open_table(&config.data, root, &places.cache, run, progress)?;
    let mut trainer = Trainer::new(config, table, places, device)?;
    if let Some(folder) = &arguments.save_embeddings {
        trainer = trainer.keeping(folder.clone());
    }
    if let Some(file) = &arguments.files.shown.per_query {
        trainer = trainer.telling_outcomes(file.clone());
    }
    if arguments.frozen {
        Ok(trainer.judge_features(progress)?)
    } else {
        Ok(trainer.judge_finished(progress)?)
    }
}

/// The trunk of weights in place of that of a run file: that of a model file, or the one whose names the tensors have. Names that
/// nobody knows are left to the run file's network.
fn frozen_as(model: &mut ModelConfig, weights: &WeightFile) -> Result<()> {
    let of_file = match ModelDescription::is_in(weights) {
        true => ModelDescription::from_metadata(weights)?,
        false => match ModelDescription::of_weights(weights) {
            Ok(of_file) if of_file.embedder.network.name() != model.network.name() => of_file,
            // What a run file says of the same network beyond its names stays.
            _ => return Ok(()),
        },
    };
    if of_file.embedder.network != model.network {
        // A stage, a cache and classifiers of another network.
        model.freeze_until = None;
        model.frozen_views = 0;
        model.auxiliary = None;
        model.network = of_file.embedder.network;
    }
    model.image_size = Some(of_file.preprocessing.crop);
    // Layers that the file has beside the last one must have their place, though features are taken before them.
    let kind = of_file.embedder.head.kind;
    if matches!(kind, HeadKind::LinearNorm | HeadKind::Mlp) && kind != model.head.kind {
        model.head.kind = kind;
        model.head.initialise = HeadInitialisation::Uniform;
    }
    if model.head.kind == HeadKind::Features {
        model.head.embedding_size = model.network.feature_size();
    }
    Ok(())
}

fn save(report: &Report, folder: &Path) -> Result<()> {
    report.write_json(&folder.join("report.json"))?;
    let text = report.to_markdown();
    lodestone_files::write_whole(&folder.join("report.md"), |file| {
        file.write_all(text.as_bytes())
    })?;
    Ok(())
}
