//! What a run shows on the terminal: a bar for each phase, and a line for what should stay. Quiet when nobody looks.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kdam::{Bar, BarExt};
use lodestone_train::{Event, Observer, Phase};

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

/// Draws bars with kdam on standard error.
pub(crate) struct Progress {
    start: Instant,
    bar: Option<Bar>,
    bars: bool,
    verbosity: Verbosity,
    done: usize,
    stop: Arc<AtomicBool>,
}

impl Progress {
    /// Bars if standard error is a terminal; `stop` is set from outside to end the run after its step.
    pub(crate) fn new(verbosity: Verbosity, stop: Arc<AtomicBool>) -> Self {
        let bars = verbosity > Verbosity::Quiet && std::io::stderr().is_terminal();
        // The clock is what the observer lends to the library.
        Self {
            start: Instant::now(),
            bar: None,
            bars,
            verbosity,
            done: 0,
            stop,
        }
    }

    fn line(&mut self, text: &str) {
        if self.verbosity == Verbosity::Quiet {
            return;
        }
        match &mut self.bar {
            // kdam moves the bar below the line; if the terminal is gone there is nobody to tell.
            Some(bar) => drop(bar.write(text)),
            None => eprintln!("{text}"),
        }
    }

    fn begin(&mut self, phase: Phase, total: usize) {
        self.done = 0;
        if !self.bars {
            return;
        }
        let bar = kdam::tqdm!(
            total = total,
            desc = phase.name(),
            unit = " img",
            dynamic_ncols = true,
            leave = phase == Phase::Training
        );
        self.bar = Some(bar);
    }

    fn advance(&mut self, done: usize, postfix: Option<String>) {
        let new = done.saturating_sub(self.done);
        self.done = done;
        if let Some(bar) = &mut self.bar {
            if let Some(postfix) = postfix {
                bar.set_postfix(postfix);
            }
            drop(bar.update(new));
        }
    }
}

impl Observer for Progress {
    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn stop_requested(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn on(&mut self, event: Event<'_>) {
        match event {
            Event::PhaseStarted { phase, total } => self.begin(phase, total),
            Event::PhaseProgress { done } => self.advance(done, None),
            Event::PhaseEnded { .. } => {
                if let Some(mut bar) = self.bar.take() {
                    drop(bar.refresh());
                    eprintln!();
                }
            }
            Event::Step(report) => {
                if self.verbosity == Verbosity::Verbose {
                    let statistics: Vec<String> = report
                        .statistics
                        .iter()
                        .map(|(name, value)| format!("{name} {value:.4}"))
                        .collect();
                    let text = format!(
                        "step {}/{} epoch {} loss {:.4} {}",
                        report.step,
                        report.steps,
                        report.epoch,
                        report.loss,
                        statistics.join(" ")
                    );
                    self.line(&text);
                }
                let postfix = format!(
                    "epoch {} step {}/{} loss {:.3}",
                    report.epoch, report.step, report.steps, report.loss
                );
                self.advance(report.images, Some(postfix));
            }
            Event::Refreshed {
                step,
                clusters,
                report,
            } => {
                if self.verbosity == Verbosity::Verbose {
                    let change = report.map_or_else(String::new, |report| {
                        format!(
                            ", inertia {:.4} (stale {:.4}), {} of {} images moved, {} clusters repaired",
                            report.inertia, report.stale_inertia, report.moved, report.rows, report.repaired
                        )
                    });
                    self.line(&format!(
                        "before step {}: {clusters} clusters{change}",
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
            Event::Warning(warning) => self.line(&format!("warning: {warning}")),
            Event::Note(text) => self.line(text),
        }
    }
}
