//! What comes after the last step: the model file, and the report on images that were held out.

use lodestone_data::Split;
use lodestone_eval::Report;

use crate::error::TrainError;
use crate::input::left_out::LeftOut;
use crate::input::source::EvaluationSource;
use crate::judge::judging::{Judge, note_receipt};
use crate::judge::outcomes;
use crate::record::observer::{Event, Observer};
use crate::record::results;
use crate::run::context::{Ended, Run};
use crate::run::stopping::Ending;

/// Writes the trained model and judges it on `held_out`.
///
/// # Errors
/// If an image is broken or a file cannot be written.
pub(crate) fn finish(
    run: &Run<'_>,
    ended: Ended,
    held_out: Option<Split>,
    evaluation: &mut EvaluationSource,
    left_out: &mut LeftOut,
    observer: &mut dyn Observer,
) -> Result<Option<Report>, TrainError> {
    let Ended {
        state,
        learner,
        mut log,
        latest,
        ..
    } = ended;
    let (config, folder, step) = (run.config, &run.trainer.places.run, state.step);
    if let Some(ending) = Ending::of(&state, &config.train).filter(|&end| end != Ending::Images) {
        observer.on(Event::Note(&format!("ended after step {step}: {ending}")));
    }
    let model = learner.model(config, run.parts);
    model.write(&folder.join("model.safetensors"))?;
    let mut finished = None;
    if let Some(part) = held_out {
        let judged_already = latest.filter(|it| part == Split::Validation && it.step == step);
        let (mut report, outcomes) = match judged_already {
            Some(found) => (found.report, found.outcomes),
            None => {
                // Of these weights others will ask for the embeddings: reports, clusters, indices.
                let judge = Judge {
                    cache: Some(&run.trainer.places.cache),
                    ..run.judge
                };
                let judgement = judge.judge(&learner, &state, part, evaluation, observer);
                let judgement = judgement.map_err(|error| at_step(step, error))?;
                let tag = format!("neighbours/{}", part.name());
                log.image(step + 1, &tag, judgement.strip, observer)?;
                log.judged(step, &judgement.report, observer);
                (judgement.report, judgement.outcomes)
            }
        };
        if config.train.receipts {
            note_receipt(&mut report, &state.last_receipt());
        }
        left_out.tell(run.loader, observer);
        report.warnings.extend(left_out.notices());
        report.write_json(&folder.join("report.json"))?;
        let text = report.to_markdown();
        lodestone_files::write_whole(&folder.join("report.md"), |file| {
            file.write_all(text.as_bytes())
        })?;
        outcomes::write(&folder.join(results::OUTCOMES), &outcomes)?;
        finished = Some(report);
    }
    observer.on(Event::Note(&log.health.line()));
    log.flush()?;
    Ok(finished)
}

/// An error about photographs, with the step that the run had reached.
pub(crate) fn at_step(step: usize, error: TrainError) -> TrainError {
    match error.is_of_photographs() {
        true => TrainError::Photograph {
            step,
            source: Box::new(error),
        },
        false => error,
    }
}
