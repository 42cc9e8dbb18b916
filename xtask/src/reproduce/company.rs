//! Whether a command had the processor to itself: its seconds are worth nothing otherwise.

use std::fs;
use std::time::Instant;

/// Share of one core that others may take: what a desktop does in the background.
const QUIET: f64 = 0.1;
/// Ticks a second of the times that Linux tells.
const TICKS: f64 = 100.0;

/// Held while a command runs.
pub(crate) struct Company {
    start: Instant,
    /// Seconds of all processes, and of our children, so far; absent where the system does not tell.
    before: Option<(f64, f64)>,
}

impl Company {
    pub(crate) fn begin() -> Self {
        Self {
            start: Instant::now(),
            before: times(),
        }
    }

    /// Whether others took more than a tenth of a core since, or nobody knows.
    pub(crate) fn was_there(&self) -> bool {
        let Some(((all, own), (all_before, own_before))) = times().zip(self.before) else {
            return true;
        };
        let others = (all - all_before) - (own - own_before);
        others > QUIET * self.start.elapsed().as_secs_f64()
    }
}

/// Seconds of processor that everything took since the start of the system, and those of our children that have ended.
fn times() -> Option<(f64, f64)> {
    let all = fs::read_to_string("/proc/stat").ok()?;
    let line = all.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<f64> = line
        .split_whitespace()
        .map_while(|n| n.parse().ok())
        .collect();
    // User, nice, system; then idle and waiting, which are nobody's.
    let busy: f64 = ticks.get(..3)?.iter().sum();
    let own = fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the program's name in brackets, which may hold anything: field 3 is the first.
    let fields: Vec<&str> = own.rsplit_once(')')?.1.split_whitespace().collect();
    let child = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    Some((busy / TICKS, (child(16)? + child(17)?) / TICKS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_works_alone_is_no_company_to_itself() {
        let Some((_, before)) = times() else { return };
        let mut busy = std::process::Command::new("sh");
        busy.args(["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"]);
        busy.status().unwrap();
        let (_, after) = times().unwrap();
        assert!(after > before, "{after} {before}");
    }
}
