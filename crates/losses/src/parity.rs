//! The stored reference numbers: every case against every loss, value and gradient.
//!
//! They were computed in f64 by pytorch-metric-learning 2.9.0 where it has the loss, and from the papers where it has
//! not. Tolerances: value 1e-5 relative, gradient 2e-5 of the largest entry.

use std::path::Path;

use burn::tensor::Tensor;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use crate::testing::{Matrix, assert_close, assert_close_to_largest, differentiate};
use crate::{Distance, Labels, LossOutput, MagnetLossConfig, Miner, Reduction, TripletForm, TripletLossConfig};

/// The reference file and its list of cases, if this checkout has them beside it.
struct Reference {
    bytes: Vec<u8>,
    cases: Value,
}

impl Reference {
    fn open() -> Option<Self> {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/parity"));
        let Ok(bytes) = std::fs::read(folder.join("losses.safetensors")) else {
            eprintln!("skipped: no losses.safetensors in {}", folder.display());
            return None;
        };
        let cases = std::fs::read_to_string(folder.join("losses.json")).unwrap();
        Some(Reference { bytes, cases: serde_json::from_str(&cases).unwrap() })
    }

    fn list(&self, name: &str) -> &[Value] {
        self.cases[name].as_array().unwrap()
    }

    fn array(&self, key: &str) -> Matrix {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = file.tensor(key).unwrap_or_else(|error| panic!("{key}: {error}"));
        let bytes = view.data();
        let values = match view.dtype() {
            Dtype::F64 => bytes.chunks(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect(),
            Dtype::F32 => bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).into()).collect(),
            Dtype::I64 => bytes.chunks(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f64).collect(),
            Dtype::U8 => bytes.iter().map(|&b| f64::from(b)).collect(),
            other => panic!("{key} has type {other:?}"),
        };
        match *view.shape() {
            [rows, columns] => Matrix::new(rows, columns, values),
            [length] => Matrix::new(1, length, values),
            ref other => panic!("{key} has shape {other:?}"),
        }
    }

    fn integers(&self, key: &str) -> Vec<usize> {
        self.array(key).values.iter().map(|&v| v as usize).collect()
    }
}

fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap()
}

fn setting(case: &Value, name: &str) -> f64 {
    case["params"][name].as_f64().unwrap_or_else(|| panic!("{case} has no {name}"))
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

/// The loss of a case without parameters of its own.
fn forward(case: &Value, x: Tensor<2>, labels: &[usize]) -> Option<LossOutput> {
    let loss = text(case, "loss");
    let labels = Labels::new(labels);
    if loss.starts_with("triplet") {
        return Some(triplet(case).init().forward(x, &labels));
    }
    None
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
    let form = if loss.contains("soft") { TripletForm::Soft } else { TripletForm::Hinge };
    TripletLossConfig { distance: distance(case), margin, form, reduction: reduction(case), mining }
}

#[test]
fn losses_on_pairs_and_triplets_match_the_reference() {
    let Some(reference) = Reference::open() else { return };
    let mut seen = 0;
    for case in reference.list("cases") {
        let key = text(case, "key");
        let x = reference.array(&format!("{}.{}.x", text(case, "batch"), text(case, "form")));
        let labels = reference.integers(&format!("{}.labels", text(case, "batch")));
        if forward(case, x.leaf(burn::tensor::DType::F32), &labels).is_none() {
            continue;
        }
        seen += 1;
        let (value, gradient) = differentiate(&x, |x| forward(case, x, &labels).unwrap().mean);
        let want = reference.array(&format!("{key}.value")).values;
        assert_close_to_largest(key, &[value], &want, 1e-5);
        let want = reference.array(&format!("{key}.grad"));
        assert_close_to_largest(key, &gradient.values, &want.values, 2e-5);
    }
    assert_eq!(seen, 108);
}

#[test]
fn magnet_matches_the_reference() {
    let Some(reference) = Reference::open() else { return };
    for case in reference.list("magnet") {
        let (key, input) = (text(case, "key"), text(case, "input"));
        let x = reference.array(&format!("{input}.x"));
        let clusters = reference.integers(&format!("{input}.cluster"));
        let classes = reference.integers(&format!("{input}.cluster_class"));
        let gap = case["alpha"].as_f64().unwrap();
        for (name, detach_variance) in [("grad", false), ("grad_detached_variance", true)] {
            let loss = MagnetLossConfig { gap, detach_variance }.init();
            let (value, gradient) = differentiate(&x, |x| loss.forward(x, &clusters, &classes).mean);
            assert_close(&[value], &reference.array(&format!("{key}.value")).values, 1e-5, 1e-6);
            let want = reference.array(&format!("{key}.{name}"));
            // One example 100 radii away: its gradient is the difference of large numbers.
            let tolerance = if key.contains("outlier") { 1e-4 } else { 2e-5 };
            assert_close_to_largest(key, &gradient.values, &want.values, tolerance);
        }
        let loss = MagnetLossConfig { gap, ..Default::default() }.init();
        let output = loss.forward(x.leaf(burn::tensor::DType::F32), &clusters, &classes).read();
        let got = output.per_example.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
        assert_close(&got, &reference.array(&format!("{key}.per_example")).values, 1e-5, 2e-6);
        let variance = output.get(crate::Statistic::Variance).unwrap();
        assert_close(&[variance.into()], &reference.array(&format!("{input}.variance")).values, 1e-5, 0.0);
    }
}
