//! Nothing that was made is lost: not to a second run, not to a second process, not to a reader that is gone, a full disk or a
//! photograph that breaks.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use image::RgbImage;
use serde_json::Value;

use crate::lodestone::{SHORT, fails, lodestone, succeeds};

/// A short run of softmax on fashion-mini into `out`.
fn short_run(out: &Path) -> Vec<&str> {
    let config = "tests/run-files/softmax.toml";
    let mut arguments = vec!["--quiet", "train", "--config", config, "--out", text(out)];
    arguments.extend(SHORT);
    arguments
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// All files below a folder with their bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => drop(found.insert(path.clone(), fs::read(&path).unwrap())),
        }
    }
    found
}

#[track_caller]
fn wait(child: &mut Child, mut until: impl FnMut() -> bool) {
    let start = Instant::now();
    while !until() {
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "it ended too early: {ended:?}");
        assert!(
            start.elapsed() < Duration::from_secs(240),
            "nothing happens"
        );
        std::thread::yield_now();
    }
}

fn quietly(command: &mut Command) -> Child {
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.spawn().unwrap()
}

/// Runs to the end and returns what was said on standard error, whatever the status.
fn said(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!said.contains("panicked"), "{said}");
    (output.status.success(), said)
}

#[test]
fn a_run_gives_way_only_when_it_is_asked_to_and_another_has_made_a_step() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("my run");
    let mut arguments = short_run(&out);
    succeeds(&mut lodestone(folder.path(), &arguments));
    let before = files(&out);
    assert!(before.len() > 8, "{:?}", before.keys());

    let error = fails(&mut lodestone(folder.path(), &arguments));
    let resume = format!("`lodestone train --resume '{}'`", out.display());
    for part in ["my run holds a run (finished)", &resume, "--force", "--out"] {
        assert!(error.contains(part), "{part} is not in {error}");
    }
    let pretrain = [
        "pretrain",
        "--config",
        "tests/run-files/magnet.toml",
        "--out",
    ];
    let error = fails(&mut lodestone(
        folder.path(),
        &[&pretrain[..], &[text(&out)]].concat(),
    ));
    assert!(error.contains("my run holds a run"), "{error}");
    assert!(files(&out) == before);

    // One that is asked to and cannot begin.
    let weights = folder.path().join("weights.safetensors");
    fs::write(&weights, "no weights at all").unwrap();
    arguments.push("--force");
    let broken = [&arguments[..], &["--weights", text(&weights)]].concat();
    fails(&mut lodestone(folder.path(), &broken));
    // One that is killed before its first step, which takes a while.
    let slow = [
        &arguments[..],
        &[
            "--set",
            "train.accumulate=400",
            "--set",
            "train.images=400000",
        ],
    ];
    let mut child = quietly(&mut lodestone(folder.path(), &slow.concat()));
    let lock = out.join("run.lock");
    wait(&mut child, || lock.exists());
    std::thread::sleep(Duration::from_millis(100));
    child.kill().unwrap();
    child.wait().unwrap();
    // All that a kill leaves is the lock's file, which is nobody's.
    assert!(lock.exists());
    fs::remove_file(&lock).unwrap();
    assert!(files(&out) == before);

    // One that begins: nothing of the other is left.
    fs::write(out.join("best.safetensors"), "of the earlier run").unwrap();
    arguments.extend(["--set", "train.images=480", "--set", "train.receipts=false"]);
    succeeds(&mut lodestone(folder.path(), &arguments));
    let after = files(&out);
    assert!(!out.join("receipts").exists() && !out.join("best.safetensors").exists());
    assert!(after[&out.join("model.safetensors")] != before[&out.join("model.safetensors")]);
    assert_eq!(
        json(&out.join("run.json"))["sittings"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn what_would_be_replaced_is_named_where_no_run_is() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("work");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("model.safetensors"), "of somebody").unwrap();
    let error = fails(&mut lodestone(folder.path(), &short_run(&out)));
    assert!(
        error.contains("model.safetensors is in the way") && error.contains("--force"),
        "{error}"
    );
    // A folder that the program made and that holds nothing goes again.
    let mut arguments = vec![
        "--quiet",
        "train",
        "--config",
        "tests/run-files/magnet.toml",
    ];
    let new = folder.path().join("new");
    arguments.extend(["--out", text(&new), "--set", "loss.gap=-1"]);
    fails(&mut lodestone(folder.path(), &arguments));
    assert!(!new.exists());
}

