//! What a run shows: event files that TensorBoard itself reads, plain lines, explained keys.

use std::fs;
use std::process::Command;

use crate::lodestone::{SHORT, fails, lodestone, succeeds};

/// Reads an event file with TensorBoard's own reader and prints what is in it, by tag.
const READER: &str = r#"
import json, struct, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "images": 0, "histograms": 0})
events.Reload()
tags = events.Tags()
out = {"scalars": {}, "histograms": {}, "images": {}}
for tag in tags["scalars"]:
    out["scalars"][tag] = [[e.step, e.value] for e in events.Scalars(tag)]
for tag in tags["histograms"]:
    out["histograms"][tag] = [[e.step, e.histogram_value.num, sum(e.histogram_value.bucket)] for e in events.Histograms(tag)]
for tag in tags["images"]:
    out["images"][tag] = [[e.step, e.width, e.height, e.encoded_image_string[:8].hex()] for e in events.Images(tag)]
print(json.dumps(out))
"#;

/// A Python that has tensorboard: that of `LODESTONE_PYTHON`, or python3.
fn python() -> Option<String> {
    let python = std::env::var("LODESTONE_PYTHON").unwrap_or_else(|_| "python3".into());
    let check = Command::new(&python)
        .args(["-c", "import tensorboard"])
        .output();
    match check {
        Ok(output) if output.status.success() => Some(python),
        _ => {
            eprintln!(
                "skipped: {python} has no tensorboard, so no event file was read; set LODESTONE_PYTHON to one that has"
            );
            None
        }
    }
}

#[test]
fn tensorboard_reads_the_event_file_before_and_after_a_resume() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut arguments = vec!["--quiet", "train"];
    arguments.extend(["--config", "tests/run-files/magnet.toml"]);
    arguments.extend(["--out", out.to_str().unwrap()]);
    arguments.extend(SHORT);
    arguments.extend(["--set", "train.checkpoint_period=5"]);
    arguments.extend(["--set", "train.refresh={when=\"steps\",every=10}"]);
    succeeds(&mut lodestone(folder.path(), &arguments));
    let read = || {
        let output = Command::new(&python)
            .args(["-c", READER, out.to_str().unwrap()])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout).unwrap();
        let last = text.lines().last().unwrap().to_owned();
        serde_json::from_str::<serde_json::Value>(&last).unwrap()
    };
    let check = |events: &serde_json::Value| {
        let scalars = &events["scalars"];
        let log = fs::read_to_string(out.join("log.csv")).unwrap();
        let loss = scalars["loss"].as_array().unwrap();
        assert_eq!(loss.len(), 20);
        for (point, line) in loss.iter().zip(log.lines().skip(1)) {
            let cells: Vec<f64> = line
                .split(',')
                .map(|cell| cell.parse().unwrap_or(0.0))
                .collect();
            assert_eq!(point[0].as_f64().unwrap(), cells[0]);
            let value = point[1].as_f64().unwrap();
            assert!(
                (value - cells[3]).abs() < 1e-6 * cells[3],
                "{value}: {line}"
            );
        }
        for tag in [
            "rate/trunk",
            "rate/head",
            "batch/variance",
            "batch/hinged_out",
            "time/wait_share",
        ] {
            assert_eq!(scalars[tag].as_array().unwrap().len(), 20, "{tag}");
        }
        // Looked at every tenth step.
        for tag in [
            "sampling/seed_entropy",
            "embedding/norm",
            "embedding/effective_rank",
        ] {
            assert_eq!(scalars[tag].as_array().unwrap().len(), 2, "{tag}");
        }
        let histograms = events["histograms"]["embedding/values"].as_array().unwrap();
        assert_eq!(histograms.len(), 2);
        // 48 embeddings of 16 values, each in one bar.
        assert_eq!(histograms[0][1], 768.0);
        assert_eq!(histograms[0][2], 768.0);
        for (tag, times) in [("neighbours/training", 2), ("neighbours/test", 1)] {
            let images = events["images"][tag].as_array().unwrap();
            assert_eq!(images.len(), times, "{tag}");
            assert_eq!(images[0][3], "89504e470d0a1a0a", "{tag} is no PNG");
            assert_eq!(images[0][1], 9 * 34, "{tag}");
        }
    };
    check(&read());

    // As if it had been killed behind step 15: the newest checkpoint goes, and the file ends in the middle of a record.
    let checkpoints = out.join("checkpoints");
    fs::remove_file(checkpoints.join("step-000000020.ckpt")).unwrap();
    let file = out.join("events.out.tfevents.lodestone");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() - 7]).unwrap();
    succeeds(&mut lodestone(
        folder.path(),
        &["--quiet", "train", "--resume", out.to_str().unwrap()],
    ));
    check(&read());
}

#[test]
fn a_run_that_no_terminal_watches_prints_lines_and_its_health() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut arguments = vec!["--verbose", "train"];
    arguments.extend(["--config", "tests/run-files/magnet.toml"]);
    arguments.extend(["--out", out.to_str().unwrap()]);
    arguments.extend(SHORT);
    let output = lodestone(folder.path(), &arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let last = said
        .lines()
        .find(|line| line.contains("step 20/20"))
        .unwrap_or_else(|| panic!("{said}"));
    for part in ["epoch 0", "loss ", "img/s", "waiting ", "index ", "left"] {
        assert!(last.contains(part), "{part}: {last}");
    }
    assert!(
        said.contains(
            "health: no collapse; too few steps to tell divergence and waiting for images"
        ),
        "{said}"
    );
}

#[test]
fn keys_are_explained_from_the_documentation_of_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let said = |key: &str| succeeds(&mut lodestone(folder.path(), &["explain", key]));
    let refresh = said("train.refresh");
    for part in [
        "When the cluster index is built anew.",
        "default: ",
        "drift",
        "epochs",
    ] {
        assert!(refresh.contains(part), "{part}: {refresh}");
    }
    let train = said("train");
    assert!(train.contains("accumulate, average_decay"), "{train}");
    assert!(said("loss.gap").contains("(magnet)"));
    let all = succeeds(&mut lodestone(folder.path(), &["explain"]));
    assert!(all.lines().count() > 100, "{all}");
    let error = fails(&mut lodestone(folder.path(), &["explain", "train.refesh"]));
    assert!(error.contains("did you mean `train.refresh`?"), "{error}");
    assert!(said("model.freeze_until").contains("GoogLeNet (bvlc): conv1, maxpool1, conv2"));

    // As a run file has it.
    let file = "datasets/fashion-mini/magnet.toml";
    let in_file = |key: &str| {
        let arguments = ["explain", key, "--config", file];
        succeeds(&mut lodestone(folder.path(), &arguments))
    };
    let loss = in_file("loss.kind");
    assert!(loss.contains("loss.kind = magnet"), "{loss}");
    let stages = in_file("model.freeze_until");
    assert!(
        stages.contains("it is not set") && stages.contains("block1, block2, block3"),
        "{stages}"
    );
}
