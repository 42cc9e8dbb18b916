//! What every loss of the list must do, whatever its formula.

#![allow(
    clippy::print_stderr,
    reason = "a failure must say which loss it was at"
)]

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Tensor, TensorData};

use crate::testing::{
    Matrix, assert_close, assert_close_to_largest, assert_gradient_is_slope,
    assert_shards_are_the_whole, device, differentiate, gathered, number, numbers,
};
use crate::{
    Distance, Labels, Loss, LossConfig, Miner, SubCenterArcFaceLossConfig, TripletLossConfig,
};

mod list;

use list::every_loss;

const CLASSES: usize = 4;
const LABELS: [usize; 12] = [0, 1, 2, 0, 1, 2, 3, 3, 0, 1, 2, 0];

fn make(config: &LossConfig, dim: usize) -> Loss {
    let device = device();
    device.seed(11);
    config.init(dim, CLASSES, &device)
}

/// Overlapping classes.
fn embeddings() -> Matrix {
    let (noise, centre) = (
        Matrix::random(LABELS.len(), 5, 1),
        Matrix::random(CLASSES, 5, 2),
    );
    let values =
        (0..LABELS.len() * 5).map(|at| noise.values[at] + centre.row(LABELS[at / 5])[at % 5]);
    Matrix::new(LABELS.len(), 5, values.collect())
}

fn mean(loss: &Loss, x: Tensor<2>) -> Tensor<1> {
    loss.forward(x, Labels::new(&LABELS)).mean
}

/// Gradients of the parameters, one after the other.
fn of_parameters(loss: &Loss, x: Tensor<2>) -> Vec<f64> {
    struct Collect<'a>(&'a burn::tensor::Gradients, Vec<f64>);
    impl burn::module::ModuleVisitor for Collect<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.1
                .extend(param.val().grad(self.0).map(numbers).unwrap_or_default());
        }
    }
    let gradients = mean(loss, x).backward();
    let mut collect = Collect(&gradients, Vec::new());
    loss.visit(&mut collect);
    collect.1
}

#[test]
fn a_batch_in_shards_has_the_loss_and_gradient_of_the_whole() {
    let x = embeddings();
    for (name, config) in every_loss() {
        let loss = make(&config, x.columns);
        assert_shards_are_the_whole(&name, &x, |x| mean(&loss, x));
        let parameters = of_parameters(&loss, x.leaf(DType::F32));
        for own in [0..5, 5..6, 6..12] {
            let (_, all) = gathered(&x, own);
            assert_close_to_largest(&name, &of_parameters(&loss, all), &parameters, 1e-6);
        }
    }
}

#[test]
fn gradients_are_slopes() {
    let x = embeddings();
    for (name, config) in every_loss() {
        // Distances that a miner compares may tie within a step only by accident; these do not.
        eprintln!("{name}");
        let loss = make(&config, x.columns);
        assert_gradient_is_slope(&x, |x| mean(&loss, x));
    }
}

#[test]
fn gradients_of_learned_vectors_are_slopes() {
    let x = embeddings();
    for (name, config) in every_loss() {
        let loss = make(&config, x.columns);
        let moved = |at: usize, by: f64| loss.clone().map(&mut Moved { at, by, seen: 0 });
        let gradient = of_parameters(&moved(0, 0.0), x.leaf(DType::F64));
        // Scales of 64 bend the loss within a step of the usual length.
        let step = 1e-6;
        let value = |at, by| number(mean(&moved(at, by), x.leaf(DType::F64)));
        let slopes = (0..gradient.len())
            .map(|at| (value(at, step) - value(at, -step)) / (2.0 * step))
            .collect::<Vec<_>>();
        assert_close_to_largest(&name, &gradient, &slopes, 1e-6);
        assert_eq!(
            slopes.iter().any(|slope| slope.abs() > 1e-6),
            loss.num_params() > 0,
            "{name}"
        );
    }
}

/// Moves one number among all parameters, and computes in f64.
struct Moved {
    at: usize,
    by: f64,
    seen: usize,
}

impl ModuleMapper for Moved {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| {
            let (shape, device) = (tensor.shape(), tensor.device());
            let mut values = numbers(tensor);
            let own = self.seen..self.seen + values.len();
            if own.contains(&self.at) {
                values[self.at - own.start] += self.by;
            }
            self.seen = own.end;
            let data = TensorData::new(values, shape);
            Tensor::from_data(data, (&device, DType::F64)).require_grad()
        })
    }
}

