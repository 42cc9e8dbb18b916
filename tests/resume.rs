//! Stopped runs: killed, interrupted, out of space, damaged. What is resumed ends with the very bytes of the unbroken run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::lodestone::{SHORT, fails, lodestone, succeeds};

/// Settings that put everything to work that a resumed run must continue: dropout, moving averages, decay that spares
/// norms and biases, accumulated batches, drift, embeddings that training saw, an evaluation now and then.
const EVERYTHING: [&str; 10] = [
    "train.checkpoint_period=1",
    "model.head.dropout=0.2",
    "train.average_decay=0.9",
    "optimizer.weight_decay=0.1",
    "train.accumulate=2",
    "train.refresh={when=\"drift\",threshold=0.05,check_every=3,probe_rows=50}",
    "train.refresh_source=fused",
    "data.validation=0.1",
    "train.valid_period=4",
    "train.images=1920",
];

/// The plain run of the paper: an index that is refreshed often.
const PLAIN: [&str; 2] = [
    "train.checkpoint_period=1",
    "train.refresh={when=\"steps\",every=4}",
];

/// A run of magnet on fashion-mini that is started, or goes on where it stands.
struct Run {
    folder: PathBuf,
    base: PathBuf,
    settings: Vec<String>,
}

impl Run {
    fn new(base: &Path, name: &str, settings: &[&str]) -> Self {
        let settings = settings.iter().flat_map(|text| ["--set", text]);
        Self {
            folder: base.join(name),
            base: base.to_path_buf(),
            settings: settings.map(str::to_owned).collect(),
        }
    }

    fn start(&self) -> Command {
        let out = self.folder.to_str().unwrap();
        let config = "tests/run-files/magnet.toml";
        let mut arguments = vec!["--quiet", "train", "--config", config, "--out", out];
        arguments.extend(SHORT);
        arguments.extend(self.settings.iter().map(String::as_str));
        lodestone(&self.base, &arguments)
    }

    fn resume(&self) -> Command {
        let out = self.folder.to_str().unwrap();
        lodestone(&self.base, &["--quiet", "train", "--resume", out])
    }

    /// Starts the run, or goes on with it once it has its run file.
    fn spawn(&self) -> Child {
        let mut command = if self.folder.join("run.toml").exists() {
            self.resume()
        } else {
            self.start()
        };
        let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
        quiet.spawn().unwrap()
    }

    /// The newest step of which a checkpoint stands in the folder, 0 without one.
    fn step(&self) -> usize {
        let names = self.checkpoints();
        let step = |name: &String| {
            let digits = name.strip_prefix("step-")?.strip_suffix(".ckpt")?;
            digits.parse::<usize>().ok()
        };
        names.iter().filter_map(step).max().unwrap_or(0)
    }

    /// Whether a checkpoint is being written, or was when the run was killed.
    fn is_writing(&self) -> bool {
        let names = self.checkpoints();
        names.iter().any(|name| name.starts_with(".lodestone-"))
    }

    fn checkpoints(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.join("checkpoints"));
        let names = entries.into_iter().flatten().flatten();
        let mut names: Vec<String> = names
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// Everything that holds neither times nor names of parameters, by name. A checkpoint files parameters under the numbers
    /// that burn draws for them in each process; what it holds besides shows in the log and the model of the steps after it.
    fn bytes(&self) -> Vec<(String, Vec<u8>)> {
        let mut names = vec![
            "model.safetensors".to_owned(),
            "report.json".into(),
            "outcomes.csv".into(),
            "log.csv".into(),
        ];
        if self.folder.join("best.safetensors").exists() {
            names.push("best.safetensors".into());
        }
        for table in ["classes.csv", "clusters.csv", "rows.csv"] {
            names.push(format!("receipts/epoch-0000/{table}"));
        }
        let read = |name: String| {
            let bytes = fs::read(self.folder.join(&name)).unwrap_or_default();
            assert!(!bytes.is_empty(), "{name}");
            (name, bytes)
        };
        names.into_iter().map(read).collect()
    }

    #[track_caller]
    fn assert_same_as(&self, whole: &Self) {
        for ((name, ours), (_, expected)) in self.bytes().into_iter().zip(whole.bytes()) {
            assert!(ours == expected, "{name} differs from the unbroken run's");
        }
    }
}

fn wait(child: &mut Child, mut until: impl FnMut() -> bool) {
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() && !until() {
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "nothing happens"
        );
        std::thread::yield_now();
    }
}

/// Kills a run at random moments behind the checkpoints of some steps, and in the middle of writing others.
fn killed(settings: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let whole = Run::new(folder.path(), "whole", settings);
    succeeds(&mut whole.start());

    let broken = Run::new(folder.path(), "broken", settings);
    // Milliseconds behind the checkpoint; without one, the run is killed while the file of the next one is being written.
    let kills = [
        (1, Some(7)),
        (3, None),
        (6, Some(0)),
        (8, None),
        (11, Some(23)),
        (13, None),
        (16, Some(11)),
    ];
    let mut within_a_write = 0;
    for (step, delay) in kills {
        let mut child = broken.spawn();
        wait(&mut child, || broken.step() >= step);
        match delay {
            Some(delay) => std::thread::sleep(Duration::from_millis(delay)),
            None => wait(&mut child, || broken.is_writing()),
        }
        let alive = child.try_wait().unwrap().is_none();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(alive, "the run was over before step {step} was killed");
        within_a_write += usize::from(broken.is_writing());
    }
    // A kill may come just after the file has got its name, but not three times.
    assert!(within_a_write > 0, "no kill fell into a write");
    succeeds(&mut broken.resume());
    assert!(!broken.is_writing(), "{:?}", broken.checkpoints());
    broken.assert_same_as(&whole);
}

