//! Signs that a run goes wrong, each with what to do about it.

use std::collections::VecDeque;
use std::fmt;

use lodestone_eval::Diagnostics;

/// What can be wrong with a run that still runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// The magnet loss sits at `gap + ln(M − 1)`, which means that all exponents are about 0.
    Pinned,
    /// Nearly all embeddings lie on one point or one line.
    Collapsed,
    /// The loss is far above where it started.
    Diverging,
    /// The steps wait for images.
    Starving,
    /// Batch normalisation takes its statistics from very few images.
    TinyGroups,
}

impl Condition {
    /// One word for a line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Collapsed => "collapsed",
            Self::Diverging => "diverging",
            Self::Starving => "starving",
            Self::TinyGroups => "tiny groups",
        }
    }
}

/// Something that looks wrong in a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Warning {
    /// See [`Condition::Pinned`].
    Pinned {
        /// The step.
        step: usize,
        /// The loss of that step.
        loss: f32,
        /// The level it sits at.
        level: f32,
    },
    /// See [`Condition::Collapsed`].
    Collapsed {
        /// The step.
        step: usize,
        /// Effective rank of the batch's embeddings, see [`StepReport`](crate::StepReport).
        effective_rank: f64,
    },
    /// See [`Condition::Diverging`].
    Diverging {
        /// The step.
        step: usize,
        /// Mean loss of the last steps.
        loss: f32,
        /// Mean loss of the first steps.
        first: f32,
    },
    /// See [`Condition::Starving`].
    Starving {
        /// The step.
        step: usize,
        /// Share of the time spent waiting, over the last steps.
        wait_share: f64,
    },
    /// See [`Condition::TinyGroups`].
    TinyGroups {
        /// Images over which the statistics are taken.
        images: usize,
    },
    /// The watched metric has no value for an evaluation.
    NoValue {
        /// The step.
        step: usize,
        /// Name of the metric.
        metric: String,
        /// Why, in words.
        reason: String,
    },
    /// A photograph cannot be read any more and is left out.
    LeftOut {
        /// What is wrong with which.
        reason: String,
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
                 small against the variance, so nothing is learned; raise the learning rate or start the head at unit \
                 variance (model.head.initialise, model.calibrate_head)"
            ),
            Self::Collapsed {
                step,
                effective_rank,
            } => write!(
                f,
                "step {step}: the embeddings have collapsed (effective rank {effective_rank:.2}): lower the learning rate \
                 or the loss's margin or gap, or mine less hard"
            ),
            Self::Diverging { step, loss, first } => write!(
                f,
                "step {step}: the loss diverges, {loss:.4} on average after {first:.4} at the start: lower \
                 optimizer.trunk_rate, set optimizer.clip_norm, or add schedule.warm_up_steps"
            ),
            Self::Starving { step, wait_share } => write!(
                f,
                "step {step}: {:.0} % of the time is spent waiting for images: raise data.threads or store the images \
                 smaller",
                100.0 * wait_share
            ),
            Self::TinyGroups { images } => write!(
                f,
                "batch normalisation takes its statistics from {images} images, which is noise: use larger batches or \
                 model.batch_norm = \"frozen\""
            ),
            Self::NoValue {
                step,
                metric,
                reason,
            } => write!(
                f,
                "step {step}: {metric} has no value and chooses nothing this time: {reason}"
            ),
            Self::LeftOut { reason } => write!(f, "left out from now on: {reason}"),
            Self::DamagedCheckpoint { reason } => {
                write!(f, "{reason}; continuing from the checkpoint before it")
            }
        }
    }
}

/// Steps that are looked at together before anything is said.
const WINDOW: usize = 50;
/// How near is pinned: public logs of such runs stand within 0.003 of the level for whole epochs.
const NEAR: f32 = 0.02;
/// Effective rank below which embeddings lie on a line.
const LINE: f64 = 1.5;
/// Looks at the embeddings that have to agree on a collapse; a network may start on a line and leave it.
const LOOKS: usize = 5;
/// Loss, relative to that of the first steps, above which a run diverges.
const RISE: f32 = 2.0;
/// Share of waiting that is too much.
const WAITING: f64 = 0.05;
/// Images below which statistics of a batch are noise.
const FEW: usize = 8;

/// What a step tells about the run's health.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pulse {
    pub(crate) step: usize,
    pub(crate) loss: f32,
    /// The level of a magnet loss whose exponents are all 0.
    pub(crate) level: Option<f32>,
    /// Effective rank, if the step had a look at its embeddings.
    pub(crate) effective_rank: Option<f64>,
    pub(crate) wait_share: f64,
}

