//! The best model so far by the watched metric of the validation images.

use std::path::Path;

use crate::error::TrainError;
use crate::evaluate::headline;
use crate::judging::{Judge, Judgement};
use crate::learner::Learner;
use crate::observer::{Event, Observer};
use crate::state::State;

/// Value of the watched metric, and whether it is the best so far, which is then kept as a model file in folder `run`.
///
/// # Errors
/// If the report lacks the watched metric, or the file cannot be written.
pub(crate) fn keep_best(
    judge: &Judge,
    run: &Path,
    judgement: &Judgement,
    learner: &Learner,
    state: &mut State,
    observer: &mut dyn Observer,
) -> Result<Option<(f64, bool)>, TrainError> {
    let (config, parts) = (judge.config, judge.parts);
    let own = || headline(Some(config.loss.class_rule()));
    let metric = config.train.watch.clone().unwrap_or_else(own);
    let measures = &judgement.report.measures;
    let Some(measure) = measures.get(&metric) else {
        let known: Vec<&str> = measures.keys().map(String::as_str).collect();
        let reason = format!(
            "train.watch is {metric}, which the report does not have; it has {}",
            known.join(", ")
        );
        return Err(TrainError::Setting { reason });
    };
    let Some(value) = measure.value else {
        return Ok(None);
    };
    let falls = metric.contains("error");
    let better = |best: f64| if falls { value < best } else { value > best };
    let best = state.best.is_none_or(|(best, _)| better(best));
    state.since_best += 1;
    if best {
        state.best = Some((value, state.step));
        state.since_best = 0;
        learner
            .model(config, parts)
            .write(&run.join("best.safetensors"))?;
    }
    observer.on(Event::Validated {
        step: state.step,
        metric: &metric,
        value,
        best,
    });
    Ok(Some((value, best)))
}
