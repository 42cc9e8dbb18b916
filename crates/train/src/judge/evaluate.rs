//! Judging an embedding by the rule of its loss, beside the numbers that all losses share.

use lodestone_data::Roles;
use lodestone_eval::{
    Bootstrap, Labelled, Levels, Mode, Predictions, Protocol, QueryOutcome, Report, ReportConfig,
    Retrieval, RetrievalConfig, Rows, Search, SoftVote, Unknowns, Visibility, diagnostics,
    hierarchy_recovery,
};
use lodestone_losses::ClassRule;
use lodestone_sampling::Index;

use crate::config::run_config::EvaluationConfig;
use crate::error::TrainError;
use crate::input::columns::Part;

/// Why rules that vote with a variance have no value, as they have none in an embedding that has collapsed.
const POINTS: &str = "the clusters of the batches are points, so kNC has no variance to vote with";
/// The same where no batch has told a variance.
const UNSEEN: &str = "no batch has had a variance yet, so kNC has none to vote with";
/// The same for fine classes.
const FINE_POINTS: &str =
    "the gallery rows of each fine class are one point, so soft kNN has no variance to vote with";

/// What is judged.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    /// The rule of the loss; none for features that no loss has trained.
    pub rule: Option<ClassRule>,
    /// Length of an embedding.
    pub dim: usize,
    /// Training images: the gallery of every rule.
    pub gallery: Part<'a>,
    /// Held-out images.
    pub queries: Part<'a>,
    /// Who looks for whom.
    pub protocol: Protocol,
    /// Whether the class of each held-out image was trained on, `[n]`.
    pub seen: &'a [bool],
    /// Query and gallery marks of the held-out images, `[n]`, which the mode `split` goes by.
    pub roles: Option<&'a [Roles]>,
    /// Scores of the queries, `[n, classes]`, for the rule of the highest score.
    pub logits: Option<Rows<'a>>,
    /// Clusters of the gallery and the variance of training, for the rule of the nearest clusters.
    pub clusters: Option<(&'a Index, f64)>,
}

/// Name of the rule in a report's keys.
pub fn rule_name(rule: ClassRule) -> &'static str {
    match rule {
        ClassRule::HighestScore => "argmax",
        ClassRule::NearestNeighbours => "soft_knn",
        ClassRule::NearestClusters => "knc",
    }
}

/// Key of the number a run is chosen by: error@1 of its loss's rule among training images, and MAP@R elsewhere, where no image
/// has the class of a training image for a rule to predict.
pub fn headline(rule: Option<ClassRule>, mode: Mode) -> String {
    match mode {
        Mode::TrainGallery => format!(
            "{}_error_at_1",
            rule.map_or("nearest_class_mean", rule_name)
        ),
        Mode::LeaveOneOut | Mode::Split => "map_at_r".to_owned(),
    }
}

/// Computes the report.
///
/// # Errors
/// If an embedding is not finite, or the parts do not fit each other.
pub fn judge(what: &Judged<'_>, config: &EvaluationConfig) -> Result<Report, TrainError> {
    Ok(find(what, config)?.report)
}

/// What the rules say of a held-out image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RowOutcome {
    /// Its place among the held-out images.
    pub(crate) row: usize,
    /// In the distance of the run.
    pub(crate) plain: QueryOutcome,
    /// In cosine distance.
    pub(crate) cosine: QueryOutcome,
}

/// A report, and what the rules that all losses share say of each held-out image that asks, in their order.
pub(crate) struct Findings {
    pub(crate) report: Report,
    pub(crate) outcomes: Vec<RowOutcome>,
}

/// [`judge`] with what lies behind the numbers.
pub(crate) fn find(what: &Judged<'_>, config: &EvaluationConfig) -> Result<Findings, TrainError> {
    let centres = what.clusters.map(|(index, variance)| Centres {
        rows: index.centres(),
        classes: index.cluster_classes(),
        variance,
    });
    judge_with(what, centres, config)
}

