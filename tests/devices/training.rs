//! A few steps of the small network by the binary: refreshes, steps, evaluation.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{assert_as_on_the_cpu, name, run_log, tolerance};

/// Folder of the run in `folder` that `device` trains; a remote device has an address behind its kind.
pub(crate) fn run_folder(device: &str, folder: &Path) -> PathBuf {
    folder.join(device.split(':').next().unwrap_or(device))
}

/// The command that trains on `images` images.
pub(crate) fn command(device: &str, loss: &str, images: usize, folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lodestone"));
    command
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .args(["--quiet", "train", "--device", device, "--config"])
        .arg(format!("tests/run-files/{loss}.toml"))
        .arg("--out")
        .arg(run_folder(device, folder))
        .args(["--set", &format!("train.images={images}")]);
    for setting in ["model.network.width=8", "model.head.embedding_size=16"] {
        command.args(["--set", setting]);
    }
    #[cfg(feature = "remote")]
    command.env("LODESTONE_TOKEN", crate::server::TOKEN);
    command
}

/// Losses of the steps in the run's log, and the error on the test images.
pub(crate) fn train(device: &str, loss: &str, images: usize, folder: &Path) -> (Vec<f32>, f32) {
    finish(
        &mut command(device, loss, images, folder),
        loss,
        &run_folder(device, folder),
    )
}

/// Runs a command that trains into `out`, and reads the same there.
pub(crate) fn finish(command: &mut Command, loss: &str, out: &Path) -> (Vec<f32>, f32) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let losses = run_log::losses(out);
    let losses = losses.into_iter().map(|loss| loss as f32).collect();
    let report = std::fs::read_to_string(out.join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let key = match loss {
        "softmax" => "argmax_error_at_1",
        "triplet" => "soft_knn_error_at_1",
        _ => "knc_error_at_1",
    };
    let error = report["measures"][key]["value"].as_f64().unwrap();
    (losses, error as f32)
}

/// Roundings grow from step to step; the first one has none but its own.
pub(crate) fn assert_close_losses(loss: &str, found: &[f32], expected: &[f32]) {
    assert_as_on_the_cpu(loss, &found[..1], &expected[..1], tolerance(1e-4));
    assert_as_on_the_cpu(loss, found, expected, tolerance(1e-3));
}

#[test]
fn the_small_network_trains_to_the_losses_of_the_cpu() {
    let Some(device) = name() else { return };
    // Losses without parameters of their own: those are drawn on the device, and each has a generator of its own.
    for loss in ["triplet", "magnet"] {
        let folder = tempfile::tempdir().unwrap();
        let (expected, error) = train("cpu", loss, 288, folder.path());
        let (found, device_error) = train(&device, loss, 288, folder.path());
        assert!(found.len() >= 4, "{loss}: {} steps", found.len());
        assert_close_losses(loss, &found, &expected);
        // A thousand test images, of which a few lie on a border.
        assert!(
            (device_error - error).abs() < 0.01,
            "{loss}: test error {device_error} on the device, {error} on the CPU"
        );
        // A remote device compiles in its server's process.
        let kept = folder.path().join("cache/lodestone/kernels");
        let kept = std::fs::read_dir(&kept).is_ok_and(|mut files| files.next().is_some());
        assert!(
            kept || device.starts_with("remote"),
            "kernels are not kept for the next start"
        );
    }
}

#[test]
fn a_run_of_the_cpu_goes_on_where_no_gpu_answers() {
    let Some(_) = name() else { return };
    let folder = tempfile::tempdir().unwrap();
    train("cpu", "triplet", 96, folder.path());
    let run = run_folder("cpu", folder.path());
    std::fs::remove_file(run.join("report.json")).unwrap();
    let mut resume = Command::new(env!("CARGO_BIN_EXE_lodestone"));
    resume
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .env("XDG_CACHE_HOME", folder.path().join("cache"))
        .env_remove("BURN_DEVICE")
        .args(["--quiet", "train", "--resume"])
        .arg(&run);
    let drivers = [
        "VK_DRIVER_FILES",
        "VK_ICD_FILENAMES",
        "__EGL_VENDOR_LIBRARY_FILENAMES",
    ];
    for drivers in drivers {
        resume.env(drivers, folder.path().join("none.json"));
    }
    resume.env("CUDA_VISIBLE_DEVICES", "");
    finish(&mut resume, "triplet", &run);
}
