//! Running other programs: the workspace's root, cargo, and commands whose output is both shown and read.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// The folder with the workspace's manifest, as cargo says it at the start: two checkouts with one build folder share this binary,
/// which was compiled in one of them. Started without cargo it is that one's.
pub(crate) fn root() -> PathBuf {
    let started = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let here = started.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    here.parent()
        .map_or_else(|| here.clone(), Path::to_path_buf)
}

/// Cargo's build folder.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The cargo that started us, so that the same toolchain does the work.
///
/// What cargo told us of our own package is not passed on: build scripts of some dependencies look at it, and half of the
/// workspace would be compiled anew whenever one changes between `cargo build` and `cargo xtask`.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    for (name, _) in std::env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_"]
            .iter()
            .any(|start| name.to_string_lossy().starts_with(start))
        {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command to its end; anything but success is an error that names it.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {command:?}"))?;
    ensure!(status.success(), "{} ended with {status}", shown(command));
    Ok(())
}

/// Runs a command and hands every line it prints to `show`, which says whether to show it; returns whether it succeeded.
///
/// Standard error joins standard output, as the test runners print to both.
pub(crate) fn watch(command: &mut Command, mut show: impl FnMut(&str) -> bool) -> Result<bool> {
    let (reader, writer) = std::io::pipe()?;
    command
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .stdin(Stdio::null());
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    // The command holds the pipe's other ends; without them the reader would wait for ever.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    for text in BufReader::new(reader).lines() {
        let text = text?;
        if show(&text)
            && let Err(unread) = outln!("{text}")
        {
            // Nobody reads along any more, so the rest is not waited for.
            child.kill()?;
            child.wait()?;
            return Err(unread);
        }
    }
    Ok(child.wait()?.success())
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let arguments = command
        .get_args()
        .map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once(program.into_owned())
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}

/// In quotes, if a shell would make anything else of it.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_the_words_that_were_quoted() {
        let words = ["a=1", "set={name=\"x y\"}", "it's", "", "$HOME", "[1, 2]"];
        let line: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        let script = format!("printf '%s;' {}", line.join(" "));
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        let expected: String = words.iter().map(|word| format!("{word};")).collect();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    }
}