#[test]
fn a_killed_run_resumes_to_the_same_bytes() {
    killed(&PLAIN);
}

#[test]
fn a_killed_run_with_averages_and_accumulation_and_a_fused_index_resumes_to_the_same_bytes() {
    killed(&EVERYTHING);
}

#[test]
fn a_damaged_newest_checkpoint_falls_back_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let whole = Run::new(folder.path(), "whole", &PLAIN);
    succeeds(&mut whole.start());
    let broken = Run::new(folder.path(), "broken", &PLAIN);
    let mut child = broken.spawn();
    wait(&mut child, || broken.step() >= 6);
    child.kill().unwrap();
    child.wait().unwrap();

    let newest = broken.step();
    let path = broken
        .folder
        .join(format!("checkpoints/step-{newest:09}.ckpt"));
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    // Without --quiet, so that the warning is seen.
    let out = broken.folder.to_str().unwrap();
    let output = lodestone(folder.path(), &["train", "--resume", out]).output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let expected = format!("step-{newest:09}.ckpt is damaged");
    assert!(said.contains(&expected), "{said}");
    assert!(
        said.contains("continuing from the checkpoint before it"),
        "{said}"
    );
    broken.assert_same_as(&whole);
}

/// The command with files of at most `kib` KiB: writing more fails as on a full disk.
#[cfg(unix)]
fn with_small_files(command: &Command, kib: usize) -> Command {
    let mut limited = Command::new("bash");
    let script = format!("trap '' XFSZ; ulimit -f {kib}; exec \"$0\" \"$@\"");
    limited.args(["-c", &script]);
    limited.arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        limited.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            limited.env(name, value);
        }
    }
    limited
}

#[cfg(unix)]
#[test]
fn a_full_disk_ends_the_run_with_the_previous_checkpoint_intact() {
    let folder = tempfile::tempdir().unwrap();
    let whole = Run::new(folder.path(), "whole", &PLAIN);
    succeeds(&mut whole.start());
    let broken = Run::new(folder.path(), "broken", &PLAIN);
    let mut child = broken.spawn();
    wait(&mut child, || broken.step() >= 5);
    child.kill().unwrap();
    child.wait().unwrap();

    let (step, size) = (broken.step(), 1024);
    let newest = broken
        .folder
        .join(format!("checkpoints/step-{step:09}.ckpt"));
    let before = fs::read(&newest).unwrap();
    let limit = before.len() / size - 20;
    let error = fails(&mut with_small_files(&broken.resume(), limit));
    assert!(error.contains("cannot write"), "{error}");
    assert!(
        error.contains(&format!("step-{:09}.ckpt", step + 1)),
        "{error}"
    );
    assert!(fs::read(&newest).unwrap() == before, "{}", newest.display());
    assert!(!broken.is_writing(), "{:?}", broken.checkpoints());
    // With space again the run goes on as if nothing had happened.
    succeeds(&mut broken.resume());
    broken.assert_same_as(&whole);
}

#[cfg(unix)]
fn interrupt(child: &Child) {
    let sent = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

#[cfg(unix)]
#[test]
fn ctrl_c_finishes_the_step_saves_and_exits_130() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ["train.refresh={when=\"steps\",every=4}"];
    let whole = Run::new(folder.path(), "whole", &settings);
    succeeds(&mut whole.start());
    let broken = Run::new(folder.path(), "broken", &settings);
    let mut child = broken.start();
    let mut child = child.stderr(Stdio::piped()).spawn().unwrap();
    // No checkpoint is due before the end: the run file comes with the first step.
    let log = broken.folder.join("run.toml");
    wait(&mut child, || log.exists());
    std::thread::sleep(Duration::from_millis(150));
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(
        said.contains("go on with `lodestone train --resume"),
        "{said}"
    );
    assert!(broken.step() > 0, "{said}");
    let record = fs::read_to_string(broken.folder.join("run.json")).unwrap();
    assert!(record.contains("\"outcome\": \"interrupted\""), "{record}");
    succeeds(&mut broken.resume());
    broken.assert_same_as(&whole);
}

#[cfg(unix)]
#[test]
fn a_second_ctrl_c_exits_at_once() {
    let folder = tempfile::tempdir().unwrap();
    // One step embeds every training image first and then takes a batch of thousands: time to press twice.
    let long = Run::new(
        folder.path(),
        "long",
        &["train.images=400000", "sampler.examples_per_cluster=300"],
    );
    let mut child = long.start();
    let quiet = child.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = quiet.spawn().unwrap();
    // The first step is under way.
    let file = long.folder.join("run.lock");
    wait(&mut child, || file.exists());
    std::thread::sleep(Duration::from_millis(300));
    let start = Instant::now();
    interrupt(&child);
    std::thread::sleep(Duration::from_millis(20));
    interrupt(&child);
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(!long.folder.join("model.safetensors").exists());
}
