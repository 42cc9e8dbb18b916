//! Retrieval numbers of an array of embeddings with labels: no file, no model.
//!
//! ```text
//! cargo run --release --package lodestone-eval --example score_array
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use lodestone_eval::{Convention, RankingMetric, RetrievalConfig, Rows, Search};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Three classes on a line, a little too close to each other.
    let labels: Vec<usize> = (0..30).map(|row| row / 10).collect();
    let embeddings: Vec<f32> = (0..30)
        .map(|row| (row / 10 * 4 + row * 7 % 10) as f32)
        .collect();

    let search = Search::leave_one_out(Rows::new(&embeddings, 1)?)?;
    let retrieval = search.retrieval(&labels, &labels, &RetrievalConfig::default())?;
    for (name, metric) in [
        ("precision@1", RankingMetric::PrecisionAt1),
        ("R-precision", RankingMetric::RPrecision),
        ("MAP@R", RankingMetric::MapAtR),
    ] {
        let mean = retrieval.mean(metric, Convention::Lodestone);
        println!("{name}: {:.4}", mean.ok_or("nothing to find")?.value);
    }
    Ok(())
}