#[test]
fn the_order_of_a_batch_does_not_matter() {
    let x = embeddings();
    let order = [7, 2, 11, 0, 5, 9, 3, 1, 10, 4, 6, 8];
    let labels = order.map(|row| LABELS[row]);
    for (name, config) in every_loss() {
        if name.contains("DistanceWeighted") {
            // Its draws follow the order of the batch.
            continue;
        }
        let loss = make(&config, x.columns);
        let (value, gradient) = differentiate(&x, |x| mean(&loss, x));
        let (moved, slope) = differentiate(&x.select(&order), |x| {
            loss.forward(x, Labels::new(&labels)).mean
        });
        assert_close(&[moved], &[value], 1e-5, 1e-6);
        assert_close_to_largest(&name, &slope.values, &gradient.select(&order).values, 2e-5);
    }
}

#[test]
fn very_large_and_very_small_embeddings_keep_a_finite_loss_and_a_gradient() {
    for (name, config) in every_loss() {
        for scale in [1e4, 1.0, 1e-4] {
            let x = embeddings().map(|v| v * scale);
            let loss = make(&config, x.columns);
            // Non-finite values fail inside.
            let (value, gradient) = differentiate(&x, |x| mean(&loss, x));
            let pulls = gradient.values.iter().any(|&g| g != 0.0);
            // A miner may find nothing to do where distributions are all equal or all certain.
            let idle = name.contains("Kl") && !name.contains("mining: All") && value < 1e-6;
            assert!(
                pulls || idle,
                "{name} at {scale} is {value} without gradient"
            );
        }
    }
}

#[test]
fn examples_a_thousand_apart_still_pull() {
    // Each class lies in two places 1000 apart, each place with two classes: own examples far, strangers near.
    let place = |row: usize| {
        if (row / 2).is_multiple_of(2) {
            0.0
        } else {
            1000.0
        }
    };
    let noise = Matrix::random(8, 5, 3);
    let values = (0..40).map(|at| noise.values[at] + place(at / 5));
    let x = Matrix::new(8, 5, values.collect());
    let labels = [0, 1, 0, 1, 0, 1, 0, 1];
    for (name, config) in every_loss() {
        let loss = make(&config, x.columns);
        let (value, gradient) = differentiate(&x, |x| loss.forward(x, &labels).mean);
        assert!(value > 0.0, "{name} is {value}");
        let largest = gradient
            .values
            .iter()
            .fold(0.0, |top: f64, g| top.max(g.abs()));
        // Of a step as long as the embeddings.
        assert!(largest * 1e3 > 1e-5, "{name} has a slope of {largest}");
    }
}

#[test]
fn losses_that_compare_directions_ignore_lengths() {
    for (name, config) in every_loss() {
        if !config.wants_unit_length() {
            continue;
        }
        let loss = make(&config, 5);
        let (value, gradient) = differentiate(&embeddings(), |x| mean(&loss, x));
        for scale in [1e4, 1e-4] {
            let (scaled, slope) =
                differentiate(&embeddings().map(|v| v * scale), |x| mean(&loss, x));
            assert_close(&[scaled], &[value], 1e-5, 1e-6);
            assert_close_to_largest(
                &name,
                &slope.map(|g| g * scale).values,
                &gradient.values,
                2e-5,
            );
        }
    }
}

#[test]
fn without_pairs_loss_and_gradient_are_zero() {
    let x = embeddings();
    let (alone, alike): (Vec<_>, Vec<_>) = (0..LABELS.len()).map(|row| (row, 0)).unzip();
    for (name, config) in every_loss() {
        let needs_triplets = name.starts_with("triplet");
        let needs_positives = needs_triplets || ["sup_con", "nt_xent"].contains(&name.as_str());
        let loss = make(&config, x.columns);
        for (labels, is_empty) in [(&alone, needs_positives), (&alike, needs_triplets)] {
            if is_empty {
                let (value, gradient) =
                    differentiate(&x, |x| loss.forward(x, Labels::new(labels)).mean);
                assert_eq!((value, gradient.values), (0.0, vec![0.0; 60]), "{name}");
            }
        }
        if config.learning_rate_factor() == 1.0 && !config.wants_clusters() && needs_positives {
            let one = x.select(&[0]);
            let (value, gradient) =
                differentiate(&one, |x| loss.forward(x, Labels::new(&[0])).mean);
            assert_eq!((value, gradient.values), (0.0, vec![0.0; 5]), "{name}");
        }
    }
    for kind in [
        "contrastive",
        "multi_similarity",
        "sup_con",
        "nt_xent",
        "kl_pairwise",
    ] {
        let config: LossConfig =
            serde_json::from_value(serde_json::json!({ "kind": kind })).unwrap();
        let loss = make(&config, x.columns);
        let (value, gradient) =
            differentiate(&x.select(&[0]), |x| loss.forward(x, Labels::new(&[0])).mean);
        assert_eq!((value, gradient.values), (0.0, vec![0.0; 5]), "{kind}");
    }
}

