//! Settings of the cluster index.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{at_least, setting};
use crate::{Classes, SamplingError};

/// How many clusters a class gets: a number, or `"auto"` in a run file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(untagged, expecting = "expected a number of clusters or \"auto\"")]
pub enum ClusterCount {
    /// So many, or as many as the class has distinct points if those are fewer.
    Fixed(usize),
    /// As many as [`IndexConfig::criterion`] prefers, at most [`IndexConfig::most_clusters`].
    Auto(Auto),
}

/// The word `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Auto {
    /// Let the data decide.
    Auto,
}

impl From<usize> for ClusterCount {
    fn from(count: usize) -> Self {
        Self::Fixed(count)
    }
}

/// By what the number of clusters is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Criterion {
    /// The simplified silhouette: how much nearer points are to their own centre than to the next one. Says one cluster
    /// where no split separates clearly. The default, because it does not depend on the length of the embedding.
    #[default]
    Silhouette,
    /// The Bayesian information criterion of spherical Gaussians. It charges each further cluster for all its coordinates,
    /// so for long embeddings and few images it nearly always says one.
    Bic,
}

/// What a refresh starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum RefreshStart {
    /// From the clusters of the old index, at the means of their members as these are embedded now, so that clusters keep their
    /// numbers and their meaning. Where their number is `auto` it is found anew, from new centres as `cold` has them.
    #[default]
    Warm,
    /// From new K-means++ centres; clusters then take the number of the old cluster they match best.
    Cold,
}

/// How the clusters of each class are found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct IndexConfig {
    /// Clusters in each class, K of the paper.
    pub clusters_per_class: ClusterCount,
    /// Classes, by name, that get another number of clusters.
    pub per_class: BTreeMap<String, ClusterCount>,
    /// The most clusters that `auto` may choose.
    pub most_clusters: usize,
    /// By what `auto` chooses.
    pub criterion: Criterion,
    /// Lloyd iterations at most; they end earlier when no point changes its cluster.
    pub iterations: usize,
    /// Independent K-means++ starts of which the one with the least inertia is kept.
    pub restarts: usize,
    /// What a refresh starts from.
    pub refresh_start: RefreshStart,
}

impl Default for IndexConfig {
    fn default() -> Self {
        Self {
            clusters_per_class: ClusterCount::Fixed(3),
            per_class: BTreeMap::new(),
            most_clusters: 8,
            criterion: Criterion::default(),
            iterations: 20,
            restarts: 1,
            refresh_start: RefreshStart::default(),
        }
    }
}

impl IndexConfig {
    /// Refuses settings that these classes cannot meet, before anything is embedded for them.
    ///
    /// # Errors
    /// If a count is 0, or `per_class` names a class that does not exist.
    pub fn check(&self, classes: &Classes) -> Result<(), SamplingError> {
        self.counts(classes).map(|_| ())
    }

    /// The most clusters that each class can get: as many as asked for, and no more than it has rows.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub(crate) fn most(&self, classes: &Classes) -> Result<Vec<usize>, SamplingError> {
        let most = |(class, count): (usize, ClusterCount)| {
            let asked = match count {
                ClusterCount::Fixed(count) => count,
                ClusterCount::Auto(Auto::Auto) => self.most_clusters,
            };
            asked.min(classes.members(class).len())
        };
        let counts = self.counts(classes)?;
        Ok(counts.into_iter().enumerate().map(most).collect())
    }

    /// Checks the settings and says how many clusters each class is to get.
    ///
    /// # Errors
    /// If a count is 0, or `per_class` names a class that does not exist.
    pub(crate) fn counts(&self, classes: &Classes) -> Result<Vec<ClusterCount>, SamplingError> {
        at_least("iterations", self.iterations, 1)?;
        at_least("restarts", self.restarts, 1)?;
        at_least("most_clusters", self.most_clusters, 1)?;
        let positive = |field, count| match count {
            ClusterCount::Fixed(count) => at_least(field, count, 1),
            ClusterCount::Auto(Auto::Auto) => Ok(()),
        };
        positive("clusters_per_class", self.clusters_per_class)?;
        let mut counts = vec![self.clusters_per_class; classes.len()];
        for (name, &count) in &self.per_class {
            positive("per_class", count)?;
            let Some(class) = classes.find(name) else {
                let example = classes.name(0);
                let reason = format!("there is no such class; the first one is called {example}");
                return Err(setting("per_class", name, reason));
            };
            counts[class] = count;
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_follow_the_names_of_classes() {
        let classes = Classes::named(&[0, 1], vec!["beagle".into(), "pug".into()]).unwrap();
        let text = r#"{"clusters_per_class": "auto", "per_class": {"beagle": 3}}"#;
        let config: IndexConfig = serde_json::from_str(text).unwrap();
        let counts = config.counts(&classes).unwrap();
        assert_eq!(
            counts,
            [ClusterCount::Fixed(3), ClusterCount::Auto(Auto::Auto)]
        );
        assert_eq!(
            serde_json::from_str::<IndexConfig>(&serde_json::to_string(&config).unwrap()).unwrap(),
            config
        );
    }

    #[test]
    fn impossible_settings_are_named() {
        let classes = Classes::named(&[0, 1], vec!["beagle".into(), "pug".into()]).unwrap();
        for (text, message) in [
            (
                r#"{"clusters_per_class": 0}"#,
                "clusters_per_class is 0: must be 1 or more",
            ),
            (r#"{"restarts": 0}"#, "restarts is 0: must be 1 or more"),
            (
                r#"{"per_class": {"beegle": 2}}"#,
                "per_class is beegle: there is no such class; the first one is called beagle",
            ),
        ] {
            let config: IndexConfig = serde_json::from_str(text).unwrap();
            assert_eq!(config.counts(&classes).unwrap_err().to_string(), message);
        }
        let error = serde_json::from_str::<IndexConfig>(r#"{"clusters_per_class": "many"}"#);
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("a number of clusters or \"auto\"")
        );
        assert!(serde_json::from_str::<IndexConfig>(r#"{"clusters": 3}"#).is_err());
    }
}
