//! Judging an embedding by the rule of its loss, beside the numbers that all losses share.

use lodestone_eval::{
    Convention, Distance, Labelled, Mode, Predictions, RankingMetric, Report, RetrievalConfig,
    Rows, Search, Setting, SoftVote, hierarchy_recovery,
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
    let gallery = Labelled::new(what.gallery.embeddings, what.dim, what.gallery.labels)?;
    let queries = Labelled::new(what.queries.embeddings, what.dim, what.queries.labels)?;
    let search = Search::between(queries.rows(), gallery.rows())?;
    let mut report = Report::new(Setting {
        mode: Mode::TrainGallery,
        distance: Distance::SquaredEuclidean,
        dim: what.dim,
        queries: queries.len(),
        gallery: gallery.len(),
        classes: queries.classes().len(),
        n_lone: 0,
        forecast: None,
    });

    // Rules of classification: the loss's own, and those that any embedding can be judged by.
    if let Some(logits) = what.logits {
        report.add_errors(
            "argmax",
            Predictions::argmax(logits)?.errors(queries.labels())?,
            None,
        );
    }
    if let Some((index, variance)) = what.clusters {
        let centres = Labelled::from_rows(index.centres(), index.cluster_classes())?;
        let to_centres = Search::between(queries.rows(), centres.rows())?;
        let vote = SoftVote {
            nearest: config.nearest_clusters,
            variance,
        };
        let knc = Predictions::soft_vote(&to_centres, centres.labels(), vote)?;
        report.add_errors("knc", knc.errors(queries.labels())?, Some(vote));
        let nearest = Predictions::nearest_centre(queries.rows(), centres)?;
        report.add_errors("nearest_centre", nearest.errors(queries.labels())?, None);
    }
    let variance = gallery.within_class_variance();
    let vote = SoftVote {
        nearest: config.nearest_neighbours,
        variance,
    };
    if variance > 0.0 {
        let soft = Predictions::soft_vote(&search, gallery.labels(), vote)?;
        report.add_errors("soft_knn", soft.errors(queries.labels())?, Some(vote));
    }
    let nearest = Predictions::nearest_neighbour(&search, gallery.labels())?;
    report.add_errors("nearest_neighbour", nearest.errors(queries.labels())?, None);
    let mean = Predictions::nearest_class_mean(queries.rows(), gallery)?;
    report.add_errors("nearest_class_mean", mean.errors(queries.labels())?, None);

    // Retrieval.
    let retrieval = RetrievalConfig {
        cuts: config.recall_at.clone(),
        ..RetrievalConfig::default()
    };
    let ranked = search.retrieval(queries.labels(), gallery.labels(), &retrieval)?;
    let mut metrics: Vec<RankingMetric> = config
        .recall_at
        .iter()
        .map(|&k| RankingMetric::RecallAt(k))
        .collect();
    metrics.extend([RankingMetric::RPrecision, RankingMetric::MapAtR]);
    report.add_retrieval(&ranked, &metrics, Convention::Lodestone);

    // Hierarchy recovery: fine classes by embeddings that were trained on merged ones.
    if let (Some(gallery_fine), Some(query_fine)) = (what.gallery.fine, what.queries.fine)
        && variance > 0.0
    {
        let fine_gallery = Labelled::from_rows(gallery.rows(), gallery_fine)?;
        let fine_queries = Labelled::from_rows(queries.rows(), query_fine)?;
        let vote = SoftVote {
            variance: fine_gallery.within_class_variance(),
            ..vote
        };
        let recovery = hierarchy_recovery(
            fine_gallery,
            gallery.labels(),
            fine_queries,
            queries.labels(),
            vote,
        )?;
        report.add_hierarchy(&recovery);
    }
    Ok(report)
}
