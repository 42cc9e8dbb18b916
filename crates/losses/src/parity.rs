//! The stored reference numbers: every case against every loss, value and gradient.
//!
//! They were computed in f64 by pytorch-metric-learning 2.9.0 where it has the loss, and from the papers where it has
//! not. Tolerances: value 1e-5 relative, gradient 2e-5 of the largest entry.

use std::collections::BTreeSet;

use burn::module::Param;
use burn::tensor::{DType, Tensor};
use serde_json::Value;

use crate::magnet::means;
use crate::mining::multi_similarity;
use crate::tensors::unit_rows;
use crate::testing::{
    Matrix, assert_close, assert_close_to_largest, device, differentiate, number, numbers,
};
use crate::{
    ArcFaceLossConfig, ContrastiveLossConfig, Distance, KlPairwiseLossConfig, Labels, Loss,
    LossConfig, MagnetLossConfig, Mined, Miner, MultiSimilarityLossConfig,
    NormalizedSoftmaxLossConfig, NtXentLossConfig, ProxyAnchorLossConfig, ProxyNcaForm,
    ProxyNcaLossConfig, Reduction, SoftTripleLossConfig, SubCenterArcFaceLossConfig,
    SupConLossConfig, TripletForm, TripletLossConfig,
};

mod reference;

use reference::{Reference, text};

fn setting(case: &Value, name: &str) -> f64 {
    case["params"][name]
        .as_f64()
        .unwrap_or_else(|| panic!("{case} has no {name}"))
}

fn distance(case: &Value) -> Distance {
    match text(&case["params"], "distance") {
        "l2" => Distance::Euclidean,
        "l2sq" => Distance::SquaredEuclidean,
        "l2n" => Distance::UnitEuclidean,
        other => panic!("distance {other}"),
    }
}

fn reduction(case: &Value) -> Reduction {
    match text(&case["params"], "reduction") {
        "mean" => Reduction::Mean,
        "nonzero" => Reduction::Nonzero,
        other => panic!("reduction {other}"),
    }
}

/// The loss of a case, unless it compares with learned vectors.
fn of_pairs(case: &Value) -> Option<LossConfig> {
    let loss = text(case, "loss");
    let mining = if loss.contains("mined") {
        Miner::MultiSimilarity { epsilon: 0.1 }
    } else {
        Miner::All
    };
    Some(if loss.starts_with("triplet") {
        LossConfig::Triplet(triplet(case))
    } else if loss.starts_with("contrastive") {
        LossConfig::Contrastive(ContrastiveLossConfig {
            distance: distance(case),
            positive_margin: setting(case, "pos_margin"),
            negative_margin: setting(case, "neg_margin"),
            reduction: reduction(case),
            mining,
        })
    } else if loss.starts_with("kl_pairwise") {
        let detach_first = loss.ends_with("detached");
        LossConfig::KlPairwise(KlPairwiseLossConfig {
            margin: setting(case, "margin"),
            detach_first,
            mining,
        })
    } else if loss.starts_with("multi_similarity") {
        let (alpha, beta, base) = (
            setting(case, "alpha"),
            setting(case, "beta"),
            setting(case, "base"),
        );
        LossConfig::MultiSimilarity(MultiSimilarityLossConfig {
            alpha,
            beta,
            base,
            mining,
        })
    } else if loss.starts_with("supcon") {
        let temperature = setting(case, "temperature");
        LossConfig::SupCon(SupConLossConfig {
            temperature,
            reduction: reduction(case),
            mining,
        })
    } else if loss == "ntxent" {
        LossConfig::NtXent(NtXentLossConfig {
            temperature: setting(case, "temperature"),
            mining,
        })
    } else {
        return None;
    })
}

/// The loss of a case with learned vectors `[classes · per class, dim]`.
fn of_vectors(case: &Value, dim: usize, classes: usize, vectors: Tensor<2>) -> Loss {
    let device = vectors.device();
    let learning_rate_factor = 1.0;
    let mut loss = match text(case, "loss") {
        "proxy_nca" => LossConfig::ProxyNca(ProxyNcaLossConfig {
            scale: 1.0,
            ..Default::default()
        }),
        "proxy_nca_paper" => {
            let form = ProxyNcaForm::Paper;
            LossConfig::ProxyNca(ProxyNcaLossConfig {
                form,
                scale: 1.0,
                ..Default::default()
            })
        }
        "proxy_anchor" => LossConfig::ProxyAnchor(ProxyAnchorLossConfig::default()),
        "soft_triple" => LossConfig::SoftTriple(SoftTripleLossConfig {
            centers_per_class: 4,
            ..Default::default()
        }),
        "arcface" | "arcface_away" => LossConfig::ArcFace(ArcFaceLossConfig::default()),
        "subcenter_arcface" => LossConfig::SubCenterArcFace(SubCenterArcFaceLossConfig::default()),
        "normalized_softmax" => LossConfig::NormalizedSoftmax(NormalizedSoftmaxLossConfig {
            temperature: 0.05,
            learning_rate_factor,
        }),
        other => panic!("{other} has no counterpart"),
    }
    .init(dim, classes, &device);
    let vectors = Param::from_tensor(vectors);
    match &mut loss {
        Loss::ProxyNca(loss) => loss.proxies.vectors = vectors,
        Loss::ProxyAnchor(loss) => loss.proxies.vectors = vectors,
        Loss::SoftTriple(loss) => loss.centers.vectors = vectors,
        Loss::ArcFace(loss) => loss.weights.vectors = vectors,
        Loss::NormalizedSoftmax(loss) => loss.weights.vectors = vectors,
        other => panic!("{other:?} has no vectors"),
    }
    loss
}

