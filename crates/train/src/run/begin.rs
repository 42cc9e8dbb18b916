//! What comes before the first step: classes and plan, checked against each other, and the folder of the run.

use lodestone_losses::{LossConfig, OwnMean};
use lodestone_sampling::{Classes, Plan, PlanConfig, SmallGroups};

use crate::config::run_config::RunConfig;
use crate::error::TrainError;
use crate::input::parts::Parts;
use crate::learn::learner::Learner;
use crate::record::observer::{Event, Observer};
use crate::record::results;
use crate::record::run_log::RunLog;
use crate::run::checkpoint::{CheckpointFolder, Saved};
use crate::run::save::{load, load_state};
use crate::run::setup::Setup;
use crate::run::state::State;
use crate::run::trainer::Trainer;

/// The classes of the training rows; what of the table is not trained on is told.
///
/// # Errors
/// If there is one class only.
pub(crate) fn training_classes(
    parts: &Parts,
    observer: &mut dyn Observer,
) -> Result<Classes, TrainError> {
    let names = parts.training_class_names();
    let classes = Classes::named(&parts.labels(&parts.train), names.to_vec())?;
    if let Some(sentence) = parts.sentence() {
        observer.on(Event::Note(&sentence));
    }
    match names {
        [name] => Err(TrainError::Setting {
            reason: format!("all training images are of one class, {name}: a loss needs two"),
        }),
        _ => Ok(classes),
    }
}

/// The plan of the batches, if these classes can fill them.
///
/// # Errors
/// The setting that they cannot meet.
pub(crate) fn checked_plan(
    config: &RunConfig,
    parts: &Parts,
    classes: &Classes,
) -> Result<Plan, TrainError> {
    let plan = config.sampler.init(classes, config.seed)?;
    check_groups(config, classes, parts.class_names())?;
    if config.sampler.needs_index() {
        config.index.check(classes)?;
        plan.check_settings(&config.index)?;
    }
    Ok(plan)
}

/// Refuses batches with one image of a class where the own mean is that of a cluster's other examples. What needs no photograph to
/// be seen, [`RunConfig::validate`] and the plan have refused.
fn check_groups(config: &RunConfig, classes: &Classes, names: &[String]) -> Result<(), TrainError> {
    let short = match &config.sampler {
        PlanConfig::PerClass(plan) => plan.small_classes == SmallGroups::Short,
        PlanConfig::HardClasses(plan) => plan.small_classes == SmallGroups::Short,
        // Plans by clusters never draw one of a single member; the others are none that this loss takes.
        PlanConfig::Neighbourhood(_)
        | PlanConfig::Importance(_)
        | PlanConfig::Union(_)
        | PlanConfig::Shuffled(_)
        | PlanConfig::Balanced(_) => false,
    };
    let leaves_out = match &config.loss {
        LossConfig::Magnet(magnet) => magnet.own_mean == OwnMean::LeaveOneOut,
        _ => false,
    };
    let alone = (0..classes.len()).find(|&class| classes.members(class).len() < 2);
    match alone.filter(|_| short && leaves_out) {
        Some(class) => Err(TrainError::Setting {
            reason: format!(
                "loss.own_mean is leave_one_out, which needs two images of each cluster, but {} has one training image and \
                 sampler.small_classes is short: set it to skip",
                names[class]
            ),
        }),
        None => Ok(()),
    }
}

/// The run that a checkpoint holds, whose network goes into `setup`.
///
/// # Errors
/// If it is damaged, or of other settings or other data than `fresh`.
pub(crate) fn resume(
    mut saved: Saved,
    fresh: &State,
    setup: &mut Setup,
    config: &RunConfig,
    checkpoints: &CheckpointFolder,
) -> Result<(State, Learner), TrainError> {
    let state = load_state(&mut saved, checkpoints)?;
    state.check(fresh)?;
    let learner = load(saved, setup.learner(config), config, checkpoints)?;
    setup.embedder = learner.embedder.clone();
    Ok((state, learner))
}

impl Trainer {
    /// Makes the folder that of this run, whose first step is made: what an earlier run left goes, settings and logs come.
    pub(crate) fn take_folder(&self, observer: &mut dyn Observer) -> Result<RunLog, TrainError> {
        let run = &self.places.run;
        self.checkpoints().clear()?;
        results::remove(run)?;
        let text = toml::to_string(&self.config).unwrap_or_default();
        lodestone_files::write_whole(&run.join("run.toml"), |file| {
            file.write_all(text.as_bytes())
        })?;
        let log = RunLog::open(run, None, observer)?;
        observer.on(Event::Begun);
        Ok(log)
    }

    /// The logs of a run that goes on, without what came after its checkpoint.
    pub(crate) fn reopen_folder(
        &self,
        state: &State,
        observer: &mut dyn Observer,
    ) -> Result<RunLog, TrainError> {
        self.checkpoints().sweep();
        let log = RunLog::open(&self.places.run, Some(state), observer)?;
        observer.on(Event::Begun);
        Ok(log)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::small_config;

    #[test]
    fn a_class_of_one_image_is_refused_where_the_own_mean_leaves_one_out() {
        let names = ["Coat", "Bag"].map(String::from);
        let classes = Classes::named(&[0, 0, 0, 1], names.to_vec()).unwrap();
        let checked = |loss: &str, kind: &str, small: &str| {
            let config = small_config(&[
                &format!("loss={{kind=\"magnet\",own_mean=\"{loss}\"}}"),
                &format!("sampler={{kind=\"{kind}\",small_classes=\"{small}\"}}"),
            ]);
            check_groups(&config, &classes, &names).map_err(|error| error.to_string())
        };
        for kind in ["per-class", "hard-classes"] {
            let error = checked("leave_one_out", kind, "short").unwrap_err();
            for part in [
                "loss.own_mean is leave_one_out",
                "Bag has one",
                "small_classes is short",
            ] {
                assert!(error.contains(part), "{error}");
            }
            // Copies of the image, or no batch with it.
            for (loss, small) in [
                ("leave_one_out", "replace"),
                ("leave_one_out", "skip"),
                ("plain", "short"),
            ] {
                assert_eq!(checked(loss, kind, small), Ok(()));
            }
        }
    }
}