#[test]
fn a_second_process_in_a_run_folder_is_told_who_is_there_until_that_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut arguments = short_run(&out);
    arguments.extend([
        "--set",
        "train.images=400000",
        "--set",
        "train.checkpoint_period=1",
    ]);
    let mut child = quietly(&mut lodestone(folder.path(), &arguments));
    wait(&mut child, || {
        fs::read_dir(out.join("checkpoints")).is_ok_and(|mut files| files.next().is_some())
    });
    let holder = format!("process {}", child.id());
    let resume = ["--quiet", "train", "--resume", text(&out)];
    let forced = [&arguments[..], &["--force"]].concat();
    for second in [&arguments[..], &forced[..], &resume[..]] {
        let error = fails(&mut lodestone(folder.path(), second));
        for part in [&*holder, " UTC", "--resume", "--force"] {
            assert!(error.contains(part), "{part} is not in {error}");
        }
    }
    assert!(child.try_wait().unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
    // The lock of a process that was killed keeps nobody away.
    assert!(out.join("run.lock").exists());
    let mut child = quietly(&mut lodestone(folder.path(), &resume));
    let holder = format!("process {}", child.id());
    wait(&mut child, || {
        let lock = fs::read_to_string(out.join("run.lock"));
        lock.is_ok_and(|text| text.contains(&holder))
    });
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn an_evaluation_writes_over_nothing_that_no_evaluation_made() {
    let folder = tempfile::tempdir().unwrap();
    let matrix = embeddings(folder.path(), "x", 0.0);
    let mine = |name: &str| folder.path().join(name);
    let evaluate = |more: &[&str]| {
        let arguments = [&["-q", "evaluate", "--embeddings", text(&matrix)], more].concat();
        lodestone(folder.path(), &arguments)
    };
    fs::create_dir(mine("notes")).unwrap();
    for name in ["labels.csv", "notes/report.md"] {
        fs::write(mine(name), "label\nmine\n").unwrap();
    }
    let before = files(folder.path());
    let (labels, scores, notes) = (mine("labels.csv"), mine("labels.csv"), mine("notes"));
    let options: [&[&str]; 3] = [
        &["--per-query", text(&labels)],
        &["--shard", "1/2", "--scores", text(&scores)],
        &["--out", text(&notes)],
    ];
    for more in options {
        let error = fails(&mut evaluate(more));
        assert!(error.contains("is there already"), "{error}");
        assert_eq!(files(folder.path()), before, "{more:?}");
    }
    // What the same options wrote is written again; everything else when it is asked for.
    let [queries, part, report] = ["queries.csv", "part.json", "report"].map(mine);
    let options: [&[&str]; 3] = [
        &["--per-query", text(&queries)],
        &["--shard", "1/2", "--scores", text(&part)],
        &["--out", text(&report)],
    ];
    for more in options {
        succeeds(&mut evaluate(more));
        succeeds(&mut evaluate(more));
    }
    succeeds(&mut evaluate(&["--per-query", text(&labels), "--force"]));
}

/// A matrix of four rows in two classes whose paths begin with `name`, as `embed` would write it.
fn embeddings(folder: &Path, name: &str, shift: f32) -> PathBuf {
    let path = folder.join(format!("{name}.npy"));
    let values: Vec<f32> = (0..12).map(|at| (at % 7) as f32 + shift).collect();
    ndarray_npy::write_npy(
        &path,
        &ndarray::Array2::from_shape_vec((4, 3), values).unwrap(),
    )
    .unwrap();
    let rows = (0..4).map(|row| format!("{name}/{row}.jpg,{},class {}\n", row % 2, row % 2));
    let list = format!("path,label,class_name\n{}", rows.collect::<String>());
    fs::write(path.with_extension("csv"), list).unwrap();
    path
}

#[test]
fn additions_of_processes_at_once_are_all_there() {
    let folder = tempfile::tempdir().unwrap();
    let index = folder.path().join("photographs.index");
    let first = embeddings(folder.path(), "first", 0.0);
    succeeds(&mut lodestone(
        folder.path(),
        &["index", "build", text(&index), text(&first)],
    ));
    // What a killed process left.
    let lock = folder.path().join("photographs.index.lock");
    fs::write(&lock, "process 1 (since 1970-01-01 00:00:00 UTC)").unwrap();
    for round in 0..3 {
        let parts: Vec<PathBuf> = (0..6)
            .map(|part| embeddings(folder.path(), &format!("part {round} {part}"), part as f32))
            .collect();
        let children: Vec<Child> = parts
            .iter()
            .map(|part| {
                quietly(&mut lodestone(
                    folder.path(),
                    &["index", "add", text(&index), text(part)],
                ))
            })
            .collect();
        for mut child in children {
            assert!(child.wait().unwrap().success());
        }
    }
    let info = ["index", "info", text(&index), "--json"];
    let info: Value =
        serde_json::from_str(&succeeds(&mut lodestone(folder.path(), &info))).unwrap();
    assert_eq!(info["rows"], 4 + 3 * 6 * 4);
    assert!(!lock.exists());
}

#[test]
fn who_changes_an_index_waits_and_who_reads_it_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let index = folder.path().join("x.index");
    let [first, second] = ["first", "second"].map(|name| embeddings(folder.path(), name, 1.0));
    succeeds(&mut lodestone(
        folder.path(),
        &["index", "build", text(&index), text(&first)],
    ));
    let path = folder.path().join("x.index.lock");
    fs::write(&path, "process 7 (since yesterday)").unwrap();
    let held = File::open(&path).unwrap();
    held.lock().unwrap();
    succeeds(&mut lodestone(
        folder.path(),
        &["index", "info", text(&index)],
    ));
    let build = ["index", "build", text(&index), text(&second), "--force"];
    let error = fails(&mut lodestone(folder.path(), &build));
    assert!(
        error.contains("process 7 (since yesterday) is at work on it"),
        "{error}"
    );

    let add = ["index", "add", text(&index), text(&second)];
    let log = folder.path().join("log");
    let mut child = lodestone(folder.path(), &add)
        .stdout(Stdio::null())
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    wait(&mut child, || {
        fs::read_to_string(&log)
            .unwrap()
            .contains("waiting for process 7 (since yesterday)")
    });
    held.unlock().unwrap();
    assert!(child.wait().unwrap().success());
    let printed = succeeds(&mut lodestone(
        folder.path(),
        &["index", "info", text(&index)],
    ));
    assert!(printed.contains("8 photographs"), "{printed}");
}

