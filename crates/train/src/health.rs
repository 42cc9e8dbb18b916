//! Signs that a run goes wrong, each with what to do about it.

use std::fmt;

/// Something that looks wrong in a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Warning {
    /// The magnet loss sits at `gap + ln(M − 1)`, which means that all exponents are about 0.
    Pinned {
        /// The step.
        step: usize,
        /// The loss, averaged over recent steps.
        loss: f32,
        /// The level it sits at.
        level: f32,
    },
    /// Nearly all embeddings lie on one point or one line.
    Collapsed {
        /// The step.
        step: usize,
        /// Effective rank of the embeddings.
        effective_rank: f64,
    },
    /// The step waits for images.
    Starving {
        /// The step.
        step: usize,
        /// Share of the time spent waiting.
        wait_share: f64,
    },
    /// A checkpoint could not be used and an older one was taken.
    DamagedCheckpoint {
        /// What is wrong with it.
        reason: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pinned { step, loss, level } => write!(
                f,
                "step {step}: the loss is {loss:.4}, pinned at gap + ln(clusters - 1) = {level:.4}: all distances are \
                 small against the variance, so nothing is learned; raise the learning rate or start the head at unit variance"
            ),
            Self::Collapsed {
                step,
                effective_rank,
            } => write!(
                f,
                "step {step}: the embeddings have collapsed (effective rank {effective_rank:.2}): lower the learning rate \
                 or the gap, or mine less hard"
            ),
            Self::Starving { step, wait_share } => write!(
                f,
                "step {step}: {:.0} % of the time is spent waiting for images: raise data.threads or cache resized images",
                100.0 * wait_share
            ),
            Self::DamagedCheckpoint { reason } => {
                write!(f, "{reason}; continuing from the checkpoint before it")
            }
        }
    }
}

/// Watches the loss of the last steps against the pinned level.
#[derive(Clone, Debug, Default)]
pub(crate) struct PinnedWatch {
    recent: Vec<f32>,
    warned: bool,
}

/// Steps that are averaged before anything is said.
const WINDOW: usize = 50;
/// How near is pinned: public logs of such runs stand within 0.003 of the level for whole epochs.
const NEAR: f32 = 0.02;

impl PinnedWatch {
    /// Takes the loss of a step; returns a warning once, when a whole window of losses stays at `level`.
    pub(crate) fn push(&mut self, step: usize, loss: f32, level: f32) -> Option<Warning> {
        self.recent.push((loss - level).abs());
        if self.recent.len() > WINDOW {
            self.recent.remove(0);
        }
        let stuck = self.recent.len() == WINDOW && self.recent.iter().all(|&off| off < NEAR);
        if !stuck || self.warned {
            return None;
        }
        self.warned = true;
        Some(Warning::Pinned { step, loss, level })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_at_the_pinned_level_is_reported_once_and_a_moving_one_never() {
        // The level of gap 2.43 with 12 clusters and the loss that a run with a squared variance prints.
        let level = 2.43 + 11f32.ln();
        let mut watch = PinnedWatch::default();
        let warnings = (1..200)
            .filter_map(|step| watch.push(step, 4.825, level))
            .count();
        assert_eq!(warnings, 1);

        let mut watch = PinnedWatch::default();
        let moving = |step: usize| level + (step as f32).sin();
        assert!((1..200).all(|step| watch.push(step, moving(step), level).is_none()));
    }
}
