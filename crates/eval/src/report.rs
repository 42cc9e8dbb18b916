//! Everything that was measured, as JSON with stable keys and as a table.
//!
//! # Keys of the JSON, schema 1
//!
//! What is optional is left out where it was not asked for. Values are shares in [0, 1], not percent; a number that does not exist
//! (all queries lone, one class only) is `null`, never NaN. A program should check `schema` and ignore keys it does not know.
//!
//! | key | meaning |
//! |---|---|
//! | `schema` | [`Report::SCHEMA`]; it grows when a key changes its meaning or goes |
//! | `setting.mode` | `self`: each row against all the others; `split`: queries against a gallery of one set; `train-gallery`: held-out rows against training rows |
//! | `setting.distance` | `squared-euclidean` or `cosine` |
//! | `setting.dim`, `.queries`, `.gallery`, `.classes` | length of an embedding; rows on either side; distinct query labels |
//! | `setting.n_lone` | queries with nothing to find, left out of every ranking metric |
//! | `notes` | what only the caller knows, by name, as text: seed, weights, split protocol; also `k_effective_at_K` where K exceeds what a query sees, `bootstrap_resamples`, `bootstrap_seed`, and `approximate_..` |
//! | `measures.NAME.value` | the number |
//! | `measures.NAME.count` | how many queries (or rows, or classes for `.._per_class_mean`) it rests on |
//! | `measures.NAME.interval` | optional: bootstrap 95 % interval `[low, high]` over queries |
//! | `measures.NAME.interval_over_classes` | optional: the same where whole classes are drawn: how far the number would move with other classes |
//! | `measures.NAME.vote` | for kNC and soft kNN: `nearest` (L or k) and `variance` (σ²) |
//! | `absent.NAME` | optional: why a measure has no value, in words |
//! | `per_class.CLASS.NAME` | optional: `value` and `count` of one class |
//! | `class_names` | optional: name of each class number |
//! | `clustering` | optional: [`Clustering`]: `nmi`, `ami`, `purity`, `rows`, `clusters` and how the clusters were made |
//! | `verification` | optional: [`Verification`] |
//! | `concentration` | optional: [`Concentration`] |
//! | `diagnostics` | optional: [`Diagnostics`] |
//! | `confusion` | optional: [`Confusion`] |
//! | `approximate` | optional: [`ApproximateNote`]: how the neighbours were found, and the measured recall |
//! | `parts.PART` | optional: a whole report of some of the queries: `seen`, those of classes that were trained on, and `unseen`, those of others |
//! | `warnings` | sentences about the data that a reader of the numbers must know |
//!
//! NAME is one of
//! - `precision_at_1`, which is also recall@1, CMC@1 and hit@1; `recall_at_K`, `recall_ir_at_K`, `precision_at_K`,
//!   `precision_at_K_capped`, `map_at_K`, `r_precision`, `map_at_r`, `mean_average_precision`, `mean_reciprocal_rank`: see
//!   [`RankingMetric`];
//! - such a name with `.pml`, `.oml` or `.sklearn`: as that library counts, see [`Convention`]; with `_lone_as_miss`: lone queries
//!   count as 0; with `_per_class_mean`: mean over classes of the class mean;
//! - `RULE_error_at_1` and `RULE_error_at_5` for the rules `argmax`, `knc`, `nearest_centre`, `nearest_class_mean`, `soft_knn`,
//!   `nearest_neighbour`, the last two also with `_loo` inside one set, and `hierarchy_soft_knn`, `hierarchy_class_mean`,
//!   `hierarchy_chance`;
//! - `recall_at_1.cosine`, `map_at_r.cosine` and `nearest_class_mean_error_at_1.cosine`: the same in cosine distance whatever
//!   `setting.distance` is, so that losses can be compared: see [`Search::add_cosine`](crate::Search::add_cosine);
//! - `unknown_false_accept_rate`, `unknown_false_reject_rate` and `unknown_precision`: see [`Report::add_unknowns`].

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{
    Bootstrap, ClusteringScores, Concentration, Confusion, Convention, Diagnostics, Errors,
    EvalError, HierarchyRecovery, KMeans, KMeansConfig, Mean, Mode, Predictions, RankingMetric,
    Retrieval, SoftVote, Verification,
};

