//! From a run file to a report.

use std::fs;
use std::path::Path;

use crate::lodestone::{SHORT, lodestone, succeeds};

fn train<'a>(config: &'a str, out: &'a str) -> Vec<&'a str> {
    let mut arguments = vec!["--quiet", "train", "--config", config, "--out", out];
    arguments.extend(SHORT);
    arguments
}

#[test]
fn each_loss_trains_and_is_judged_by_its_own_rule() {
    let cases = [
        ("tests/run-files/softmax.toml", "argmax_error_at_1"),
        ("tests/run-files/triplet.toml", "soft_knn_error_at_1"),
        ("tests/run-files/magnet.toml", "knc_error_at_1"),
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
    let mut arguments = train("tests/run-files/magnet.toml", out.to_str().unwrap());
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
fn weighted_plans_train_magnet_and_say_how_much_their_weights_are_worth() {
    for plan in ["importance", "union"] {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run");
        let mut arguments = train("tests/run-files/magnet.toml", out.to_str().unwrap());
        let sampler = format!(
            "sampler={{kind=\"{plan}\",neighbourhoods_per_batch=3,clusters_per_neighbourhood=4,examples_per_cluster=4}}"
        );
        arguments.extend(["--set", &sampler]);
        let printed = succeeds(&mut lodestone(folder.path(), &arguments));
        assert!(printed.contains("test knc_error_at_1"), "{printed}");
        let error = value(&out, "knc_error_at_1");
        assert!((0.0..0.8).contains(&error), "{plan}: {error}");
        // Between one neighbourhood and all three.
        for worth in column(&out, "effective_sample_size") {
            let worth: f64 = worth.parse().unwrap();
            assert!((1.0..=3.0 + 1e-4).contains(&worth), "{plan}: {worth}");
        }
    }
}

#[test]
fn the_index_is_refreshed_as_the_policy_says() {
    let cases: [(&str, &[&str], usize); 4] = [
        ("{when=\"never\"}", &[], 1),
        ("{when=\"steps\",every=5}", &[], 4),
        // Any movement at all is too much: at steps 5, 10 and 15.
        (
            "{when=\"drift\",threshold=1e-9,check_every=5,probe_rows=40}",
            &[],
            4,
        ),
        (
            "{when=\"steps\",every=5}",
            &["train.refresh_source=fused"],
            4,
        ),
    ];
    for (policy, settings, builds) in cases {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run");
        let refresh = format!("train.refresh={policy}");
        let mut arguments = train("tests/run-files/magnet.toml", out.to_str().unwrap());
        arguments.extend(["--set", &refresh]);
        arguments.extend(settings.iter().flat_map(|text| ["--set", text]));
        let printed = succeeds(&mut lodestone(folder.path(), &arguments));
        assert!(printed.contains("% on the cluster index"), "{printed}");
        let table = fs::read_to_string(out.join("refreshes.csv")).unwrap();
        assert_eq!(table.lines().count(), builds + 1, "{policy}: {table}");
        let drifts = column(&out, "drift");
        let measured = drifts.iter().filter(|cell| !cell.is_empty()).count();
        let measures = policy.contains("drift") || !settings.is_empty();
        assert_eq!(measured, if measures { builds - 1 } else { 0 }, "{policy}");
        let report = fs::read_to_string(out.join("report.md")).unwrap();
        assert_eq!(report.contains("fused"), !settings.is_empty(), "{report}");
    }
}

#[test]
fn receipts_say_what_each_epoch_showed() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut arguments = train("tests/run-files/softmax.toml", out.to_str().unwrap());
    // Two whole epochs and a little.
    arguments.extend([
        "--set",
        "data.validation=0.9",
        "--set",
        "sampler.batch_size=50",
    ]);
    succeeds(&mut lodestone(folder.path(), &arguments));
    let rows = fs::read_to_string(out.join("receipts/epoch-0000/rows.csv")).unwrap();
    // Every image once.
    assert!(
        rows.lines()
            .skip(1)
            .all(|line| line.split(',').nth(2) == Some("1")),
        "{rows}"
    );
    assert!(out.join("receipts/epoch-0001/classes.csv").exists());
    let report = fs::read_to_string(out.join("report.json")).unwrap();
    assert!(report.contains("receipt_rows_never_seen"), "{report}");
}

#[test]
fn a_run_ends_early_when_nothing_gets_better_or_its_time_is_up() {
    let cases: [(&[&str], &str); 2] = [
        // A rate of 0 learns nothing: the first value is the best, and two more are no better.
        (
            &[
                "optimizer.trunk_rate=0",
                "optimizer.head_rate=0",
                "optimizer.loss_rate=0",
                "model.batch_norm=frozen",
                "data.validation=0.1",
                "train.valid_period=2",
                "train.watch=nearest_neighbour_error_at_1",
                "train.patience=2",
            ],
            "ended after step 6: 2 evaluations brought nothing better",
        ),
        (
            &["train.minutes=0.001", "train.images=1000000"],
            "0.001 minutes are over",
        ),
    ];
    for (settings, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run");
        let mut arguments = train("tests/run-files/softmax.toml", out.to_str().unwrap());
        arguments.remove(0);
        arguments.extend(settings.iter().flat_map(|text| ["--set", text]));
        let output = lodestone(folder.path(), &arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains(expected), "{said}");
        assert!(out.join("report.json").exists());
    }
}

#[test]
fn averaged_weights_are_judged_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, decay: &str| {
        let out = folder.path().join(name);
        let decay = format!("train.average_decay={decay}");
        let mut arguments = train("tests/run-files/softmax.toml", out.to_str().unwrap());
        arguments.extend(["--set", &decay]);
        succeeds(&mut lodestone(folder.path(), &arguments));
        (
            column(&out, "loss"),
            fs::read(out.join("model.safetensors")).unwrap(),
        )
    };
    let (plain, averaged) = (run("plain", "0"), run("averaged", "0.9"));
    // The average watches and does not steer.
    assert_eq!(plain.0, averaged.0);
    assert_ne!(plain.1, averaged.1);
}

