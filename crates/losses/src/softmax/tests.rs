//! Classifying losses against plain loops written from the papers.

use burn::tensor::DType;

use crate::testing::{
    Matrix, assert_close, cosine, device, differentiate, host, log_sum_exp, numbers,
};
use crate::{
    ArcFaceLossConfig, CosFaceLossConfig, NormalizedSoftmaxLossConfig, SoftmaxLossConfig,
    Statistic, SubCenterArcFaceLossConfig,
};

const CLASSES: usize = 4;
const LABELS: [usize; 8] = [0, 1, 2, 3, 1, 0, 2, 2];

fn embeddings() -> Matrix {
    Matrix::random(LABELS.len(), 5, 51)
}

/// Mean over the examples of the cross-entropy of their scores.
fn cross_entropy(scores: &[Vec<f64>]) -> f64 {
    let loss = |(row, label): (&Vec<f64>, usize)| log_sum_exp(row.iter().copied()) - row[label];
    scores.iter().zip(LABELS).map(loss).sum::<f64>() / scores.len() as f64
}

/// Largest cosine of each embedding with the vectors of each class.
fn nearest_cosines(x: &Matrix, vectors: &Matrix) -> Vec<Vec<f64>> {
    let per_class = vectors.rows / CLASSES;
    let of = |i: usize, c: usize| {
        (0..per_class)
            .map(|k| cosine(x.row(i), vectors.row(c * per_class + k)))
            .fold(f64::MIN, f64::max)
    };
    (0..x.rows)
        .map(|i| (0..CLASSES).map(|c| of(i, c)).collect())
        .collect()
}

#[test]
fn softmax_is_cross_entropy_of_a_linear_layer() {
    let x = embeddings();
    let loss = SoftmaxLossConfig::default().init(x.columns, CLASSES, &device());
    let weight = host(loss.classifier.weight.val());
    let bias = numbers(loss.classifier.bias.as_ref().unwrap().val());
    let score = |i: usize, c: usize| {
        (0..x.columns)
            .map(|k| x.row(i)[k] * weight.row(k)[c])
            .sum::<f64>()
            + bias[c]
    };
    let scores = (0..x.rows)
        .map(|i| (0..CLASSES).map(|c| score(i, c)).collect())
        .collect::<Vec<Vec<_>>>();
    let (value, _) = differentiate(&x, |x| loss.forward(x, &LABELS).mean);
    assert_close(&[value], &[cross_entropy(&scores)], 1e-5, 0.0);
    let best = |row: &Vec<f64>| {
        (0..CLASSES)
            .max_by(|&a, &b| row[a].total_cmp(&row[b]))
            .unwrap()
    };
    let right = scores
        .iter()
        .zip(LABELS)
        .filter(|(row, label)| best(row) == *label)
        .count() as f32
        / 8.0;
    assert_eq!(
        loss.forward(x.leaf(DType::F32), &LABELS)
            .read()
            .get(Statistic::Accuracy),
        Some(right)
    );
}

#[test]
fn normalized_softmax_is_cross_entropy_of_cosines_over_a_temperature() {
    let x = embeddings();
    let loss = NormalizedSoftmaxLossConfig::default().init(x.columns, CLASSES, &device());
    let mut scores = nearest_cosines(&x, &host(loss.weights.vectors.val()));
    scores.iter_mut().flatten().for_each(|s| *s /= 0.05);
    let (value, _) = differentiate(&x, |x| loss.forward(x, &LABELS).mean);
    assert_close(&[value], &[cross_entropy(&scores)], 1e-5, 0.0);
}

#[test]
fn cos_face_lowers_the_own_cosine() {
    let x = embeddings();
    let loss = CosFaceLossConfig::default().init(x.columns, CLASSES, &device());
    let mut scores = nearest_cosines(&x, &host(loss.weights.vectors.val()));
    for (row, label) in scores.iter_mut().zip(LABELS) {
        row[label] -= 0.35;
        row.iter_mut().for_each(|s| *s *= 64.0);
    }
    let (value, _) = differentiate(&x, |x| loss.forward(x, &LABELS).mean);
    assert_close(&[value], &[cross_entropy(&scores)], 1e-5, 0.0);
}

#[test]
fn arc_face_widens_the_own_angle() {
    let x = embeddings();
    let margin = 28.6f64.to_radians();
    for loss in [
        ArcFaceLossConfig::default().init(x.columns, CLASSES, &device()),
        SubCenterArcFaceLossConfig::default().init(x.columns, CLASSES, &device()),
    ] {
        let mut scores = nearest_cosines(&x, &host(loss.weights.vectors.val()));
        for (row, label) in scores.iter_mut().zip(LABELS) {
            let angle = row[label].acos();
            let inside = angle <= std::f64::consts::PI - margin;
            row[label] = if inside {
                (angle + margin).cos()
            } else {
                angle.cos() - margin * margin.sin()
            };
            row.iter_mut().for_each(|s| *s *= 64.0);
        }
        let (value, _) = differentiate(&x, |x| loss.forward(x, &LABELS).mean);
        assert_close(&[value], &[cross_entropy(&scores)], 1e-5, 0.0);
    }
}

#[test]
fn an_embedding_on_its_class_weight_has_a_finite_slope() {
    let loss = ArcFaceLossConfig::default().init(5, CLASSES, &device());
    let weights = host(loss.weights.vectors.val());
    let (aligned, opposite) = (weights.select(&[0]), weights.select(&[0]).map(|v| -v));
    for x in [aligned, opposite] {
        // Non-finite values fail inside.
        differentiate(&x, |x| loss.forward(x, &[0]).mean);
    }
}
