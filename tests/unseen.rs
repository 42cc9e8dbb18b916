//! Classes that training never saw: who looks for whom, and what is reported.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::data::picture;
use crate::lodestone::{SHORT, fails, lodestone, succeeds};

fn train<'a>(config: &'a str, out: &'a str, settings: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["--quiet", "train", "--config", config, "--out", out];
    arguments.extend(SHORT);
    arguments.extend(settings.iter().flat_map(|text| ["--set", text]));
    arguments
}

fn report(run: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(run.join("report.json")).unwrap()).unwrap()
}

/// A table of six classes with a photograph of each line: `lines` are label, split, is_query, is_gallery, sequence.
fn table(folder: &Path, lines: &[(usize, &str, &str, &str, &str)]) -> PathBuf {
    let mut text = "label,path,split,is_query,is_gallery,sequence\n".to_owned();
    for (row, (label, split, query, gallery, sequence)) in lines.iter().enumerate() {
        let name = format!("{row}.png");
        picture((label * 100 + row) as u32)
            .save(folder.join(&name))
            .unwrap();
        text += &format!("{label},{name},{split},{query},{gallery},{sequence}\n");
    }
    let file = folder.join("table.csv");
    fs::write(&file, text).unwrap();
    file
}

#[test]
fn half_of_the_classes_is_judged_apart_and_again_the_same() {
    for (loss, rule) in [("softmax", "argmax"), ("magnet", "knc")] {
        let folder = tempfile::tempdir().unwrap();
        let (out, kept) = (folder.path().join("run"), folder.path().join("kept"));
        let config = format!("datasets/fashion-mini/{loss}.toml");
        let arguments = train(&config, out.to_str().unwrap(), &["data.unseen={first=5}"]);
        let printed = succeeds(&mut lodestone(folder.path(), &arguments));
        assert!(printed.contains("test recall_at_1: "), "{printed}");
        assert!(printed.contains("unseen.map_at_r: "), "{printed}");
        let report = report(&out);
        let (seen, unseen) = (&report["parts"]["seen"], &report["parts"]["unseen"]);
        // 100 test images of each class, and 400 training images of the five that do not train.
        assert_eq!(report["setting"]["queries"], 3000);
        assert_eq!(seen["setting"]["queries"], 500);
        assert_eq!(seen["setting"]["gallery"], 2000);
        assert_eq!(seen["setting"]["mode"], "train-gallery");
        assert_eq!(unseen["setting"]["queries"], 2500);
        assert_eq!(unseen["setting"]["classes"], 5);
        assert_eq!(unseen["setting"]["mode"], "self");
        // A rule that knows five classes has nothing to say of the others.
        let key = format!("{rule}_error_at_1");
        assert_eq!(seen["measures"][&key]["count"], 500);
        assert!(unseen["measures"][&key].is_null());
        assert!(unseen["measures"]["nearest_class_mean_error_at_1"].is_null());
        let found = unseen["measures"]["recall_at_1"]["value"].as_f64().unwrap();
        assert!(found > 0.3, "{loss}: {found}, by chance 0.2");
        let measure = &unseen["measures"]["map_at_r"];
        assert!(measure["interval"][0].as_f64() < measure["value"].as_f64());
        assert!(measure["interval_over_classes"][0].as_f64() < measure["interval"][0].as_f64());

        let (run, kept) = (out.to_str().unwrap(), kept.to_str().unwrap());
        let arguments = ["-q", "evaluate", run, "--json", "--save-embeddings", kept];
        let again = succeeds(&mut lodestone(folder.path(), &arguments));
        let again: Value = serde_json::from_str(&again).unwrap();
        assert_eq!(again["parts"], report["parts"], "{loss}");
        let arguments = ["-q", "evaluate", "--embeddings", kept, "--json"];
        let of_kept = succeeds(&mut lodestone(folder.path(), &arguments));
        let of_kept: Value = serde_json::from_str(&of_kept).unwrap();
        assert_eq!(of_kept["parts"], report["parts"], "{loss}");
        let list = fs::read_to_string(Path::new(kept).join("queries.csv")).unwrap();
        assert!(
            list.starts_with("path,label,class_name,split,seen\n"),
            "{list}"
        );
        // Closed, as the names of `evaluation.mode` say it.
        let arguments = [
            "-q",
            "evaluate",
            run,
            "--json",
            "--set",
            "evaluation.mode=\"train-gallery\"",
        ];
        let closed = succeeds(&mut lodestone(folder.path(), &arguments));
        let closed: Value = serde_json::from_str(&closed).unwrap();
        assert_eq!(closed["setting"]["n_lone"], 2500);
        assert!(closed["parts"].is_null());
    }
}

