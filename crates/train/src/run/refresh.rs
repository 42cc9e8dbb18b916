//! When and from what the cluster index is built anew.

use burn::tensor::Device;
use lodestone_eval::Rows;
use lodestone_sampling::{
    Classes, Decision, FusedEmbeddings, Index, Plan, Probe, RefreshPolicy, RefreshReport,
    RefreshSource,
};

use crate::config::run_config::RunConfig;
use crate::error::TrainError;
use crate::input::columns::rows_of;
use crate::input::source::{Collected, EvaluationSource};
use crate::learn::learner::Learner;
use crate::record::observer::{Event, Observer, Phase};
use crate::run::state::State;

/// Rows on which the drift of a fused index is measured, where the policy does not say.
const PROBE_ROWS: usize = 256;

/// What happened to the index before a step.
pub(crate) struct Refreshed {
    /// What changed; absent for the first index.
    pub(crate) report: Option<RefreshReport>,
    /// Drift that was measured for it.
    pub(crate) drift: Option<f64>,
    /// Mean steps since a row was embedded, for a fused index.
    pub(crate) mean_age: Option<f64>,
    /// Embeddings of all training rows in their evaluation view, if they were computed.
    pub(crate) embeddings: Option<Vec<f32>>,
}

/// Keeps the index of a run up to date.
pub(crate) struct Refresher<'a> {
    pub(crate) config: &'a RunConfig,
    /// Rows of the table that are trained on.
    pub(crate) rows: &'a [usize],
    pub(crate) classes: &'a Classes,
    /// A plain device.
    pub(crate) device: &'a Device,
    /// Batches in an epoch of the plan.
    epoch_batches: u64,
    wanted: bool,
}

impl<'a> Refresher<'a> {
    pub(crate) fn new(
        config: &'a RunConfig,
        rows: &'a [usize],
        classes: &'a Classes,
        device: &'a Device,
        plan: &Plan,
    ) -> Self {
        Self {
            config,
            rows,
            classes,
            device,
            epoch_batches: plan.epoch(0).steps() as u64,
            wanted: config.sampler.needs_index(),
        }
    }

    /// Whether the index may change before `step`. No batch is drawn ahead across such a step, so that it cannot hold
    /// members of a cluster that is no more.
    pub(crate) fn may_happen(&self, step: usize) -> bool {
        self.wanted && self.decide(step) != Decision::Keep
    }

    fn decide(&self, step: usize) -> Decision {
        let train = &self.config.train;
        let batches = train.accumulate as u64;
        train
            .refresh
            .decide(step as u64, batches, self.epoch_batches)
    }

    /// Measures and refreshes as the policy says, before the next step.
    ///
    /// # Errors
    /// If an image is broken or an embedding is not finite.
    pub(crate) fn before_step(
        &self,
        state: &mut State,
        learner: &Learner,
        evaluation: &mut EvaluationSource,
        observer: &mut dyn Observer,
    ) -> Result<Option<Refreshed>, TrainError> {
        if !self.wanted {
            return Ok(None);
        }
        let mut measured = None;
        if state.index.is_some() {
            match self.decide(state.step) {
                Decision::Keep => return Ok(None),
                Decision::Refresh => {}
                Decision::MeasureDrift => {
                    let drift = self.drift(state, learner, evaluation, observer)?;
                    if !drift.is_some_and(|drift| self.config.train.refresh.exceeded(drift)) {
                        let (step, drift) = (state.step, drift.unwrap_or(0.0));
                        observer.on(Event::Drifted { step, drift });
                        return Ok(None);
                    }
                    measured = drift;
                }
            }
        }
        let mut refreshed = match state.fused.is_some() {
            true => self.index_of_seen(state, learner, evaluation, observer)?,
            false => self.index_pass(state, learner, evaluation, observer)?,
        };
        refreshed.drift = refreshed.drift.or(measured);
        state.refreshes += 1;
        observer.on(Event::Refreshed {
            step: state.step,
            clusters: state.index.as_ref().map_or(0, Index::len),
            report: refreshed.report.as_ref(),
            drift: refreshed.drift,
        });
        Ok(Some(refreshed))
    }

    /// Builds the index from evaluation views of all training images.
    fn index_pass(
        &self,
        state: &mut State,
        learner: &Learner,
        evaluation: &mut EvaluationSource,
        observer: &mut dyn Observer,
    ) -> Result<Refreshed, TrainError> {
        let found = learner.embed(self.rows, Phase::Refresh, evaluation, self.device, observer)?;
        let dim = learner.embedder.embedding_size();
        let embeddings = filled(found, dim, self.classes)?;
        let rows = rows_of(&embeddings, dim)?;
        let report = match &mut state.index {
            Some(index) => Some(index.refresh(rows)?),
            None => {
                let index = Index::build(rows, self.classes, &self.config.index, self.config.seed)?;
                state.index = Some(index);
                None
            }
        };
        if self.config.train.refresh_source == RefreshSource::Fused {
            state.fused = Some(FusedEmbeddings::new(rows, state.step as u64)?);
        }
        self.remember(state, rows)?;
        Ok(Refreshed {
            report,
            drift: None,
            mean_age: None,
            embeddings: Some(embeddings),
        })
    }

