//! From a run file to a report.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::lodestone::{SHORT, lodestone, succeeds};

fn train<'a>(config: &'a str, out: &'a str) -> Vec<&'a str> {
    let mut arguments = vec!["--quiet", "train", "--config", config, "--out", out];
    arguments.extend(SHORT);
    arguments
}

#[test]
fn each_loss_trains_and_is_judged_by_its_own_rule() {
    let cases = [
        ("datasets/fashion-mini/softmax.toml", "argmax_error_at_1"),
        ("datasets/fashion-mini/triplet.toml", "soft_knn_error_at_1"),
        ("datasets/fashion-mini/magnet.toml", "knc_error_at_1"),
    ];
    for (config, key) in cases {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run");
        let printed = succeeds(&mut lodestone(
            folder.path(),
            &train(config, out.to_str().unwrap()),
        ));
        assert!(printed.contains(&format!("test {key}: ")), "{printed}");
        let report = fs::read_to_string(out.join("report.json")).unwrap();
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        let error = report["measures"][key]["value"].as_f64().unwrap();
        // Ten classes: guessing is wrong nine times of ten. Twenty steps are enough to know better.
        assert!((0.0..0.8).contains(&error), "{config}: {error}");
        assert_eq!(report["measures"][key]["count"], 1000);
        let log = fs::read_to_string(out.join("log.csv")).unwrap();
        assert_eq!(log.lines().count(), 21, "{log}");

        // The finished run, judged again, gives the same report.
        let again = succeeds(&mut lodestone(
            folder.path(),
            &["--quiet", "evaluate", out.to_str().unwrap(), "--json"],
        ));
        let again: serde_json::Value = serde_json::from_str(&again).unwrap();
        assert_eq!(again["measures"], report["measures"]);
    }
}

#[test]
fn training_on_merged_classes_reports_the_fine_ones() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut arguments = train("datasets/fashion-mini/magnet.toml", out.to_str().unwrap());
    arguments.extend(["--set", "data.coarse={kind=\"random\",groups=5}"]);
    succeeds(&mut lodestone(folder.path(), &arguments));
    let report = fs::read_to_string(out.join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    // Two fine classes in each merged one: guessing among them is wrong half of the time.
    assert_eq!(
        report["measures"]["hierarchy_chance_error_at_1"]["value"],
        0.5
    );
    assert!(
        report["measures"]["hierarchy_soft_knn_error_at_1"]["value"]
            .as_f64()
            .unwrap()
            < 0.9
    );
    assert_eq!(report["setting"]["classes"], 5);
}

#[test]
fn a_killed_run_resumes_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = |out: &str| {
        let mut arguments: Vec<String> = train("datasets/fashion-mini/magnet.toml", out)
            .into_iter()
            .map(str::to_owned)
            .collect();
        for text in [
            "train.checkpoint_period=1",
            "train.refresh_period=4",
            "model.head.dropout=0.2",
        ] {
            arguments.extend(["--set".into(), text.into()]);
        }
        arguments
    };
    let run = |arguments: &[String]| {
        lodestone(
            folder.path(),
            &arguments.iter().map(String::as_str).collect::<Vec<_>>(),
        )
    };
    let whole = folder.path().join("whole");
    succeeds(&mut run(&arguments(whole.to_str().unwrap())));

    let broken = folder.path().join("broken");
    for lines in [2, 5, 9, 12, 17] {
        let mut command = if broken.exists() {
            lodestone(
                folder.path(),
                &["--quiet", "train", "--resume", broken.to_str().unwrap()],
            )
        } else {
            run(&arguments(broken.to_str().unwrap()))
        };
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Killed as soon as the checkpoint of some step is there, which is while the next one is computed or written.
        while checkpoint_step(&broken) < lines && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        let _ = child.kill();
        child.wait().unwrap();
    }
    succeeds(&mut lodestone(
        folder.path(),
        &["--quiet", "train", "--resume", broken.to_str().unwrap()],
    ));
    for name in ["model.safetensors", "report.json"] {
        let same = fs::read(whole.join(name)).unwrap() == fs::read(broken.join(name)).unwrap();
        assert!(
            same,
            "{name} differs between the unbroken and the resumed run"
        );
    }
    let steps = |run: &Path| {
        let log = fs::read_to_string(run.join("log.csv")).unwrap();
        log.lines()
            .map(|line| line.split(',').take(4).collect::<Vec<_>>().join(","))
            .collect::<Vec<_>>()
    };
    assert_eq!(steps(&whole), steps(&broken));
}

/// The newest step of which a checkpoint stands in the run's folder, 0 without one.
fn checkpoint_step(run: &Path) -> usize {
    let entries = fs::read_dir(run.join("checkpoints"))
        .into_iter()
        .flatten()
        .flatten();
    let step = |name: String| {
        name.strip_prefix("step-")?
            .strip_suffix(".ckpt")?
            .parse()
            .ok()
    };
    entries
        .filter_map(|entry| step(entry.file_name().to_string_lossy().into_owned()))
        .max()
        .unwrap_or(0)
}

#[test]
fn photographs_train_on_the_cached_outputs_of_a_frozen_trunk() {
    let shared = crate::lodestone::repository().join("../shared");
    let weights = shared.join("weights/bvlc_googlenet.safetensors");
    let flowers = shared.join("data/flowers-102");
    if !weights.exists() || !flowers.exists() {
        eprintln!(
            "skipped: {} with weights and photographs is absent",
            shared.display()
        );
        return;
    }
    // Twelve photographs in the official layout would need .mat files; a folder a class is as good here.
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    for (part, first, each) in [("train", 0, 4), ("test", 4, 2)] {
        for (class, number) in [("a", 6735), ("b", 5087), ("c", 6974)] {
            let target = images.join(part).join(class);
            fs::create_dir_all(&target).unwrap();
            for photo in number + first..number + first + each {
                let name = format!("image_{photo:05}.jpg");
                fs::copy(flowers.join("jpg").join(&name), target.join(&name)).unwrap();
            }
        }
    }
    let out = folder.path().join("run");
    let arguments = [
        "train",
        "--config",
        "datasets/flowers-102/magnet.toml",
        "--data",
        images.to_str().unwrap(),
        "--weights",
        weights.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
        "--set",
        "data.set={name=\"image-folder\"}",
        "--set",
        "model.frozen_views=0",
        "--set",
        "sampler.clusters_per_batch=3",
        "--set",
        "train.images=24",
    ];
    let printed = lodestone(folder.path(), &arguments).output().unwrap();
    assert!(
        printed.status.success(),
        "{}",
        String::from_utf8_lossy(&printed.stderr)
    );
    assert!(
        String::from_utf8_lossy(&printed.stderr)
            .contains("computing the frozen part once: 12 images in 2 views")
    );
    // The second run finds the cache.
    let again = lodestone(folder.path(), &arguments).output().unwrap();
    assert!(!String::from_utf8_lossy(&again.stderr).contains("computing the frozen part"));
    assert!(out.join("report.json").exists());
}