#[test]
fn settings_are_chosen_on_classes_held_out() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let settings = [
        "data.unseen={share=0.3,seed=3}",
        "data.validation=0",
        "data.validation_classes=0.4",
        "train.valid_period=10",
    ];
    let arguments = train(
        "datasets/fashion-mini/triplet.toml",
        out.to_str().unwrap(),
        &settings,
    );
    let arguments: Vec<&str> = arguments
        .into_iter()
        .filter(|text| *text != "--quiet")
        .collect();
    let output = lodestone(folder.path(), &arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("of 10 classes 4 train; 3 held out to choose settings"),
        "{said}"
    );
    assert!(said.contains("3 only tested on"), "{said}");
    assert!(
        said.contains("300 test images of classes that choose settings left out"),
        "{said}"
    );
    assert!(said.contains("validation map_at_r"), "{said}");
    let report = report(&out);
    assert_eq!(report["parts"]["unseen"]["setting"]["queries"], 1500);
    assert_eq!(report["parts"]["seen"]["setting"]["queries"], 400);
}

#[test]
fn a_table_says_who_looks_for_whom() {
    let folder = tempfile::tempdir().unwrap();
    // Four training rows of classes 7 and 9; of 100 and 200 two that ask and three that are found, one of them in the series of the
    // first.
    let mut lines = Vec::new();
    for row in 0..8 {
        lines.push(([7, 9][row % 2], "train", "", "", ""));
    }
    for label in [100, 200] {
        lines.push((label, "validation", "1", "0", ["a", "b"][label / 200]));
        lines.push((label, "validation", "True", "False", ""));
        lines.push((label, "validation", "0", "1", ["a", "b"][label / 200]));
        lines.push((label, "validation", "0", "1", ""));
        lines.push((label, "validation", "0", "1", ""));
    }
    let file = table(folder.path(), &lines);
    let run = folder.path().join("run");
    let (file, run) = (file.to_str().unwrap(), run.to_str().unwrap());
    let arguments = [
        "-q",
        "train",
        file,
        "--out",
        run,
        "--set",
        "train.images=96",
    ];
    let printed = succeeds(&mut lodestone(folder.path(), &arguments));
    assert!(printed.contains("test recall_at_1: "), "{printed}");
    let report = report(Path::new(run));
    assert_eq!(report["setting"]["mode"], "split");
    assert_eq!(report["setting"]["queries"], 4);
    assert_eq!(report["setting"]["gallery"], 6);
    assert_eq!(report["setting"]["classes"], 2);
    assert!(report["measures"]["soft_knn_error_at_1"].is_null());

    for (role, missing) in [("1", "is_gallery"), ("0", "is_query")] {
        let line = |label| {
            (
                label,
                "validation",
                role,
                ["1", "0"][role.parse::<usize>().unwrap()],
                "",
            )
        };
        let mut lines = lines[..8].to_vec();
        lines.extend([line(100), line(200)]);
        let file = table(folder.path(), &lines);
        let out = folder.path().join("other");
        let arguments = [
            "-q",
            "train",
            file.to_str().unwrap(),
            "--out",
            out.to_str().unwrap(),
        ];
        let error = fails(&mut lodestone(folder.path(), &arguments));
        assert!(
            error.contains(missing) && error.contains("none of the 2 test rows"),
            "{error}"
        );
    }
}

