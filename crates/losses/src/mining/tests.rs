//! Miners against plain loops over all distances, and every miner with every loss on pairs or triplets.

use burn::tensor::DType;

use super::{
    DistanceWeighting, Mined, Miner, NegativeChoice, SemiHardRest, Triplets, batch_hard,
    distance_weighted, easy_positive, multi_similarity, semi_hard_pairs, semi_hard_per_pair,
};
use crate::tensors::unit_rows;
use crate::testing::{Matrix, assert_close, differentiate, euclidean, numbers};
use crate::{Distance, KlPairwiseLossConfig, Labels, Reduction, TripletLossConfig};

/// One lone class, the rest of two to five.
const LABELS: [usize; 15] = [0, 1, 2, 2, 1, 3, 3, 3, 2, 1, 3, 2, 3, 4, 4];

fn embeddings() -> Matrix {
    let x = Matrix::random(LABELS.len(), 3, 21);
    let unit = unit_rows(x.leaf(DType::F64));
    Matrix::new(x.rows, x.columns, numbers(unit))
}

fn distance(x: &Matrix, a: usize, b: usize) -> f64 {
    euclidean(x.row(a), x.row(b))
}

fn positives(a: usize) -> impl Iterator<Item = usize> + Clone {
    (0..LABELS.len()).filter(move |&p| p != a && LABELS[p] == LABELS[a])
}

fn negatives(a: usize) -> impl Iterator<Item = usize> + Clone {
    (0..LABELS.len()).filter(move |&n| LABELS[n] != LABELS[a])
}

/// The triplets that count, in the miner's order.
fn listed(mined: &Triplets) -> Vec<[usize; 3]> {
    let corners =
        [&mined.anchors, &mined.positives, &mined.negatives].map(|corner| numbers(corner.clone()));
    let keep = numbers(mined.keep.clone());
    let kept = (0..mined.len()).filter(|&at| keep[at] > 0.0);
    kept.map(|at| [0, 1, 2].map(|corner| corners[corner][at] as usize))
        .collect()
}

fn nearest(x: &Matrix, a: usize, among: impl Iterator<Item = usize>) -> Option<usize> {
    among.min_by(|&i, &j| distance(x, a, i).total_cmp(&distance(x, a, j)))
}

fn farthest(x: &Matrix, a: usize, among: impl Iterator<Item = usize>) -> Option<usize> {
    among.max_by(|&i, &j| distance(x, a, i).total_cmp(&distance(x, a, j)))
}

#[test]
fn batch_hard_takes_the_farthest_positive_and_the_nearest_negative() {
    let x = embeddings();
    let want = (0..x.rows).filter_map(|a| {
        Some([
            a,
            farthest(&x, a, positives(a))?,
            nearest(&x, a, negatives(a))?,
        ])
    });
    assert_eq!(
        listed(&batch_hard(x.leaf(DType::F32), &LABELS)),
        want.collect::<Vec<_>>()
    );
}

#[test]
fn easy_positive_takes_the_nearest_positive() {
    let x = embeddings();
    let easy = |a| nearest(&x, a, positives(a));
    let hard = (0..x.rows).filter_map(|a| Some([a, easy(a)?, nearest(&x, a, negatives(a))?]));
    assert_eq!(
        listed(&easy_positive(
            x.leaf(DType::F32),
            &LABELS,
            NegativeChoice::Hard
        )),
        hard.collect::<Vec<_>>()
    );
    let semi_hard = (0..x.rows).filter_map(|a| {
        let p = easy(a)?;
        let farther = negatives(a).filter(|&n| distance(&x, a, n) > distance(&x, a, p));
        Some([a, p, nearest(&x, a, farther)?])
    });
    let mined = easy_positive(x.leaf(DType::F32), &LABELS, NegativeChoice::SemiHard);
    assert_eq!(listed(&mined), semi_hard.collect::<Vec<_>>());
}

