//! Seconds of the cluster index and of a draw, beside other tools on the same arrays: `cargo xtask bench sampling`.
//!
//! ```text
//! bench_sampling make FILE CLASSES PER_CLASS DIM     writes embeddings as .npy, class after class
//! bench_sampling index FILE CLASSES K                median seconds of five builds, inertia, passes
//! bench_sampling scale CLASSES PER_CLASS DIM K       one build of made-up rows in memory, with the peak of the process
//! bench_sampling draw                                a neighbourhood from 8000 clusters
//! ```
#![allow(clippy::print_stdout, reason = "this program is there to print")]

use std::path::Path;
use std::time::Instant;

use lodestone_sampling::{
    Classes, Clusters, Index, IndexConfig, LossCache, NeighbourhoodConfig, PlanConfig, Receipts,
    Rows,
};
use ndarray::{Array2, ArrayView2};
use ndarray_npy::WriteNpyExt;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Modes that the rows of a class scatter about. More than K, so that no start finds them all at once.
const MODES: usize = 12;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<usize>();
    match words[..] {
        ["make", file, classes, per_class, dim] => make(
            Path::new(file),
            number(classes)?,
            number(per_class)?,
            number(dim)?,
        ),
        ["index", file, classes, k] => index(Path::new(file), number(classes)?, number(k)?),
        ["scale", classes, per_class, dim, k] => scale(
            number(classes)?,
            number(per_class)?,
            number(dim)?,
            number(k)?,
        ),
        ["draw"] => draw(),
        _ => Err("one of: make, index, scale, draw; see the head of this file".into()),
    }
}

/// Rows of all classes, class after class: a class has twelve modes whose centres are as far apart as rows are from them.
fn rows(classes: usize, per_class: usize, dim: usize) -> Vec<f32> {
    let mut values = vec![0.0; classes * per_class * dim];
    let of_each_class = values.par_chunks_exact_mut(per_class * dim).enumerate();
    of_each_class.for_each(|(class, part)| {
        let mut random = ChaCha8Rng::seed_from_u64(class as u64);
        let mut even = || random.random_range(-1.0_f32..1.0);
        let modes: Vec<f32> = (0..MODES * dim).map(|_| even()).collect();
        for (row, line) in part.chunks_exact_mut(dim).enumerate() {
            let mode = &modes[row % MODES * dim..][..dim];
            for (value, centre) in line.iter_mut().zip(mode) {
                *value = centre + even() + even();
            }
        }
    });
    values
}

fn labels(rows: usize, classes: usize) -> Classes {
    let labels: Vec<usize> = (0..rows).map(|row| row / (rows / classes)).collect();
    Classes::new(&labels).expect("every class has rows")
}

fn config(clusters: usize) -> IndexConfig {
    IndexConfig {
        clusters_per_class: clusters.into(),
        iterations: 20,
        ..IndexConfig::default()
    }
}

fn tell(name: &str, value: f64, unit: &str) {
    println!(r#"{{"name": "{name}", "value": {value}, "unit": "{unit}"}}"#);
}

/// Peak memory of this process in MB, where the system tells.
fn peak_megabytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kilobytes
        .and_then(|kb| kb.trim().parse().ok())
        .map_or(f64::NAN, |kb: f64| kb / 1024.0)
}

fn make(
    file: &Path,
    classes: usize,
    per_class: usize,
    dim: usize,
) -> Result<(), Box<dyn std::error::Error>> {
    let values = rows(classes, per_class, dim);
    let matrix = ArrayView2::from_shape((classes * per_class, dim), &values)?;
    lodestone_files::write_whole(file, |file| {
        matrix.write_npy(file).map_err(std::io::Error::other)
    })?;
    Ok(())
}

fn index(file: &Path, classes: usize, k: usize) -> Result<(), Box<dyn std::error::Error>> {
    let matrix: Array2<f32> = ndarray_npy::read_npy(file)?;
    let dim = matrix.ncols();
    let values = matrix.into_raw_vec_and_offset().0;
    let rows = Rows::new(&values, dim)?;
    let labels = labels(rows.len(), classes);
    let mut seconds = Vec::new();
    let mut built = Index::build(rows, &labels, &config(k), 0)?;
    for seed in 1..=5 {
        let start = Instant::now();
        built = Index::build(rows, &labels, &config(k), seed)?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    let name = format!("index of {} x {}, K = {k}", rows.len(), rows.dim());
    tell(&name, seconds[2], "s");
    tell(
        &format!("{name}, inertia a row"),
        built.inertia() / rows.len() as f64,
        "",
    );
    let start = Instant::now();
    let report = built.refresh(rows)?;
    tell(
        &format!("{name}, warm refresh"),
        start.elapsed().as_secs_f64(),
        "s",
    );
    assert!(report.ids_kept);
    Ok(())
}

fn scale(
    classes: usize,
    per_class: usize,
    dim: usize,
    k: usize,
) -> Result<(), Box<dyn std::error::Error>> {
    let values = rows(classes, per_class, dim);
    let own = values.len() as f64 * 4.0 / 1024.0 / 1024.0;
    let labels = labels(classes * per_class, classes);
    let start = Instant::now();
    let index = Index::build(Rows::new(&values, dim)?, &labels, &config(k), 0)?;
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(index.rows(), classes * per_class);
    let name = format!("{} rows in {classes} classes, K = {k}", index.rows());
    tell(&name, seconds, "s");
    tell(
        &format!("{name}, a row"),
        seconds / index.rows() as f64 * 1e6,
        "µs",
    );
    tell(
        &format!("{name}, peak over embeddings"),
        100.0 * (peak_megabytes() / own - 1.0),
        "%",
    );
    Ok(())
}

fn draw() -> Result<(), Box<dyn std::error::Error>> {
    let values = rows(1000, 80, 64);
    let labels = labels(80_000, 1000);
    let embeddings = Rows::new(&values, 64)?;
    let index = Index::build(embeddings, &labels, &config(8), 0)?;
    let mut losses = LossCache::new(&labels);
    let mut receipts = Receipts::new(&labels);
    let plan = PlanConfig::Neighbourhood(NeighbourhoodConfig::default());
    let plan = plan.init(&labels, 0)?;
    let epoch = plan.epoch(0);
    let (mut drawing, mut storing, mut counting) = (Vec::new(), Vec::new(), Vec::new());
    let timed = |times: &mut Vec<f64>, start: Instant| {
        times.push(start.elapsed().as_secs_f64() * 1e6);
    };
    for step in 0..1000 {
        let clusters = Clusters {
            index: &index,
            losses: &losses,
        };
        let start = Instant::now();
        let batch = epoch.batch(step, Some(clusters))?;
        timed(&mut drawing, start);
        let start = Instant::now();
        receipts.record(&plan, Some(clusters), &batch, step as u64)?;
        timed(&mut counting, start);
        let values = vec![step as f32 % 3.0; batch.rows.len()];
        let start = Instant::now();
        losses.record(&index, &batch.rows, &values, step as u64)?;
        timed(&mut storing, start);
    }
    let clusters = index.len();
    for (name, mut times) in [
        ("draw", drawing),
        ("losses of a batch stored", storing),
        ("batch counted in receipts", counting),
    ] {
        times.sort_by(f64::total_cmp);
        tell(&format!("{name}, {clusters} clusters"), times[500], "µs");
        tell(
            &format!("{name}, {clusters} clusters, slowest of 1000"),
            times[999],
            "µs",
        );
    }
    Ok(())
}
