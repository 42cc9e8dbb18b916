//! Judging an embedding by the rule of its loss, beside the numbers that all losses share.

use lodestone_eval::{
    Labelled, Levels, Mode, Predictions, Report, ReportConfig, RetrievalConfig, Rows, Search,
    SoftVote, diagnostics, hierarchy_recovery,
};
use lodestone_losses::ClassRule;
use lodestone_sampling::Index;

use crate::config::EvaluationConfig;
use crate::error::TrainError;

/// Embeddings of one part of the data, with their labels.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// `[n, dim]`, row-major.
    pub embeddings: &'a [f32],
    /// The classes that were trained on, `[n]`.
    pub labels: &'a [usize],
    /// The fine classes, where training merged them.
    pub fine: Option<&'a [usize]>,
}

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

/// Key of the number a run is chosen by: error@1 of its loss's rule.
pub fn headline(rule: Option<ClassRule>) -> String {
    format!(
        "{}_error_at_1",
        rule.map_or("nearest_class_mean", rule_name)
    )
}

/// Computes the report.
///
/// # Errors
/// If an embedding is not finite, or the parts do not fit each other.
pub fn judge(what: &Judged<'_>, config: &EvaluationConfig) -> Result<Report, TrainError> {
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

/// [`judge`] with the clusters as mere centres.
pub(crate) fn judge_with(
    what: &Judged<'_>,
    centres: Option<Centres<'_>>,
    config: &EvaluationConfig,
) -> Result<Report, TrainError> {
    let gallery = Labelled::new(what.gallery.embeddings, what.dim, what.gallery.labels)?;
    let queries = Labelled::new(what.queries.embeddings, what.dim, what.queries.labels)?;
    let search = Search::between(queries.rows(), gallery.rows())?;

    // Retrieval.
    let retrieval = RetrievalConfig {
        cuts: config.recall_at.clone(),
        ..RetrievalConfig::default()
    };
    let shown = ReportConfig::new(Mode::TrainGallery, retrieval);
    let (mut report, _) = search.report(queries.labels(), gallery.labels(), &shown)?;

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
    search.add_rules(
        &mut report,
        queries.labels(),
        gallery.labels(),
        config.nearest_neighbours,
        config.vote_variance,
    )?;
    if queries.len() > 1 {
        report.add_diagnostics(diagnostics(queries)?);
    }

    // Hierarchy recovery: fine classes by embeddings that were trained on merged ones.
    if let (Some(gallery_fine), Some(query_fine)) = (what.gallery.fine, what.queries.fine) {
        let fine_gallery = Labelled::from_rows(gallery.rows(), gallery_fine)?;
        let vote = SoftVote {
            nearest: config.nearest_neighbours,
            variance: config.vote_variance * fine_gallery.within_class_variance(),
        };
        if vote.variance <= 0.0 {
            report.add_absent_errors("hierarchy_soft_knn", queries.len(), FINE_POINTS);
            return Ok(report);
        }
        let test = Levels {
            fine: query_fine,
            coarse: queries.labels(),
        };
        let training = Levels {
            fine: gallery_fine,
            coarse: gallery.labels(),
        };
        let recovery = hierarchy_recovery(&search, test, training, vote)?;
        report.add_hierarchy(&recovery);
    }
    Ok(report)
}
