//! Against numbers computed elsewhere: retrieval by plain loops in f64 and by pytorch-metric-learning 2.9, roles and sequences by
//! open-metric-learning 4.0, clustering by scikit-learn 1.9, nearest-cluster probabilities by plain loops.

use std::path::Path;

use lodestone_eval::{
    Convention, Depth, RankingMetric, RetrievalConfig, Roles, Rows, Search, SoftVote, Visibility,
    clustering_scores,
};
use safetensors::SafeTensors;
use serde_json::Value;

/// The reference numbers of `fixtures/parity`.
struct Reference {
    bytes: Vec<u8>,
    expected: Value,
}

impl Reference {
    fn load(name: &str) -> Self {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/parity"));
        let read = |ending: &str| std::fs::read(folder.join(format!("{name}.{ending}"))).unwrap();
        Self {
            bytes: read("safetensors"),
            expected: serde_json::from_slice(&read("json")).unwrap(),
        }
    }

    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes).unwrap()
    }

    fn floats(&self, key: &str) -> (Vec<f32>, usize) {
        let tensors = self.tensors();
        let tensor = tensors.tensor(key).unwrap();
        let values = tensor
            .data()
            .as_chunks()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b))
            .collect();
        (values, tensor.shape()[1])
    }

    fn doubles(&self, key: &str) -> Vec<f64> {
        let tensors = self.tensors();
        let tensor = tensors.tensor(key).unwrap();
        tensor
            .data()
            .as_chunks()
            .0
            .iter()
            .map(|b| f64::from_le_bytes(*b))
            .collect()
    }

    fn integers(&self, key: &str) -> Vec<usize> {
        let tensors = self.tensors();
        let tensor = tensors.tensor(key).unwrap();
        let values = tensor.data().as_chunks().0.iter();
        values
            .map(|b| usize::try_from(i64::from_le_bytes(*b)).unwrap())
            .collect()
    }
}

fn close(got: f64, expected: &Value, what: &str) {
    let expected = expected
        .as_f64()
        .unwrap_or_else(|| panic!("{what}: no number"));
    assert!(
        (got - expected).abs() <= 1e-6,
        "{what}: {got} instead of {expected}"
    );
}

const METRICS: [(RankingMetric, &str); 9] = [
    (RankingMetric::PrecisionAt1, "precision_at_1"),
    (RankingMetric::RPrecision, "r_precision"),
    (RankingMetric::MapAtR, "mean_average_precision_at_r"),
    (
        RankingMetric::MeanAveragePrecision,
        "mean_average_precision",
    ),
    (RankingMetric::MeanReciprocalRank, "mean_reciprocal_rank"),
    (RankingMetric::RecallAt(1), "recall_at_1"),
    (RankingMetric::RecallAt(2), "recall_at_2"),
    (RankingMetric::RecallAt(4), "recall_at_4"),
    (RankingMetric::RecallAt(8), "recall_at_8"),
];

