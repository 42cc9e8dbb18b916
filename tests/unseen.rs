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
        let config = format!("tests/run-files/{loss}.toml");
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
        "tests/run-files/triplet.toml",
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
    let softmax = "tests/run-files/softmax.toml";
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
            "tests/run-files/softmax.toml",
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

/// A table whose lines behind the path are `lines`, with a photograph for each.
fn photographed(folder: &Path, header: &str, lines: &[String]) -> PathBuf {
    let mut text = format!("path,{header}\n");
    for (row, line) in lines.iter().enumerate() {
        picture(row as u32)
            .save(folder.join(format!("{row}.png")))
            .unwrap();
        text += &format!("{row}.png,{line}\n");
    }
    let file = folder.join("table.csv");
    fs::write(&file, text).unwrap();
    file
}

/// Every number that both reports have is the same, and so is who looks for whom.
fn same_numbers(of_run: &Value, of_file: &Value, what: &str) {
    for key in ["mode", "queries", "gallery", "classes", "n_lone"] {
        assert_eq!(
            of_file["setting"][key], of_run["setting"][key],
            "{what}: {key}"
        );
    }
    let measures = of_run["measures"].as_object().unwrap();
    let mut compared = Vec::new();
    for (name, measure) in measures {
        let number = |of: &Value| of["value"].as_f64();
        let (Some(wanted), Some(found)) = (number(measure), number(&of_file["measures"][name]))
        else {
            continue;
        };
        assert!(
            (wanted - found).abs() < 1e-12,
            "{what}, {name}: {found}, of the run {wanted}"
        );
        compared.push(name.as_str());
    }
    for name in ["recall_at_1", "map_at_r", "mean_average_precision"] {
        assert!(
            compared.contains(&name),
            "{what}: {compared:?} without {name}"
        );
    }
}

#[test]
fn an_embedded_table_is_asked_what_its_run_is_asked() {
    let line = |label: usize, split: &str, more: &str| format!("{label},{split},{more}");
    let train = |classes: [usize; 2], more: &str| -> Vec<String> {
        let labels = (0..16).map(|row| classes[row % 2]);
        labels.map(|label| line(label, "train", more)).collect()
    };
    let plain = "label,split,sequence,shop";
    let held_out = |classes: [usize; 2]| -> Vec<String> {
        // Three in a series, the others alone.
        let sequence = |row: usize| if row < 6 { "s" } else { "" };
        let of = |row: usize| {
            let more = format!("{},\"north, {row}\"", sequence(row));
            line(classes[row % 2], "validation", &more)
        };
        (0..14).map(of).collect()
    };
    let roles = "label,split,is_query,is_gallery,sequence,shop";
    let with_roles = (0..14).map(|row| {
        let (asks, found) = (row % 2, usize::from(row % 3 > 0 || row % 2 == 0));
        let sequence = if row < 6 { "s" } else { "" };
        let more = format!("{asks},{found},{sequence},south");
        line([100, 200][row / 7], "validation", &more)
    });
    let mixed = [held_out([7, 9]), held_out([100, 200])].concat();
    for (case, header, lines, mode) in [
        (
            "closed",
            plain,
            [train([7, 9], ",x"), held_out([7, 9])].concat(),
            "train-gallery",
        ),
        (
            "unseen",
            plain,
            [train([7, 9], ",x"), held_out([100, 200])].concat(),
            "self",
        ),
        ("both", plain, [train([7, 9], ",x"), mixed].concat(), "self"),
        (
            "roles",
            roles,
            [train([7, 9], ",,,x"), with_roles.collect()].concat(),
            "split",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let table = photographed(folder.path(), header, &lines);
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (table, run) = (table.to_str().unwrap(), path("run"));
        let said = |arguments: &[&str]| succeeds(&mut lodestone(folder.path(), arguments));
        said(&[
            "-q",
            "train",
            table,
            "--out",
            &run,
            "--set",
            "train.images=96",
        ]);
        let json = |arguments: &[&str]| -> Value {
            let arguments = [&["-q", "evaluate", "--json"][..], arguments].concat();
            serde_json::from_str(&said(&arguments)).unwrap()
        };
        let of_run = json(&[&run]);
        assert_eq!(of_run["setting"]["mode"], mode, "{case}");
        for name in ["e.npy", "e2.npz", "e3.safetensors", "e4.parquet", "e5.csv"] {
            let file = path(name);
            said(&["-q", "embed", &run, table, "-o", &file]);
            let of_file = json(&["--embeddings", &file]);
            let what = format!("{case}, {name}");
            same_numbers(&of_run, &of_file, &what);
            assert_eq!(of_run["parts"].is_null(), case != "both", "{what}");
            assert_eq!(of_file["parts"].is_null(), case != "both", "{what}");
            for part in of_run["parts"].as_object().into_iter().flatten() {
                let found = &of_file["parts"][part.0];
                same_numbers(part.1, found, &format!("{what}, {}", part.0));
            }
            // A protocol of one's own is the same question as well.
            let other = if mode == "train-gallery" {
                "self"
            } else {
                "train-gallery"
            };
            let asked = json(&[&run, "--mode", other]);
            let found = json(&["--embeddings", &file, "--mode", other]);
            assert_eq!(found["setting"]["mode"], other, "{what}");
            if case != "unseen" && case != "roles" {
                same_numbers(&asked, &found, &format!("{what}, {other}"));
            }
        }

        let list = fs::read_to_string(path("e.csv")).unwrap();
        let columns = match case {
            "roles" => "path,label,class_name,is_gallery,is_query,sequence,shop,split\n",
            _ => "path,label,class_name,sequence,shop,split\n",
        };
        assert!(list.starts_with(columns), "{list}");
        assert_eq!(list.contains("\"north, 3\""), case != "roles", "{list}");
        // Parts hand the columns on: together they are the whole.
        let (one, two, whole) = (path("p1.npy"), path("p2.npy"), path("whole.npy"));
        for (part, file) in [("1/2", &one), ("2/2", &two)] {
            said(&["-q", "embed", &run, table, "-o", file, "--shard", part]);
        }
        said(&["-q", "merge", &two, &one, "-o", &whole]);
        assert_eq!(
            fs::read_to_string(path("whole.csv")).unwrap(),
            list,
            "{case}"
        );

        // The table itself is never written over, nor is a list that may be one.
        let over = path("table.npy");
        let arguments = ["-q", "embed", &run, table, "-o", &over, "--force"];
        let error = fails(&mut lodestone(folder.path(), &arguments));
        assert!(error.contains("written over the table itself"), "{error}");
        assert!(!Path::new(&over).exists());
        let again = path("e.npy");
        let arguments = ["-q", "embed", &run, table, "-o", &again];
        let error = fails(&mut lodestone(folder.path(), &arguments));
        assert!(error.contains("--force"), "{error}");
    }
}

#[test]
fn a_column_of_splits_with_other_words_divides_nothing_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("e.csv");
    fs::write(
        &file,
        "label,split,e0\n0,train,0\n0,train,1\n1,val,5\n1,val,6\n",
    )
    .unwrap();
    let arguments = ["evaluate", "--embeddings", file.to_str().unwrap(), "--json"];
    let output = lodestone(folder.path(), &arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("the column `split` says `val`"), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["setting"]["queries"], 4);
    assert_eq!(report["setting"]["mode"], "self");

    let mut arguments = arguments.to_vec();
    arguments.extend(["-q", "--mode", "train-gallery"]);
    let error = fails(&mut lodestone(folder.path(), &arguments));
    assert!(
        error.contains("needs --gallery, or a column `split`"),
        "{error}"
    );
}
