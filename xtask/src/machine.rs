//! What a measured number must stand beside: the machine and the commit.

use std::fs;
use std::process::Command;

use crate::process::root;

/// Processor, cores, memory and operating system, on one line.
pub(crate) fn machine() -> String {
    let processor =
        proc_field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".into());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = proc_field("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split(' ').next()?.parse::<f64>().ok())
        .map_or_else(
            || "unknown memory".into(),
            |kib| format!("{:.0} GiB", kib / 1024.0 / 1024.0),
        );
    let wide = fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| text.contains("avx512f"));
    let vectors = if wide { "AVX-512" } else { "no AVX-512" };
    format!(
        "{processor}, {cores} cores, {vectors}, {memory}, {}",
        std::env::consts::OS
    )
}

fn proc_field(path: &str, field: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(field))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// What [`commit`] says of a copy without git.
pub(crate) const NO_COMMIT: &str = "no commit";

/// Short hash of the commit, with a mark if the tree differs from it; a copy without git has none.
///
/// Ledgers and the tables made from them change with every cell, and prose decides no number: they are not looked at.
pub(crate) fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(root())
            .output()
            .ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    match (
        git(&["rev-parse", "--short=12", "HEAD"]),
        git(&[
            "status",
            "--porcelain",
            "--untracked-files=no",
            "--",
            ".",
            ":!datasets/*/results.json",
            ":!datasets/*/outcomes.json",
            ":!*.md",
        ]),
    ) {
        (Some(hash), Some(changes)) if changes.is_empty() => hash,
        (Some(hash), _) => format!("{hash} with changes"),
        _ => NO_COMMIT.into(),
    }
}
