//! A remote device: those without the token are refused, the others get the numbers of the device behind it.

use std::fs;

use crate::server::{TOKEN, name};
use crate::training::{assert_close_losses, command, finish, run_folder, train};

#[test]
fn a_wrong_token_is_refused_in_one_line_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = "0123456789abcdef";
    let output = command(name(), "softmax", 144, folder.path())
        .env("LODESTONE_TOKEN", wrong)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(
        error.contains(&format!("device `{}` refused the token", name())),
        "{error}"
    );
    assert!(!error.contains(wrong), "{error}");
    let written = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(written, 0, "files in the folder of the run");
}

#[test]
fn three_steps_have_the_losses_of_the_processor_that_serves() {
    let folder = tempfile::tempdir().unwrap();
    let (expected, _) = train("cpu", "softmax", 144, folder.path());
    let (found, _) = train(name(), "softmax", 144, folder.path());
    assert_eq!(found.len(), 3);
    assert_close_losses("softmax", &found, &expected);

    let record = fs::read_to_string(run_folder(name(), folder.path()).join("run.json")).unwrap();
    assert!(record.contains(name()), "{record}");
    assert!(!record.contains(TOKEN), "{record}");
}

/// Half of each batch on either side, and the numbers of the whole.
#[test]
fn a_batch_that_is_shared_with_a_remote_device_gives_the_losses_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let losses = |name: &str, more: &[&str]| {
        let folder = folder.path().join(name);
        let mut command = command("cpu", "magnet", 288, &folder);
        command
            .args(["--set", "model.batch_norm=\"frozen\""])
            .args(more);
        finish(&mut command, "magnet", &run_folder("cpu", &folder)).0
    };
    let expected = losses("alone", &[]);
    let found = losses("shared", &["--workers", name()]);
    assert_close_losses("magnet", &found, &expected);
}
