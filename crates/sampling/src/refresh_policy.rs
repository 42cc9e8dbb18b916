//! When the index is made anew: a decision from the step count alone, so that a resumed run decides alike.

use serde::{Deserialize, Serialize};

use crate::SamplingError;
use crate::error::{at_least, setting};

/// When to refresh the index. Every refresh costs a forward pass over the evaluation view of the whole training set.
///
/// # Example
/// ```
/// use lodestone_sampling::{Decision, RefreshPolicy};
///
/// let policy = RefreshPolicy::Epochs { every: 2 };
/// assert_eq!(policy.decide(200, 1, 100), Decision::Refresh);
/// assert_eq!(policy.decide(300, 1, 100), Decision::Keep);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(tag = "when", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RefreshPolicy {
    /// Never after it was built.
    Never,
    /// Every so many steps.
    Steps {
        /// Steps between two refreshes.
        every: u64,
    },
    /// At the end of every so many epochs.
    Epochs {
        /// Epochs between two refreshes.
        every: u64,
    },
    /// When a few rows have moved far: their [`drift`](crate::Probe::drift) is measured from time to time.
    Drift {
        /// The drift, in standard deviations of the index, above which it is refreshed.
        threshold: f64,
        /// Steps between two measurements.
        check_every: u64,
        /// Rows that are measured.
        probe_rows: usize,
    },
}

/// Which embeddings a refresh clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RefreshSource {
    /// Those of a forward pass over the evaluation view of every training row: the paper's index.
    #[default]
    EvaluationPass,
    /// The last ones that training happened to see, [`FusedEmbeddings`](crate::FusedEmbeddings): no extra pass, but up to one
    /// revisit old and of augmented views. Not the paper's index; how far it is from it is to be measured and told.
    Fused,
}

/// What to do between two steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Train on.
    Keep,
    /// Measure the drift and refresh if [`RefreshPolicy::exceeded`].
    MeasureDrift,
    /// Refresh the index.
    Refresh,
}

impl RefreshPolicy {
    /// Refuses settings that mean nothing.
    ///
    /// # Errors
    /// If a count is 0, or the threshold is not a positive number.
    pub fn validate(&self) -> Result<(), SamplingError> {
        let positive = |field, value: u64| at_least(field, usize::from(value > 0), 1);
        match *self {
            Self::Never => Ok(()),
            Self::Steps { every } | Self::Epochs { every } => positive("every", every),
            Self::Drift {
                threshold,
                check_every,
                probe_rows,
            } => {
                if !threshold.is_finite() || threshold <= 0.0 {
                    return Err(setting("threshold", threshold, "must be a positive number"));
                }
                positive("check_every", check_every)?;
                at_least("probe_rows", probe_rows, 1)
            }
        }
    }

    /// What to do after `steps` training steps of `batches_per_step` batches, of which an epoch has `batches_per_epoch`. The end of
    /// an epoch may fall inside a step; the refresh is then made behind it.
    pub fn decide(&self, steps: u64, batches_per_step: u64, batches_per_epoch: u64) -> Decision {
        let rounds = |steps: u64, every: u64| {
            steps * batches_per_step / every.saturating_mul(batches_per_epoch).max(1)
        };
        let due = |every: u64| steps > 0 && steps.is_multiple_of(every);
        match *self {
            Self::Never => Decision::Keep,
            Self::Steps { every } if due(every) => Decision::Refresh,
            Self::Epochs { every }
                if steps > 0 && rounds(steps, every) > rounds(steps - 1, every) =>
            {
                Decision::Refresh
            }
            Self::Drift { check_every, .. } if due(check_every) => Decision::MeasureDrift,
            Self::Steps { .. } | Self::Epochs { .. } | Self::Drift { .. } => Decision::Keep,
        }
    }

    /// Whether a measured drift asks for a refresh.
    pub fn exceeded(&self, drift: f64) -> bool {
        match *self {
            Self::Never | Self::Steps { .. } | Self::Epochs { .. } => false,
            Self::Drift { threshold, .. } => drift > threshold,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_policy_fires_when_it_should() {
        use Decision::{Keep, MeasureDrift, Refresh};
        let drift = RefreshPolicy::Drift {
            threshold: 0.5,
            check_every: 30,
            probe_rows: 64,
        };
        for (policy, steps, expected) in [
            (RefreshPolicy::Never, 100, Keep),
            (RefreshPolicy::Steps { every: 50 }, 0, Keep),
            (RefreshPolicy::Steps { every: 50 }, 50, Refresh),
            (RefreshPolicy::Steps { every: 50 }, 51, Keep),
            (RefreshPolicy::Epochs { every: 3 }, 20, Keep),
            (RefreshPolicy::Epochs { every: 3 }, 30, Refresh),
            (drift, 30, MeasureDrift),
            (drift, 31, Keep),
        ] {
            assert_eq!(
                policy.decide(steps, 1, 10),
                expected,
                "{policy:?} after {steps}"
            );
        }
        // Epochs of five batches, steps of four: the first ends in step 2, the second in step 3, the fourth with step 5.
        let each = RefreshPolicy::Epochs { every: 1 };
        let after: Vec<u64> = (0..11)
            .filter(|&steps| each.decide(steps, 4, 5) == Refresh)
            .collect();
        assert_eq!(after, [2, 3, 4, 5, 7, 8, 9, 10]);
        let second = RefreshPolicy::Epochs { every: 2 };
        let after: Vec<u64> = (0..11)
            .filter(|&steps| second.decide(steps, 4, 5) == Refresh)
            .collect();
        assert_eq!(after, [3, 5, 8, 10]);
        assert!(drift.exceeded(0.6) && !drift.exceeded(0.5));
        assert!(!RefreshPolicy::Never.exceeded(f64::INFINITY));
    }

    #[test]
    fn the_sources_have_names_of_their_own() {
        let read = |text| serde_json::from_str::<RefreshSource>(text).unwrap();
        assert_eq!(read(r#""fused""#), RefreshSource::Fused);
        assert_eq!(read(r#""evaluation-pass""#), RefreshSource::default());
    }

    #[test]
    fn a_policy_reads_from_a_run_file_and_refuses_nonsense() {
        let text = r#"{"when": "drift", "threshold": 0.3, "check_every": 10, "probe_rows": 64}"#;
        let policy: RefreshPolicy = serde_json::from_str(text).unwrap();
        assert_eq!(
            policy,
            RefreshPolicy::Drift {
                threshold: 0.3,
                check_every: 10,
                probe_rows: 64
            }
        );
        assert!(serde_json::from_str::<RefreshPolicy>(r#"{"when": "steps", "evry": 5}"#).is_err());
        assert!(policy.validate().is_ok() && RefreshPolicy::Never.validate().is_ok());
        for (policy, message) in [
            (
                RefreshPolicy::Steps { every: 0 },
                "every is 0: must be 1 or more",
            ),
            (
                RefreshPolicy::Drift {
                    threshold: f64::NAN,
                    check_every: 1,
                    probe_rows: 1,
                },
                "threshold is NaN: must be a positive number",
            ),
        ] {
            assert_eq!(policy.validate().unwrap_err().to_string(), message);
        }
    }
}
