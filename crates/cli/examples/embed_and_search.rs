//! A trained model from Rust: photographs to embeddings, a gallery of them, and the photographs that are most like another.
//!
//! ```text
//! cargo run --release --package lodestone-cli --example embed_and_search
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use lodestone_data::{Dataset, Loader, LoaderConfig, Split, Table, View};
use lodestone_eval::Rows;
use lodestone_gallery::{Entry, Gallery, Settings};
use lodestone_models::Model;
use lodestone_train::{Places, RunConfig, Silent, Trainer, run_file};

/// Embeds rows of a table.
fn embed(
    model: &Model,
    table: &Arc<Table>,
    rows: &[usize],
    device: &Device,
) -> Result<Vec<f32>, Box<dyn Error>> {
    // The model's file says how a photograph is to be prepared.
    let preprocessing = model.description.preprocessing.clone();
    let loader = Loader::new(Arc::clone(table), preprocessing, LoaderConfig::default())?;
    let embedder = model.embedder.for_inference();
    let mut values = Vec::new();
    let batches = rows.chunks(64).map(<[usize]>::to_vec);
    for batch in loader.batches(batches, &View::Evaluation) {
        let embeddings = embedder.forward(batch?.images.into_tensor(device));
        values.extend(
            embeddings
                .into_data()
                .convert::<f32>()
                .try_into_vec::<f32>()?,
        );
    }
    Ok(values)
}

/// Trains a little, puts the training images into a gallery and looks up test images; returns the share that is named right.
fn search(folder: &Path, images: usize, queries: usize) -> Result<f64, Box<dyn Error>> {
    let device = Device::flex();
    let table = Dataset::FashionMini.open(None)?;
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../datasets/fashion-mini/triplet.toml"
    );
    let config: RunConfig = run_file::read(file.as_ref(), &[format!("train.images={images}")])?;
    let places = Places {
        run: folder.join("run"),
        cache: folder.join("cache"),
    };
    Trainer::new(config, table.clone(), places, device.clone())?.run(&mut Silent)?;

    let model = Model::read(&folder.join("run/model.safetensors"), &device)?;
    let table = Arc::new(table);
    let known = table.split(Split::Train);
    let class = |row: usize| table.class_names[table.rows[row].label].clone();
    let entry = |&row: &usize| Entry {
        path: table.describe(row).display().to_string(),
        class: class(row),
    };
    let dim = model.embedder.embedding_size();
    let mut gallery = Gallery::new(dim, Settings::default());
    let embeddings = embed(&model, &table, &known, &device)?;
    let entries: Vec<Entry> = known.iter().map(entry).collect();
    gallery.add(Rows::new(&embeddings, dim)?, &entries)?;
    gallery.write(&folder.join("fashion.index"))?;

    let asked: Vec<usize> = table.split(Split::Test).into_iter().take(queries).collect();
    let embeddings = embed(&model, &table, &asked, &device)?;
    let answers = gallery.search(Rows::new(&embeddings, dim)?, 3, 0.95)?;
    let right = |(answer, &row): (&lodestone_gallery::Answer, &usize)| {
        answer.classes[0].class_name == class(row)
    };
    let right = answers
        .iter()
        .zip(&asked)
        .filter(|&pair| right(pair))
        .count();
    if let Some(answer) = answers.first() {
        println!(
            "{} is most like {}",
            class(asked[0]),
            answer.nearest[0].class_name
        );
    }
    Ok(right as f64 / asked.len() as f64)
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let share = search(folder.path(), 4800, 200)?;
    println!("{:.1} % of 200 test images are named right", 100.0 * share);
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn most_images_are_named_right() {
        let folder = tempfile::tempdir().unwrap();
        let share = super::search(folder.path(), 960, 100).unwrap();
        // Guessing among ten classes is right one time of ten.
        assert!(share > 0.4, "{share}");
    }
}
