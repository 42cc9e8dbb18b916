//! Where a step began, for a step that cannot be finished because a photograph cannot be read any more.
//!
//! Batches that were drawn stay drawn, losses that were recorded stay recorded: the step is made again with the same batches and
//! the same weights and records the very same. What must go back are the counts, and the index, which would be refreshed a second
//! time.

use lodestone_sampling::{Batch, Index, Probe};

use crate::learn::variance::VarianceAverage;
use crate::run::refresh::Refresher;
use crate::run::state::{Drift, State};

/// What a step changes of a state before it is over.
pub(crate) struct StepStart {
    batches: usize,
    images: usize,
    variance: VarianceAverage,
    /// Where the step may change it.
    index: Option<IndexBefore>,
    /// Batches that the step has taken, in their order, with their epoch.
    taken: Vec<(u64, Batch)>,
}

struct IndexBefore {
    index: Option<Index>,
    probe: Option<Probe>,
    drift: Option<Drift>,
    refreshes: usize,
}

impl StepStart {
    /// Before the index is looked after.
    pub(crate) fn of(state: &State, refresher: &Refresher<'_>) -> Self {
        let index = refresher.may_happen(state.step).then(|| IndexBefore {
            index: state.index.clone(),
            probe: state.probe.clone(),
            drift: state.drift,
            refreshes: state.refreshes,
        });
        Self {
            batches: state.batches,
            images: state.images,
            variance: state.variance,
            index,
            taken: Vec::new(),
        }
    }

    /// Takes the oldest batch that was drawn.
    pub(crate) fn take(&mut self, state: &mut State) -> (u64, Batch) {
        let (epoch, batch) = state.ahead.remove(0);
        self.taken.push((epoch, batch.clone()));
        (epoch, batch)
    }

    /// Goes back to it.
    pub(crate) fn restore(self, state: &mut State) {
        state.ahead.splice(0..0, self.taken);
        state.batches = self.batches;
        state.images = self.images;
        state.variance = self.variance;
        if let Some(before) = self.index {
            state.index = before.index;
            state.probe = before.probe;
            state.drift = before.drift;
            state.refreshes = before.refreshes;
        }
    }
}