#[test]
fn retrieval_agrees_on_every_set_depth_and_tile_size() {
    let reference = Reference::load("metrics");
    let table = |name: &str| {
        (
            reference.floats(&format!("{name}.x")),
            reference.integers(&format!("{name}.labels")),
        )
    };
    let mut compared = 0;
    for set in ["even", "uneven", "split", "ties", "ties_split"] {
        let leave_one_out = !set.contains("split");
        let ((x, dim), labels) = match set {
            "split" => table("split.query"),
            "ties_split" => table("ties"),
            other => table(other),
        };
        let ((gallery_x, _), gallery_labels) = match set {
            "split" => table("split.gallery"),
            _ => ((x.clone(), dim), labels.clone()),
        };
        let cut = if set == "ties_split" { 30 } else { 0 };
        let all = Rows::new(&x, dim).unwrap();
        let (queries, query_labels) = match cut {
            0 => (all, &labels[..]),
            cut => (all.slice(0..cut), &labels[..cut]),
        };
        let gallery = Rows::new(&gallery_x, dim).unwrap();
        let gallery = gallery.slice(cut..gallery.len());
        let gallery_labels = &gallery_labels[cut..];
        let expected = &reference.expected["sets"][set];
        for tile_rows in [None, Some(7), Some(64)] {
            let search = match leave_one_out {
                true => Search::leave_one_out(queries),
                false => Search::between(queries, gallery),
            };
            let mut search = search.unwrap();
            if let Some(rows) = tile_rows {
                search = search.with_tile_rows(rows);
            }
            for depth in [Depth::Full, Depth::UpToR] {
                let largest = expected["max_bin_count"].as_u64().unwrap() as usize;
                let config = RetrievalConfig {
                    cuts: vec![1, 2, 4, 8, largest],
                    depth,
                };
                let retrieval = search
                    .retrieval(query_labels, gallery_labels, &config)
                    .unwrap();
                assert_eq!(
                    retrieval.lone() as u64,
                    expected["lone_queries"].as_u64().unwrap()
                );
                for (metric, key) in METRICS {
                    let what = format!("{set} {depth:?} {tile_rows:?} {key}");
                    let means = [
                        ("micro", retrieval.mean(metric, Convention::Lodestone)),
                        (
                            "macro",
                            retrieval.mean_over_classes(metric, Convention::Lodestone),
                        ),
                    ];
                    for (average, mean) in means {
                        match mean {
                            Some(mean) => {
                                close(mean.value, &expected["expected"][average][key], &what);
                                // The library itself has no recall, and orders ties as it likes.
                                let library = &expected["pml"][average][key];
                                if !library.is_null() {
                                    compared += usize::from(depth == Depth::Full);
                                    close(mean.value, library, &format!("{what}, the library's"));
                                }
                            }
                            None => assert_eq!(depth, Depth::UpToR, "{what}"),
                        }
                    }
                }
                // The library cuts mean average precision at the largest class and still divides by R.
                let cut = retrieval
                    .mean(RankingMetric::MapAt(largest), Convention::Pml)
                    .unwrap();
                let key = "mean_average_precision_max_bin_count";
                close(cut.value, &expected["expected"]["micro"][key], key);
                let library = &expected["pml"]["micro"][key];
                if !library.is_null() {
                    close(cut.value, library, &format!("{set} {key}, the library's"));
                }
                // A habit of others: lone queries stay in as misses.
                let kept = retrieval
                    .mean(RankingMetric::RecallAt(4), Convention::Oml)
                    .unwrap();
                close(
                    kept.value,
                    &expected["expected"]["micro"]["recall_at_4_lone_as_miss"],
                    set,
                );
            }
        }
    }
    // Five numbers, two averages, three sets without ties, three tile sizes.
    assert_eq!(compared, 5 * 2 * 3 * 3);
}