/// What was measured, on what, and how sure it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Version of the meaning of the keys.
    pub schema: u32,
    /// Who searched what.
    pub setting: Setting,
    /// What only the caller knows: seed, weights, split protocol.
    pub notes: BTreeMap<String, String>,
    /// The numbers, by name.
    pub measures: BTreeMap<String, Measure>,
    /// Why a measure has no value, by its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub absent: BTreeMap<String, String>,
    /// Means of single classes, by class number and metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_class: Option<BTreeMap<usize, BTreeMap<String, Mean>>>,
    /// Names of the class numbers, where they have any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub class_names: BTreeMap<usize, String>,
    /// How a clustering agrees with the classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clustering: Option<Clustering>,
    /// Same or not the same, by a threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// The shape of the embedding cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnostics: Option<Diagnostics>,
    /// How attributes concentrate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concentration: Option<Concentration>,
    /// Which class was taken for which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confusion: Option<Confusion>,
    /// How far the neighbours can be trusted, where the search was not exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approximate: Option<ApproximateNote>,
    /// Reports of some of the queries each, by [`SEEN`](Self::SEEN) and [`UNSEEN`](Self::UNSEEN).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, Report>,
    /// Sentences that a reader of the numbers must know.
    pub warnings: Vec<String>,
}

/// The distance that ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RankingDistance {
    /// `‖x - y‖²`.
    #[default]
    SquaredEuclidean,
    /// `‖x/‖x‖ - y/‖y‖‖²`, which is twice `1 - cos`.
    Cosine,
}

/// Who searched what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// Where queries and gallery come from.
    pub mode: Mode,
    /// The distance that ranks.
    pub distance: RankingDistance,
    /// Length of an embedding.
    pub dim: usize,
    /// Number of queries.
    pub queries: usize,
    /// Number of gallery rows.
    pub gallery: usize,
    /// Number of distinct query labels.
    pub classes: usize,
    /// Queries with nothing to find, left out of the ranking metrics.
    pub n_lone: usize,
}

/// Agreement of clusters with classes, and where the clusters come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Clustering {
    /// The scores.
    #[serde(flatten)]
    pub scores: ClusteringScores,
    /// How K-means was asked; absent for clusters that were given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub k_means: Option<KMeansConfig>,
    /// What K-means did; absent for clusters that were given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<KMeansRun>,
}

/// What a run of K-means came to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KMeansRun {
    /// `Σ ‖row - centre‖²`.
    pub inertia: f64,
    /// Assignment passes of the start that was kept.
    pub passes: usize,
    /// Whether its last pass moved no row.
    pub converged: bool,
}

impl Clustering {
    /// Scores of clusters that K-means found.
    pub fn of_k_means(scores: ClusteringScores, config: KMeansConfig, found: &KMeans) -> Self {
        Self {
            scores,
            k_means: Some(config),
            run: Some(KMeansRun {
                inertia: found.inertia,
                passes: found.passes,
                converged: found.converged,
            }),
        }
    }

    /// Scores of clusters that were given.
    pub fn of_given(scores: ClusteringScores) -> Self {
        Self {
            scores,
            k_means: None,
            run: None,
        }
    }
}

/// A search that was not exact, and how often it was right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApproximateNote {
    /// The index that was asked.
    pub index: String,
    /// Neighbours that each query asked for.
    pub neighbours: usize,
    /// Share of the true neighbours that was found, on the sample.
    pub recall: f64,
    /// Queries in the sample.
    pub sampled: usize,
    /// Queries for which the index found too few rows, answered exactly instead.
    pub exact: usize,
}

/// One number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// The number; absent where it is undefined, never NaN.
    pub value: Option<f64>,
    /// How many rows (or classes, for `_per_class_mean`) it rests on.
    pub count: usize,
    /// 95 % interval over queries, if it was resampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    /// 95 % interval over classes, which are drawn whole, if it was resampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_over_classes: Option<[f64; 2]>,
    /// The vote behind it, for kNC and soft kNN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vote: Option<SoftVote>,
}

impl Report {
    /// Version of the meaning of the keys.
    pub const SCHEMA: u32 = 1;
    /// The part of the queries whose classes were trained on.
    pub const SEEN: &str = "seen";
    /// The part of the queries whose classes were not.
    pub const UNSEEN: &str = "unseen";

