//! What a training step costs beside its arithmetic, and whether memory grows over a long run.

use std::process::Command;

use anyhow::{Result, bail};

use super::{Comparison, Options, example};

/// Steps of GoogLeNet at batch 32, the first two of which are not counted.
const STEPS: &str = "6";
/// Small steps over which memory must stay where it is.
const SMALL_STEPS: &str = "10000";

/// Runs the parts named on the command line, of `step` and `memory`, or both. There is no peer: shares of our own step.
pub(crate) fn training(options: &Options) -> Result<()> {
    let program = example("bench_training")?;
    let parts: Vec<&str> = match options.rest.len() {
        0 => vec!["step", "memory"],
        _ => options.rest.iter().map(String::as_str).collect(),
    };
    for part in parts {
        let steps = match part {
            "step" => STEPS,
            "memory" => SMALL_STEPS,
            other => bail!("bench training has the parts step and memory, not {other}"),
        };
        let mut comparison = Comparison::default();
        let ours = || {
            let mut command = Command::new(&program);
            command.args([part, steps]);
            command
        };
        comparison.alternate(options.rounds, &ours, None)?;
        outln!("{}", comparison.to_markdown("no peer"))?;
    }
    Ok(())
}
