//! Images per second of the loader over a folder of photographs, for the usual training and evaluation views.
//!
//! ```text
//! cargo run --release -p lodestone-data --example loader_rate -- FOLDER [COUNT [THREADS]]
//! ```
//!
//! Two passes of each view; the second is reported, as the first one warms the page cache.
#![allow(clippy::print_stdout)] // A benchmark reports on the terminal.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use lodestone_data::{
    Augmentation, Draws, Loader, LoaderConfig, Preprocessing, Row, Split, Table, View,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments
        .next()
        .ok_or("usage: loader_rate FOLDER [COUNT [THREADS]]")?;
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
        let mut rate = 0.0;
        for _ in 0..2 {
            let start = Instant::now();
            let order: Vec<usize> = (0..count).collect();
            let batches = order.chunks(32).map(<[usize]>::to_vec);
            let mut seen = 0;
            for batch in loader.batches(batches, &view) {
                seen += batch?.rows.len();
            }
            rate = seen as f64 / start.elapsed().as_secs_f64();
        }
        println!("{name}, {threads} threads: {rate:.1} img/s over {count} files");
    }
    Ok(())
}
