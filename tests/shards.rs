//! Work in shares, put together again to the same bytes: embed, index, evaluate, and a batch on several devices.

use std::fs;
use std::path::{Path, PathBuf};

use image::GrayImage;

use crate::lodestone::{SHORT, fails, lodestone, succeeds};
use crate::run_log;

/// A run, and 40 photographs of four classes.
struct Shared {
    folder: tempfile::TempDir,
}

impl Shared {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shared = Self { folder };
        let mut arguments = vec![
            "--quiet",
            "train",
            "--config",
            "tests/run-files/triplet.toml",
        ];
        let run = shared.path("run");
        arguments.extend(["--out", text(&run)]);
        arguments.extend(SHORT);
        succeeds(&mut lodestone(shared.folder.path(), &arguments));
        for number in 0..40_u32 {
            let path = shared.path(&format!("images/class {}/{number:02}.png", number % 4));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let level = |x: u32, y: u32| ((x * (number % 4 + 1) * 9 + y * number) % 256) as u8;
            GrayImage::from_fn(28, 28, |x, y| image::Luma([level(x, y)]))
                .save(path)
                .unwrap();
        }
        shared
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command; names of the folder are written as `@name`.
    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let path = |argument: &&str| match argument.strip_prefix('@') {
            Some(name) => text(&self.path(name)).to_owned(),
            None => (*argument).to_owned(),
        };
        let arguments: Vec<String> = arguments.iter().map(path).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        lodestone(self.folder.path(), &arguments)
    }

    fn run(&self, arguments: &[&str]) -> String {
        succeeds(&mut self.command(arguments))
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn shards_of_an_embedding_and_an_index_are_the_whole() {
    let shared = Shared::new();
    let embed = ["-q", "embed", "@run", "@images", "-o"];
    shared.run(&[&embed[..], &["@whole.npy"]].concat());
    let mut parts = Vec::new();
    for (part, shard) in ["@p1.npy", "@p2.npy", "@p3.npy"]
        .iter()
        .zip(["1/3", "2/3", "3/3"])
    {
        shared.run(&[&embed[..], &[part, "--shard", shard]].concat());
        parts.push(*part);
    }
    let printed = shared.run(&[&["merge"], &parts[..], &["-o", "@merged.npy"]].concat());
    assert!(printed.contains("40 embeddings of 16 values"), "{printed}");
    assert_eq!(shared.bytes("merged.npy"), shared.bytes("whole.npy"));
    assert_eq!(shared.bytes("merged.csv"), shared.bytes("whole.csv"));

    // In any order; never twice, without one, or with a part of other photographs.
    shared.run(&["merge", "@p3.npy", "@p1.npy", "@p2.npy", "-o", "@mixed.npy"]);
    assert_eq!(shared.bytes("mixed.npy"), shared.bytes("whole.npy"));
    let part = ["@images/class 0", "-o", "@other.npy", "--shard", "2/3"];
    shared.run(&[&["-q", "embed", "@run"], &part[..]].concat());
    for (parts, says) in [
        (["@p1.npy", "@p1.npy"], "are both part 1 of 3"),
        (["@p3.npy", "@p1.npy"], "part 2 of 3 is missing"),
        (
            ["@p1.npy", "@other.npy"],
            "of other photographs, or of another model",
        ),
    ] {
        let error =
            fails(&mut shared.command(&[&["merge"], &parts[..], &["-o", "@no.npy"]].concat()));
        assert!(error.contains(says), "{error}");
        assert!(!shared.path("no.npy").exists());
    }

    shared.run(&["-q", "index", "build", "@whole.index", "@whole.npy"]);
    shared.run(&[&["-q", "index", "build", "@parts.index"], &parts[..]].concat());
    assert_eq!(shared.bytes("parts.index"), shared.bytes("whole.index"));

    // Another form on the way, and a part of another model.
    shared.run(&[&["merge"], &parts[..], &["-o", "@merged.parquet"]].concat());
    shared.run(&["-q", "embed", "@run", "@images", "-o", "@whole.parquet"]);
    assert_eq!(
        shared.bytes("merged.parquet"),
        shared.bytes("whole.parquet")
    );
    // Every form that `embed` writes is read.
    for form in ["npz", "safetensors", "parquet", "csv"] {
        let file = format!("@as-{form}.{form}");
        shared.run(&["-q", "embed", "@run", "@images", "-o", &file]);
        shared.run(&["-q", "index", "build", "--force", "@form.index", &file]);
        assert_eq!(
            shared.bytes("form.index"),
            shared.bytes("whole.index"),
            "{form}"
        );
        let judged = |file: &str| shared.run(&["evaluate", "--embeddings", file, "--json"]);
        assert_eq!(judged(&file), judged("@whole.npy"), "{form}");
    }
    fs::write(shared.path("narrow.csv"), "label\n0\n").unwrap();
    ndarray_npy::write_npy(
        shared.path("narrow.npy"),
        &ndarray::Array2::<f32>::zeros((1, 3)),
    )
    .unwrap();
    let error = fails(&mut shared.command(&["merge", "@p1.npy", "@narrow.npy", "-o", "@no.npy"]));
    assert!(
        error.contains("narrow.npy has embeddings of 3 values"),
        "{error}"
    );
    assert!(!shared.path("no.npy").exists());
}

#[test]
fn shards_of_an_evaluation_give_its_report_even_if_one_is_killed() {
    let shared = Shared::new();
    shared.run(&["-q", "embed", "@run", "@images", "-o", "@x.npy"]);
    let whole = shared.run(&[
        "evaluate",
        "--embeddings",
        "@x.npy",
        "--json",
        "--all-metrics",
        "--per-class",
    ]);
    let shard = |number: usize| {
        let (part, file) = (format!("{number}/3"), format!("@s{number}.json"));
        shared.command(&[
            "evaluate",
            "--embeddings",
            "@x.npy",
            "--shard",
            &part,
            "--scores",
            &file,
        ])
    };
    let together = |files: &str| {
        let files: Vec<String> = files
            .split(',')
            .map(|file| text(&shared.path(file)).to_owned())
            .collect();
        let files = files.join(",");
        let more = ["--json", "--all-metrics", "--per-class", "--scores", &files];
        shared.command(&[&["evaluate", "--embeddings", "@x.npy"], &more[..]].concat())
    };
    succeeds(&mut shard(1));
    succeeds(&mut shard(3));
    let mut killed = shard(2).spawn().unwrap();
    killed.kill().unwrap();
    killed.wait().unwrap();
    // It has written all or nothing; what it may have written in time is lost with its machine.
    let _ = fs::remove_file(shared.path("s2.json"));
    let error = fails(&mut together("s1.json,s3.json"));
    assert!(
        error.contains("queries 13 to 25 of 40 is missing"),
        "{error}"
    );
    let printed = succeeds(&mut shard(2));
    assert!(printed.contains("queries 13 to 25 of 40"), "{printed}");
    assert_eq!(succeeds(&mut together("s3.json,s1.json,s2.json")), whole);

    // Scores of other embeddings are not taken.
    shared.run(&["-q", "embed", "@run", "@images/class 0", "-o", "@y.npy"]);
    let (y, s) = (shared.path("y.npy"), shared.path("s1.json"));
    let error =
        fails(&mut shared.command(&["evaluate", "--embeddings", text(&y), "--scores", text(&s)]));
    assert!(
        error.contains("other embeddings, labels or settings"),
        "{error}"
    );
}

/// Losses of the steps of a run of the small network whose normalisation does not learn.
fn losses(folder: &Path, name: &str, more: &[&str]) -> Vec<f64> {
    let out = folder.join(name);
    let mut arguments = vec![
        "--quiet",
        "train",
        "--config",
        "tests/run-files/magnet.toml",
    ];
    arguments.extend(["--out", text(&out), "--set", "model.batch_norm=\"frozen\""]);
    arguments.extend(SHORT);
    arguments.extend(more);
    succeeds(&mut lodestone(folder, &arguments));
    run_log::losses(&out)
}

#[test]
fn devices_that_share_each_batch_train_as_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let alone = losses(folder.path(), "alone", &[]);
    let shared = losses(folder.path(), "shared", &["--workers", "cpu,cpu"]);
    assert_eq!(alone.len(), 20);
    // Sums are taken in another order: apart by rounding, which grows from step to step.
    for (step, (alone, shared)) in alone.iter().zip(&shared).enumerate() {
        let allowed = if step == 0 { 1e-6 } else { 1e-3 };
        assert!(
            (alone - shared).abs() <= allowed * alone,
            "step {step}: {alone}, {shared}"
        );
    }
    let record = fs::read_to_string(folder.path().join("shared/run.json")).unwrap();
    assert!(record.contains("cpu + cpu + cpu"), "{record}");

    let mut arguments = vec!["-q", "train", "--config", "tests/run-files/magnet.toml"];
    let out = folder.path().join("refused");
    arguments.extend(["--workers", "cpu", "--out", text(&out)]);
    let error = fails(&mut lodestone(folder.path(), &arguments));
    assert!(error.contains("model.batch_norm"), "{error}");
    assert!(!out.exists());
}

#[test]
fn half_precision_trains_to_nearly_the_same_losses() {
    let folder = tempfile::tempdir().unwrap();
    let single = losses(folder.path(), "f32", &[]);
    for precision in ["bf16", "f16"] {
        let set = format!("model.precision=\"{precision}\"");
        let half = losses(folder.path(), precision, &["--set", &set]);
        assert_ne!(half, single, "{precision} is another computation");
        // bf16 has 8 bits of fraction, so that each map is off by up to 0.4 %.
        for (half, single) in half.iter().zip(&single).take(5) {
            assert!(
                (half - single).abs() < 0.05 * single,
                "{precision}: {half}, {single}"
            );
        }
        assert!(half.iter().all(|loss| loss.is_finite()));
    }
}
