//! A few steps of the small network by the binary: refreshes, steps, evaluation.

use std::path::Path;
use std::process::Command;

use crate::{assert_close, name};

/// Losses of the steps in the run's log, and the error on the test images.
fn train(device: &str, loss: &str, folder: &Path) -> (Vec<f32>, f32) {
    let out = folder.join(device);
    let mut command = Command::new(env!("CARGO_BIN_EXE_lodestone"));
    command
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .args(["--quiet", "train", "--device", device, "--config"])
        .arg(format!("datasets/fashion-mini/{loss}.toml"))
        .arg("--out")
        .arg(&out);
    for setting in [
        "train.images=288",
        "model.network.width=8",
        "model.head.embedding_size=16",
    ] {
        command.args(["--set", setting]);
    }
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut log = csv::Reader::from_path(out.join("log.csv")).unwrap();
    let column = log
        .headers()
        .unwrap()
        .iter()
        .position(|name| name == "loss")
        .unwrap();
    let losses = log
        .records()
        .map(|row| row.unwrap()[column].parse().unwrap())
        .collect();
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

#[test]
fn the_small_network_trains_to_the_losses_of_the_cpu() {
    let Some(device) = name() else { return };
    for loss in ["softmax", "triplet", "magnet"] {
        let folder = tempfile::tempdir().unwrap();
        let (expected, error) = train("cpu", loss, folder.path());
        let (found, device_error) = train(&device, loss, folder.path());
        assert!(found.len() >= 4, "{loss}: {} steps", found.len());
        // Roundings grow from step to step; the first one has none but its own.
        assert_close(loss, &found[..1], &expected[..1], 1e-4);
        assert_close(loss, &found, &expected, 1e-3);
        // A thousand test images, of which a few lie on a border.
        assert!(
            (device_error - error).abs() < 0.01,
            "{loss}: test error {device_error} on the device, {error} on the CPU"
        );
    }
}
