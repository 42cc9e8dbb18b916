//! What a user does wrong: one line that names the thing, an exit code that is not 0, nothing half-written.

use std::fs;

use crate::lodestone::{SHORT, fails, lodestone};

#[test]
fn mistakes_get_one_line_that_names_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let magnet = "tests/run-files/magnet.toml";
    let text = folder.path().join("weights.safetensors");
    fs::write(&text, "no weights at all").unwrap();
    let text = text.to_str().unwrap();
    let cases: [(&[&str], &[&str]); 16] = [
        (
            &["--config", "no/such.toml"],
            &["no/such.toml", "No such file"],
        ),
        (
            &["--config", magnet, "--set", "loss.gpa=1"],
            &["loss.gpa=1", "unknown field `gpa`", "did you mean `gap`"],
        ),
        (
            &["--config", magnet, "--set", "train.imagse=1"],
            &["did you mean `images`"],
        ),
        (
            &["--config", magnet, "--set", "loss.gap=-0.1"],
            &["gap", "-0.1"],
        ),
        (
            &["--config", magnet, "--set", "optimizer.head_rate=inf"],
            &["optimizer.head_rate is inf, must be a number"],
        ),
        (
            &["--config", magnet, "--set", "data.threads=10000"],
            &["data.threads is 10000, must be at most 1024"],
        ),
        (
            &["--config", magnet, "--set", "evaluation.vote_variance=0"],
            &["evaluation.vote_variance is 0", "above 0"],
        ),
        (
            &[
                "--config",
                magnet,
                "--set",
                "data.augmentation.rotation_degrees=-15",
            ],
            &["data.augmentation.rotation_degrees", "-15", "0..=180"],
        ),
        (
            &["--config", magnet, "--set", "model.head.dropout=1.5"],
            &["model.head.dropout is 1.5"],
        ),
        (
            &["--config", magnet, "--set", "sampler.clusters_per_batch=40"],
            &["clusters_per_batch", "40", "19"],
        ),
        (
            &["--config", magnet, "--set", "model.freeze_until=block9"],
            &["block9", "block1, block2, block3"],
        ),
        (
            &["--config", magnet, "--weights", text],
            &["weights.safetensors"],
        ),
        (
            &["--config", magnet, "--weights", "no/such.safetensors"],
            &["no/such.safetensors"],
        ),
        (
            &["--config", magnet, "--data", "no/such/folder"],
            &["no/such/folder"],
        ),
        (
            &[
                "--config",
                magnet,
                "--set",
                "data.set={name=\"flowers-102\",protocol=\"train\"}",
            ],
            &["flowers-102", "folder"],
        ),
        (
            &["--config", magnet, "--set", "train.valid_period=5"],
            &["train.valid_period is 5", "data.validation is 0"],
        ),
    ];
    for (arguments, expected) in cases {
        let out = folder.path().join("run");
        let mut all = vec!["--quiet", "train", "--out", out.to_str().unwrap()];
        all.extend(arguments);
        all.extend(SHORT);
        let error = fails(&mut lodestone(folder.path(), &all));
        for part in expected {
            assert!(error.contains(part), "{arguments:?}: {error}");
        }
        assert!(!out.join("model.safetensors").exists());
    }
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_device_that_is_not_built_in_names_the_feature() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "train",
        "--config",
        "tests/run-files/magnet.toml",
        "--device",
        "cuda:0",
    ];
    let error = fails(&mut lodestone(folder.path(), &arguments));
    assert!(error.contains("--features cuda"), "{error}");
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_with_step_and_images() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut arguments = vec![
        "--quiet",
        "train",
        "--config",
        "tests/run-files/softmax.toml",
    ];
    arguments.extend([
        "--out",
        out.to_str().unwrap(),
        "--set",
        "optimizer.rule={kind=\"sgd\"}",
    ]);
    for rate in [
        "optimizer.trunk_rate=1e6",
        "optimizer.head_rate=1e6",
        "optimizer.loss_rate=1e6",
    ] {
        arguments.extend(["--set", rate]);
    }
    arguments.extend(SHORT);
    let error = fails(&mut lodestone(folder.path(), &arguments));
    for part in [
        "error: step ",
        "the loss is ",
        "fashion-mini image",
        "no good checkpoint yet",
    ] {
        assert!(error.contains(part), "{error}");
    }
    assert!(!out.join("model.safetensors").exists());
    assert!(!out.join("report.json").exists());

    // With checkpoints, the one that holds the ruined weights does not count as good.
    arguments.extend(["--set", "train.checkpoint_period=1", "--force"]);
    let error = fails(&mut lodestone(folder.path(), &arguments));
    let step = |text: &str| text.parse::<usize>().unwrap();
    let (failed, _) = error
        .strip_prefix("error: step ")
        .unwrap()
        .split_once(':')
        .unwrap();
    let told = error.split_once("the last good checkpoint is that of step ");
    let good = told.map(|(_, good)| step(good));
    let there: Option<usize> = fs::read_dir(out.join("checkpoints"))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter_map(|name| {
            let digits = name.strip_prefix("step-")?.strip_suffix(".ckpt")?;
            Some(step(digits))
        })
        .max();
    assert_eq!(there, good, "{error}");
    assert!(good.is_none_or(|good| good < step(failed)), "{error}");
}

/// A short run of softmax on fashion-mini into `out`.
fn short_run(out: &str) -> Vec<&str> {
    let config = "tests/run-files/softmax.toml";
    let mut arguments = vec!["--quiet", "train", "--config", config, "--out", out];
    arguments.extend(SHORT);
    arguments
}

#[test]
fn a_checkpoint_of_other_settings_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let arguments = short_run(out.to_str().unwrap());
    crate::lodestone::succeeds(&mut lodestone(folder.path(), &arguments));
    let file = out.join("run.toml");
    let changed = fs::read_to_string(&file)
        .unwrap()
        .replace("trunk_rate = 0.003", "trunk_rate = 0.004");
    fs::write(&file, changed).unwrap();
    let resume = ["--quiet", "train", "--resume", out.to_str().unwrap()];
    let error = fails(&mut lodestone(folder.path(), &resume));
    assert!(
        error.contains(
            "the checkpoint belongs to other settings: optimizer.trunk_rate is 0.003 there, 0.004 here"
        ),
        "{error}"
    );
}
