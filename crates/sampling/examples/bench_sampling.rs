//! Seconds of the cluster index and of a draw, to be compared with other tools on the same machine.
//!
//! `cargo run --release -p lodestone-sampling --example bench_sampling -- CLASSES PER_CLASS DIM K` prints one line for each
//! measurement: the index, its growth with the number of points, and a neighbourhood drawn from 8000 clusters.
#![allow(clippy::print_stdout, reason = "this program is there to print")]

use std::time::Instant;

use lodestone_sampling::{
    Classes, Clusters, Index, IndexConfig, LossCache, NeighbourhoodConfig, PlanConfig, Rows,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Rows of `dim` nearly normal values for classes of equal size, as if each class were one blob around the origin.
fn blobs(classes: usize, per_class: usize, dim: usize) -> (Vec<f32>, Classes) {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut normal = || {
        (0..4)
            .map(|_| random.random_range(-0.87_f32..0.87))
            .sum::<f32>()
    };
    let values = (0..classes * per_class * dim).map(|_| normal()).collect();
    let labels: Vec<usize> = (0..classes * per_class)
        .map(|row| row / per_class)
        .collect();
    (values, Classes::new(&labels).expect("every class has rows"))
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

/// The median of five builds, in seconds.
fn build_seconds(values: &[f32], classes: &Classes, dim: usize, config: &IndexConfig) -> f64 {
    let rows = Rows::new(values, dim).expect("whole rows");
    let mut seconds: Vec<f64> = (0..5)
        .map(|seed| {
            let start = Instant::now();
            let index = Index::build(rows, classes, config, seed).expect("finite embeddings");
            let seconds = start.elapsed().as_secs_f64();
            assert!(
                index
                    .centres()
                    .values()
                    .iter()
                    .all(|value| value.is_finite())
            );
            seconds
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[2]
}

fn main() {
    let arguments: Vec<usize> = std::env::args()
        .skip(1)
        .map(|text| text.parse().expect("a whole number"))
        .collect();
    let [classes, per_class, dim, clusters] = arguments[..] else {
        panic!("bench_sampling CLASSES PER_CLASS DIM K");
    };
    let config = IndexConfig {
        clusters_per_class: clusters.into(),
        ..IndexConfig::default()
    };

    let (values, labels) = blobs(classes, per_class, dim);
    let seconds = build_seconds(&values, &labels, dim, &config);
    println!("index of {classes} x {per_class} x {dim}, K = {clusters}: {seconds:.3} s");

    for share in [16, 4, 1] {
        let (values, labels) = blobs(classes, (per_class / share).max(2 * clusters), dim);
        let before = peak_megabytes();
        let seconds = build_seconds(&values, &labels, dim, &config);
        let (rows, own) = (labels.rows(), values.len() as f64 * 4.0 / 1024.0 / 1024.0);
        let peak = peak_megabytes();
        println!(
            "  {rows} rows: {seconds:.4} s, {:.2} us a row, {own:.0} MB of embeddings, peak {before:.0} -> {peak:.0} MB",
            seconds * 1e6 / rows as f64
        );
    }

    let (values, labels) = blobs(1000, 80, 64);
    let config = IndexConfig {
        clusters_per_class: 8.into(),
        ..IndexConfig::default()
    };
    let index = Index::build(
        Rows::new(&values, 64).expect("whole rows"),
        &labels,
        &config,
        0,
    )
    .expect("finite embeddings");
    let mut losses = LossCache::new(&labels);
    let plan = PlanConfig::Neighbourhood(NeighbourhoodConfig::default());
    let plan = plan.init(&labels, 0).expect("the defaults fit");
    let epoch = plan.epoch(0);
    let mut microseconds = Vec::new();
    for step in 0..1000 {
        let clusters = Clusters {
            index: &index,
            losses: &losses,
        };
        let start = Instant::now();
        let batch = epoch
            .batch(step, Some(clusters))
            .expect("clusters are large enough");
        microseconds.push(start.elapsed().as_secs_f64() * 1e6);
        let values = vec![step as f32 % 3.0; batch.rows.len()];
        losses
            .record(&index, &batch.rows, &values, step as u64)
            .expect("finite losses");
    }
    microseconds.sort_by(f64::total_cmp);
    println!(
        "draw from {} clusters of {} rows: median {:.0} us, slowest of 1000 {:.0} us",
        index.len(),
        labels.rows(),
        microseconds[500],
        microseconds[999]
    );
}