/// Cluster centres that vote in kNC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Centres<'a> {
    /// `[centres, dim]`.
    pub(crate) rows: Rows<'a>,
    /// Class of each centre.
    pub(crate) classes: &'a [usize],
    /// The variance of training.
    pub(crate) variance: f64,
}

/// [`find`] with the clusters as mere centres.
pub(crate) fn judge_with(
    what: &Judged<'_>,
    centres: Option<Centres<'_>>,
    config: &EvaluationConfig,
) -> Result<Findings, TrainError> {
    let one = |what: &Judged<'_>, mode| match mode {
        Mode::TrainGallery => among_training(what, centres, config),
        Mode::LeaveOneOut => among_themselves(what, config),
        Mode::Split => by_roles(what, config),
    };
    let mut found = one(what, what.protocol.whole())?;
    if what.protocol == Protocol::SeenAndUnseen {
        found.outcomes.clear();
        for (name, wanted, mode) in [
            (Report::SEEN, true, Mode::TrainGallery),
            (Report::UNSEEN, false, Mode::LeaveOneOut),
        ] {
            let rows = (0..what.seen.len()).filter(|&row| what.seen[row] == wanted);
            let chosen = Chosen::of(&what.queries, &rows.collect::<Vec<_>>(), what.dim);
            let logits = what.logits.map(|logits| {
                let values = lodestone_eval::Roles::gather(logits, &chosen.rows);
                (values, logits.dim())
            });
            let part = Judged {
                queries: chosen.part(),
                logits: logits
                    .as_ref()
                    .and_then(|(values, dim)| Rows::new(values, *dim).ok()),
                ..*what
            };
            let of_part = one(&part, mode)?;
            found.report.parts.insert(name.to_owned(), of_part.report);
            let outcomes = of_part.outcomes.into_iter().map(|outcome| RowOutcome {
                row: chosen.rows[outcome.row],
                ..outcome
            });
            found.outcomes.extend(outcomes);
        }
        found.outcomes.sort_by_key(|outcome| outcome.row);
        add_unknowns(&mut found.report, what)?;
    }
    Ok(found)
}

/// Whether photographs of classes that were trained on can be told from others by the nearest training image.
fn add_unknowns(report: &mut Report, what: &Judged<'_>) -> Result<(), TrainError> {
    let gallery = Labelled::new(what.gallery.embeddings, what.dim, what.gallery.labels)?;
    let queries = Labelled::new(what.queries.embeddings, what.dim, what.queries.labels)?;
    let distances = Unknowns::of(queries, what.seen, gallery.rows())?;
    Ok(report.add_unknowns(&distances, Unknowns::PRECISION, Bootstrap::new(0))?)
}

/// Some rows of a part.
struct Chosen {
    rows: Vec<usize>,
    embeddings: Vec<f32>,
    labels: Vec<usize>,
    fine: Option<Vec<usize>>,
    sequences: Option<Vec<usize>>,
}

impl Chosen {
    fn of(part: &Part<'_>, rows: &[usize], dim: usize) -> Self {
        let of = |list: &[usize]| rows.iter().map(|&row| list[row]).collect::<Vec<_>>();
        let embedding = |&row: &usize| &part.embeddings[row * dim..(row + 1) * dim];
        Self {
            embeddings: rows.iter().flat_map(embedding).copied().collect(),
            labels: of(part.labels),
            fine: part.fine.map(of),
            sequences: part.sequences.map(of),
            rows: rows.to_vec(),
        }
    }

    fn part(&self) -> Part<'_> {
        Part {
            embeddings: &self.embeddings,
            labels: &self.labels,
            fine: self.fine.as_deref(),
            sequences: self.sequences.as_deref(),
        }
    }
}

