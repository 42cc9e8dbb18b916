//! Judging a run: embeddings of gallery and held-out images, the report, a strip of neighbours.

use std::path::Path;

use burn::tensor::Device;
use lodestone_data::{Loader, Split, Table};
use lodestone_eval::{Mode, Report};
use lodestone_files::write_whole;
use lodestone_sampling::{Classes, Index, ReceiptSummary, RefreshSource};

use crate::config::run_config::RunConfig;
use crate::error::TrainError;
use crate::input::columns::rows_of;
use crate::input::embedding_cache::{Embedded, EmbeddingCache, Pass};
use crate::input::parts::Parts;
use crate::input::source::EvaluationSource;
use crate::judge::evaluate::{Findings, Judged, find, headline};
use crate::judge::outcomes::{self, Line};
use crate::judge::saved_embeddings;
use crate::learn::learner::Learner;
use crate::record::events::Value;
use crate::record::observer::Observer;
use crate::record::strips::{Shown, sheet, strips};
use crate::run::setup::needs_index;
use crate::run::state::State;

/// What does not change between the judgements of a run.
#[derive(Clone, Copy)]
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
    /// The cache folder where embeddings are looked for and kept: for weights that others will ask for, as those on the way of a
    /// run are not.
    pub(crate) cache: Option<&'a Path>,
}

/// A report, what the rules say of each held-out image, and what the nearest images of a few look like.
pub(crate) struct Judgement {
    pub(crate) report: Report,
    pub(crate) outcomes: Vec<Line>,
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
        let cache = self.cache.map(|folder| {
            let (preprocessing, pass) = (self.loader.preprocessing(), Pass::Judged);
            let embedder = learner.judged().embedder;
            EmbeddingCache::new(folder, &embedder, preprocessing, self.device, pass)
        });
        let mut embed =
            |rows: &[usize]| self.embed(learner, rows, cache.as_ref(), evaluation, observer);
        let (gallery, queries) = (embed(&parts.train)?, embed(rows)?);
        // Without those that are left out as broken.
        let (train, rows) = (gallery.rows, queries.rows);
        let (gallery, queries) = (gallery.values, queries.values);
        let logits = learner.logits(&queries, dim, self.device);
        let logits = match &logits {
            Some(logits) => Some(rows_of(logits, parts.trained())?),
            None => None,
        };
        // The rule of the nearest clusters reads the clusters of the finished embedding, not those of the last refresh.
        let index = match state.variance.get() {
            Some(variance) if needs_index(config) => {
                let points = rows_of(&gallery, dim)?;
                let fewer = (train.len() < parts.train.len())
                    .then(|| {
                        let names = parts.training_class_names().to_vec();
                        Classes::named(&parts.labels(&train), names)
                    })
                    .transpose()?;
                let classes = fewer.as_ref().unwrap_or(self.classes);
                let index = Index::build(points, classes, &config.index, config.seed)?;
                Some((index, variance))
            }
            _ => None,
        };
        let (of_gallery, of_queries) = (parts.columns(&train), parts.columns(&rows));
        let (seen, roles) = (parts.seen(&rows), parts.roles(&rows));
        let protocol = parts.protocol(held_out, &config.evaluation);
        let judged = Judged {
            rule: Some(config.loss.class_rule()),
            dim,
            gallery: of_gallery.part(&gallery),
            queries: of_queries.part(&queries),
            protocol,
            seen: &seen,
            roles: roles.as_deref(),
            logits,
            clusters: index.as_ref().map(|(index, variance)| (index, *variance)),
        };
        let Findings {
            mut report,
            outcomes,
        } = find(&judged, &config.evaluation)?;
        report.note("data", &self.table.name);
        report.note("part", held_out.name());
        report.note("seed", config.seed);
        report.note("loss", loss_name(config));
        report.note("rule", headline(judged.rule, protocol.whole()));
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
        let photographs = parts.photographs(&rows);
        let outcomes = outcomes::lines(&outcomes, &photographs, &of_queries.labels, &seen);
        if let Some(folder) = self.keep {
            let photographs = [photographs, parts.photographs(&train)];
            saved_embeddings::write(folder, &judged, &photographs, &config.evaluation, &report)?;
            let sheet = sheet(&rows, self.loader)?;
            write_whole(&folder.join("queries.jpg"), |file| file.write_all(&sheet))?;
        }

        let shown = |rows, labels, embeddings| Shown {
            rows,
            labels,
            embeddings,
        };
        let asking = shown(&rows, &of_queries.labels, &queries);
        let found = match protocol.whole() {
            Mode::TrainGallery => shown(&train, &of_gallery.labels, &gallery),
            Mode::LeaveOneOut | Mode::Split => asking,
        };
        let strip = strips(asking, found, dim, self.loader)?;
        Ok(Judgement {
            report,
            outcomes,
            strip,
        })
    }

    /// Embeddings of some rows by the weights that are judged: those that the cache has, and the others computed.
    fn embed(
        &self,
        learner: &Learner,
        rows: &[usize],
        cache: Option<&EmbeddingCache>,
        evaluation: &mut EvaluationSource,
        observer: &mut dyn Observer,
    ) -> Result<Embedded, TrainError> {
        let mut make = |rows: &[usize]| {
            let found = learner.embed_judged(rows, evaluation, self.device, observer);
            match found {
                Ok(found) => Ok(Embedded {
                    rows: found.of(rows),
                    values: found.values,
                    ..Embedded::default()
                }),
                // The cache may have others.
                Err(TrainError::Unreadable { reason, .. }) => Ok(Embedded {
                    skipped: rows.iter().map(|&row| (row, reason.clone())).collect(),
                    ..Embedded::default()
                }),
                Err(error) => Err(error),
            }
        };
        let embedded = match cache {
            Some(cache) => cache.embed(self.table, rows, usize::MAX, make)?,
            None => make(rows)?,
        };
        match embedded.rows.is_empty() && !embedded.skipped.is_empty() {
            true => Err(TrainError::unreadable(&embedded.skipped)),
            false => Ok(embedded),
        }
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