fn triplet(case: &Value) -> TripletLossConfig {
    let loss = text(case, "loss");
    let margin = case["params"]["margin"].as_f64().unwrap_or_default();
    let mining = if loss.contains("semihard_hardest") {
        Miner::SemiHardNearest { margin }
    } else if loss.contains("semihard_fallback") {
        Miner::SemiHardOrFarthest
    } else if loss.contains("semihard") {
        Miner::SemiHard { margin }
    } else if loss.contains("hard") {
        Miner::Hard
    } else {
        Miner::All
    };
    let form = if loss.contains("soft") {
        TripletForm::Soft
    } else {
        TripletForm::Hinge
    };
    TripletLossConfig {
        distance: distance(case),
        margin,
        form,
        reduction: reduction(case),
        mining,
    }
}

#[test]
fn losses_on_pairs_and_triplets_match_the_reference() {
    let reference = Reference::open();
    let mut seen = 0;
    for case in reference.list("cases") {
        let Some(config) = of_pairs(case) else {
            continue;
        };
        seen += 1;
        let key = text(case, "key");
        let (x, labels) = reference.batch(case);
        let loss = config.init(x.columns, 1, &device());
        let (value, gradient) = differentiate(&x, |x| loss.forward(x, Labels::new(&labels)).mean);
        assert_close_to_largest(
            key,
            &[value],
            &reference.array(&format!("{key}.value")).values,
            1e-5,
        );
        assert_close_to_largest(
            key,
            &gradient.values,
            &reference.array(&format!("{key}.grad")).values,
            2e-5,
        );
    }
    assert_eq!(seen, 164);
}

#[test]
fn losses_with_learned_vectors_match_the_reference() {
    let reference = Reference::open();
    let mut seen = 0;
    for case in reference
        .list("cases")
        .iter()
        .filter(|case| of_pairs(case).is_none())
    {
        seen += 1;
        let key = text(case, "key");
        let (x, labels) = reference.batch(case);
        let classes = case["num_classes"].as_u64().unwrap() as usize;
        let stored = reference.array(text(case, "weight"));
        // Some are stored a vector per column.
        let by_column = stored.columns != x.columns || !stored.rows.is_multiple_of(classes);
        let turn = |matrix: Matrix| {
            if by_column {
                matrix.transposed()
            } else {
                matrix
            }
        };
        let vectors = turn(stored).leaf(DType::F32);
        let loss = of_vectors(case, x.columns, classes, vectors.clone());
        let leaf = x.leaf(DType::F32);
        let mean = loss.forward(leaf.clone(), Labels::new(&labels)).mean;
        let gradients = mean.backward();
        assert_close_to_largest(
            key,
            &[number(mean)],
            &reference.array(&format!("{key}.value")).values,
            1e-5,
        );
        let want = reference.array(&format!("{key}.grad"));
        assert_close_to_largest(
            key,
            &numbers(leaf.grad(&gradients).unwrap()),
            &want.values,
            2e-5,
        );
        let want = turn(reference.array(&format!("{key}.grad_weight")));
        assert_close_to_largest(
            key,
            &numbers(vectors.grad(&gradients).unwrap()),
            &want.values,
            2e-5,
        );
    }
    assert_eq!(seen, 32);
}