/// Held-out images among training images: retrieval, and the rules that predict a class of training.
fn among_training(
    what: &Judged<'_>,
    centres: Option<Centres<'_>>,
    config: &EvaluationConfig,
) -> Result<Findings, TrainError> {
    let gallery = Labelled::new(what.gallery.embeddings, what.dim, what.gallery.labels)?;
    let queries = Labelled::new(what.queries.embeddings, what.dim, what.queries.labels)?;
    let visibility = match (what.queries.sequences, what.gallery.sequences) {
        (Some(of_queries), Some(of_gallery)) => {
            Visibility::everything().without_own_sequence(of_queries, of_gallery)
        }
        _ => Visibility::everything(),
    };
    let search = Search::between(queries.rows(), gallery.rows())?.with_visibility(visibility)?;
    let (mut report, plain) = retrieval(&search, Mode::TrainGallery, queries, gallery, config)?;

    // Rules of classification: the loss's own, and those that any embedding can be judged by.
    if let Some(logits) = what.logits {
        report.add_errors(
            "argmax",
            Predictions::argmax(logits)?.errors(queries.labels())?,
            None,
        );
    }
    if let Some(Centres {
        rows,
        classes,
        variance,
    }) = centres
    {
        let centres = Labelled::from_rows(rows, classes)?;
        let to_centres = Search::between(queries.rows(), centres.rows())?;
        let vote = SoftVote {
            nearest: config.nearest_clusters,
            variance: config.vote_variance * variance,
        };
        if vote.variance > 0.0 {
            let knc = Predictions::soft_vote(&to_centres, centres.labels(), vote)?;
            report.add_errors("knc", knc.errors(queries.labels())?, Some(vote));
        } else {
            report.add_absent_errors("knc", queries.len(), POINTS);
        }
        let nearest = Predictions::nearest_centre(queries.rows(), centres)?;
        report.add_errors("nearest_centre", nearest.errors(queries.labels())?, None);
    } else if what.rule == Some(ClassRule::NearestClusters) {
        report.add_absent_errors("knc", queries.len(), UNSEEN);
    }
    let rules = search.add_rules(
        &mut report,
        queries.labels(),
        gallery.labels(),
        config.nearest_neighbours,
        config.vote_variance,
    )?;
    let class_mean = rules.class_mean.as_ref();
    if let Some(class_mean) = class_mean {
        let name = "nearest_class_mean_error_at_1";
        report.add_intervals(name, class_mean, queries.labels(), BOOTSTRAP)?;
    }
    let cosine = search.add_cosine(&mut report, &plain, gallery.labels(), BOOTSTRAP)?;
    add_recovery(&mut report, &search, what.queries, what.gallery, config)?;
    let rows = 0..queries.len();
    Ok(Findings {
        outcomes: outcomes(rows, plain.outcomes(class_mean), cosine),
        report,
    })
}

/// Each held-out image among all the others: no image of training takes part.
fn among_themselves(what: &Judged<'_>, config: &EvaluationConfig) -> Result<Findings, TrainError> {
    let queries = Labelled::new(what.queries.embeddings, what.dim, what.queries.labels)?;
    let visibility = match what.queries.sequences {
        Some(of_all) => Visibility::leave_one_out().without_own_sequence(of_all, of_all),
        None => Visibility::leave_one_out(),
    };
    let search = Search::leave_one_out(queries.rows())?.with_visibility(visibility)?;
    let (mut report, plain) = retrieval(&search, Mode::LeaveOneOut, queries, queries, config)?;
    let cosine = search.add_cosine(&mut report, &plain, queries.labels(), BOOTSTRAP)?;
    add_recovery(&mut report, &search, what.queries, what.queries, config)?;
    let rows = 0..queries.len();
    Ok(Findings {
        outcomes: outcomes(rows, plain.outcomes(None), cosine),
        report,
    })
}

