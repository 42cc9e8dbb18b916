//! Rows of a table to embeddings in memory, batch by batch, in their evaluation view.

use anyhow::Result;
use burn::tensor::Device;
use lodestone_data::{Loader, View};
use lodestone_models::InferenceEmbedder;
use lodestone_train::{Embedded, Event, Observer, Phase};

use crate::progress::Progress;

/// Embeds `rows` of the loader's table, `batch` at a time.
pub(crate) fn embed_rows(
    embedder: &InferenceEmbedder,
    loader: &Loader,
    rows: &[usize],
    batch: usize,
    device: &Device,
    progress: &mut Progress,
) -> Result<Embedded> {
    progress.on(Event::PhaseStarted {
        phase: Phase::Evaluation,
        total: rows.len(),
    });
    let mut embedded = Embedded::default();
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
