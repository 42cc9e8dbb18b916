//! What a run shows on the terminal: a bar for each phase, and a line for what should stay. Quiet when nobody looks.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use kdam::{Bar, BarExt};
use lodestone_train::{Event, Lap, Observer, Phase, StepReport};

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    /// Errors and results only.
    Quiet,
    /// Bars on a terminal; notes, evaluations and warnings everywhere.
    Normal,
    /// A line for every step and every refresh as well.
    Verbose,
}

/// Seconds between two plain lines of a run that no terminal watches.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Draws bars with kdam on standard error, or prints a line now and then where that is no terminal.
pub(crate) struct Progress {
    start: Instant,
    /// Phases that are under way, outermost first: training stays in sight while the index is refreshed within it.
    phases: Vec<Shown>,
    bars: bool,
    verbosity: Verbosity,
    /// Images of the steps of this sitting.
    trained: usize,
    /// Steps of this sitting.
    steps: usize,
    last_line: Duration,
    stop: Arc<AtomicBool>,
}

/// A phase with its bar.
struct Shown {
    bar: Bar,
    done: usize,
}

impl Progress {
    /// Bars if standard error is a terminal; `stop` is set from outside to end the run after its step.
    pub(crate) fn new(verbosity: Verbosity, stop: Arc<AtomicBool>) -> Self {
        let bars = verbosity > Verbosity::Quiet && std::io::stderr().is_terminal();
        // The clock is what the observer lends to the library.
        Self {
            start: Instant::now(),
            phases: Vec::new(),
            bars,
            verbosity,
            trained: 0,
            steps: 0,
            last_line: Duration::ZERO,
            stop,
        }
    }

    /// From now on the first Ctrl-C or SIGTERM asks the run to stop, and a second one ends the program at once.
    ///
    /// # Errors
    /// If the system refuses.
    pub(crate) fn catch_interrupts(&self) -> Result<()> {
        let stop = Arc::clone(&self.stop);
        ctrlc::set_handler(move || {
            if stop.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
            errln!("stopping after this step; once more to stop at once");
        })
        .context("cannot catch Ctrl-C")
    }

    /// What a watcher wants to know of a step, in a line.
    fn of_step(&self, report: &StepReport) -> String {
        let seconds = report.total.total().as_secs_f64().max(1e-9);
        let percent = |lap| 100.0 * report.total.share(lap);
        let mut text = format!(
            "epoch {} step {}/{} loss {:.4}, {:.1} img/s, waiting {:.1} %",
            report.epoch,
            report.step,
            report.steps,
            report.loss,
            self.trained as f64 / seconds,
            percent(Lap::Wait)
        );
        if report.total.get(Lap::Refresh) > Duration::ZERO {
            text += &format!(", index {:.1} %", percent(Lap::Refresh));
        }
        let left = (report.steps - report.step) as f64 * seconds / self.steps.max(1) as f64;
        text += &format!(", {} left", clock(left));
        for condition in &report.health {
            text += &format!(", {}!", condition.name());
        }
        text
    }

    /// A bar of its own for a command that is no run, if bars are drawn; a total of 0 is unknown.
    pub(crate) fn bar(&self, total: usize, what: &str, unit: &str) -> Option<Bar> {
        self.bars.then(|| {
            kdam::tqdm!(
                total = total,
                desc = what,
                unit = unit,
                unit_scale = true,
                dynamic_ncols = true
            )
        })
    }

    /// A line on standard error, unless nobody wants to know.
    pub(crate) fn note(&self, text: &str) {
        if self.verbosity > Verbosity::Quiet {
            errln!("{text}");
        }
    }

    fn line(&mut self, text: &str) {
        if self.verbosity == Verbosity::Quiet {
            return;
        }
        match self.phases.first_mut() {
            // kdam moves the bar below the line; if the terminal is gone there is nobody to tell.
            Some(outermost) => drop(outermost.bar.write(text)),
            None => errln!("{text}"),
        }
    }

    fn begin(&mut self, phase: Phase, total: usize) {
        if !self.bars {
            return;
        }
        let depth = self.phases.len() as u16;
        let bar = kdam::tqdm!(
            total = total,
            desc = phase.name(),
            unit = " img",
            dynamic_ncols = true,
            position = depth,
            leave = depth == 0
        );
        self.phases.push(Shown { bar, done: 0 });
    }

    fn advance(&mut self, done: usize, postfix: Option<String>) {
        let Some(phase) = self.phases.last_mut() else {
            return;
        };
        let new = done.saturating_sub(phase.done);
        phase.done = done;
        if let Some(postfix) = postfix {
            phase.bar.set_postfix(postfix);
        }
        drop(phase.bar.update(new));
    }

    /// The outermost bar stays where it is, full; one within another gives its line back.
    fn end(&mut self) {
        let Some(mut phase) = self.phases.pop() else {
            return;
        };
        if self.phases.is_empty() {
            drop(phase.bar.refresh());
            errln!("");
        } else {
            drop(phase.bar.clear());
        }
    }
}

impl Observer for Progress {
    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn wall_time(&self) -> Duration {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.unwrap_or_default()
    }

    fn stop_requested(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn on(&mut self, event: Event<'_>) {
        match event {
            Event::PhaseStarted { phase, total } => self.begin(phase, total),
            Event::PhaseProgress { done } => self.advance(done, None),
            Event::PhaseEnded { .. } => self.end(),
            Event::Step(report) => {
                self.trained += report.step_images;
                self.steps += 1;
                let text = self.of_step(report);
                let due = self.elapsed() - self.last_line >= LINE_EVERY;
                if self.verbosity == Verbosity::Verbose {
                    let statistics: Vec<String> = report
                        .statistics
                        .iter()
                        .map(|(name, value)| format!("{name} {value:.4}"))
                        .collect();
                    self.line(&format!("{text}; {}", statistics.join(" ")));
                } else if !self.bars && due {
                    self.last_line = self.elapsed();
                    self.line(&text);
                }
                self.advance(report.images, Some(text));
            }
            Event::Refreshed {
                step,
                clusters,
                report,
                drift,
            } => {
                if self.verbosity == Verbosity::Verbose {
                    let change = report.map_or_else(String::new, |report| {
                        format!(
                            ", inertia {:.4} (stale {:.4}), {} of {} images moved, {} clusters repaired",
                            report.inertia, report.stale_inertia, report.moved, report.rows, report.repaired
                        )
                    });
                    let drift = drift.map_or_else(String::new, |drift| {
                        format!(", drift {drift:.3} standard deviations")
                    });
                    self.line(&format!(
                        "before step {}: {clusters} clusters{change}{drift}",
                        step + 1
                    ));
                }
            }
            Event::Drifted { step, drift } => {
                if self.verbosity == Verbosity::Verbose {
                    self.line(&format!(
                        "before step {}: drift {drift:.3} standard deviations, the index stays",
                        step + 1
                    ));
                }
            }
            Event::Validated {
                step,
                metric,
                value,
                best,
            } => {
                let mark = if best { ", the best so far" } else { "" };
                self.line(&format!(
                    "step {step}: validation {metric} {value:.4}{mark}"
                ));
            }
            // Nothing to see.
            Event::Begun | Event::Saved { .. } => {}
            Event::Warning(warning) => self.line(&format!("warning: {warning}")),
            Event::Note(text) => self.line(text),
        }
    }
}

/// Seconds as hours, minutes and seconds.
fn clock(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        hours => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}
