//! Batches of photographs from a folder with one folder a class, or of the embedded set.
//!
//! ```text
//! cargo run --release --package lodestone-data --example load_batches [FOLDER]
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::path::Path;
use std::sync::Arc;

use lodestone_data::{
    Augmentation, Dataset, Draws, Loader, LoaderConfig, Preprocessing, View, detect,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (set, root, preprocessing) = match std::env::args().nth(1) {
        Some(folder) => {
            let (set, root) = detect(Path::new(&folder))?;
            (set, Some(root), Preprocessing::imagenet(256, 224))
        }
        None => (Dataset::FashionMini, None, Preprocessing::fashion()),
    };
    let table = Arc::new(set.open(root.as_deref())?);
    let loader = Loader::new(Arc::clone(&table), preprocessing, LoaderConfig::default())?;
    let view = View::Training {
        augmentation: Augmentation {
            flip_probability: 0.5,
            ..Augmentation::default()
        },
        seed: 1,
        epoch: 0,
        draws: Draws::PerRow,
    };
    let rows: Vec<usize> = (0..table.rows.len().min(96)).collect();
    let batches: Vec<_> = rows.chunks(32).map(<[usize]>::to_vec).collect();
    for batch in loader.batches(batches, &view) {
        let images = batch?.images;
        let mean = images.values.iter().sum::<f32>() / images.values.len() as f32;
        println!("{:?}, mean {mean:.3}", images.shape);
    }
    Ok(())
}
