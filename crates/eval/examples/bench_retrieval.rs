//! Seconds and memory of precision@1, R-precision and MAP@R, each row against all the others.
//!
//! ```text
//! cargo run --release -p lodestone-eval --example bench_retrieval -- ROWS CLASSES DIM [MEMORY]
//! cargo run --release -p lodestone-eval --example bench_retrieval -- STEM [MEMORY]
//! cargo run --release -p lodestone-eval --example bench_retrieval -- make STEM ROWS CLASSES DIM
//! ```
//!
//! Rows are noisy unit vectors around one centre a class. `make` writes them to `STEM-embeddings.npy` (f32) and
//! `STEM-labels.npy` (i64), and STEM reads them back, so that another program can be given the same arrays. MEMORY is a limit
//! such as `2GB`, which includes the embeddings.

#![allow(clippy::print_stdout, reason = "a program, not a library")]

use std::path::{Path, PathBuf};
use std::time::Instant;

use lodestone_eval::{Bytes, Convention, Depth, RankingMetric, RetrievalConfig, Rows, Search};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[path = "../tests/npy/mod.rs"]
mod npy;

/// An error with what went wrong in it.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const USAGE: &str =
    "bench_retrieval ROWS CLASSES DIM [MEMORY] | STEM [MEMORY] | make STEM ROWS CLASSES DIM";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match &words[..] {
        ["make", stem, rows, classes, dim] => {
            let dim = dim.parse()?;
            let (values, labels) = clusters(rows.parse()?, classes.parse()?, dim);
            let shape = format!("({}, {dim})", labels.len());
            let bytes = values.iter().flat_map(|x| x.to_le_bytes());
            write(&file(stem, "embeddings"), "<f4", &shape, bytes)?;
            let shape = format!("({},)", labels.len());
            let bytes = labels.iter().flat_map(|&x| (x as i64).to_le_bytes());
            write(&file(stem, "labels"), "<i8", &shape, bytes)
        }
        [rows, classes, dim, rest @ ..] if rows.parse::<usize>().is_ok() => {
            let dim = dim.parse()?;
            let (values, labels) = clusters(rows.parse()?, classes.parse()?, dim);
            measure(&values, dim, &labels, rest)
        }
        [stem, rest @ ..] => {
            let (values, dim) = npy::read_floats(&file(stem, "embeddings"))?;
            let labels = npy::read_labels(&file(stem, "labels"))?;
            measure(&values, dim, &labels, rest)
        }
        [] => Err(USAGE.into()),
    }
}

fn file(stem: &str, what: &str) -> PathBuf {
    format!("{stem}-{what}.npy").into()
}

/// Writes a `.npy` file of version 1, whose header is padded to a multiple of 64 bytes.
fn write(path: &Path, kind: &str, shape: &str, bytes: impl Iterator<Item = u8>) -> Result<()> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    let width = (header.len() + 11).next_multiple_of(64) - 11;
    lodestone_files::write_whole(path, |file| {
        file.write_all(b"\x93NUMPY\x01\x00")?;
        file.write_all(&((width + 1) as u16).to_le_bytes())?;
        writeln!(file, "{header:width$}")?;
        for byte in bytes {
            file.write_all(&[byte])?;
        }
        Ok(())
    })?;
    Ok(())
}

fn measure(values: &[f32], dim: usize, labels: &[usize], rest: &[&str]) -> Result<()> {
    let mut search = Search::leave_one_out(Rows::new(values, dim)?)?;
    if let Some(limit) = rest.first() {
        search = search.with_memory(limit.parse::<Bytes>()?);
    }
    let config = RetrievalConfig {
        cuts: vec![1],
        depth: Depth::UpToR,
    };
    let forecast = search.forecast_retrieval(labels, labels, &config)?;
    println!(
        "forecast: {} embeddings, {} work, {:.2e} multiply-adds",
        forecast.embeddings, forecast.working, forecast.multiply_adds
    );
    let before = memory("VmRSS:")?;
    let start = Instant::now();
    let scored = search.retrieval(labels, labels, &config)?;
    let seconds = start.elapsed().as_secs_f64();
    let peak = memory("VmHWM:")?;
    println!(
        "{} rows, {dim} dimensions: peak {} in all",
        labels.len(),
        Bytes(peak)
    );
    let line = |name: &str, value: f64, unit: &str| {
        println!("{{\"name\": \"{name}\", \"value\": {value}, \"unit\": \"{unit}\"}}");
    };
    line("time", seconds, "s");
    let above = peak.saturating_sub(before) as f64 / 1e6;
    line("memory above the embeddings", above, "MB");
    for metric in [
        RankingMetric::PrecisionAt1,
        RankingMetric::RPrecision,
        RankingMetric::MapAtR,
    ] {
        let mean = scored
            .mean(metric, Convention::Lodestone)
            .map_or(f64::NAN, |m| m.value);
        line(&metric.name(), mean, "share");
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

/// Bytes of a line of the kernel's account of this process: `VmRSS:` now, `VmHWM:` the most so far.
fn memory(line: &str) -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let text = status
        .lines()
        .find_map(|text| text.strip_prefix(line))
        .ok_or(format!("no {line}"))?;
    let kib: u64 = text.trim().trim_end_matches("kB").trim().parse()?;
    Ok(1024 * kib)
}
