//! Triplet losses against plain loops over all triplets.

use burn::tensor::DType;

use crate::testing::{Matrix, assert_close, differentiate, euclidean};
use crate::{Distance, Labels, Miner, Reduction, Statistic, TripletForm, TripletLossConfig};

const LABELS: [usize; 10] = [0, 1, 2, 2, 1, 3, 3, 2, 1, 3];
const MARGIN: f64 = 0.8;

fn embeddings() -> Matrix {
    Matrix::random(LABELS.len(), 4, 41)
}

/// Every triplet of an anchor.
fn triplets(a: usize) -> impl Iterator<Item = (usize, usize)> {
    let positives = (0..LABELS.len()).filter(move |&p| p != a && LABELS[p] == LABELS[a]);
    positives.flat_map(move |p| {
        (0..LABELS.len())
            .filter(move |&n| LABELS[n] != LABELS[a])
            .map(move |n| (p, n))
    })
}

/// Whether a miner would choose a triplet, from the distances to its positive and negative and all those of the anchor.
fn chosen(
    mining: Miner,
    a: usize,
    (p, n): (usize, usize),
    d: &dyn Fn(usize, usize) -> f64,
) -> bool {
    match mining {
        Miner::All => true,
        Miner::SemiHard { margin } => (0.0..=margin).contains(&(d(a, n) - d(a, p))),
        Miner::Hard => triplets(a).all(|(q, m)| d(a, q) <= d(a, p) && d(a, m) >= d(a, n)),
        other => panic!("{other:?} has its loops beside the miner"),
    }
}

#[test]
fn loops_over_all_triplets_agree() {
    let x = embeddings();
    for mining in [Miner::All, Miner::SemiHard { margin: MARGIN }, Miner::Hard] {
        for form in [TripletForm::Hinge, TripletForm::Soft] {
            for (distance, squared) in [
                (Distance::Euclidean, false),
                (Distance::SquaredEuclidean, true),
            ] {
                for reduction in [Reduction::Mean, Reduction::Nonzero] {
                    let d = |a: usize, b: usize| {
                        euclidean(x.row(a), x.row(b)).powi(if squared { 2 } else { 1 })
                    };
                    let of = |a: usize, (p, n): (usize, usize)| match form {
                        TripletForm::Hinge => f64::max(0.0, d(a, p) - d(a, n) + MARGIN),
                        TripletForm::Soft => (1.0 + (d(a, p) - d(a, n)).exp()).ln(),
                    };
                    let terms = |a: usize| {
                        let counted = triplets(a)
                            .filter(|&t| chosen(mining, a, t, &d))
                            .map(|t| of(a, t));
                        counted
                            .filter(|&term| reduction == Reduction::Mean || term > 0.0)
                            .collect::<Vec<_>>()
                    };
                    let all = (0..x.rows).flat_map(terms).collect::<Vec<_>>();
                    let mean =
                        |terms: &[f64]| terms.iter().sum::<f64>() / terms.len().max(1) as f64;

                    let loss = TripletLossConfig {
                        distance,
                        margin: MARGIN,
                        form,
                        reduction,
                        mining,
                    }
                    .init();
                    let (value, _) =
                        differentiate(&x, |x| loss.forward(x, Labels::new(&LABELS)).mean);
                    assert_close(&[value], &[mean(&all)], 1e-5, 1e-6);
                    let output = loss
                        .forward(x.leaf(DType::F32), Labels::new(&LABELS))
                        .read();
                    let got = output
                        .per_example
                        .iter()
                        .map(|&v| f64::from(v))
                        .collect::<Vec<_>>();
                    let want = (0..x.rows).map(|a| mean(&terms(a))).collect::<Vec<_>>();
                    assert_close(&got, &want, 1e-5, 1e-6);
                    if reduction == Reduction::Mean {
                        assert_eq!(output.get(Statistic::Counted), Some(all.len() as f32));
                        let active = all.iter().filter(|&&term| term > 0.0).count() as f64
                            / all.len() as f64;
                        assert_close(
                            &[f64::from(output.get(Statistic::Active).unwrap())],
                            &[active],
                            1e-6,
                            0.0,
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn far_apart_points_have_a_useful_soft_loss() {
    // exp(2000) overflows; the loss is the lead itself, and its slope 1.
    let x = Matrix::of(&[[0.0], [2000.0], [1.0]]);
    let config = TripletLossConfig {
        distance: Distance::Euclidean,
        form: TripletForm::Soft,
        reduction: Reduction::Mean,
        mining: Miner::Hard,
        ..Default::default()
    };
    let (value, gradient) = differentiate(&x, |x| {
        config.init().forward(x, Labels::new(&[0, 0, 1])).mean
    });
    // Anchor 0: 2000 - 1. Anchor 1: 2000 - 1999 = 1, log(1 + e).
    assert_close(&[value], &[(1999.0 + 1.313262) / 2.0], 1e-5, 0.0);
    // The far positive is pulled by anchor 0; of anchor 1, it is pulled and pushed alike.
    assert_close(&gradient.values[1..2], &[0.5], 1e-5, 0.0);
}

#[test]
fn equal_points_pull_without_a_direction() {
    let x = Matrix::of(&[[1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]);
    for mining in [Miner::All, Miner::Hard] {
        let loss = TripletLossConfig {
            distance: Distance::Euclidean,
            mining,
            ..Default::default()
        }
        .init();
        let (value, gradient) =
            differentiate(&x, |x| loss.forward(x, Labels::new(&[0, 0, 1, 1])).mean);
        assert_close(&[value], &[0.2], 1e-6, 0.0);
        assert_eq!(gradient.values, [0.0; 8]);
    }
}
