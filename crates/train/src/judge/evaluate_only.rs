//! What a run is worth without training it: its finished model, or the features it starts from.

use lodestone_eval::Report;
use lodestone_models::HeadInitialisation;
use lodestone_sampling::Classes;

use crate::error::TrainError;
use crate::input::parts::Parts;
use crate::judge::evaluate::{Findings, Judged, find, headline};
use crate::judge::judging::{Judge, note_receipt};
use crate::judge::outcomes;
use crate::judge::saved_embeddings;
use crate::learn::learner::Learner;
use crate::record::health::Warning;
use crate::record::observer::{Event, Observer, Phase};
use crate::run::save::{load_state, load_trained};
use crate::run::setup::Setup;
use crate::run::state::State;
use crate::run::trainer::Trainer;

impl Trainer {
    /// Judges the newest checkpoint of the folder on the test images, or the validation images of a set without, as the end of
    /// the run did.
    ///
    /// # Errors
    /// If there is no checkpoint, it belongs to other settings or other data, or all images are training images.
    pub fn judge_finished(&self, observer: &mut dyn Observer) -> Result<Report, TrainError> {
        let config = &self.config;
        let device = self.device.clone().autodiff();
        let checkpoints = self.checkpoints();
        let (_, mut saved, damaged) = checkpoints.newest()?;
        for reason in damaged {
            observer.on(Event::Warning(&Warning::DamagedCheckpoint { reason }));
        }
        let parts = Parts::new(&self.table, config)?;
        let classes = Classes::named(
            &parts.labels(&parts.train),
            parts.training_class_names().to_vec(),
        )?;
        let start = config.without_weights();
        let mut setup = Setup::new(&start, &self.table, &parts, &device, observer)?;
        let state = load_state(&mut saved, &checkpoints)?;
        state.check_trained(&State::fresh(config, &setup.table_fingerprint, &classes))?;
        let learner = load_trained(&mut saved, setup.learner(config), config, &checkpoints)?;
        // What is frozen computes as it did in the run, whatever the file of its weights holds by now.
        setup.embedder = learner.embedder.clone();
        let held_out = parts.require_held_out()?;
        let all: [&[usize]; 2] = [&parts.train, parts.rows(held_out)];
        let mut evaluation =
            setup.evaluation_source(config, &all, &self.places.cache, &device, observer)?;
        let judge = Judge {
            cache: Some(&self.places.cache),
            ..self.judge_of(&parts, &classes, &setup.loader)
        };
        let judgement = judge.judge(&learner, &state, held_out, &mut evaluation, observer)?;
        let mut report = judgement.report;
        if config.train.receipts {
            note_receipt(&mut report, &state.last_receipt());
        }
        if let Some(folder) = &self.keep {
            saved_embeddings::complete(folder, &report)?;
        }
        if let Some(file) = &self.outcomes {
            outcomes::write(file, &judgement.outcomes)?;
        }
        Ok(report)
    }

    /// Judges the pooled features of the trunk as it starts, without head and training: what pretrained weights are worth.
    ///
    /// Where the run file starts the head as the whitening of the features, which needs no label, or as their discriminants,
    /// which need those of the training images, they are judged behind it: that is what training starts from.
    ///
    /// # Errors
    /// If all images are training images, and as [`run`](Self::run).
    pub fn judge_features(&self, observer: &mut dyn Observer) -> Result<Report, TrainError> {
        let config = &self.config;
        let device = self.device.clone().autodiff();
        let parts = Parts::new(&self.table, config)?;
        let mut setup = Setup::new(config, &self.table, &parts, &device, observer)?;
        let held_out = parts.require_held_out()?;
        let rows = parts.rows(held_out);
        let mut evaluation = setup.evaluation_source(
            config,
            &[&parts.train, rows],
            &self.places.cache,
            &device,
            observer,
        )?;
        let fitted = match config.model.head.initialise {
            _ if !config.model.calibrate_head => None,
            HeadInitialisation::Uniform | HeadInitialisation::UnitVariance => None,
            HeadInitialisation::Whitened => Some("whitened without labels"),
            HeadInitialisation::Discriminant => Some("discriminants of the training images"),
        };
        if fitted.is_some() {
            let labels = parts.labels(&parts.train);
            setup.calibrate_head((&parts.train, &labels), &mut evaluation, &device, observer)?;
        }
        let learner = Learner::new(config, setup.embedder, setup.auxiliary, setup.loss);
        let mut features = |rows: &[usize], observer: &mut dyn Observer| {
            let (phase, views) = (Phase::Evaluation, &mut evaluation);
            if fitted.is_some() {
                learner.embed(rows, phase, views, &self.device, observer)
            } else {
                learner.features(rows, phase, views, &self.device, observer)
            }
        };
        let gallery = features(&parts.train, observer)?;
        let queries = features(rows, observer)?;
        // Without those that are left out as broken.
        let (train, rows) = (gallery.of(&parts.train), queries.of(rows));
        let (gallery, queries) = (gallery.values, queries.values);
        let (of_gallery, of_queries) = (parts.columns(&train), parts.columns(&rows));
        let (seen, roles) = (parts.seen(&rows), parts.roles(&rows));
        let protocol = parts.protocol(held_out, &config.evaluation);
        let judged = Judged {
            rule: None,
            dim: gallery.len() / train.len(),
            gallery: of_gallery.part(&gallery),
            queries: of_queries.part(&queries),
            protocol,
            seen: &seen,
            roles: roles.as_deref(),
            logits: None,
            clusters: None,
        };
        let Findings {
            mut report,
            outcomes,
        } = find(&judged, &config.evaluation)?;
        if let Some(file) = &self.outcomes {
            let photographs = parts.photographs(&rows);
            let lines = outcomes::lines(&outcomes, &photographs, &of_queries.labels, &seen);
            outcomes::write(file, &lines)?;
        }
        report.note("data", &self.table.name);
        report.note("part", held_out.name());
        report.note("rule", headline(None, protocol.whole()));
        let features = match fitted {
            Some(fitted) => format!("none: frozen features, {fitted}"),
            None => "none: frozen features".to_owned(),
        };
        report.note("loss", features);
        report.warnings.extend(self.table.notices.iter().cloned());
        Ok(report)
    }
}
