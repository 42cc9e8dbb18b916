//! How the learning rate moves over a run.
//!
//! The rate is a pure function of the step and of the share of the run that is done, so that a resumed run needs no state to continue it. burn's schedulers carry
//! their step inside and refuse rates above 1; the curves here are the same ones, as factors on each group's own rate.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The curve that every learning rate of the run is multiplied with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum AnnealingConfig {
    /// Factor 1 throughout.
    Constant,
    /// From 1 to `floor` along half a cosine, reached when the last step is done: the step itself is a little above.
    Cosine {
        /// The factor at the end, in `[0, 1]`.
        #[serde(default)]
        floor: f64,
    },
    /// From 1 to `floor` in a straight line, reached when the last step is done.
    Linear {
        /// The factor at the end, in `[0, 1]`.
        #[serde(default)]
        floor: f64,
    },
    /// Multiplied by `factor` after each of the `at` shares of the run.
    Step {
        /// What each drop multiplies with, in `(0, 1]`.
        factor: f64,
        /// Shares of the run, in `(0, 1)`, at which it drops.
        at: Vec<f64>,
    },
    /// `floor^(progress)`: equal ratios in equal times, `floor` when the last step is done.
    Exponential {
        /// The factor at the end, in `(0, 1]`.
        floor: f64,
    },
}

/// Warm-up followed by a curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleConfig {
    /// Steps over which the rate rises in a straight line to its full value.
    pub warm_up_steps: usize,
    /// What follows.
    pub annealing: AnnealingConfig,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            warm_up_steps: 0,
            annealing: AnnealingConfig::Cosine { floor: 0.0 },
        }
    }
}

impl ScheduleConfig {
    /// The factor on every learning rate at `step` (from 0), when `progress` of the run's images have been seen, in `[0, 1]`.
    ///
    /// Warm-up gives `(step + 1) / warm_up_steps`, multiplied with the curve at `progress`.
    pub fn factor(&self, step: usize, progress: f64) -> f64 {
        let warm = if step < self.warm_up_steps {
            (step + 1) as f64 / self.warm_up_steps as f64
        } else {
            1.0
        };
        warm * self.annealing.factor(progress)
    }

    /// Checks that every setting is within its bounds.
    ///
    /// # Errors
    /// A sentence that names the field, its value and the bound.
    pub fn validate(&self) -> Result<(), String> {
        let share = |field: &str, value: f64, positive: bool| {
            if !(0.0..=1.0).contains(&value) || (positive && value == 0.0) {
                let range = if positive { "(0, 1]" } else { "[0, 1]" };
                return Err(format!(
                    "schedule.annealing.{field} is {value}, must be in {range}"
                ));
            }
            Ok(())
        };
        match &self.annealing {
            AnnealingConfig::Constant => Ok(()),
            AnnealingConfig::Cosine { floor } | AnnealingConfig::Linear { floor } => {
                share("floor", *floor, false)
            }
            AnnealingConfig::Exponential { floor } => share("floor", *floor, true),
            AnnealingConfig::Step { factor, at } => {
                share("factor", *factor, true)?;
                at.iter().try_for_each(|&at| share("at", at, true))
            }
        }
    }
}

impl AnnealingConfig {
    fn factor(&self, progress: f64) -> f64 {
        let progress = progress.clamp(0.0, 1.0);
        match self {
            Self::Constant => 1.0,
            Self::Cosine { floor } => {
                floor + (1.0 - floor) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
            }
            Self::Linear { floor } => 1.0 - (1.0 - floor) * progress,
            Self::Step { factor, at } => {
                let drops = at.iter().filter(|&&share| progress >= share).count();
                factor.powi(drops as i32)
            }
            Self::Exponential { floor } => floor.powf(progress),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_start_at_one_and_end_at_their_floor() {
        let cases = [
            (AnnealingConfig::Constant, 1.0, 1.0),
            (AnnealingConfig::Cosine { floor: 0.1 }, 0.55, 0.1),
            (AnnealingConfig::Linear { floor: 0.2 }, 0.6, 0.2),
            (
                AnnealingConfig::Step {
                    factor: 0.1,
                    at: vec![0.4, 0.9],
                },
                0.1,
                0.01,
            ),
            (AnnealingConfig::Exponential { floor: 0.01 }, 0.1, 0.01),
        ];
        for (annealing, half, end) in cases {
            let schedule = ScheduleConfig {
                warm_up_steps: 0,
                annealing,
            };
            assert_eq!(schedule.factor(0, 0.0), 1.0, "{schedule:?}");
            assert!(
                (schedule.factor(50, 0.5) - half).abs() < 1e-12,
                "{schedule:?}"
            );
            assert!(
                (schedule.factor(100, 1.0) - end).abs() < 1e-12,
                "{schedule:?}"
            );
        }
    }

    #[test]
    fn warm_up_rises_in_equal_steps_and_is_never_zero() {
        let schedule = ScheduleConfig {
            warm_up_steps: 4,
            annealing: AnnealingConfig::Constant,
        };
        let factors: Vec<f64> = (0..6).map(|step| schedule.factor(step, 0.0)).collect();
        assert_eq!(factors, [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn a_floor_above_one_names_the_field_and_the_value() {
        let schedule = ScheduleConfig {
            warm_up_steps: 0,
            annealing: AnnealingConfig::Linear { floor: 1.5 },
        };
        assert_eq!(
            schedule.validate().unwrap_err(),
            "schedule.annealing.floor is 1.5, must be in [0, 1]"
        );
    }
}