    /// An empty report.
    pub fn new(setting: Setting) -> Self {
        Self {
            schema: Self::SCHEMA,
            setting,
            notes: BTreeMap::new(),
            measures: BTreeMap::new(),
            absent: BTreeMap::new(),
            per_class: None,
            class_names: BTreeMap::new(),
            clustering: None,
            verification: None,
            diagnostics: None,
            concentration: None,
            confusion: None,
            approximate: None,
            parts: BTreeMap::new(),
            warnings: Vec::new(),
        }
    }

    /// A number by its name, or that of a part by `PART.NAME`.
    pub fn measure(&self, name: &str) -> Option<&Measure> {
        self.measures.get(name).or_else(|| {
            let (part, name) = name.split_once('.')?;
            self.parts.get(part)?.measures.get(name)
        })
    }

    /// Why the number of a name has no value, where that is known.
    pub fn reason(&self, name: &str) -> Option<&str> {
        let own = self.absent.get(name);
        let of_part = || {
            let (part, name) = name.split_once('.')?;
            self.parts.get(part)?.absent.get(name)
        };
        own.or_else(of_part).map(String::as_str)
    }

    /// The names that [`measure`](Self::measure) knows.
    pub fn names(&self) -> Vec<String> {
        let of_parts = self.parts.iter().flat_map(|(part, report)| {
            let names = report.measures.keys();
            names.map(move |name| format!("{part}.{name}"))
        });
        self.measures.keys().cloned().chain(of_parts).collect()
    }

    /// Notes something that only the caller knows.
    pub fn note(&mut self, name: &str, value: impl ToString) {
        self.notes.insert(name.to_owned(), value.to_string());
    }

    /// Adds a number; NaN and infinities become an absent value.
    pub fn add(&mut self, name: impl Into<String>, value: Option<f64>, count: usize) {
        let measure = Measure {
            value: value.filter(|v| v.is_finite()),
            count,
            interval: None,
            interval_over_classes: None,
            vote: None,
        };
        self.measures.insert(name.into(), measure);
    }

    /// Adds `metrics` of a search, each as mean over queries and, under `.._per_class_mean`, over classes.
    ///
    /// What was not followed far enough to be known is added as absent.
    pub fn add_retrieval(
        &mut self,
        retrieval: &Retrieval,
        metrics: &[RankingMetric],
        convention: Convention,
    ) {
        for &metric in metrics {
            let name = convention.name(metric);
            let queries = retrieval.mean(metric, convention);
            let classes = retrieval.mean_over_classes(metric, convention);
            let absent = (None, 0);
            let parts =
                |mean: Option<crate::Mean>| mean.map_or(absent, |m| (Some(m.value), m.count));
            let (value, count) = parts(queries);
            self.add(name.clone(), value, count);
            let (value, count) = parts(classes);
            self.add(format!("{name}_per_class_mean"), value, count);
        }
        self.setting.n_lone = retrieval.lone();
    }

    /// Adds a classification rule as `RULE_error_at_1` and `RULE_error_at_5`.
    pub fn add_errors(&mut self, rule: &str, errors: Errors, vote: Option<SoftVote>) {
        for (at, value) in [(1, errors.at_1), (5, errors.at_5)] {
            let measure = Measure {
                value: Some(value),
                count: errors.rows,
                interval: None,
                interval_over_classes: None,
                vote,
            };
            self.measures
                .insert(format!("{rule}_error_at_{at}"), measure);
        }
        if errors.fewer_than_five > 0 {
            self.warnings.push(format!(
                "{rule}: {} of {} rows have fewer than five candidate classes, so error@5 rests on fewer guesses there",
                errors.fewer_than_five, errors.rows
            ));
        }
    }