/// Watches the last steps of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct HealthWatch {
    losses: VecDeque<f32>,
    off: VecDeque<f32>,
    waits: VecDeque<f64>,
    ranks: VecDeque<f64>,
    first: Option<f32>,
    /// Whether an evaluation has looked at the embeddings.
    judged: bool,
    /// What holds now.
    now: Vec<Condition>,
    /// What has been said.
    said: Vec<Condition>,
}

impl HealthWatch {
    /// Looks at the groups over which learning batch normalisation takes its statistics, before the first step.
    pub(crate) fn groups(&mut self, images: usize) -> Option<Warning> {
        if images >= FEW {
            return None;
        }
        self.said.push(Condition::TinyGroups);
        self.now.push(Condition::TinyGroups);
        Some(Warning::TinyGroups { images })
    }

    /// Takes the numbers of a step; returns what has just begun to look wrong, each condition once a run.
    pub(crate) fn push(&mut self, pulse: &Pulse) -> Vec<Warning> {
        keep(&mut self.losses, pulse.loss, WINDOW);
        keep(&mut self.waits, pulse.wait_share, WINDOW);
        if let Some(level) = pulse.level {
            keep(&mut self.off, (pulse.loss - level).abs(), WINDOW);
        }
        if let Some(rank) = pulse.effective_rank {
            keep(&mut self.ranks, rank, LOOKS);
        }
        let full = self.losses.len() == WINDOW;
        let mean = self.losses.iter().sum::<f32>() / self.losses.len() as f32;
        if full && self.first.is_none() {
            self.first = Some(mean);
        }

        let step = pulse.step;
        let mut found = Vec::new();
        if let Some(level) = pulse.level
            && self.off.len() == WINDOW
            && self.off.iter().all(|&off| off < NEAR)
        {
            let loss = pulse.loss;
            found.push((Condition::Pinned, Warning::Pinned { step, loss, level }));
        }
        if self.ranks.len() == LOOKS && self.ranks.iter().all(|&rank| rank < LINE) {
            let effective_rank = self.ranks[LOOKS - 1];
            found.push((
                Condition::Collapsed,
                Warning::Collapsed {
                    step,
                    effective_rank,
                },
            ));
        }
        if let Some(first) = self.first
            && full
            // Above, also where a loss may be negative.
            && mean > first + (RISE - 1.0) * first.abs()
        {
            let loss = mean;
            found.push((
                Condition::Diverging,
                Warning::Diverging { step, loss, first },
            ));
        }
        let wait_share = self.waits.iter().sum::<f64>() / self.waits.len() as f64;
        if full && wait_share > WAITING {
            found.push((Condition::Starving, Warning::Starving { step, wait_share }));
        }

        self.now
            .retain(|&condition| condition == Condition::TinyGroups);
        self.now
            .extend(found.iter().map(|(condition, _)| *condition));
        found.retain(|(condition, _)| !self.said.contains(condition));
        self.said
            .extend(found.iter().map(|(condition, _)| *condition));
        found.into_iter().map(|(_, warning)| warning).collect()
    }

    /// Takes what an evaluation found of the embeddings; returns a collapse that was not said yet.
    pub(crate) fn judged(&mut self, step: usize, found: &Diagnostics) -> Option<Warning> {
        self.judged = true;
        found.collapse?;
        if self.said.contains(&Condition::Collapsed) {
            return None;
        }
        self.said.push(Condition::Collapsed);
        Some(Warning::Collapsed {
            step,
            effective_rank: found.effective_rank,
        })
    }

    /// What looks wrong at the moment.
    pub(crate) fn now(&self) -> &[Condition] {
        &self.now
    }

    /// The health of the run so far, in a line: what went wrong, or of what it can be said that it did not.
    pub(crate) fn line(&self) -> String {
        if !self.said.is_empty() {
            let names: Vec<&str> = self.said.iter().map(|condition| condition.name()).collect();
            return format!("health: {}; see the warnings above", names.join(", "));
        }
        let looked = self.judged || self.ranks.len() == LOOKS;
        let full = self.losses.len() == WINDOW;
        let questions = [
            ("collapse", looked),
            ("divergence", full),
            ("waiting for images", full),
        ];
        let names = |answered: bool, word: &str| -> Vec<String> {
            let those = questions.iter().filter(|(_, known)| *known == answered);
            those.map(|(name, _)| format!("{word}{name}")).collect()
        };
        let (good, open) = (names(true, "no "), names(false, ""));
        let open = match open.is_empty() {
            true => String::new(),
            false => format!("too few steps to tell {}", open.join(" and ")),
        };
        let parts = [good.join(", "), open];
        let parts: Vec<&str> = parts
            .iter()
            .map(String::as_str)
            .filter(|part| !part.is_empty())
            .collect();
        format!("health: {}", parts.join("; "))
    }
}

