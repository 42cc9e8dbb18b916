//! Judging a run: embeddings of gallery and held-out images, the report, a strip of neighbours.

use std::path::Path;

use burn::tensor::Device;
use lodestone_data::{Loader, Split, Table};
use lodestone_eval::Report;
use lodestone_files::write_whole;
use lodestone_sampling::{Classes, Index, ReceiptSummary, RefreshSource};

use crate::config::RunConfig;
use crate::error::TrainError;
use crate::evaluate::{Judged, Part, headline, judge};
use crate::events::Value;
use crate::kept;
use crate::learner::Learner;
use crate::observer::Observer;
use crate::refresh::rows_of;
use crate::setup::{Parts, needs_index};
use crate::source::EvaluationSource;
use crate::state::State;
use crate::strips::{Shown, sheet, strips};

/// What does not change between the judgements of a run.
pub(crate) struct Judge<'a> {
    pub(crate) config: &'a RunConfig,
    pub(crate) table: &'a Table,
    pub(crate) parts: &'a Parts,
    pub(crate) classes: &'a Classes,
    pub(crate) loader: &'a Loader,
    /// A plain device.
    pub(crate) device: &'a Device,
    /// Where the embeddings are written, if they are asked for.
    pub(crate) keep: Option<&'a Path>,
}

/// A report, and what the nearest images of a few look like.
pub(crate) struct Judgement {
    pub(crate) report: Report,
    pub(crate) strip: Value,
}

impl Judge<'_> {
    /// Embeds the training images and those of a held-out part and computes the report.
    ///
    /// # Errors
    /// If an image is broken or an embedding is not finite.
    pub(crate) fn judge(
        &self,
        learner: &Learner,
        state: &State,
        held_out: Split,
        evaluation: &mut EvaluationSource,
        observer: &mut dyn Observer,
    ) -> Result<Judgement, TrainError> {
        let (config, parts) = (self.config, self.parts);
        let rows = parts.rows(held_out);
        let dim = learner.embedder.embedding_size();
        let mut embed =
            |rows: &[usize]| learner.embed_judged(rows, evaluation, self.device, observer);
        let (gallery, queries) = (embed(&parts.train)?, embed(rows)?);
        // Without those that are left out as broken.
        let (train, rows) = (gallery.of(&parts.train), queries.of(rows));
        let (gallery, queries) = (gallery.values, queries.values);
        let logits = learner.logits(&queries, dim, self.device);
        let number_of_classes = parts.class_names().len();
        let logits = match &logits {
            Some(logits) => Some(rows_of(logits, number_of_classes)?),
            None => None,
        };
        // The rule of the nearest clusters reads the clusters of the finished embedding, not those of the last refresh.
        let index = match state.variance.get() {
            Some(variance) if needs_index(config) => {
                let points = rows_of(&gallery, dim)?;
                let fewer = (train.len() < parts.train.len())
                    .then(|| Classes::named(&parts.labels(&train), parts.class_names().to_vec()))
                    .transpose()?;
                let classes = fewer.as_ref().unwrap_or(self.classes);
                let index = Index::build(points, classes, &config.index, config.seed)?;
                Some((index, variance))
            }
            _ => None,
        };
        let (gallery_labels, query_labels) = (parts.labels(&train), parts.labels(&rows));
        let (gallery_fine, query_fine) = (parts.fine_labels(&train), parts.fine_labels(&rows));
        let judged = Judged {
            rule: Some(config.loss.class_rule()),
            dim,
            gallery: Part {
                embeddings: &gallery,
                labels: &gallery_labels,
                fine: gallery_fine.as_deref(),
            },
            queries: Part {
                embeddings: &queries,
                labels: &query_labels,
                fine: query_fine.as_deref(),
            },
            logits,
            clusters: index.as_ref().map(|(index, variance)| (index, *variance)),
        };
        let mut report = judge(&judged, &config.evaluation)?;
        report.note("data", &self.table.name);
        report.note("part", held_out.name());
        report.note("seed", config.seed);
        report.note("loss", loss_name(config));
        report.note("rule", headline(judged.rule));
        report.note("step", state.step);
        report.note("images_seen", state.images);
        if let Some(weights) = &config.model.weights {
            report.note(
                "weights",
                weights.file_name().unwrap_or_default().to_string_lossy(),
            );
        }
        note_index(&mut report, state, config);
        report.warnings.extend(self.table.notices.iter().cloned());
        if let Some(folder) = self.keep {
            kept::write(folder, &judged, &config.evaluation, &report)?;
            let sheet = sheet(&rows, self.loader)?;
            write_whole(&folder.join("queries.jpg"), |file| file.write_all(&sheet))?;
        }

        let shown = |rows, labels, embeddings| Shown {
            rows,
            labels,
            embeddings,
        };
        let strip = strips(
            shown(&rows, &query_labels, &queries),
            shown(&train, &gallery_labels, &gallery),
            dim,
            self.loader,
        )?;
        Ok(Judgement { report, strip })
    }

    /// The nearest training images of a few training images.
    ///
    /// # Errors
    /// A broken image.
    pub(crate) fn strip_of_training(
        &self,
        embeddings: &[f32],
        labels: &[usize],
        dim: usize,
    ) -> Result<Value, TrainError> {
        let shown = Shown {
            rows: &self.parts.train,
            labels,
            embeddings,
        };
        strips(shown, shown, dim, self.loader)
    }
}

/// Says what the sampler drew from.
fn note_index(report: &mut Report, state: &State, config: &RunConfig) {
    if !config.sampler.needs_index() {
        return;
    }
    report.note(
        "index",
        match config.train.refresh_source {
            RefreshSource::EvaluationPass => "evaluation views of all training images",
            RefreshSource::Fused => "fused: the last embeddings seen in training, not the paper's",
        },
    );
    report.note("index_builds", state.refreshes);
    if let Some(drift) = state.drift {
        report.note("drift_last", format!("{:.4}", drift.last));
        report.note("drift_largest", format!("{:.4}", drift.largest));
    }
}

/// Says what the plan showed in its last whole epoch, or in the one in which the run ended.
pub(crate) fn note_receipt(report: &mut Report, receipt: &ReceiptSummary) {
    report.note("receipt", receipt);
    report.note("receipt_rows_never_seen", receipt.rows_never_seen);
    report.note("receipt_classes_never_seen", receipt.classes_never_seen);
    if let Some(gap) = receipt.mean_revisit_gap {
        report.note("receipt_mean_revisit_gap", format!("{gap:.2}"));
    }
    if let Some(seeds) = receipt.seeds {
        report.note("receipt_seed_entropy", format!("{:.4}", seeds.entropy));
        report.note("receipt_clusters_never_seed", seeds.never);
    }
}

/// Name of the loss in reports.
fn loss_name(config: &RunConfig) -> String {
    // A tagged enum always has its tag.
    let value = serde_json::to_value(&config.loss).unwrap_or_default();
    value["kind"].as_str().unwrap_or_default().to_owned()
}