#[test]
fn equal_and_zero_embeddings_stay_finite() {
    for (name, config) in every_loss() {
        eprintln!("{name}");
        let loss = make(&config, 5);
        for x in [
            Matrix::new(12, 5, vec![0.0; 60]),
            Matrix::new(12, 5, vec![1.0; 60]),
        ] {
            differentiate(&x, |x| mean(&loss, x));
        }
    }
}

#[test]
fn half_precision_is_computed_in_single() {
    let x = embeddings();
    for (name, config) in every_loss() {
        let loss = make(&config, x.columns);
        for dtype in [DType::F16, DType::BF16] {
            let half = x.leaf(DType::F32).inner().cast(dtype);
            let exact = mean(&loss, half.clone().cast(DType::F32));
            let output = loss.forward(half, Labels::new(&LABELS));
            assert_eq!(output.mean.dtype(), DType::F32, "{name}");
            assert_eq!(output.per_example.dtype(), DType::F32, "{name}");
            assert_eq!(number(output.mean), number(exact), "{name}");
        }
    }
}

#[test]
fn without_autodiff_the_value_is_the_same() {
    let x = embeddings();
    for (name, config) in every_loss() {
        let loss = make(&config, x.columns);
        let with = loss
            .forward(x.leaf(DType::F32), Labels::new(&LABELS))
            .read();
        let without = loss
            .valid()
            .forward(x.leaf(DType::F32).inner(), Labels::new(&LABELS))
            .read();
        assert_eq!(with, without, "{name}");
        assert_eq!(with.per_example.len(), x.rows, "{name}");
    }
}

#[test]
fn losses_that_learn_classes_score_them() {
    let x = embeddings();
    for (name, config) in every_loss() {
        let scores = make(&config, x.columns).logits(x.leaf(DType::F32));
        assert_eq!(
            scores.is_some(),
            config.class_rule() == crate::ClassRule::HighestScore,
            "{name}"
        );
        if let Some(scores) = scores {
            assert_eq!(scores.dims(), [x.rows, CLASSES], "{name}");
        }
    }
}

#[test]
fn arc_face_with_one_centre_a_class_is_arc_face() {
    let x = embeddings();
    let one = SubCenterArcFaceLossConfig {
        centers_per_class: 1,
        ..Default::default()
    };
    let several = make(&LossConfig::SubCenterArcFace(one), x.columns);
    let plain = make(&LossConfig::ArcFace(Default::default()), x.columns);
    let [a, b] = [several, plain].map(|loss| number(mean(&loss, x.leaf(DType::F32))));
    assert_eq!(a, b);
}

#[test]
fn a_loss_over_blocks_is_the_loss_over_the_whole_matrix() {
    // 1500 examples need two blocks of rows, and more for triplets.
    let labels = (0..1500).map(|row| row / 4 % 300).collect::<Vec<_>>();
    let x = Matrix::random(labels.len(), 4, 9);
    let config = TripletLossConfig {
        distance: Distance::Euclidean,
        mining: Miner::All,
        ..Default::default()
    };
    let (value, gradient) =
        differentiate(&x, |x| config.init().forward(x, Labels::new(&labels)).mean);
    // A triplet needs three examples near each other in no order, so a sample of anchors by plain loops suffices.
    let distance = |a: usize, b: usize| {
        x.row(a)
            .iter()
            .zip(x.row(b))
            .map(|(a, b)| (a - b).powi(2))
            .sum::<f64>()
            .sqrt()
    };
    let output = config
        .init()
        .forward(x.leaf(DType::F32), Labels::new(&labels))
        .read();
    for anchor in [0, 700, 1499] {
        let (mut sum, mut count) = (0.0, 0.0);
        for positive in (0..labels.len()).filter(|&p| p != anchor && labels[p] == labels[anchor]) {
            for negative in (0..labels.len()).filter(|&n| labels[n] != labels[anchor]) {
                let term = distance(anchor, positive) - distance(anchor, negative) + 0.2;
                if term > 0.0 {
                    (sum, count) = (sum + term, count + 1.0);
                }
            }
        }
        assert_close(&[output.per_example[anchor]], &[sum / count], 1e-4, 0.0);
    }
    assert!(value > 0.0 && gradient.values.iter().any(|&g| g != 0.0));
}
