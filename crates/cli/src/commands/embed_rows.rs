//! Rows of a table to embeddings in memory, batch by batch, in their evaluation view.

use anyhow::Result;
use burn::tensor::Device;
use lodestone_data::{Loader, View};
use lodestone_models::Embedder;
use lodestone_train::{Event, Observer, Phase};

use crate::progress::Progress;

/// Embeddings and whose they are.
pub(crate) struct Embedded {
    /// `[rows, dim]`, row-major.
    pub(crate) values: Vec<f32>,
    /// Rows of the table, in the order of the embeddings.
    pub(crate) rows: Vec<usize>,
    /// Rows that are broken and were left out, with the reason, where the loader leaves them out.
    pub(crate) skipped: Vec<(usize, String)>,
}

/// Embeds `rows` of the loader's table, `batch` at a time.
pub(crate) fn embed_rows(
    embedder: &Embedder,
    loader: &Loader,
    rows: &[usize],
    batch: usize,
    device: &Device,
    progress: &mut Progress,
) -> Result<Embedded> {
    let embedder = embedder.for_inference();
    progress.on(Event::PhaseStarted {
        phase: Phase::Evaluation,
        total: rows.len(),
    });
    let mut embedded = Embedded {
        values: Vec::new(),
        rows: Vec::with_capacity(rows.len()),
        skipped: Vec::new(),
    };
    let batches = rows.chunks(batch).map(<[usize]>::to_vec);
    for batch in loader.batches(batches, &View::Evaluation) {
        let batch = batch?;
        embedded.skipped.extend(batch.skipped);
        if batch.rows.is_empty() {
            continue;
        }
        let embeddings = embedder.forward(batch.images.into_tensor(device));
        let data = embeddings.into_data().convert::<f32>();
        embedded.values.extend(data.try_into_vec::<f32>()?);
        embedded.rows.extend(batch.rows);
        progress.on(Event::PhaseProgress {
            done: embedded.rows.len(),
        });
    }
    progress.on(Event::PhaseEnded {
        phase: Phase::Evaluation,
    });
    Ok(embedded)
}
