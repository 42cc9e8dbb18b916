//! What is changed about magnet, one thing at a time, from its tuned setting.

use super::ledger::Row;
use super::loss::Loss;

/// Name of the one that changes nothing.
pub(super) const REFERENCE: &str = "nothing changed";

/// Error@1 in percent by magnet's rule; absent if the run broke down.
pub(super) fn error(row: &Row) -> Option<f64> {
    let key = format!("{}_error_at_1", Loss::Magnet.rule());
    Some(100.0 * row.outcome.measures.get(&key)?)
}

/// Name and settings of each ablation; the first changes nothing.
pub(crate) const ABLATIONS: [(&str, &[&str]); 24] = [
    (REFERENCE, &[]),
    ("K 1", &["index.clusters_per_class=1"]),
    ("K 2", &["index.clusters_per_class=2"]),
    ("K 4", &["index.clusters_per_class=4"]),
    ("K 8", &["index.clusters_per_class=8"]),
    (
        "M 4, D 12",
        &[
            "sampler.clusters_per_batch=4",
            "sampler.examples_per_cluster=12",
        ],
    ),
    (
        "M 6, D 8",
        &[
            "sampler.clusters_per_batch=6",
            "sampler.examples_per_cluster=8",
        ],
    ),
    (
        "M 12, D 4",
        &[
            "sampler.clusters_per_batch=12",
            "sampler.examples_per_cluster=4",
        ],
    ),
    ("gap 0", &["loss.gap=0.0"]),
    ("gap 1", &["loss.gap=1.0"]),
    ("gap 2.43", &["loss.gap=2.43"]),
    ("gap 7.18", &["loss.gap=7.18"]),
    ("temperature 0.3", &["loss.temperature=0.3"]),
    ("temperature 0.1", &["loss.temperature=0.1"]),
    ("L 1", &["evaluation.nearest_clusters=1"]),
    ("L 8", &["evaluation.nearest_clusters=8"]),
    ("L 128", &["evaluation.nearest_clusters=128"]),
    ("variance detached", &["loss.detach_variance=true"]),
    ("seeds drawn evenly", &["sampler.epsilon=1.0"]),
    ("index never refreshed", &["train.refresh={when=\"never\"}"]),
    (
        "index refreshed each 20 steps",
        &["train.refresh={when=\"steps\",every=20}"],
    ),
    (
        "index of the embeddings seen last",
        &["train.refresh_source=\"fused\""],
    ),
    (
        "2 weighted neighbourhoods of M 6, D 4, each with its own examples",
        &[
            "sampler={kind=\"importance\",neighbourhoods_per_batch=2,clusters_per_neighbourhood=6,examples_per_cluster=4}",
        ],
    ),
    (
        "2 weighted neighbourhoods of M 6, D 4 that share examples",
        &[
            "sampler={kind=\"union\",neighbourhoods_per_batch=2,clusters_per_neighbourhood=6,examples_per_cluster=4}",
        ],
    ),
];
