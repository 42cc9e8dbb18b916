//! The committed conformance vectors: every metric under every name.

use std::path::{Path, PathBuf};

use lodestone_eval::{
    Convention, Depth, RankingMetric, RetrievalConfig, Rows, Search, Visibility, clustering_scores,
};
use serde_json::Value;

mod npy;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("conformance")
        .join(name)
}

fn expected() -> Value {
    serde_json::from_slice(&std::fs::read(file("expected.json")).unwrap()).unwrap()
}

fn close(got: f64, expected: &Value, what: &str) {
    let expected = expected
        .as_f64()
        .unwrap_or_else(|| panic!("{what}: no number"));
    assert!(
        (got - expected).abs() <= 1e-12,
        "{what}: {got} instead of {expected}"
    );
}

/// Every metric, by the names of the vectors.
fn metrics(cuts: &[usize]) -> Vec<(RankingMetric, Convention)> {
    use Convention::{Lodestone, Oml, Pml, Sklearn};
    use RankingMetric::*;
    let mut all = vec![
        (PrecisionAt1, Lodestone),
        (RPrecision, Lodestone),
        (MapAtR, Lodestone),
        (MeanAveragePrecision, Lodestone),
        (MeanAveragePrecision, Sklearn),
        (MeanReciprocalRank, Lodestone),
    ];
    for &k in cuts {
        let ours = [
            RecallAt(k),
            RecallIrAt(k),
            PrecisionAt(k),
            PrecisionAtCapped(k),
            MapAt(k),
        ];
        all.extend(ours.map(|metric| (metric, Lodestone)));
        all.extend([(MapAt(k), Pml), (MapAt(k), Oml), (RecallAt(k), Oml)]);
    }
    all
}

#[test]
fn every_ranking_metric_has_its_committed_value() {
    let (rows, dim) = npy::read_floats(&file("embeddings.npy")).unwrap();
    let labels = npy::read_labels(&file("labels.npy")).unwrap();
    let sequences = npy::read_labels(&file("sequences.npy")).unwrap();
    let (queries, _) = npy::read_floats(&file("queries.npy")).unwrap();
    let query_labels = npy::read_labels(&file("query_labels.npy")).unwrap();
    let rows = Rows::new(&rows, dim).unwrap();
    let expected = expected();
    let cuts: Vec<usize> = serde_json::from_value(expected["cuts"].clone()).unwrap();
    let own_sequence = Visibility::leave_one_out().without_own_sequence(&sequences, &sequences);
    let alone = Search::leave_one_out(rows).unwrap();
    for (case, search, query_labels) in [
        ("self", alone.clone(), &labels),
        (
            "sequences",
            alone.with_visibility(own_sequence).unwrap(),
            &labels,
        ),
        (
            "split",
            Search::between(Rows::new(&queries, dim).unwrap(), rows).unwrap(),
            &query_labels,
        ),
    ] {
        let config = RetrievalConfig {
            cuts: cuts.clone(),
            depth: Depth::Full,
        };
        let scored = search.retrieval(query_labels, &labels, &config).unwrap();
        assert_eq!(expected[case]["n_lone"], scored.lone(), "{case}");
        let values = expected[case]["values"].as_object().unwrap();
        let mut checked = 0;
        for (metric, convention) in metrics(&cuts) {
            let name = convention.name(metric);
            let mean = scored.mean(metric, convention).unwrap();
            close(mean.value, &values[&name], &format!("{case} {name}"));
            let name = format!("{name}_per_class_mean");
            let mean = scored.mean_over_classes(metric, convention).unwrap();
            close(mean.value, &values[&name], &format!("{case} {name}"));
            checked += 2;
        }
        // precision@1 stands in the list twice, under one name.
        assert_eq!(
            values.len(),
            checked - 2,
            "{case}: a committed value is not checked"
        );
    }
}

#[test]
fn clustering_scores_have_their_committed_values() {
    let labels = npy::read_labels(&file("labels.npy")).unwrap();
    let clusters = npy::read_labels(&file("clusters.npy")).unwrap();
    let scores = clustering_scores(&labels, &clusters).unwrap();
    let expected = &expected()["clustering"];
    close(scores.nmi, &expected["nmi"], "nmi");
    close(scores.ami, &expected["ami"], "ami");
    close(scores.purity, &expected["purity"], "purity");
}
