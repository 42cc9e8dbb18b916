//! A whole run from Rust: settings, training, report.
//!
//! ```text
//! cargo run --release --package lodestone-train --example train_from_rust
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::path::Path;

use burn::tensor::Device;
use lodestone_data::Dataset;
use lodestone_eval::Report;
use lodestone_train::{Places, RunConfig, Silent, Survey, Trainer, Wishes, run_file, suggest};

/// Trains on the embedded data set for `images` images and judges the test images.
fn train(folder: &Path, images: usize) -> Result<Report, Box<dyn Error>> {
    // Settings that suit the data set; a run file of your own is read with `run_file::read`.
    let set = Dataset::FashionMini;
    let table = set.open(None)?;
    let text = suggest(&set, None, &Survey::of(&table)?, &Wishes::default())?;
    let changes = [
        format!("train.images={images}"),
        "model.network.width=12".into(),
    ];
    let config: RunConfig = run_file::parse(&text, Path::new("suggested"), &changes)?;

    let places = Places {
        run: folder.join("run"),
        cache: folder.join("cache"),
    };
    let trainer = Trainer::new(config, table, places, Device::flex())?;
    // `Silent` shows nothing; an `Observer` of your own gets every step.
    let outcome = trainer.run(&mut Silent)?;
    outcome
        .report
        .ok_or_else(|| "there are no test images".into())
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    println!("{}", train(folder.path(), 4800)?.to_markdown());
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_short_run_is_better_than_guessing() {
        let folder = tempfile::tempdir().unwrap();
        let report = super::train(folder.path(), 960).unwrap();
        let error = report.measures["soft_knn_error_at_1"].value.unwrap();
        // Ten classes: guessing is wrong nine times of ten.
        assert!(error < 0.8, "{error}");
    }
}
