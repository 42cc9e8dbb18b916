//! Seconds and peak memory of precision@1, R-precision and MAP@R, each row against all the others.
//!
//! ```text
//! cargo run --release -p lodestone-eval --example bench_retrieval -- ROWS CLASSES DIM [MEMORY]
//! cargo run --release -p lodestone-eval --example bench_retrieval -- STEM [MEMORY]
//! ```
//!
//! With numbers, rows are noisy unit vectors around one centre a class. With a name, `STEM-embeddings.npy` (f32) and
//! `STEM-labels.npy` (i64) are read, so that another program can be given the same arrays. MEMORY is a limit such as `2GB`.

#![allow(clippy::print_stdout, reason = "a program, not a library")]

use std::path::Path;
use std::time::Instant;

use lodestone_eval::{Bytes, Convention, Depth, RankingMetric, RetrievalConfig, Rows, Search};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[path = "../tests/npy/mod.rs"]
mod npy;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Vec<usize> = arguments.iter().map_while(|a| a.parse().ok()).collect();
    let (values, dim, labels, rest) = match (&numbers[..], arguments.first()) {
        (&[rows, classes, dim, ..], _) => {
            let (values, labels) = clusters(rows, classes, dim);
            (values, dim, labels, &arguments[3..])
        }
        (_, Some(stem)) => {
            let (values, dim) = npy::read_floats(Path::new(&format!("{stem}-embeddings.npy")))?;
            let labels = npy::read_labels(Path::new(&format!("{stem}-labels.npy")))?;
            (values, dim, labels, &arguments[1..])
        }
        (_, None) => {
            return Err("usage: bench_retrieval ROWS CLASSES DIM [MEMORY] | STEM [MEMORY]".into());
        }
    };
    let mut search = Search::leave_one_out(Rows::new(&values, dim)?)?;
    if let Some(limit) = rest.first() {
        search = search.with_memory(limit.parse::<Bytes>()?);
    }
    let config = RetrievalConfig {
        cuts: vec![1],
        depth: Depth::UpToR,
    };
    let forecast = search.forecast_retrieval(&labels, &labels, &config)?;
    println!(
        "forecast: {} embeddings, {} work, {:.2e} multiply-adds",
        forecast.embeddings, forecast.working, forecast.multiply_adds
    );
    let before = peak_memory()?;
    let start = Instant::now();
    let scored = search.retrieval(&labels, &labels, &config)?;
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{} rows, {dim} dimensions: {seconds:.2} s, peak {} ({} before)",
        labels.len(),
        peak_memory()?,
        before
    );
    for metric in [
        RankingMetric::PrecisionAt1,
        RankingMetric::RPrecision,
        RankingMetric::MapAtR,
    ] {
        let mean = scored
            .mean(metric, Convention::Lodestone)
            .map_or(f64::NAN, |m| m.value);
        println!("{}: {mean:.10}", metric.name());
    }
    Ok(())
}

/// Unit vectors around one Gaussian centre a class.
fn clusters(rows: usize, classes: usize, dim: usize) -> (Vec<f32>, Vec<usize>) {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    // Twelve uniform numbers have the variance of one Gaussian, and nearly its shape.
    let mut normal = move || (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0;
    let centres: Vec<f32> = (0..classes * dim).map(|_| normal()).collect();
    let labels: Vec<usize> = (0..rows).map(|row| row % classes).collect();
    let mut values = Vec::with_capacity(rows * dim);
    for &label in &labels {
        let start = values.len();
        values.extend(
            centres[label * dim..(label + 1) * dim]
                .iter()
                .map(|c| c + 2.2 * normal()),
        );
        let length = values[start..]
            .iter()
            .map(|x: &f32| x * x)
            .sum::<f32>()
            .sqrt();
        values[start..].iter_mut().for_each(|x| *x /= length);
    }
    (values, labels)
}

/// The most memory that this process has held so far, as the kernel counts it.
fn peak_memory() -> Result<Bytes, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .ok_or("no VmHWM")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(Bytes(1024 * kib))
}