#[test]
fn an_index_takes_the_place_of_nothing_without_being_asked() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| embeddings(folder.path(), name, 1.0));
    let index = folder.path().join("x.index");
    let build = |over: &Path, more: &[&str]| {
        let mut all = vec!["index", "build", text(over), text(&second)];
        all.extend(more);
        lodestone(folder.path(), &all)
    };
    let before = fs::read(&first).unwrap();
    let error = fails(&mut build(&first, &[]));
    assert!(
        error.contains("first.npy is there already") && error.contains("--force"),
        "{error}"
    );
    assert_eq!(fs::read(&first).unwrap(), before);
    succeeds(&mut build(&index, &[]));
    let before = fs::read(&index).unwrap();
    let error = fails(&mut build(&index, &[]));
    assert!(error.contains("x.index is there already"), "{error}");
    assert_eq!(fs::read(&index).unwrap(), before);
    succeeds(&mut build(&index, &["--force", "--clusters", "1"]));
    assert_ne!(fs::read(&index).unwrap(), before);
}

#[test]
fn a_training_whose_readers_are_gone_ends_with_its_model() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut arguments = short_run(&out);
    // Lines for every step, to those who are gone.
    arguments[0] = "--verbose";
    let mut child = lodestone(folder.path(), &arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}");
    assert!(out.join("model.safetensors").exists() && out.join("report.json").exists());
    assert_eq!(
        json(&out.join("run.json"))["sittings"][0]["outcome"],
        "finished"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_training_that_can_say_nothing_for_want_of_space_ends_with_its_model() {
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut arguments = short_run(&out);
    arguments[0] = "--verbose";
    let status = lodestone(folder.path(), &arguments)
        .stdout(full())
        .stderr(full())
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
    assert!(out.join("model.safetensors").exists() && out.join("report.json").exists());
    // Where standard error still has a reader, it is told once.
    arguments[0] = "--quiet";
    arguments.push("--force");
    let (success, said) = said(lodestone(folder.path(), &arguments).stdout(full()));
    assert!(success, "{said}");
    assert_eq!(
        said.matches("cannot write to standard output: No space left")
            .count(),
        1,
        "{said}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_does_not_fit_on_the_disk_is_one_line_and_status_1() {
    let folder = tempfile::tempdir().unwrap();
    let matrix = embeddings(folder.path(), "x", 0.0);
    let index = folder.path().join("x.index");
    let run_file = folder.path().join("run.toml");
    let model = folder.path().join("weights.safetensors");
    let weights = folder.path().join("run");
    succeeds(&mut lodestone(folder.path(), &short_run(&weights)));
    let weights = weights.join("model.safetensors");
    let set = photographs(folder.path(), 3, 4);
    let cases: [&[&str]; 13] = [
        &["evaluate", "--embeddings", text(&matrix)],
        &["evaluate", "--embeddings", text(&matrix), "--json"],
        &["data", "list"],
        &["data", "verify", text(&set)],
        &["index", "build", text(&index), text(&matrix)],
        &["index", "info", text(&index)],
        &["init", text(&set), "--out", text(&run_file)],
        &["weights", "inspect", text(&weights)],
        &["weights", "convert", text(&weights), text(&model)],
        &["models"],
        &["explain"],
        &["completions", "bash"],
        &["--help"],
    ];
    for arguments in cases {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = lodestone(folder.path(), arguments)
            .stdout(full)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert_eq!(
            said.lines().last().unwrap(),
            "error: cannot write to standard output: No space left on device (os error 28)",
            "{arguments:?}: {said}"
        );
    }
}

#[test]
fn whoever_is_no_more_read_ends_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["explain"][..],
        &["data", "list"],
        &["models", "--json"],
        &["--help"],
    ] {
        let mut child = lodestone(folder.path(), arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.is_empty(), "{arguments:?}: {said}");
    }
}