#[test]
fn semi_hard_takes_the_nearest_negative_beyond_the_positive() {
    let x = embeddings();
    let of_pairs = |choose: &dyn Fn(usize, usize) -> Option<usize>| {
        let pairs = (0..x.rows).flat_map(|a| positives(a).map(move |p| (a, p)));
        pairs
            .filter_map(|(a, p)| Some([a, p, choose(a, p)?]))
            .collect::<Vec<_>>()
    };
    let beyond = |a, p| {
        nearest(
            &x,
            a,
            negatives(a).filter(|&n| distance(&x, a, n) > distance(&x, a, p)),
        )
    };
    let dropped =
        of_pairs(&|a, p| beyond(a, p).filter(|&n| distance(&x, a, n) < distance(&x, a, p) + 0.3));
    let mined = |rest| {
        listed(&semi_hard_per_pair(
            x.leaf(DType::F32),
            &LABELS,
            Distance::Euclidean,
            rest,
        ))
    };
    assert_eq!(mined(SemiHardRest::Dropped { margin: 0.3 }), dropped);
    let filled = of_pairs(&|a, p| beyond(a, p).or_else(|| farthest(&x, a, negatives(a))));
    assert_eq!(mined(SemiHardRest::FarthestNegative), filled);
}

#[test]
fn semi_hard_pairs_are_those_of_the_triplets_inside_the_margin() {
    let x = embeddings();
    let pairs = semi_hard_pairs(x.leaf(DType::F32), &LABELS, Distance::Euclidean, 0.3);
    let (mut positive, mut negative) = (vec![0.0; 225], vec![0.0; 225]);
    for a in 0..x.rows {
        for p in positives(a) {
            for n in negatives(a) {
                let lead = distance(&x, a, n) - distance(&x, a, p);
                if 0.0 < lead && lead <= 0.3 {
                    positive[a * x.rows + p] = 1.0;
                    negative[a * x.rows + n] = 1.0;
                }
            }
        }
    }
    assert_eq!(numbers(pairs.positive), positive);
    assert_eq!(numbers(pairs.negative), negative);
}

#[test]
fn multi_similarity_takes_the_pairs_out_of_order() {
    let x = embeddings();
    let similarity = |a, b| 1.0 - distance(&x, a, b).powi(2) / 2.0;
    let pairs = multi_similarity(x.leaf(DType::F32), &LABELS, 0.1);
    let (positive, negative) = (numbers(pairs.positive), numbers(pairs.negative));
    for a in 0..x.rows {
        for b in 0..x.rows {
            let is_positive = positives(a).any(|p| p == b)
                && negatives(a).any(|n| similarity(a, b) - 0.1 < similarity(a, n));
            let is_negative = negatives(a).any(|n| n == b)
                && positives(a).any(|p| similarity(a, b) + 0.1 > similarity(a, p));
            assert_eq!(positive[a * x.rows + b], f64::from(is_positive), "{a} {b}");
            assert_eq!(negative[a * x.rows + b], f64::from(is_negative), "{a} {b}");
        }
    }
}

#[test]
fn distance_weighting_draws_by_the_inverse_density_of_distances() {
    // Anchor 0, its positive 1, and negatives at known distances, the last too far.
    let angles = [0.0f64, 0.2, 0.3, 0.8, 1.1, 1.4, 2.5];
    let rows = angles
        .iter()
        .flat_map(|a| [a.cos(), a.sin(), 0.0, 0.0, 0.0])
        .collect::<Vec<_>>();
    let x = Matrix::new(7, 5, rows);
    let labels = [0, 0, 1, 2, 3, 4, 5];
    let mut drawn = [0.0; 7];
    let draws = 4000;
    for seed in 0..draws {
        let weighting = DistanceWeighting {
            nearest: 0.5,
            farthest: 1.4,
            seed,
        };
        let mined = listed(&distance_weighted(x.leaf(DType::F32), &labels, weighting));
        drawn[mined[0][2]] += 1.0;
    }
    let weight = |n: usize| {
        let d = distance(&x, 0, n);
        let near = d.max(0.5);
        // In 5 dimensions the density is d³ (1 - d² / 4).
        if n < 2 || d > 1.4 {
            0.0
        } else {
            1.0 / (near.powi(3) * (1.0 - near * near / 4.0))
        }
    };
    let total = (0..7).map(weight).sum::<f64>();
    for n in 0..7 {
        let share = weight(n) / total;
        // Four standard deviations of a share of 4000 draws.
        let spread = 4.0 * (share * (1.0 - share) / draws as f64).sqrt();
        assert_close(&[drawn[n] / draws as f64], &[share], 0.0, spread.max(1e-9));
    }
}

