//! The best model so far by the watched metric of the validation images.

use std::path::Path;

use lodestone_data::{Roles, Split};
use lodestone_eval::{Protocol, Report};
use lodestone_losses::ClassRule;

use crate::config::run_config::RunConfig;
use crate::error::TrainError;
use crate::input::columns::Part;
use crate::input::columns::rows_of;
use crate::input::parts::Parts;
use crate::judge::evaluate::{Centres, Judged, headline, judge_with};
use crate::judge::judging::Judge;
use crate::learn::learner::Learner;
use crate::record::health::Warning;
use crate::record::observer::{Event, Observer};
use crate::run::state::State;

/// Refuses a watched metric that no report of the run will have, before the first step: of eight points, judged as the validation
/// images will be.
///
/// # Errors
/// If the report lacks it; the names that it has are told.
pub(crate) fn check_watched(config: &RunConfig, parts: &Parts) -> Result<(), TrainError> {
    let protocol = parts.protocol(Split::Validation, &config.evaluation);
    let merged = parts.fine_labels(&parts.train).is_some();
    check_name(config, protocol, merged)
}

fn check_name(config: &RunConfig, protocol: Protocol, merged: bool) -> Result<(), TrainError> {
    let Some(metric) = &config.train.watch else {
        return Ok(());
    };
    let points: Vec<f32> = (0..8).map(|at| (at / 2 * 10 + at) as f32).collect();
    let (labels, fine) = ([0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 2, 2, 3, 3]);
    let part = Part {
        embeddings: &points,
        labels: &labels,
        fine: merged.then_some(&fine[..]),
        sequences: None,
    };
    let scores = [0.0; 16];
    let rule = config.loss.class_rule();
    let both = Roles {
        query: true,
        gallery: true,
    };
    let judged = Judged {
        rule: Some(rule),
        dim: 1,
        gallery: part,
        queries: part,
        protocol,
        seen: &[true, true, true, true, false, false, false, false],
        roles: Some(&[both; 8]),
        logits: match rule {
            ClassRule::HighestScore => Some(rows_of(&scores, 2)?),
            ClassRule::NearestNeighbours | ClassRule::NearestClusters => None,
        },
        clusters: None,
    };
    let centres = (rule == ClassRule::NearestClusters).then_some(Centres {
        rows: rows_of(&points, 1)?,
        classes: &labels,
        variance: 1.0,
    });
    let report = judge_with(&judged, centres, &config.evaluation)?.report;
    match report.measure(metric) {
        Some(_) => Ok(()),
        None => Err(unknown(metric, &report)),
    }
}

fn unknown(metric: &str, report: &Report) -> TrainError {
    TrainError::Setting {
        reason: format!(
            "train.watch is {metric}, which the report does not have; it has {}",
            report.names().join(", ")
        ),
    }
}

/// Value of the watched metric, and whether it is the best so far, which is then kept as a model file in folder `run`. An
/// evaluation in which it has no value chooses nothing and does not count: why is told.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn keep_best(
    judge: &Judge,
    run: &Path,
    report: &Report,
    learner: &Learner,
    state: &mut State,
    observer: &mut dyn Observer,
) -> Result<Option<(f64, bool)>, TrainError> {
    let (config, parts) = (judge.config, judge.parts);
    let own = || {
        let mode = report.setting.mode;
        headline(Some(config.loss.class_rule()), mode)
    };
    let metric = config.train.watch.clone().unwrap_or_else(own);
    let Some(value) = report.measure(&metric).and_then(|measure| measure.value) else {
        let reason = report.reason(&metric);
        observer.on(Event::Warning(&Warning::NoValue {
            step: state.step,
            metric,
            reason: reason.unwrap_or("these images do not allow it").to_owned(),
        }));
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

#[cfg(test)]
mod tests {
    use lodestone_eval::Mode;

    use super::*;
    use crate::testing::small_config;

    #[test]
    fn a_watched_metric_that_no_report_has_is_told_before_the_first_step() {
        let judged = |protocol, loss: &str, metric: &str, merged| {
            let config = small_config(&[
                loss,
                "train.valid_period=4",
                &format!("train.watch={metric:?}"),
            ]);
            check_name(&config, protocol, merged).map_err(|error| error.to_string())
        };
        let closed = Protocol::All(Mode::TrainGallery);
        let watching = |loss: &str, metric: &str, merged| judged(closed, loss, metric, merged);
        let softmax = "loss={kind=\"softmax\"}";
        assert_eq!(watching(softmax, "argmax_error_at_1", false), Ok(()));
        assert_eq!(watching(softmax, "map_at_r", false), Ok(()));
        // Only magnet has a variance for its clusters to vote with.
        assert!(watching(softmax, "knc_error_at_1", false).is_err());
        let error = watching(softmax, "recall_at_l", false).unwrap_err();
        assert!(
            error.contains("recall_at_l") && error.contains("recall_at_1"),
            "{error}"
        );
        assert!(watching(softmax, "hierarchy_soft_knn_error_at_1", false).is_err());
        assert_eq!(
            watching(softmax, "hierarchy_soft_knn_error_at_1", true),
            Ok(())
        );
        // A class never seen has no score; parts are watched by their names.
        let unseen = Protocol::All(Mode::LeaveOneOut);
        assert_eq!(judged(unseen, softmax, "map_at_r", false), Ok(()));
        assert!(judged(unseen, softmax, "argmax_error_at_1", false).is_err());
        let both = Protocol::SeenAndUnseen;
        assert_eq!(judged(both, softmax, "unseen.map_at_r", false), Ok(()));
        assert_eq!(
            judged(both, softmax, "seen.argmax_error_at_1", false),
            Ok(())
        );
        let error = judged(both, softmax, "unseen.argmax_error_at_1", false).unwrap_err();
        assert!(error.contains("unseen.precision_at_1"), "{error}");
    }
}