/// Held-out images that ask among those that may be found, as the table marks them.
fn by_roles(what: &Judged<'_>, config: &EvaluationConfig) -> Result<Findings, TrainError> {
    let Some(roles) = what.roles else {
        return Err(TrainError::Setting {
            reason: "evaluation.mode is split, but the held-out images have no marks of query and gallery: a table with the \
                     columns is_query and is_gallery says them"
                .to_owned(),
        });
    };
    let marks = |of: fn(&Roles) -> bool| roles.iter().map(of).collect::<Vec<bool>>();
    let sides = lodestone_eval::Roles::new(&marks(|role| role.query), &marks(|role| role.gallery))?;
    let asking = Chosen::of(&what.queries, &sides.queries, what.dim);
    let found = Chosen::of(&what.queries, &sides.gallery, what.dim);
    let (asking, found) = (asking.part(), found.part());
    let queries = Labelled::new(asking.embeddings, what.dim, asking.labels)?;
    let gallery = Labelled::new(found.embeddings, what.dim, found.labels)?;
    let visibility = match (asking.sequences, found.sequences) {
        (Some(of_queries), Some(of_gallery)) => {
            Visibility::own_rows(&sides.own).without_own_sequence(of_queries, of_gallery)
        }
        _ => Visibility::own_rows(&sides.own),
    };
    let search = Search::between(queries.rows(), gallery.rows())?.with_visibility(visibility)?;
    let (mut report, plain) = retrieval(&search, Mode::Split, queries, gallery, config)?;
    let cosine = search.add_cosine(&mut report, &plain, gallery.labels(), BOOTSTRAP)?;
    add_recovery(&mut report, &search, asking, found, config)?;
    let rows = sides.queries.iter().copied();
    Ok(Findings {
        outcomes: outcomes(rows, plain.outcomes(None), cosine),
        report,
    })
}

/// What either distance says of the held-out images `rows`.
fn outcomes(
    rows: impl Iterator<Item = usize>,
    plain: Vec<QueryOutcome>,
    cosine: Vec<QueryOutcome>,
) -> Vec<RowOutcome> {
    let both = rows.zip(plain).zip(cosine);
    both.map(|((row, plain), cosine)| RowOutcome { row, plain, cosine })
        .collect()
}

/// How the intervals of a report are resampled.
const BOOTSTRAP: Option<Bootstrap> = Some(Bootstrap {
    resamples: 1000,
    seed: 0,
});

/// Ranking metrics with their intervals, and the shape of the queries' cloud.
fn retrieval(
    search: &Search<'_>,
    mode: Mode,
    queries: Labelled<'_>,
    gallery: Labelled<'_>,
    config: &EvaluationConfig,
) -> Result<(Report, Retrieval), TrainError> {
    let retrieval = RetrievalConfig {
        cuts: config.recall_at.clone(),
        ..RetrievalConfig::default()
    };
    let shown = ReportConfig {
        bootstrap: BOOTSTRAP,
        ..ReportConfig::new(mode, retrieval)
    };
    let (mut report, ranked) = search.report(queries.labels(), gallery.labels(), &shown)?;
    if queries.len() > 1 {
        report.add_diagnostics(diagnostics(queries)?);
    }
    Ok((report, ranked))
}

/// Hierarchy recovery: fine classes by embeddings that were trained on merged ones.
fn add_recovery(
    report: &mut Report,
    search: &Search<'_>,
    queries: Part<'_>,
    gallery: Part<'_>,
    config: &EvaluationConfig,
) -> Result<(), TrainError> {
    let (Some(query_fine), Some(gallery_fine)) = (queries.fine, gallery.fine) else {
        return Ok(());
    };
    let fine_gallery = Labelled::from_rows(search.gallery(), gallery_fine)?;
    let variance = config.vote_variance * fine_gallery.within_class_variance();
    if variance > 0.0 {
        let vote = SoftVote {
            nearest: config.nearest_neighbours,
            variance,
        };
        let test = Levels {
            fine: query_fine,
            coarse: queries.labels,
        };
        let training = Levels {
            fine: gallery_fine,
            coarse: gallery.labels,
        };
        report.add_hierarchy(&hierarchy_recovery(search, test, training, vote)?);
    } else {
        report.add_absent_errors("hierarchy_soft_knn", query_fine.len(), FINE_POINTS);
    }
    Ok(())
}