#[test]
fn parts_of_a_batch_train_as_the_whole_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let losses = |name: &str, settings: &[&str]| {
        let out = folder.path().join(name);
        let mut arguments = train("tests/run-files/triplet.toml", out.to_str().unwrap());
        arguments.extend(["--set", "model.batch_norm=frozen"]);
        arguments.extend(settings.iter().flat_map(|text| ["--set", text]));
        succeeds(&mut lodestone(folder.path(), &arguments));
        let losses = column(&out, "loss");
        losses
            .iter()
            .map(|cell| cell.parse::<f64>().unwrap())
            .collect::<Vec<_>>()
    };
    let whole = losses("whole", &[]);
    let parts = losses("parts", &["train.part_size=20"]);
    // Rounding grows from step to step; the first ones are the same to five digits.
    for (whole, parts) in whole.iter().zip(&parts).take(5) {
        assert!((whole - parts).abs() < 1e-5 * whole, "{whole} and {parts}");
    }
    // Accumulation is another thing: fewer steps, each of several small batches.
    let several = losses("several", &["train.accumulate=4"]);
    assert_eq!((whole.len(), several.len()), (20, 5));
}

#[test]
fn a_softmax_start_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let warm = folder.path().join("warm");
    let config = "tests/run-files/magnet.toml";
    let mut arguments = vec!["--quiet", "pretrain", "--config", config];
    arguments.extend(["--epochs", "1", "--out", warm.to_str().unwrap()]);
    // The shape of the short run.
    arguments.extend(&SHORT[2..]);
    let printed = succeeds(&mut lodestone(folder.path(), &arguments));
    assert!(printed.contains("test argmax_error_at_1"), "{printed}");
    assert!(printed.contains("train --weights"), "{printed}");
    let rates: Vec<String> = column(&warm, "rate_factor");
    assert!(rates.iter().all(|rate| rate == "1"), "{rates:?}");

    let judged = |name: &str, weights: &[&str]| {
        let out = folder.path().join(name);
        let mut arguments = train(config, out.to_str().unwrap());
        arguments.extend(weights);
        arguments.extend(["--set", "train.images=48"]);
        succeeds(&mut lodestone(folder.path(), &arguments));
        value(&out, "nearest_neighbour_error_at_1")
    };
    let model = warm.join("model.safetensors");
    let warm = judged("started", &["--weights", model.to_str().unwrap()]);
    let cold = judged("cold", &[]);
    assert!(warm < cold - 0.05, "{warm} is not better than {cold}");
}

