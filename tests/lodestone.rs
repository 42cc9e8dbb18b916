//! Runs the binary and keeps what it said.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The repository, where the run files are.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A command of the binary, quiet, with its caches in `folder`.
pub(crate) fn lodestone(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lodestone"));
    command
        .current_dir(repository())
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .args(arguments);
    command
}

/// Runs to the end; a failure shows everything that was printed.
pub(crate) fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}\n{}\n{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// Runs to the end and returns the one line of the error; more lines, a panic or success fail the test.
pub(crate) fn fails(command: &mut Command) -> String {
    let output: Output = command.output().unwrap();
    let error = text(&output.stderr);
    assert!(
        !output.status.success(),
        "{command:?} succeeded: {}",
        text(&output.stdout)
    );
    assert!(!error.contains("panicked"), "{command:?}: {error}");
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 1, "{command:?}: {error}");
    lines[0].to_owned()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Arguments that make a run of fashion-mini last about a second.
pub(crate) const SHORT: [&str; 6] = [
    "--set",
    "train.images=960",
    "--set",
    "model.network.width=12",
    "--set",
    "model.head.embedding_size=16",
];