#[test]
fn random_draws_follow_seed_and_step() {
    let x = embeddings();
    let draw = |seed, step| {
        let miner = Miner::DistanceWeighted {
            nearest: 0.5,
            farthest: 2.0,
            seed,
        };
        let labels = Labels::new(&LABELS).with_draw(step);
        match miner.mine(x.leaf(DType::F32), Distance::Euclidean, &labels) {
            Mined::Triplets(triplets) => listed(&triplets),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(draw(1, 5), draw(1, 5));
    assert_ne!(draw(1, 5), draw(1, 6));
    assert_ne!(draw(1, 5), draw(2, 5));
}

#[test]
fn triplets_of_mined_pairs_are_all_that_the_pairs_form() {
    let x = embeddings();
    let pairs = multi_similarity(x.leaf(DType::F32), &LABELS, 0.1);
    let (positive, negative) = (
        numbers(pairs.positive.clone()),
        numbers(pairs.negative.clone()),
    );
    let (mut sum, mut count) = (0.0, 0.0);
    for a in 0..x.rows {
        for p in positives(a).filter(|p| positive[a * x.rows + p] > 0.0) {
            for n in negatives(a).filter(|n| negative[a * x.rows + n] > 0.0) {
                sum += f64::max(0.0, distance(&x, a, p) - distance(&x, a, n) + 0.2);
                count += 1.0;
            }
        }
    }
    let config = TripletLossConfig {
        distance: Distance::Euclidean,
        reduction: Reduction::Mean,
        ..Default::default()
    };
    let mined = Mined::Pairs(pairs);
    let (value, _) = differentiate(&x, |x| config.init().forward_mined(x, &LABELS, &mined).mean);
    assert_close(&[value], &[sum / count], 1e-5, 0.0);
}

#[test]
fn pairs_of_triplets_are_their_sides() {
    let x = embeddings();
    let mined = batch_hard(x.leaf(DType::F32), &LABELS);
    let pairs = mined.to_pairs(x.rows);
    let (mut positive, mut negative) = (vec![0.0; 225], vec![0.0; 225]);
    for [a, p, n] in listed(&mined) {
        positive[a * x.rows + p] = 1.0;
        negative[a * x.rows + n] = 1.0;
    }
    assert_eq!(numbers(pairs.positive), positive);
    assert_eq!(numbers(pairs.negative), negative);
}

#[test]
fn divergences_of_mined_pairs_are_averaged_over_those_alone() {
    let x = embeddings();
    let mined = batch_hard(x.leaf(DType::F32), &LABELS);
    let p = |i: usize| {
        let total = x.row(i).iter().map(|v| v.exp()).sum::<f64>();
        x.row(i).iter().map(|v| v.exp() / total).collect::<Vec<_>>()
    };
    let divergence = |i: usize, j: usize| {
        let terms = p(i).into_iter().zip(p(j)).map(|(p, q)| p * (p / q).ln());
        terms.sum::<f64>()
    };
    let triplets = listed(&mined);
    let terms = triplets
        .iter()
        .map(|&[a, p, n]| divergence(a, p) + f64::max(0.0, 2.0 - divergence(a, n)));
    // An anchor has two ordered pairs, each half of a pair.
    let want = terms.sum::<f64>() / triplets.len() as f64;
    let loss = KlPairwiseLossConfig::default().init();
    let mined = Mined::Triplets(mined);
    let (value, _) = differentiate(&x, |x| loss.forward_mined(x, &LABELS, &mined).mean);
    assert_close(&[value], &[want], 1e-5, 0.0);
}