fn keep<T>(recent: &mut VecDeque<T>, value: T, most: usize) {
    if recent.len() == most {
        recent.pop_front();
    }
    recent.push_back(value);
}

#[cfg(test)]
mod tests {
    use lodestone_eval::{Labelled, diagnostics};

    use super::*;

    /// Warnings over 200 steps that each give the pulse of their number.
    fn warnings(pulse: impl Fn(usize) -> Pulse) -> Vec<Warning> {
        let mut watch = HealthWatch::default();
        let pulses = (1..=200).map(|step| Pulse {
            step,
            ..pulse(step)
        });
        pulses.flat_map(|pulse| watch.push(&pulse)).collect()
    }

    #[test]
    fn a_loss_at_the_pinned_level_is_reported_once_and_a_moving_one_never() {
        // The level of gap 2.43 with 12 clusters and the loss that a run with a squared variance prints.
        let level = 2.43 + 11f32.ln();
        let pinned = warnings(|_| Pulse {
            loss: 4.825,
            level: Some(level),
            ..Pulse::default()
        });
        assert!(
            matches!(pinned[..], [Warning::Pinned { step: 50, .. }]),
            "{pinned:?}"
        );
        let moving = warnings(|step| Pulse {
            loss: level + (step as f32).sin(),
            level: Some(level),
            ..Pulse::default()
        });
        assert_eq!(moving, []);
    }

    #[test]
    fn each_condition_is_named_with_what_to_do() {
        type Run = fn(usize) -> Pulse;
        let cases: [(&str, Run); 3] = [
            ("collapsed", |step| Pulse {
                loss: 1.0,
                effective_rank: step.is_multiple_of(10).then_some(1.02),
                ..Pulse::default()
            }),
            ("diverges", |step| Pulse {
                loss: 1.0 + 0.05 * step as f32,
                ..Pulse::default()
            }),
            ("waiting for images", |_| Pulse {
                loss: 1.0,
                wait_share: 0.2,
                ..Pulse::default()
            }),
        ];
        for (words, pulse) in cases {
            let warnings = warnings(pulse);
            assert_eq!(warnings.len(), 1, "{words}: {warnings:?}");
            let text = warnings[0].to_string();
            assert!(text.contains(words) && text.contains(": "), "{text}");
        }
    }

    #[test]
    fn a_good_run_says_nothing() {
        let good = warnings(|step| Pulse {
            loss: 3.0 / step as f32,
            level: Some(3.4),
            effective_rank: Some(8.0),
            wait_share: 0.01,
            ..Pulse::default()
        });
        assert_eq!(good, []);
    }

    /// What an evaluation says of embeddings in two dimensions.
    fn shape(points: &[f32]) -> Diagnostics {
        let labels: Vec<usize> = (0..points.len() / 2).map(|row| row % 2).collect();
        diagnostics(Labelled::new(points, 2, &labels).unwrap()).unwrap()
    }

    #[test]
    fn a_collapse_that_an_evaluation_finds_is_told_however_few_steps_there_were() {
        let mut watch = HealthWatch::default();
        watch.push(&Pulse::default());
        let warning = watch.judged(3, &shape(&[1.0; 8])).unwrap().to_string();
        assert!(
            warning.contains("step 3: the embeddings have collapsed"),
            "{warning}"
        );
        // Of the keys of a loss, none is there in all of them.
        assert!(!warning.contains("loss."), "{warning}");
        assert_eq!(watch.judged(4, &shape(&[1.0; 8])), None);
        assert_eq!(watch.line(), "health: collapsed; see the warnings above");
    }

    #[test]
    fn nothing_is_called_good_that_nobody_looked_at() {
        let mut watch = HealthWatch::default();
        let short = "health: too few steps to tell collapse and divergence and waiting for images";
        assert_eq!(watch.line(), short);
        assert_eq!(
            watch.judged(1, &shape(&[1.0, 0.0, 0.0, 1.0, -1.0, 0.0, 0.0, -1.0])),
            None
        );
        let judged = "health: no collapse; too few steps to tell divergence and waiting for images";
        assert_eq!(watch.line(), judged);
        (0..WINDOW).for_each(|_| {
            drop(watch.push(&Pulse {
                loss: 1.0,
                ..Pulse::default()
            }))
        });
        let all = "health: no collapse, no divergence, no waiting for images";
        assert_eq!(watch.line(), all);
    }

    #[test]
    fn groups_of_a_few_images_are_told_before_the_first_step() {
        let mut watch = HealthWatch::default();
        assert_eq!(watch.groups(32), None);
        assert_eq!(watch.groups(4), Some(Warning::TinyGroups { images: 4 }));
        watch.push(&Pulse::default());
        assert_eq!(watch.now(), [Condition::TinyGroups]);
        assert!(watch.line().contains("tiny groups"));
    }
}
