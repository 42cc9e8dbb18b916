//! Images per second and peak memory of the loader on a folder of photographs, for the usual training and evaluation views.
//!
//! ```text
//! cargo run --release -p lodestone-data --example bench_loader -- FOLDER [COUNT [THREADS]]
//! ```
//!
//! The first COUNT files by name in batches of 32. The second of two passes counts, as the first one warms the page cache.
//! `bench/peer_loader.py` is the same job for torchvision; `cargo xtask bench data FOLDER` runs both.
#![allow(clippy::print_stdout)] // A benchmark reports on the terminal.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use lodestone_data::{
    Augmentation, Draws, Loader, LoaderConfig, Preprocessing, Row, Split, Table, View,
};

const BATCH: usize = 32;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments
        .next()
        .ok_or("usage: bench_loader FOLDER [COUNT [THREADS]]")?;
    let count = arguments.next().map_or(Ok(1200), |text| text.parse())?;
    let threads = arguments.next().map_or(Ok(2), |text| text.parse())?;

    let mut files: Vec<_> = std::fs::read_dir(&folder)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<Result<_, _>>()?;
    files.sort();
    files.truncate(count);
    let rows: Vec<Row> = files
        .into_iter()
        .map(|name| Row::file(name, 0, Split::Train))
        .collect();
    let count = rows.len();
    let table = Table::of_files(
        "folder",
        Path::new(&folder),
        vec!["photograph".into()],
        rows,
    );
    let config = LoaderConfig {
        threads,
        ..LoaderConfig::default()
    };
    let loader = Loader::new(Arc::new(table), Preprocessing::imagenet(256, 224), config)?;

    let training = View::Training {
        augmentation: Augmentation::crop_and_flip(),
        seed: 1,
        epoch: 0,
        draws: Draws::PerRow,
    };
    for (name, view) in [("train", training), ("eval", View::Evaluation)] {
        one_pass(&loader, count, &view)?;
        let rate = one_pass(&loader, count, &view)?;
        println!(
            "{{\"name\": \"{name}, {threads} threads\", \"value\": {rate}, \"unit\": \"images/s\"}}"
        );
    }
    if let Some(peak) = peak_memory() {
        println!("{{\"name\": \"peak memory\", \"value\": {peak}, \"unit\": \"MB\"}}");
    }
    Ok(())
}

fn one_pass(loader: &Loader, count: usize, view: &View) -> Result<f64, Box<dyn Error>> {
    let start = Instant::now();
    let order: Vec<usize> = (0..count).collect();
    let mut seen = 0;
    for batch in loader.batches(order.chunks(BATCH).map(<[usize]>::to_vec), view) {
        seen += batch?.rows.len();
    }
    Ok(seen as f64 / start.elapsed().as_secs_f64())
}

/// Largest memory that the process has held, in megabytes, where Linux tells it.
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1.024e-3)
}