#[test]
fn mined_triplets_and_pairs_match_the_reference() {
    let reference = Reference::open();
    let mut seen = 0;
    for case in reference.list("cases") {
        let (key, loss) = (text(case, "key"), text(case, "loss"));
        let (x, labels) = reference.batch(case);
        let x = x.leaf(DType::F32).inner();
        if loss.starts_with("triplet") && reference.has(&format!("{key}.triplets")) {
            let distance = distance(case);
            let mining = triplet(case).mining;
            let Mined::Triplets(mined) =
                mining.mine(distance.prepare(x), distance, &Labels::new(&labels))
            else {
                panic!("{mining:?} lists no triplets")
            };
            let stored = reference.array(&format!("{key}.triplets"));
            let mut want = (0..stored.rows)
                .map(|at| stored.row(at).to_vec())
                .collect::<Vec<_>>();
            want.sort_by(|a, b| a.partial_cmp(b).unwrap());
            assert_eq!(listed(&mined), want, "{key}");
            seen += 1;
        } else if loss.starts_with("multi_similarity_mined") {
            let pairs = multi_similarity(unit_rows(x), &labels, 0.1);
            for (mask, name) in [(pairs.positive, "positive"), (pairs.negative, "negative")] {
                assert_eq!(
                    numbers(mask.int()),
                    reference.array(&format!("{key}.{name}")).values,
                    "{key}"
                );
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 68);
}

/// Triplets that count, sorted.
fn listed(mined: &crate::mining::Triplets) -> Vec<Vec<f64>> {
    let corners =
        [&mined.anchors, &mined.positives, &mined.negatives].map(|corner| numbers(corner.clone()));
    let keep = numbers(mined.keep.clone().int());
    let kept = (0..mined.len()).filter(|&at| keep[at] > 0.0);
    let mut triplets = kept
        .map(|at| corners.iter().map(|corner| corner[at]).collect())
        .collect::<Vec<Vec<_>>>();
    triplets.sort_by(|a, b| a.partial_cmp(b).unwrap());
    triplets
}

#[test]
fn magnet_matches_the_reference() {
    let reference = Reference::open();
    for case in reference.list("magnet") {
        let (key, input) = (text(case, "key"), text(case, "input"));
        let x = reference.array(&format!("{input}.x"));
        let clusters = reference.integers(&format!("{input}.cluster"));
        let classes = reference.integers(&format!("{input}.cluster_class"));
        let gap = case["alpha"].as_f64().unwrap();
        for (name, detach_variance) in [("grad", false), ("grad_detached_variance", true)] {
            let loss = MagnetLossConfig {
                gap,
                detach_variance,
                ..Default::default()
            }
            .init();
            let (value, gradient) =
                differentiate(&x, |x| loss.forward(x, &clusters, &classes).mean);
            assert_close(
                &[value],
                &reference.array(&format!("{key}.value")).values,
                1e-5,
                1e-6,
            );
            let want = reference.array(&format!("{key}.{name}"));
            // One example 100 radii away: its gradient is the difference of large numbers.
            let tolerance = if key.contains("outlier") { 1e-4 } else { 2e-5 };
            assert_close_to_largest(key, &gradient.values, &want.values, tolerance);
        }
        let loss = MagnetLossConfig {
            gap,
            ..Default::default()
        }
        .init();
        let output = loss.forward(x.leaf(DType::F32), &clusters, &classes).read();
        let got = output
            .per_example
            .iter()
            .map(|&v| f64::from(v))
            .collect::<Vec<_>>();
        assert_close(
            &got,
            &reference.array(&format!("{key}.per_example")).values,
            1e-5,
            2e-6,
        );
        let variance = output.get(crate::Statistic::Variance).unwrap();
        assert_close(
            &[variance],
            &reference.array(&format!("{input}.variance")).values,
            1e-5,
            0.0,
        );
        let mut sizes = vec![0; classes.len()];
        clusters.iter().for_each(|&cluster| sizes[cluster] += 1);
        let means = means(&x.leaf(DType::F32), &clusters, &sizes);
        let want = reference.array(&format!("{input}.means"));
        assert_close_to_largest(input, &numbers(means), &want.values, 2e-5);
    }
}

#[test]
fn no_array_of_the_reference_is_left_out() {
    let reference = Reference::open();
    let mut left = reference.names();
    let mut take = |key: String| left.remove(&key);
    for case in reference.list("cases") {
        let key = text(case, "key");
        assert!(
            take(format!("{key}.value")) && take(format!("{key}.grad")),
            "{key}"
        );
        // Those that only some have; the tests above fail where one is wanted and missing.
        for part in ["grad_weight", "triplets", "positive", "negative"] {
            take(format!("{key}.{part}"));
        }
        take(format!("{}.{}.x", text(case, "batch"), text(case, "form")));
        take(format!("{}.labels", text(case, "batch")));
        if let Some(weight) = case["weight"].as_str() {
            take(weight.to_owned());
        }
    }
    for case in reference.list("magnet") {
        let (key, input) = (text(case, "key"), text(case, "input"));
        for part in ["value", "per_example", "grad", "grad_detached_variance"] {
            assert!(take(format!("{key}.{part}")), "{key}.{part}");
        }
        for part in ["x", "cluster", "cluster_class", "variance", "means"] {
            take(format!("{input}.{part}"));
        }
    }
    assert_eq!(left, BTreeSet::new());
}
