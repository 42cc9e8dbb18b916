//! What a run tells whoever watches it.

use std::time::Duration;

use crate::record::health::{Condition, Warning};
use crate::record::timing::Times;

/// Told of everything that happens in a run; draws bars, prints lines, or does nothing.
///
/// The library itself neither prints nor reads the clock: the one time it needs, for images per second and for time
/// budgets, it asks of the observer.
pub trait Observer {
    /// Time since some fixed moment before the run.
    fn elapsed(&self) -> Duration;
    /// Time since 1970, for the event files; [`elapsed`](Self::elapsed) where there is no calendar.
    fn wall_time(&self) -> Duration {
        self.elapsed()
    }
    /// Whether to finish the step, save and stop. Asked once a step.
    fn stop_requested(&self) -> bool {
        false
    }
    /// Something happened.
    fn on(&mut self, event: Event<'_>);
}

/// A thing that happened in a run.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A part of the run that takes a while has begun; `total` counts its images.
    PhaseStarted {
        /// What is done.
        phase: Phase,
        /// Images to go through.
        total: usize,
    },
    /// `done` of the phase's images are through.
    PhaseProgress {
        /// Images through so far.
        done: usize,
    },
    /// The phase is over.
    PhaseEnded {
        /// What was done.
        phase: Phase,
    },
    /// A step was made.
    Step(&'a StepReport),
    /// The cluster index was built anew.
    Refreshed {
        /// The step before which it was built.
        step: usize,
        /// Number of clusters.
        clusters: usize,
        /// What changed; absent for the first index.
        report: Option<&'a lodestone_sampling::RefreshReport>,
        /// Measured drift, in standard deviations of the index, if it was measured.
        drift: Option<f64>,
    },
    /// The folder is the run's from now on: what an earlier run had left there is gone, its settings and its logs are there. Before
    /// this a run that fails leaves the folder as it was.
    Begun,
    /// A checkpoint was written.
    Saved {
        /// The step after which it was.
        step: usize,
    },
    /// Drift was measured and was too small for a refresh.
    Drifted {
        /// The step before which it was measured.
        step: usize,
        /// In standard deviations of the index.
        drift: f64,
    },
    /// An evaluation between steps gave this value of the watched metric.
    Validated {
        /// The step after which it was made.
        step: usize,
        /// Name of the metric.
        metric: &'a str,
        /// Its value.
        value: f64,
        /// Whether it is the best so far.
        best: bool,
    },
    /// Something looks wrong.
    Warning(&'a Warning),
    /// A remark worth a line.
    Note(&'a str),
}

/// Parts of a run that go through many images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Steps of the optimiser.
    Training,
    /// Outputs of the frozen part of the trunk, computed once.
    FrozenFeatures,
    /// Embeddings of the training images for the cluster index.
    Refresh,
    /// Embeddings of gallery and test images for an evaluation.
    Evaluation,
}

impl Phase {
    /// A short name for a bar or a line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::FrozenFeatures => "frozen features",
            Self::Refresh => "cluster index",
            Self::Evaluation => "evaluation",
        }
    }
}

/// Numbers of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepReport {
    /// The step, from 1.
    pub step: usize,
    /// Steps of the whole run.
    pub steps: usize,
    /// The epoch of the plan, from 0.
    pub epoch: usize,
    /// Mean loss of the batch, in the loss's own unit.
    pub loss: f32,
    /// Factor of the schedule on every learning rate.
    pub rate_factor: f64,
    /// Images seen since the run began, over all its sittings.
    pub images: usize,
    /// Images of this step.
    pub step_images: usize,
    /// Name and value of what the loss reports.
    pub statistics: Vec<(&'static str, f32)>,
    /// Transfers from the device that the host waited for: one for each batch of the step.
    pub transfers: usize,
    /// Where the time of this step went.
    pub times: Times,
    /// Where the time of all steps of this sitting went.
    pub total: Times,
    /// What looks wrong at the moment.
    pub health: Vec<Condition>,
}

/// Watches nothing; its clock stands still.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    fn on(&mut self, _: Event<'_>) {}
}