    /// Adds the 95 % intervals of error@1 of a rule to the measure `name`, over rows and over whole classes of them, where resamples
    /// are asked for.
    ///
    /// # Errors
    /// If there is no resample.
    pub fn add_intervals(
        &mut self,
        name: &str,
        predictions: &Predictions,
        labels: &[usize],
        bootstrap: Option<Bootstrap>,
    ) -> Result<(), EvalError> {
        if let Some(bootstrap) = bootstrap
            && let Some(measure) = self.measures.get_mut(name)
        {
            let pairs = predictions.ranked().iter().zip(labels);
            let wrong = pairs.map(|(ranked, label)| {
                let right = ranked.first() == Some(label);
                (*label, f64::from(!right))
            });
            let (labelled, wrong): (Vec<(usize, f64)>, Vec<f64>) =
                wrong.map(|one| (one, one.1)).unzip();
            measure.interval = Some(bootstrap.interval(&wrong)?);
            measure.interval_over_classes = Some(bootstrap.interval_over_groups(&labelled)?);
        }
        Ok(())
    }

    /// Adds a classification rule that has no meaning here, under the names of [`add_errors`](Self::add_errors): measures without a
    /// value, which `why` explains, and a warning.
    pub fn add_absent_errors(&mut self, rule: &str, rows: usize, why: &str) {
        for at in [1, 5] {
            let name = format!("{rule}_error_at_{at}");
            self.add(name.clone(), None, rows);
            self.absent.insert(name, why.to_owned());
        }
        self.warnings.push(why.to_owned());
    }

    /// Adds hierarchy recovery as `hierarchy_soft_knn_..`, `hierarchy_class_mean_..` and `hierarchy_chance_..`.
    pub fn add_hierarchy(&mut self, recovery: &HierarchyRecovery) {
        self.add_errors("hierarchy_soft_knn", recovery.soft_knn, Some(recovery.vote));
        self.add_errors("hierarchy_class_mean", recovery.nearest_class_mean, None);
        let rows = recovery.soft_knn.rows;
        self.add(
            "hierarchy_chance_error_at_1",
            Some(recovery.chance.at_1),
            rows,
        );
        self.add(
            "hierarchy_chance_error_at_5",
            Some(recovery.chance.at_5),
            rows,
        );
    }

    /// Adds the shape of the cloud, and a warning if it has collapsed.
    pub fn add_diagnostics(&mut self, diagnostics: Diagnostics) {
        let warning = diagnostics.collapse.map(|c| c.warning().to_owned());
        self.warnings.extend(warning);
        self.diagnostics = Some(diagnostics);
    }

    /// The report as indented JSON.
    pub fn to_json(&self) -> String {
        // Only maps with string keys and finite numbers: nothing that JSON cannot say.
        serde_json::to_string_pretty(self).expect("a report is plain data")
    }

    /// Writes [`to_json`](Self::to_json) to a file that appears whole or not at all.
    ///
    /// # Errors
    /// What the file system says, with the path.
    pub fn write_json(&self, path: &Path) -> Result<(), lodestone_files::WriteError> {
        lodestone_files::write_whole(path, |file| writeln!(file, "{}", self.to_json()))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn report() -> Report {
        Report::new(Setting {
            mode: Mode::TrainGallery,
            distance: RankingDistance::SquaredEuclidean,
            dim: 8,
            queries: 4,
            gallery: 9,
            classes: 2,
            n_lone: 1,
        })
    }

    #[test]
    fn json_keys_are_stable_and_read_back() {
        let mut report = report();
        report.note("seed", 7);
        report.add("r_precision", Some(0.5), 3);
        report.add("nmi", Some(f64::NAN), 0);
        let errors = Errors {
            at_1: 0.25,
            at_5: 0.0,
            rows: 4,
            fewer_than_five: 4,
        };
        report.add_errors("knc", errors, Some(SoftVote::new(2.0)));
        let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(json["schema"], 1);
        assert_eq!(json["setting"]["mode"], "train-gallery");
        assert_eq!(json["setting"]["distance"], "squared-euclidean");
        assert_eq!(json["setting"]["n_lone"], 1);
        assert_eq!(json["notes"]["seed"], "7");
        assert_eq!(json["measures"]["r_precision"]["value"], 0.5);
        assert!(json["measures"]["nmi"]["value"].is_null());
        assert_eq!(json["measures"]["knc_error_at_1"]["vote"]["variance"], 2.0);
        assert_eq!(json["warnings"].as_array().unwrap().len(), 1);
        let back: Report = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(back, report);
    }

    #[test]
    fn the_file_holds_the_json() {
        let folder = std::env::temp_dir().join(format!("lodestone-report-{}", std::process::id()));
        let path = folder.join("report.json");
        report().write_json(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, report().to_json() + "\n");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