#[test]
fn a_class_without_training_photographs_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("photographs");
    for (split, class, count) in [
        ("train", "a", 6),
        ("train", "b", 6),
        ("test", "b", 3),
        ("test", "new", 3),
    ] {
        fs::create_dir_all(root.join(split).join(class)).unwrap();
        for number in 0..count {
            let seed = class.len() as u32 * 100 + number;
            let name = format!("{split}/{class}/{number}.png");
            picture(seed).save(root.join(name)).unwrap();
        }
    }
    let run = folder.path().join("run");
    let (root, run) = (root.to_str().unwrap(), run.to_str().unwrap());
    let arguments = ["train", root, "--out", run, "--set", "train.images=96"];
    let output = lodestone(folder.path(), &arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("of 3 classes 2 train; 1 only tested on (new)"),
        "{said}"
    );
    let report = report(Path::new(run));
    assert_eq!(report["parts"]["seen"]["setting"]["queries"], 3);
    assert_eq!(report["parts"]["unseen"]["setting"]["queries"], 3);
}

#[test]
fn a_class_whose_photographs_are_all_broken_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("photographs");
    for (class, count) in [("a", 6), ("b", 6), ("c", 1)] {
        fs::create_dir_all(root.join(class)).unwrap();
        for number in 0..count {
            let path = root.join(format!("{class}/{number}.png"));
            picture(number).save(&path).unwrap();
            if class == "c" {
                let bytes = fs::read(&path).unwrap();
                fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
            }
        }
    }
    let run = folder.path().join("run");
    let (root, run) = (root.to_str().unwrap(), run.to_str().unwrap());
    let arguments = [
        "train",
        root,
        "--skip-broken",
        "--out",
        run,
        "--set",
        "train.images=96",
    ];
    let output = lodestone(folder.path(), &arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("of 3 classes 2 train; 1 without a photograph (c)"),
        "{said}"
    );
}

#[test]
fn splits_that_cannot_be_are_told_in_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    // A run file has its own classes; the flag would be passed over.
    let softmax = "datasets/fashion-mini/softmax.toml";
    let mut arguments = train(softmax, out.to_str().unwrap(), &[]);
    arguments.extend(["--unseen", "0.2"]);
    let error = fails(&mut lodestone(folder.path(), &arguments));
    assert!(error.contains("--unseen is for a folder"), "{error}");
    for (settings, parts) in [
        (
            &["data.unseen={first=10}"][..],
            &["data.unseen", "0 of 10 classes"][..],
        ),
        (
            &["data.unseen={share=1.5}"],
            &["data.unseen", "share is 1.5"],
        ),
        (
            &["data.unseen={classes=[\"Cat\"]}"],
            &["data.unseen", "`Cat` is no class"],
        ),
        (
            &["data.unseen={last=3}"],
            &["unseen", "expected one of { share = 0.5, seed = 0 }"],
        ),
        (
            &["data.validation=0.1", "data.validation_classes=0.2"],
            &["data.validation is 0.1 and data.validation_classes is 0.2"],
        ),
        (
            &["data.validation=0", "data.validation_classes=0.01"],
            &["data.validation_classes", "0 of 10 training classes"],
        ),
        (
            &["evaluation.mode=\"split\""],
            &["evaluation.mode is split", "no marks"],
        ),
    ] {
        let arguments = train(
            "datasets/fashion-mini/softmax.toml",
            out.to_str().unwrap(),
            settings,
        );
        let error = fails(&mut lodestone(folder.path(), &arguments));
        for part in parts {
            assert!(error.contains(part), "{part} is not in {error}");
        }
        assert!(!out.join("model.safetensors").exists(), "{error}");
    }
}
