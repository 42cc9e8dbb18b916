//! When a run is over: its images or its minutes are through, or nothing gets better any more.

use std::fmt;

use crate::config::run_config::TrainConfig;
use crate::run::state::State;

/// Why a run is over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ending {
    /// All its images are through.
    Images,
    /// Its minutes are over.
    Minutes(f64),
    /// So many evaluations without a better value.
    Patience(usize),
}

impl Ending {
    /// Whether the run is over.
    pub(crate) fn of(state: &State, config: &TrainConfig) -> Option<Self> {
        if state.images >= config.images {
            Some(Self::Images)
        } else if config.minutes > 0.0 && state.seconds >= 60.0 * config.minutes {
            Some(Self::Minutes(config.minutes))
        } else if config.patience > 0 && state.since_best >= config.patience {
            Some(Self::Patience(config.patience))
        } else {
            None
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Images => write!(f, "all images are through"),
            Self::Minutes(minutes) => write!(f, "its {minutes} minutes are over"),
            Self::Patience(evaluations) => {
                write!(f, "{evaluations} evaluations brought nothing better")
            }
        }
    }
}
