//! Where the time of a step goes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A part of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lap {
    /// Building the cluster index anew, or measuring whether that is due.
    Refresh,
    /// Waiting for images that are not decoded yet.
    Wait,
    /// Network and loss, forwards.
    Forward,
    /// Gradients.
    Backward,
    /// The optimiser and the moving average.
    Update,
    /// Drawing batches, keeping losses, logs.
    Other,
    /// Evaluations and checkpoints, where the step had one.
    Keep,
}

impl Lap {
    /// All of them, in the order of a step.
    pub const ALL: [Self; 7] = [
        Self::Refresh,
        Self::Wait,
        Self::Forward,
        Self::Backward,
        Self::Update,
        Self::Other,
        Self::Keep,
    ];

    /// Name of its column in `times.csv`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refresh => "refresh",
            Self::Wait => "wait",
            Self::Forward => "forward",
            Self::Backward => "backward",
            Self::Update => "update",
            Self::Other => "other",
            Self::Keep => "keep",
        }
    }
}

/// Time by part, of one step or of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times([Duration; Lap::ALL.len()]);

impl Times {
    /// Time of a part.
    pub fn get(&self, lap: Lap) -> Duration {
        self.0[lap as usize]
    }

    /// Time of all parts.
    pub fn total(&self) -> Duration {
        self.0.iter().sum()
    }

    /// Share of a part, in `[0, 1]`; 0 where nothing was timed.
    pub fn share(&self, lap: Lap) -> f64 {
        self.get(lap).as_secs_f64() / self.total().as_secs_f64().max(1e-9)
    }

    /// Adds the times of another step.
    pub fn add(&mut self, other: &Self) {
        for (total, time) in self.0.iter_mut().zip(other.0) {
            *total += time;
        }
    }
}

/// A stopwatch that is read at the end of each part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch {
    last: Duration,
    times: Times,
}

impl Stopwatch {
    pub(crate) fn start(now: Duration) -> Self {
        Self {
            last: now,
            times: Times::default(),
        }
    }

    /// What passed since the last reading belongs to `lap`, and is returned.
    pub(crate) fn lap(&mut self, lap: Lap, now: Duration) -> Duration {
        let passed = now.saturating_sub(self.last);
        self.times.0[lap as usize] += passed;
        self.last = now;
        passed
    }

    /// Time that was counted under `from` belongs to `to` after all.
    pub(crate) fn shift(&mut self, from: Lap, to: Lap, time: Duration) {
        self.times.0[from as usize] = self.times.0[from as usize].saturating_sub(time);
        self.times.0[to as usize] += time;
    }

    /// The times of the step so far.
    pub(crate) fn times(&self) -> Times {
        self.times
    }

    /// The times of the step; the next one starts here.
    pub(crate) fn take(&mut self) -> Times {
        std::mem::take(&mut self.times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_between_two_readings_belongs_to_the_second() {
        let at = Duration::from_millis;
        let mut watch = Stopwatch::start(at(10));
        watch.lap(Lap::Wait, at(30));
        watch.lap(Lap::Forward, at(80));
        watch.lap(Lap::Wait, at(90));
        let times = watch.take();
        assert_eq!((times.get(Lap::Wait), times.total()), (at(30), at(80)));
        assert_eq!(times.share(Lap::Forward), 0.625);
        assert_eq!(watch.take(), Times::default());
    }
}