    /// Builds the index from the embeddings that training saw last, and measures how far they are from fresh ones.
    fn index_of_seen(
        &self,
        state: &mut State,
        learner: &Learner,
        evaluation: &mut EvaluationSource,
        observer: &mut dyn Observer,
    ) -> Result<Refreshed, TrainError> {
        let (Some(index), Some(fused)) = (&mut state.index, &state.fused) else {
            return self.index_pass(state, learner, evaluation, observer);
        };
        let report = index.refresh(fused.embeddings())?;
        let probe = Probe::new(index, fused.embeddings(), self.probe_rows())?;
        let found = self.embed(probe.rows(), learner, evaluation, observer)?;
        let probe = probe.keep(&found.places);
        let fresh = rows_of(&found.values, learner.embedder.embedding_size())?;
        let drift = fused.drift(index, probe.rows(), fresh)?;
        let mean_age = fused.mean_age(state.step as u64);
        // What is measured later are evaluation views, as these are.
        state.probe = Some(probe.since(fresh)?);
        state.drifted(drift);
        Ok(Refreshed {
            report: Some(report),
            drift: Some(drift),
            mean_age: Some(mean_age),
            embeddings: None,
        })
    }

    /// How far the probe has moved since the index was built.
    fn drift(
        &self,
        state: &mut State,
        learner: &Learner,
        evaluation: &mut EvaluationSource,
        observer: &mut dyn Observer,
    ) -> Result<Option<f64>, TrainError> {
        let Some(probe) = &state.probe else {
            return Ok(None);
        };
        let found = self.embed(probe.rows(), learner, evaluation, observer)?;
        let now = rows_of(&found.values, learner.embedder.embedding_size())?;
        let drift = probe.keep(&found.places).drift(now)?;
        state.drifted(drift);
        Ok(Some(drift))
    }

    /// Keeps a few embeddings against which drift is measured, where the policy will ask.
    fn remember(&self, state: &mut State, embeddings: Rows<'_>) -> Result<(), TrainError> {
        if let (RefreshPolicy::Drift { .. }, Some(index)) =
            (self.config.train.refresh, &state.index)
        {
            state.probe = Some(Probe::new(index, embeddings, self.probe_rows())?);
        }
        Ok(())
    }

    fn probe_rows(&self) -> usize {
        match self.config.train.refresh {
            RefreshPolicy::Drift { probe_rows, .. } => probe_rows,
            RefreshPolicy::Never | RefreshPolicy::Steps { .. } | RefreshPolicy::Epochs { .. } => {
                PROBE_ROWS
            }
        }
    }

    /// Evaluation views of some training rows, given by their place among them.
    fn embed(
        &self,
        places: &[usize],
        learner: &Learner,
        evaluation: &mut EvaluationSource,
        observer: &mut dyn Observer,
    ) -> Result<Collected, TrainError> {
        let rows: Vec<usize> = places.iter().map(|&place| self.rows[place]).collect();
        learner.embed(&rows, Phase::Refresh, evaluation, self.device, observer)
    }
}

/// An embedding for every training row: in the place of an image that is left out as broken stands another of its class, so that
/// the index keeps all its rows.
///
/// # Errors
/// If a class has no other.
fn filled(found: Collected, dim: usize, classes: &Classes) -> Result<Vec<f32>, TrainError> {
    let Collected { values, places } = found;
    if places.len() == classes.rows() {
        return Ok(values);
    }
    let mut all = Vec::with_capacity(classes.rows() * dim);
    for (row, &class) in classes.labels().iter().enumerate() {
        let at = places.binary_search(&row).ok().or_else(|| {
            let mut members = classes.members(class).iter();
            members.find_map(|member| places.binary_search(member).ok())
        });
        let at = at.ok_or_else(|| TrainError::Unreadable {
            count: classes.members(class).len(),
            reason: format!("all of class {}", classes.name(class)),
        })?;
        all.extend_from_slice(&values[at * dim..(at + 1) * dim]);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_of_its_class_stands_in_the_index_for_an_image_that_cannot_be_read() {
        let classes = Classes::new(&[0, 1, 0, 1, 0]).unwrap();
        let found = |places: &[usize]| Collected {
            values: places.iter().flat_map(|&row| [row as f32, 0.5]).collect(),
            places: places.to_vec(),
        };
        let all = filled(found(&[1, 2, 4]), 2, &classes).unwrap();
        assert_eq!(all, [2.0, 0.5, 1.0, 0.5, 2.0, 0.5, 1.0, 0.5, 4.0, 0.5]);
        let error = filled(found(&[0, 2]), 2, &classes).unwrap_err().to_string();
        assert!(
            error.contains("none of 2 photographs") && error.contains("class 1"),
            "{error}"
        );
    }
}
