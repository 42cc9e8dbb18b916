//! What a training step costs beside its arithmetic, and whether memory grows: `cargo xtask bench training`.
//!
//! `bench_training step STEPS` trains GoogLeNet on photographs of its own making, batch 32, and prints where the time of a
//! step goes. `bench_training memory STEPS` makes small steps and prints the memory held after the first tenth and at the
//! end.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use std::path::Path;
use std::time::{Duration, Instant};

use burn::tensor::Device;
use image::{Rgb, RgbImage};
use lodestone_data::Dataset;
use lodestone_train::{
    Event, Lap, Observer, Places, RunConfig, StepReport, Times, Trainer, run_file,
};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["step", steps] => step(steps.parse()?),
        ["memory", steps] => memory(steps.parse()?),
        _ => Err("bench_training step STEPS | memory STEPS".into()),
    }
}

/// Sums the times of all steps but the first two, which warm caches, and watches the memory.
struct Count {
    start: Instant,
    times: Times,
    steps: usize,
    early: Option<u64>,
    steps_in_all: usize,
}

impl Count {
    fn new(steps_in_all: usize) -> Self {
        Self {
            start: Instant::now(),
            times: Times::default(),
            steps: 0,
            early: None,
            steps_in_all,
        }
    }
}

impl Observer for Count {
    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn on(&mut self, event: Event<'_>) {
        let Event::Step(StepReport { step, times, .. }) = event else {
            return;
        };
        if *step > 2 {
            self.times.add(times);
            self.steps += 1;
        }
        if *step == self.steps_in_all / 10 {
            self.early = resident();
        }
    }
}

fn say(name: &str, value: f64, unit: &str) {
    println!("{{\"name\": \"{name}\", \"value\": {value}, \"unit\": \"{unit}\"}}");
}

/// A magnet run of GoogLeNet without pretrained weights: clusters, receipts and event file are all at work.
fn step(steps: usize) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let images = folder.path().join("images");
    photographs(&images, 8, 24)?;
    let text = format!(
        "
        data.set = {{ name = \"image-folder\" }}
        data.threads = 2
        loss = {{ kind = \"magnet\" }}
        sampler = {{ kind = \"neighbourhood\", clusters_per_batch = 8, examples_per_cluster = 4 }}
        index = {{ clusters_per_class = 2 }}
        train = {{ images = {}, look_period = 1 }}
        data.augmentation.flip_probability = 0.5
        data.augmentation.random_crop = {{ scale = [0.08, 1.0], ratio = [0.75, 1.3333] }}
        [model]
        network = {{ architecture = \"googlenet\", form = \"bvlc\" }}
        [model.head]
        embedding_size = 64
        kind = \"linear\"
        normalise = false
        dropout = 0.0
        initialise = \"unit_variance\"
        ",
        32 * steps
    );
    let count = train(
        &text,
        Dataset::ImageFolder,
        Some(&images),
        folder.path(),
        steps,
    )?;
    let times = count.times;
    let each = |laps: &[Lap]| {
        let time: Duration = laps.iter().map(|&lap| times.get(lap)).sum();
        time.as_secs_f64() / count.steps as f64
    };
    // A refresh is a pass of its own, and saving happens once at the end: neither belongs to a step.
    let step = each(&[
        Lap::Wait,
        Lap::Forward,
        Lap::Backward,
        Lap::Update,
        Lap::Other,
    ]);
    for lap in [
        Lap::Wait,
        Lap::Forward,
        Lap::Backward,
        Lap::Update,
        Lap::Other,
    ] {
        say(
            &format!("{} of a step", lap.name()),
            1e3 * each(&[lap]),
            "ms",
        );
    }
    let rest = each(&[Lap::Update, Lap::Other]);
    say(
        "all but forward, backward and decode",
        100.0 * rest / step,
        "% of a step",
    );
    say(
        "waiting for images",
        100.0 * each(&[Lap::Wait]) / step,
        "% of a step",
    );
    say(
        "index refreshes",
        100.0 * times.share(Lap::Refresh),
        "% of the run",
    );
    Ok(())
}

/// Small steps on the embedded images.
fn memory(steps: usize) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let text = format!(
        "
        data.set = {{ name = \"fashion-mini\" }}
        data.threads = 2
        loss = {{ kind = \"magnet\" }}
        sampler = {{ kind = \"neighbourhood\", clusters_per_batch = 4, examples_per_cluster = 2 }}
        index = {{ clusters_per_class = 2 }}
        train = {{ images = {}, checkpoint_period = 500 }}
        data.augmentation.flip_probability = 0.5
        [model]
        network = {{ architecture = \"convnet\", image_channels = 1, width = 4 }}
        [model.head]
        embedding_size = 8
        kind = \"linear\"
        normalise = false
        dropout = 0.0
        initialise = \"unit_variance\"
        ",
        8 * steps
    );
    let count = train(&text, Dataset::FashionMini, None, folder.path(), steps)?;
    let (Some(early), Some(late)) = (count.early, resident()) else {
        return Err("this system does not say how much memory a process holds".into());
    };
    let mega = |bytes: u64| bytes as f64 / 1e6;
    say(
        &format!("memory after {} small steps", steps / 10),
        mega(early),
        "MB",
    );
    say(
        &format!("memory after {steps} small steps"),
        mega(late),
        "MB",
    );
    let all = count.times.total().as_secs_f64() / count.steps as f64;
    say("a small step", 1e3 * all, "ms");
    Ok(())
}

fn train(
    text: &str,
    set: Dataset,
    root: Option<&Path>,
    folder: &Path,
    steps: usize,
) -> Result<Count, Failure> {
    let config: RunConfig = run_file::parse(text, Path::new("bench.toml"), &[])?;
    let places = Places {
        run: folder.join("run"),
        cache: folder.join("cache"),
    };
    let mut count = Count::new(steps);
    Trainer::new(config, set.open(root)?, places, Device::flex())?.run(&mut count)?;
    Ok(count)
}

/// Photographs of the usual size, coloured noise that is smooth enough to be compressed as a photograph is.
fn photographs(folder: &Path, classes: usize, each: usize) -> Result<(), Failure> {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    for class in 0..classes {
        let place = folder.join("train").join(format!("class-{class}"));
        std::fs::create_dir_all(&place)?;
        for number in 0..each {
            let waves: Vec<[f32; 5]> = (0..12)
                .map(|_| std::array::from_fn(|_| random.random_range(0.0..1.0)))
                .collect();
            let picture = RgbImage::from_fn(500, 375, |x, y| {
                let (x, y) = (x as f32 / 500.0, y as f32 / 375.0);
                let value = |channel: usize| {
                    let sum: f32 = waves
                        .iter()
                        .map(|[a, b, c, d, e]| {
                            let phase = 60.0 * (a * x + b * y) + 6.0 * c + 2.0 * channel as f32 * e;
                            d * phase.sin()
                        })
                        .sum();
                    (128.0 + 30.0 * sum).clamp(0.0, 255.0) as u8
                };
                Rgb([value(0), value(1), value(2)])
            });
            picture.save(place.join(format!("{number:03}.jpg")))?;
        }
    }
    Ok(())
}

/// Memory the process holds, in bytes.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