/// `count` photographs of each of some classes, all of them different.
fn photographs(folder: &Path, classes: u32, count: u32) -> PathBuf {
    drawn(folder, classes, count, |class, number, x, y| {
        let stripe = (x * (1 + number % 3) + y + 5 * number) / 7 % 2;
        let level = 40 + 70 * class + 30 * stripe;
        [level, 250 - level, 11 * (number % 20)].map(|value| value as u8)
    })
}

fn drawn(
    folder: &Path,
    classes: u32,
    count: u32,
    pixel: impl Fn(u32, u32, u32, u32) -> [u8; 3],
) -> PathBuf {
    let root = folder.join("set");
    for class in 0..classes {
        for number in 0..count {
            let path = root.join(format!("class {class}/{number:02}.png"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let picture = RgbImage::from_fn(32, 32, |x, y| image::Rgb(pixel(class, number, x, y)));
            picture.save(path).unwrap();
        }
    }
    root
}

/// Settings that make a run of photographs quick.
const SMALL: [&str; 8] = [
    "--set",
    "model.network.width=8",
    "--set",
    "model.head.embedding_size=8",
    "--set",
    "model.image_size=32",
    "--set",
    "data.threads=2",
];

#[test]
fn a_measure_without_a_value_chooses_nothing_and_ends_no_run() {
    let folder = tempfile::tempdir().unwrap();
    // The photographs of a class are all alike, so that no vote of neighbours has a variance.
    let set = drawn(folder.path(), 3, 10, |class, _, x, y| {
        [60 * class as u8 + 40, (8 * x) as u8, (4 * y) as u8]
    });
    for loss in ["triplet", "magnet"] {
        let out = folder.path().join(loss);
        let mut arguments = vec!["train", text(&set), "--loss", loss, "--out", text(&out)];
        arguments.extend(SMALL);
        arguments.extend(["--set", "train.images=240", "--set", "train.valid_period=2"]);
        arguments.extend(["--set", "train.watch=soft_knn_error_at_1"]);
        let output = lodestone(folder.path(), &arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{loss}: {said}");
        let lines: Vec<&str> = said
            .lines()
            .filter(|line| line.contains("step 2: soft_knn_error_at_1 has no value"))
            .collect();
        assert_eq!(lines.len(), 1, "{loss}: {said}");
        assert!(
            lines[0].contains("each class are one point"),
            "{}",
            lines[0]
        );
        assert!(!out.join("best.safetensors").exists());
        if loss == "triplet" {
            assert!(
                printed.contains("absent (the gallery rows of each class are one point"),
                "{printed}"
            );
        }
        let report = json(&out.join("report.json"));
        assert!(
            report["measures"]["soft_knn_error_at_1"]["value"].is_null(),
            "{report:#}"
        );
        // One that no report has is refused before the first step.
        let at = arguments
            .iter()
            .position(|&text| text.starts_with("train.watch"))
            .unwrap();
        arguments[at] = "train.watch=soft_knn_error_at_l";
        arguments.push("--force");
        let error = lodestone(folder.path(), &arguments).output().unwrap();
        let error = String::from_utf8(error.stderr).unwrap();
        assert!(
            error.contains("train.watch is soft_knn_error_at_l, which the report does not have"),
            "{error}"
        );
    }
}

#[test]
fn a_run_whose_embeddings_are_one_point_is_not_called_healthy() {
    let folder = tempfile::tempdir().unwrap();
    let set = drawn(folder.path(), 3, 10, |_, _, x, y| {
        [(8 * x) as u8, (8 * y) as u8, 90]
    });
    let out = folder.path().join("run");
    let mut arguments = vec!["train", text(&set), "--out", text(&out)];
    arguments.extend(SMALL);
    arguments.extend(["--set", "train.images=96"]);
    let (success, said) = said(&mut lodestone(folder.path(), &arguments));
    assert!(success && said.contains("health: collapsed"), "{said}");
    let evaluated = succeeds(&mut lodestone(
        folder.path(),
        &["-q", "evaluate", text(&out)],
    ));
    assert!(evaluated.contains("collapsed to one point"), "{evaluated}");
}

/// A run on photographs that goes on for hundreds of steps, each of which sees a good part of them.
struct Breaking {
    folder: tempfile::TempDir,
    set: PathBuf,
    loss: &'static str,
}

impl Breaking {
    fn new(loss: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let set = photographs(folder.path(), 3, 16);
        Self { folder, set, loss }
    }

    fn start(&self, name: &str, more: &[&str]) -> (PathBuf, Command) {
        let out = self.folder.path().join(name);
        let mut arguments = vec![
            "train",
            text(&self.set),
            "--loss",
            self.loss,
            "--out",
            text(&out),
        ];
        arguments.extend(SMALL);
        arguments.extend([
            "--set",
            "train.images=7200",
            "--set",
            "train.valid_period=0",
        ]);
        arguments.extend(more);
        if self.loss == "magnet" {
            arguments.extend(["--set", "train.refresh={when=\"steps\",every=5}"]);
        }
        let command = lodestone(self.folder.path(), &arguments);
        (out, command)
    }

    /// Starts the run and breaks a photograph when some steps are made; gives what was said to the end.
    fn breaks(&self, out: &Path, command: &mut Command) -> (bool, String) {
        let log = self.folder.path().join("said");
        let mut child = command
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        wait(&mut child, || {
            // The log is handed on after twenty steps.
            fs::read_to_string(out.join("log.csv")).is_ok_and(|text| text.lines().count() > 20)
        });
        let photograph = self.set.join("class 1/03.png");
        let bytes = fs::read(&photograph).unwrap();
        fs::write(&photograph, &bytes[..bytes.len() / 2]).unwrap();
        let status = child.wait().unwrap();
        fs::write(&photograph, bytes).unwrap();
        let said = fs::read_to_string(log).unwrap();
        assert!(!said.contains("panicked"), "{said}");
        (status.success(), said)
    }
}

fn a_photograph_that_breaks(loss: &'static str, more: &[&str]) {
    let breaking = Breaking::new(loss);
    let (whole, mut command) = breaking.start("whole", more);
    succeeds(&mut command);
    let (out, mut command) = breaking.start("broken", more);
    let (success, said) = breaking.breaks(&out, &mut command);
    assert!(!success, "{said}");
    let errors: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("error"))
        .collect();
    let [error] = errors[..] else {
        panic!("{said}")
    };
    for part in ["03.png", "stopped after step", "which is saved", "--resume"] {
        assert!(error.contains(part), "{part} is not in {error}");
    }
    // The photograph is back, and the run goes on as if nothing had been.
    let resume = ["--quiet", "train", "--resume", text(&out)];
    succeeds(&mut lodestone(breaking.folder.path(), &resume));
    for name in ["model.safetensors", "log.csv", "report.json"] {
        let [ours, expected] = [&out, &whole].map(|run| fs::read(run.join(name)).unwrap());
        assert!(ours == expected, "{name} differs from the unbroken run's");
    }
}

#[test]
fn a_photograph_that_breaks_ends_a_run_with_a_checkpoint_and_costs_no_step() {
    a_photograph_that_breaks("triplet", &[]);
}

#[test]
fn a_photograph_that_breaks_between_two_batches_of_a_step_or_at_a_refresh_costs_no_step() {
    a_photograph_that_breaks("magnet", &["--set", "train.accumulate=2"]);
}

#[test]
fn a_photograph_that_breaks_is_left_out_and_counted_where_that_is_asked_for() {
    for loss in ["triplet", "magnet", "softmax"] {
        let breaking = Breaking::new(loss);
        let broken = breaking.set.join("class 0/05.png");
        fs::write(&broken, "no photograph").unwrap();
        let more = ["--skip-broken", "--set", "train.valid_period=50"];
        let (out, mut command) = breaking.start("run", &more);
        let (success, said) = breaking.breaks(&out, &mut command);
        assert!(success, "{loss}: {said}");
        let lines = said
            .lines()
            .filter(|line| line.contains("left out from now on"));
        assert_eq!(
            lines.filter(|line| line.contains("03.png")).count(),
            1,
            "{loss}: {said}"
        );
        let warnings = json(&out.join("report.json"))["warnings"].to_string();
        for part in [
            "1 of 48 photographs left out as broken",
            "1 photograph could not be read any more",
            "03.png",
        ] {
            assert!(
                warnings.contains(part),
                "{loss}: {part} is not in {warnings}"
            );
        }
        // Whoever looks at the run later has its rows, whatever else is broken by then.
        let other = breaking.set.join("class 2/07.png");
        let size = fs::metadata(&other).unwrap().len() as usize;
        fs::write(&other, vec![0; size]).unwrap();
        let evaluate = ["-q", "evaluate", text(&out)];
        let evaluated = succeeds(&mut lodestone(breaking.folder.path(), &evaluate));
        assert!(evaluated.contains("1 of 48 photographs"), "{evaluated}");
    }
}

#[cfg(unix)]
#[test]
fn a_run_costs_what_all_its_sittings_cost() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut arguments = short_run(&out);
    arguments.extend([
        "--set",
        "train.images=9600",
        "--set",
        "train.checkpoint_period=1",
    ]);
    let step = |least: usize| {
        let newest = || {
            let names = fs::read_dir(out.join("checkpoints")).ok()?.flatten();
            let step = |name: String| {
                name.strip_prefix("step-")?
                    .strip_suffix(".ckpt")?
                    .parse::<usize>()
                    .ok()
            };
            names
                .filter_map(|file| step(file.file_name().into_string().unwrap()))
                .max()
        };
        newest().is_some_and(|step| step >= least)
    };
    let mut child = quietly(&mut lodestone(folder.path(), &arguments));
    wait(&mut child, || step(20));
    let sent = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    // A sitting that is killed counts up to its newest checkpoint.
    let resume = ["train", "--resume", text(&out)];
    let mut child = quietly(&mut lodestone(folder.path(), &resume));
    wait(&mut child, || step(60));
    child.kill().unwrap();
    child.wait().unwrap();
    let printed = succeeds(&mut lodestone(folder.path(), &resume));
    assert!(printed.contains(" s in 3 sittings, at most"), "{printed}");

    let run = json(&out.join("run.json"));
    let sittings = run["sittings"].as_array().unwrap();
    let seconds: Vec<f64> = sittings
        .iter()
        .map(|one| one["seconds"].as_f64().unwrap())
        .collect();
    let cost = json(&out.join("cost.json"));
    let total = cost["seconds"].as_f64().unwrap();
    assert!(seconds.iter().all(|&one| one > 0.0), "{seconds:?}");
    assert!(
        (total - seconds.iter().sum::<f64>()).abs() < 1e-6,
        "{total}: {seconds:?}"
    );
    assert_eq!(cost["sittings"], 3);
    let memory = sittings
        .iter()
        .map(|one| one["peak_memory_bytes"].as_u64().unwrap());
    assert_eq!(cost["peak_memory_bytes"].as_u64(), memory.max());
    // The shares are those of all steps too.
    let times = fs::read_to_string(out.join("times.csv")).unwrap();
    let sum = |column: usize| -> f64 {
        let lines = times.lines().skip(1);
        lines
            .map(|line| line.split(',').nth(column).unwrap().parse::<f64>().unwrap())
            .sum()
    };
    let all: f64 = (2..9).map(sum).sum();
    let share = cost["shares"]["forward"].as_f64().unwrap();
    assert!((share - sum(4) / all).abs() < 0.02, "{share}");
    let runs = ["runs", text(&out), "--json"];
    let runs: Value =
        serde_json::from_str(&succeeds(&mut lodestone(folder.path(), &runs))).unwrap();
    assert_eq!(runs[0]["seconds"].as_f64(), Some(total));
}
