//! Losses on pairs against plain loops written from the papers.

use burn::tensor::Tensor;

use crate::testing::{Matrix, assert_close, cosine, differentiate, euclidean, log_sum_exp};
use crate::{
    ContrastiveLossConfig, Distance, KlPairwiseLossConfig, Labels, LossOutput, Miner,
    MultiSimilarityLossConfig, NtXentLossConfig, Reduction, SupConLossConfig,
};

/// One lone class, the rest of two to four.
const LABELS: [usize; 10] = [0, 1, 2, 2, 1, 3, 3, 2, 1, 3];

fn embeddings() -> Matrix {
    Matrix::random(LABELS.len(), 4, 31)
}

fn positives(i: usize) -> impl Iterator<Item = usize> + Clone {
    (0..LABELS.len()).filter(move |&j| j != i && LABELS[j] == LABELS[i])
}

fn negatives(i: usize) -> impl Iterator<Item = usize> + Clone {
    (0..LABELS.len()).filter(move |&j| LABELS[j] != LABELS[i])
}

/// Mean of the loss, and of every example, against the loops'.
#[track_caller]
fn check(loss: impl Fn(Tensor<2>) -> LossOutput, want: f64, per_example: &[f64]) {
    let (value, _) = differentiate(&embeddings(), |x| loss(x).mean);
    assert_close(&[value], &[want], 1e-5, 0.0);
    let got = loss(embeddings().leaf(burn::tensor::DType::F32))
        .read()
        .per_example;
    assert_close(
        &got.into_iter().map(f64::from).collect::<Vec<_>>(),
        per_example,
        1e-5,
        1e-6,
    );
}

fn mean(terms: &[f64]) -> f64 {
    if terms.is_empty() {
        0.0
    } else {
        terms.iter().sum::<f64>() / terms.len() as f64
    }
}

#[test]
fn contrastive_pulls_positives_and_pushes_negatives_to_the_margin() {
    let x = embeddings();
    let d = |i: usize, j: usize| euclidean(x.row(i), x.row(j));
    for (reduction, distance) in [
        (Reduction::Mean, Distance::Euclidean),
        (Reduction::Nonzero, Distance::Euclidean),
        (Reduction::Mean, Distance::SquaredEuclidean),
    ] {
        let squared = distance == Distance::SquaredEuclidean;
        let d = |i, j| if squared { d(i, j).powi(2) } else { d(i, j) };
        let keep = |term: &f64| reduction == Reduction::Mean || *term > 0.0;
        let pull = |i| {
            positives(i)
                .map(|j| f64::max(0.0, d(i, j) - 0.1))
                .filter(keep)
                .collect::<Vec<_>>()
        };
        let push = |i| {
            negatives(i)
                .map(|j| f64::max(0.0, 2.5 - d(i, j)))
                .filter(keep)
                .collect::<Vec<_>>()
        };
        let all =
            |of: &dyn Fn(usize) -> Vec<f64>| mean(&(0..x.rows).flat_map(of).collect::<Vec<_>>());
        let per_example = (0..x.rows)
            .map(|i| mean(&pull(i)) + mean(&push(i)))
            .collect::<Vec<_>>();
        let config = ContrastiveLossConfig {
            distance,
            positive_margin: 0.1,
            negative_margin: 2.5,
            reduction,
            mining: Miner::All,
        };
        check(
            |x| config.init().forward(x, Labels::new(&LABELS)),
            all(&pull) + all(&push),
            &per_example,
        );
    }
}

#[test]
fn kl_pairwise_compares_distributions_in_both_directions() {
    let x = embeddings();
    let log_p = |i: usize| {
        x.row(i)
            .iter()
            .map(|v| v - log_sum_exp(x.row(i).iter().copied()))
            .collect::<Vec<_>>()
    };
    let kl = |i, j| {
        log_p(i)
            .iter()
            .zip(log_p(j))
            .map(|(p, q)| p.exp() * (p - q))
            .sum::<f64>()
    };
    let term = |i: usize, j: usize| {
        if LABELS[i] == LABELS[j] {
            kl(i, j)
        } else {
            f64::max(0.0, 2.0 - kl(i, j))
        }
    };
    // Row i holds its direction of every pair; a pair is worth both.
    let row = |i: usize| {
        (0..x.rows)
            .filter(|&j| j != i)
            .map(|j| term(i, j))
            .sum::<f64>()
    };
    let n = x.rows as f64;
    let per_example = (0..x.rows)
        .map(|i| row(i) / ((n - 1.0) / 2.0))
        .collect::<Vec<_>>();
    let want = (0..x.rows).map(row).sum::<f64>() / (n * (n - 1.0) / 2.0);
    check(
        |x| KlPairwiseLossConfig::default().init().forward(x, &LABELS),
        want,
        &per_example,
    );
}

#[test]
fn multi_similarity_weighs_pairs_by_their_violation() {
    let x = embeddings();
    let s = |i: usize, j: usize| cosine(x.row(i), x.row(j));
    let row = |i: usize| {
        let pull = positives(i)
            .map(|j| (-2.0 * (s(i, j) - 0.5)).exp())
            .sum::<f64>();
        let push = negatives(i)
            .map(|j| (50.0 * (s(i, j) - 0.5)).exp())
            .sum::<f64>();
        (1.0 + pull).ln() / 2.0 + (1.0 + push).ln() / 50.0
    };
    let per_example = (0..x.rows).map(row).collect::<Vec<_>>();
    let config = MultiSimilarityLossConfig {
        mining: Miner::All,
        ..Default::default()
    };
    check(
        |x| config.init().forward(x, Labels::new(&LABELS)),
        mean(&per_example),
        &per_example,
    );
}

#[test]
fn sup_con_averages_the_logarithms_of_its_positives() {
    let x = embeddings();
    let s = |i: usize, j: usize| cosine(x.row(i), x.row(j)) / 0.1;
    let row = |i: usize| {
        let all = log_sum_exp((0..x.rows).filter(move |&j| j != i).map(|j| s(i, j)));
        let terms = positives(i).map(|j| all - s(i, j)).collect::<Vec<_>>();
        mean(&terms)
    };
    let per_example = (0..x.rows).map(row).collect::<Vec<_>>();
    assert_eq!(per_example[0], 0.0, "the lone example");
    let sum = per_example.iter().sum::<f64>();
    for (reduction, count) in [(Reduction::Mean, 10.0), (Reduction::Nonzero, 9.0)] {
        let config = SupConLossConfig {
            reduction,
            ..Default::default()
        };
        check(
            |x| config.init().forward(x, Labels::new(&LABELS)),
            sum / count,
            &per_example,
        );
    }
}

#[test]
fn nt_xent_keeps_other_positives_out_of_the_denominator() {
    let x = embeddings();
    let s = |i: usize, j: usize| cosine(x.row(i), x.row(j)) / 0.07;
    let term = |i: usize, j: usize| log_sum_exp(negatives(i).chain([j]).map(|k| s(i, k))) - s(i, j);
    let row = |i: usize| positives(i).map(move |j| term(i, j)).collect::<Vec<_>>();
    let per_example = (0..x.rows).map(|i| mean(&row(i))).collect::<Vec<_>>();
    let want = mean(&(0..x.rows).flat_map(row).collect::<Vec<_>>());
    check(
        |x| {
            NtXentLossConfig::default()
                .init()
                .forward(x, Labels::new(&LABELS))
        },
        want,
        &per_example,
    );
}
