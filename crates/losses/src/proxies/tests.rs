//! Losses on proxies against plain loops written from the papers.

use crate::testing::{Matrix, assert_close, cosine, device, differentiate, host, log_sum_exp};
use crate::{
    ProxyAnchorLossConfig, ProxyNcaForm, ProxyNcaLossConfig, RepMetLossConfig, SoftTripleLossConfig,
};

const CLASSES: usize = 4;
/// Class 3 is absent.
const LABELS: [usize; 8] = [0, 1, 2, 1, 1, 0, 2, 2];

fn embeddings() -> Matrix {
    Matrix::random(LABELS.len(), 5, 61)
}

/// Cosines of each embedding with each vector.
fn cosines(x: &Matrix, vectors: &Matrix) -> Vec<Vec<f64>> {
    (0..x.rows)
        .map(|i| {
            (0..vectors.rows)
                .map(|k| cosine(x.row(i), vectors.row(k)))
                .collect()
        })
        .collect()
}

/// Mean over the examples of the cross-entropy of their scores.
fn cross_entropy(scores: &[Vec<f64>]) -> f64 {
    let loss = |(row, label): (&Vec<f64>, usize)| log_sum_exp(row.iter().copied()) - row[label];
    scores.iter().zip(LABELS).map(loss).sum::<f64>() / scores.len() as f64
}

#[test]
fn proxy_nca_is_a_softmax_over_squared_distances() {
    let x = embeddings();
    for form in [ProxyNcaForm::Paper, ProxyNcaForm::PlusPlus] {
        let config = ProxyNcaLossConfig {
            form,
            scale: 3.0,
            ..Default::default()
        };
        let loss = config.init(x.columns, CLASSES, &device());
        let s = cosines(&x, &host(loss.proxies.vectors.val()));
        let d = |i: usize, c: usize| 3.0 * (2.0 - 2.0 * s[i][c]);
        let of = |i: usize| {
            let others = (0..CLASSES).filter(|&c| form == ProxyNcaForm::PlusPlus || c != LABELS[i]);
            d(i, LABELS[i]) + log_sum_exp(others.map(|c| -d(i, c)))
        };
        let want = (0..x.rows).map(of).sum::<f64>() / x.rows as f64;
        let (value, _) = differentiate(&x, |x| loss.forward(x, &LABELS).mean);
        assert_close(&[value], &[want], 1e-5, 0.0);
    }
}

#[test]
fn proxy_anchor_sums_over_the_batch_for_each_proxy() {
    let x = embeddings();
    let loss = ProxyAnchorLossConfig::default().init(x.columns, CLASSES, &device());
    let s = cosines(&x, &host(loss.proxies.vectors.val()));
    let (mut pull, mut push) = (0.0, 0.0);
    for c in 0..CLASSES {
        let own = (0..x.rows)
            .filter(|&i| LABELS[i] == c)
            .map(|i| (-32.0 * (s[i][c] - 0.1)).exp());
        let other = (0..x.rows)
            .filter(|&i| LABELS[i] != c)
            .map(|i| (32.0 * (s[i][c] + 0.1)).exp());
        pull += (1.0 + own.sum::<f64>()).ln();
        push += (1.0 + other.sum::<f64>()).ln();
    }
    let (value, _) = differentiate(&x, |x| loss.forward(x, &LABELS).mean);
    assert_close(&[value], &[pull / 3.0 + push / 4.0], 1e-5, 0.0);
}

#[test]
fn soft_triple_averages_the_centres_of_a_class_softly() {
    let x = embeddings();
    let config = SoftTripleLossConfig {
        centers_per_class: 3,
        ..Default::default()
    };
    let loss = config.init(x.columns, CLASSES, &device());
    let s = cosines(&x, &host(loss.centers.vectors.val()));
    let class = |i: usize, c: usize| {
        let own = &s[i][3 * c..3 * c + 3];
        let total = own.iter().map(|s| (s / 0.1).exp()).sum::<f64>();
        let averaged = own.iter().map(|s| (s / 0.1).exp() / total * s).sum::<f64>();
        20.0 * (averaged - if c == LABELS[i] { 0.01 } else { 0.0 })
    };
    let scores = (0..x.rows)
        .map(|i| (0..CLASSES).map(|c| class(i, c)).collect())
        .collect::<Vec<Vec<_>>>();
    let (value, _) = differentiate(&x, |x| loss.forward(x, &LABELS).mean);
    assert_close(&[value], &[cross_entropy(&scores)], 1e-5, 0.0);
}

#[test]
fn rep_met_is_a_mixture_per_class_and_a_margin_between_modes() {
    let x = embeddings();
    let config = RepMetLossConfig {
        modes_per_class: 2,
        variance: 0.3,
        margin: 0.4,
        ..Default::default()
    };
    let loss = config.init(x.columns, CLASSES, &device());
    let s = cosines(&x, &host(loss.modes.vectors.val()));
    let squared = |i: usize, k: usize| 2.0 - 2.0 * s[i][k];
    let mixture =
        |i: usize, c: usize| log_sum_exp((2 * c..2 * c + 2).map(|k| -squared(i, k) / 0.6));
    let scores = (0..x.rows)
        .map(|i| (0..CLASSES).map(|c| mixture(i, c)).collect())
        .collect::<Vec<Vec<_>>>();
    let mut margin = 0.0;
    for (i, label) in LABELS.into_iter().enumerate() {
        let (mut own, mut other) = (f64::MAX, f64::MAX);
        for k in 0..2 * CLASSES {
            let nearest = if k / 2 == label { &mut own } else { &mut other };
            *nearest = nearest.min(squared(i, k).sqrt());
        }
        margin += f64::max(0.0, own - other + 0.4) / x.rows as f64;
    }
    let (value, _) = differentiate(&x, |x| loss.forward(x, &LABELS).mean);
    assert_close(&[value], &[cross_entropy(&scores) + margin], 1e-5, 0.0);
}