#[test]
fn roles_and_sequences_agree_with_open_metric_learning() {
    let reference = Reference::load("roles");
    for (set, has_lone) in [("plain", false), ("lone", true)] {
        let (x, dim) = reference.floats(&format!("{set}.x"));
        let column = |name: &str| reference.integers(&format!("{set}.{name}"));
        let (labels, sequences) = (column("labels"), column("sequence"));
        let flags =
            |name: &str| -> Vec<bool> { column(name).into_iter().map(|flag| flag == 1).collect() };
        let roles = Roles::new(&flags("is_query"), &flags("is_gallery")).unwrap();
        let both = roles.own.iter().flatten().count() as u64;
        let about = &reference.expected["sets"][set];
        assert_eq!(both, about["both"].as_u64().unwrap());
        let rows = Rows::new(&x, dim).unwrap();
        let side = |rows_of_side: &[usize]| {
            let of = |list: &[usize]| {
                rows_of_side
                    .iter()
                    .map(|&row| list[row])
                    .collect::<Vec<usize>>()
            };
            let values = Roles::gather(rows, rows_of_side);
            (values, of(&labels), of(&sequences))
        };
        let (queries, query_labels, of_queries) = side(&roles.queries);
        let (gallery, gallery_labels, of_gallery) = side(&roles.gallery);
        let own = Visibility::own_rows(&roles.own);
        let hidden = own.without_own_sequence(&of_queries, &of_gallery);
        for (case, visibility) in [("roles", own), ("roles_and_sequences", hidden)] {
            let expected = about[case].as_object().unwrap();
            let search = Search::between(
                Rows::new(&queries, dim).unwrap(),
                Rows::new(&gallery, dim).unwrap(),
            );
            let search = search.unwrap().with_visibility(visibility).unwrap();
            let config = RetrievalConfig::default();
            let scored = search.retrieval(&query_labels, &gallery_labels, &config);
            let scored = scored.unwrap();
            assert_eq!(
                scored.lone() as u64,
                expected["lone_queries"].as_u64().unwrap()
            );
            assert_eq!(scored.lone() > 0, has_lone);
            let mut metrics = vec![("map".to_owned(), RankingMetric::MeanAveragePrecision)];
            for k in [1, 2, 4, 8] {
                metrics.push((format!("cmc_{k}"), RankingMetric::RecallAt(k)));
                metrics.push((format!("map_{k}"), RankingMetric::MapAt(k)));
                if !has_lone {
                    metrics.push((format!("precision_{k}"), RankingMetric::PrecisionAt(k)));
                }
            }
            // Every number of the library has its counterpart.
            assert_eq!(expected.len(), metrics.len() + 1, "{set} {case}");
            for (name, metric) in metrics {
                let mean = scored.mean(metric, Convention::Oml).unwrap();
                close(
                    mean.value,
                    &expected[&name],
                    &format!("{set} {case} {name}"),
                );
            }
        }
    }
}

#[test]
fn votes_of_the_nearest_points_agree() {
    let reference = Reference::load("metrics");
    for case in ["knc.golden", "knc.random", "knn.random"] {
        let about = &reference.expected["nearest"][case];
        let classes = about["num_classes"].as_u64().unwrap() as usize;
        let (query, dim) = reference.floats(&format!("{case}.query"));
        let (points, _) = reference.floats(&format!("{case}.points"));
        let labels = reference.integers(&format!("{case}.labels"));
        let (query, points) = (
            Rows::new(&query, dim).unwrap(),
            Rows::new(&points, dim).unwrap(),
        );
        let search = Search::between(query, points).unwrap();
        for nearest in about["nearest"].as_array().unwrap() {
            let nearest = nearest.as_u64().unwrap() as usize;
            let vote = SoftVote {
                nearest,
                variance: about["variance"].as_f64().unwrap(),
            };
            let scores = search.soft_vote(&labels, vote).unwrap();
            let expected = reference.doubles(&format!("{case}.L{nearest}.probability"));
            let best = reference.integers(&format!("{case}.L{nearest}.class"));
            for (row, scores) in scores.iter().enumerate() {
                assert_eq!(scores[0].class, best[row], "{case} L{nearest} row {row}");
                let mut got = vec![0.0; classes];
                for score in scores {
                    got[score.class] = score.probability();
                }
                for (class, (got, expected)) in
                    got.iter().zip(&expected[row * classes..]).enumerate()
                {
                    // Both sides are f64, so the far rows need no wider tolerance here.
                    assert!(
                        (got - expected).abs() <= 1e-9,
                        "{case} L{nearest} row {row} class {class}: {got} instead of {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn clustering_scores_agree() {
    let reference = Reference::load("metrics");
    for set in ["even", "uneven"] {
        let labels = reference.integers(&format!("{set}.labels"));
        for name in ["kmeans", "random", "renamed", "one_cluster", "all_apart"] {
            let clusters = reference.integers(&format!("{set}.assign.{name}"));
            let expected = &reference.expected["sets"][set]["clustering"][name];
            let scores = clustering_scores(&labels, &clusters).unwrap();
            close(scores.nmi, &expected["nmi"], &format!("{set} {name} nmi"));
            close(scores.ami, &expected["ami"], &format!("{set} {name} ami"));
        }
    }
}