#[test]
fn runs_are_compared_by_measures_and_by_the_settings_that_differ() {
    let folder = tempfile::tempdir().unwrap();
    for (name, rate) in [("slow", "0.001"), ("fast", "0.003")] {
        let out = folder.path().join("runs").join(name);
        let rate = format!("optimizer.head_rate={rate}");
        let mut arguments = train("tests/run-files/softmax.toml", out.to_str().unwrap());
        arguments.extend(["--set", &rate]);
        let mut command = lodestone(folder.path(), &arguments);
        succeeds(command.env("LODESTONE_COMMIT", "0123456789ab"));
        let record = fs::read_to_string(out.join("run.json")).unwrap();
        let record: serde_json::Value = serde_json::from_str(&record).unwrap();
        let sitting = &record["sittings"][0];
        assert_eq!(sitting["outcome"], "finished");
        assert_eq!(sitting["command"][2], "train");
        assert_eq!(sitting["commit"], "0123456789ab");
        for field in ["lodestone", "machine", "device"] {
            assert!(!sitting[field].as_str().unwrap().is_empty(), "{field}");
        }
        assert_eq!(record["data"].as_str().unwrap().len(), 64);
    }
    let all = folder.path().join("runs");
    let printed = succeeds(&mut lodestone(
        folder.path(),
        &["runs", all.to_str().unwrap()],
    ));
    for part in [
        "argmax_error_at_1",
        "optimizer.head_rate",
        "0.001",
        "0.003",
        "finished",
    ] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    // What is the same in both is not shown.
    assert!(!printed.contains("optimizer.trunk_rate"), "{printed}");
}

/// A measure of a run's report.
fn value(run: &Path, measure: &str) -> f64 {
    let report = fs::read_to_string(run.join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    report["measures"][measure]["value"].as_f64().unwrap()
}

/// A column of a run's log.
fn column(run: &Path, name: &str) -> Vec<String> {
    let log = fs::read_to_string(run.join("log.csv")).unwrap();
    let mut lines = log.lines();
    let header = lines.next().unwrap();
    let place = header.split(',').position(|column| column == name);
    let place = place.unwrap_or_else(|| panic!("{header} has no {name}"));
    let cells = lines.map(|line| line.split(',').nth(place).unwrap().to_owned());
    cells.collect()
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
        "--set",
        "data.set={name=\"image-folder\"}",
        "--set",
        "model.frozen_views=0",
        "--set",
        "sampler.clusters_per_batch=3",
        "--set",
        "train.images=24",
    ];
    let train = |out: &Path| {
        let mut command = lodestone(folder.path(), &arguments);
        command.arg("--out").arg(out);
        command
    };
    let printed = train(&out).output().unwrap();
    assert!(
        printed.status.success(),
        "{}",
        String::from_utf8_lossy(&printed.stderr)
    );
    for said in [
        "computing the frozen part once: 12 images in 2 views",
        "data.augmentation does no more than mirror",
    ] {
        assert!(String::from_utf8_lossy(&printed.stderr).contains(said));
    }
    // The second run finds the cache.
    let again = train(&out).arg("--force").output().unwrap();
    assert!(again.status.success());
    assert!(!String::from_utf8_lossy(&again.stderr).contains("computing the frozen part"));
    assert!(out.join("report.json").exists());
    // The cache read into memory holds the same numbers as the mapped file.
    let in_memory = folder.path().join("in-memory");
    succeeds(train(&in_memory).args(["--set", "model.frozen_cache=\"memory\""]));
    let model = |run: &Path| fs::read(run.join("model.safetensors")).unwrap();
    assert_eq!(model(&in_memory), model(&out));
}
