//! burn's default device, onto which it reads what optimisers know (`ModuleOptimizer::from_bytes` of burn-optim 0.22.1 takes no
//! device; the first step moves the states to their parameters). A binary with a GPU built in has the GPU for it, there or not,
//! unless a variable of the environment names another, and a program can set that only for its successor.

use std::process::Command;

use anyhow::{Context, Result};

/// burn's own variable. Who sets it has chosen.
const VARIABLE: &str = "BURN_DEVICE";

/// Starts this command again with the processor as burn's default device, and returns only where it is that already.
///
/// # Errors
/// If the program cannot be started again.
pub(super) fn make_cpu() -> Result<()> {
    if std::env::var_os(VARIABLE).is_some() {
        return Ok(());
    }
    let mut command = Command::new(std::env::current_exe().context("looking for this program")?);
    command
        .args(std::env::args_os().skip(1))
        .env(VARIABLE, "flex");
    become_it(&mut command)
}

/// On Unix in the place of this process, which keeps its number and its signals.
#[cfg(unix)]
fn become_it(command: &mut Command) -> Result<()> {
    use std::os::unix::process::CommandExt as _;
    Err(command.exec()).context("starting this program again")
}

#[cfg(not(unix))]
fn become_it(command: &mut Command) -> Result<()> {
    let status = command.status().context("starting this program again")?;
    std::process::exit(status.code().unwrap_or(1));
}
