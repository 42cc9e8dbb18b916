//! Weighted neighbourhoods against neighbourhoods one by one.

use burn::tensor::DType;

use super::*;
use crate::magnet::tests::by_loops;
use crate::testing::{
    Matrix, assert_close, assert_close_to_largest, assert_gradient_is_slope,
    assert_shards_are_the_whole, differentiate,
};
use crate::{MagnetLossConfig, magnet_objective, pinned_level};

/// Five clusters of three, the last two of one class, with the two nearest imposters of each as seed.
fn index() -> (Matrix, Vec<usize>, Vec<usize>, Vec<Vec<usize>>) {
    let clusters = (0..15).map(|row| row % 5).collect();
    let neighbourhoods = vec![
        vec![0, 1, 3],
        vec![1, 0, 4],
        vec![2, 0, 1],
        vec![3, 2, 0],
        vec![4, 1, 2],
    ];
    (
        Matrix::random(15, 3, 17),
        clusters,
        vec![0, 1, 2, 3, 3],
        neighbourhoods,
    )
}

const P: [f64; 5] = [0.1, 0.3, 0.05, 0.25, 0.3];

/// Magnet loss of one neighbourhood alone.
fn alone(x: &Matrix, clusters: &[usize], classes: &[usize], seen: &[usize]) -> (f64, Matrix) {
    let rows = (0..x.rows)
        .filter(|&row| seen.contains(&clusters[row]))
        .collect::<Vec<_>>();
    let of_rows = rows
        .iter()
        .map(|&row| seen.iter().position(|&c| c == clusters[row]).unwrap())
        .collect::<Vec<_>>();
    let classes = seen.iter().map(|&c| classes[c]).collect::<Vec<_>>();
    let loss = MagnetLossConfig::default().init();
    let (value, slope) = differentiate(&x.select(&rows), |x| {
        loss.forward(x, &of_rows, &classes).mean
    });
    // The full-data objective is written as plain loops.
    let loops = magnet_objective(&x.select(&rows).values, x.columns, &of_rows, &classes, 1.0);
    assert_close(&[value], &[loops], 1e-5, 0.0);
    let mut full = Matrix::new(x.rows, x.columns, vec![0.0; x.values.len()]);
    for (at, row) in rows.into_iter().enumerate() {
        full.values[row * x.columns..(row + 1) * x.columns].copy_from_slice(slope.row(at));
    }
    (value, full)
}

fn config(mean: WeightedMean) -> ImportanceMagnetLossConfig {
    ImportanceMagnetLossConfig {
        mean,
        clip: false,
        ..Default::default()
    }
}

#[test]
fn with_every_seed_enumerated_the_unbiased_mean_is_the_sampled_objective() {
    let (x, clusters, classes, neighbourhoods) = index();
    // Uniform seeds, each exactly once: the mean over the draws is the expectation.
    let drawn = neighbourhoods
        .iter()
        .zip(P)
        .map(|(clusters, probability)| Neighbourhood {
            clusters: clusters.clone(),
            probability,
            proposal: 0.2,
        });
    let drawn = drawn.collect::<Vec<_>>();
    let (mut want, mut slope) = (0.0, vec![0.0; x.values.len()]);
    for (seen, p) in neighbourhoods.iter().zip(P) {
        let (value, gradient) = alone(&x, &clusters, &classes, seen);
        want += p * value;
        slope
            .iter_mut()
            .zip(gradient.values)
            .for_each(|(total, g)| *total += p * g);
    }
    for mean in [WeightedMean::Unbiased, WeightedMean::SelfNormalised] {
        let loss = config(mean).init();
        let (value, gradient) =
            differentiate(&x, |x| loss.forward(x, &clusters, &classes, &drawn).mean);
        assert_close(&[value], &[want], 1e-5, 0.0);
        assert_close_to_largest("union batch", &gradient.values, &slope, 2e-5);
    }
}

#[test]
fn drawn_by_the_papers_own_probabilities_nothing_is_weighted() {
    let (x, clusters, classes, neighbourhoods) = index();
    let drawn = [1, 4].map(|seed| Neighbourhood {
        clusters: neighbourhoods[seed].clone(),
        probability: P[seed],
        proposal: P[seed],
    });
    let want = [1, 4].map(|seed| alone(&x, &clusters, &classes, &neighbourhoods[seed]).0);
    let loss = config(WeightedMean::Unbiased).init();
    let output = loss
        .forward(x.leaf(DType::F32), &clusters, &classes, &drawn)
        .read();
    assert_close(
        &[f64::from(output.mean)],
        &[(want[0] + want[1]) / 2.0],
        1e-5,
        0.0,
    );
    assert_eq!(output.get(Statistic::EffectiveSampleSize), Some(2.0));
}

#[test]
fn gradient_is_the_slope_with_constant_weights() {
    let (x, clusters, classes, neighbourhoods) = index();
    let drawn = [0, 3].map(|seed| Neighbourhood {
        clusters: neighbourhoods[seed].clone(),
        probability: P[seed],
        proposal: 0.2,
    });
    let loss = config(WeightedMean::SelfNormalised).init();
    assert_gradient_is_slope(&x, |x| loss.forward(x, &clusters, &classes, &drawn).mean);
}

#[test]
fn an_example_reports_the_mean_of_its_losses_and_zero_where_it_has_none() {
    let (x, clusters, classes, neighbourhoods) = index();
    let drawn = |seeds: &[usize]| {
        let one = |&seed: &usize| Neighbourhood {
            clusters: neighbourhoods[seed].clone(),
            probability: 0.2,
            proposal: 0.2,
        };
        let drawn = seeds.iter().map(one).collect::<Vec<_>>();
        config(WeightedMean::Unbiased)
            .init()
            .forward(x.leaf(DType::F32), &clusters, &classes, &drawn)
            .read()
            .per_example
    };
    let (first, second, both) = (drawn(&[0]), drawn(&[1]), drawn(&[0, 1]));
    for row in 0..x.rows {
        let want = match clusters[row] {
            0 | 1 => (first[row] + second[row]) / 2.0,
            3 => first[row],
            4 => second[row],
            _ => 0.0,
        };
        assert_close(&[both[row]], &[want], 1e-6, 1e-7);
    }
}

#[test]
fn the_own_mean_without_the_example_holds_in_each_neighbourhood() {
    // Clusters of three, two and four: a neighbourhood has each with the size it has in the batch.
    let x = Matrix::random(9, 3, 23);
    let (clusters, classes) = ([0, 1, 2, 0, 2, 1, 2, 0, 2], [0, 1, 2]);
    let drawn =
        [(vec![0, 1], 0.7), (vec![2, 0], 0.3)].map(|(clusters, probability)| Neighbourhood {
            clusters,
            probability,
            proposal: 0.5,
        });
    let of_one = MagnetLossConfig {
        own_mean: OwnMean::LeaveOneOut,
        temperature: 0.5,
        ..Default::default()
    };
    let weighted = ImportanceMagnetLossConfig {
        own_mean: of_one.own_mean,
        temperature: of_one.temperature,
        ..config(WeightedMean::Unbiased)
    };
    let mut want = 0.0;
    for neighbourhood in &drawn {
        let slice = Slice::new(neighbourhood, &clusters, &classes);
        let seen = x.select(&slice.rows);
        let weight = neighbourhood.probability / neighbourhood.proposal;
        want += weight * by_loops(&of_one, &slice.clusters, &slice.classes, &seen) / 2.0;
    }
    let loss = weighted.init();
    let forward = |x| loss.forward(x, &clusters, &classes, &drawn).mean;
    let (value, _) = differentiate(&x, forward);
    assert_close(&[value], &[want], 1e-5, 0.0);
    assert_gradient_is_slope(&x, forward);
    assert_shards_are_the_whole("leave one out", &x, forward);
}

#[test]
fn clipping_lifts_the_effective_share_to_a_fifth() {
    let mut weights = vec![100.0, 1.0, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1];
    assert!(effective_sample_size(&weights) < 0.2 * 12.0);
    clip(&mut weights);
    assert!(effective_sample_size(&weights) >= 0.2 * 12.0);
    assert_eq!(weights[11], 0.1);
    let mut even = vec![1.0, 2.0, 3.0];
    clip(&mut even);
    assert_eq!(even, [1.0, 2.0, 3.0]);
}

#[test]
fn the_loss_of_a_whole_set_is_the_objective() {
    let (x, clusters, classes, _) = index();
    let (value, _) = differentiate(&x, |x| {
        MagnetLossConfig::default()
            .init()
            .forward(x, &clusters, &classes)
            .mean
    });
    let objective = magnet_objective(&x.values, 3, &clusters, &classes, 1.0);
    assert_close(&[value], &[objective], 1e-5, 0.0);
}

/// Two neighbourhoods of the index: apart (form A), or with a cluster in common (form C1).
fn two_forms() -> [(&'static str, [Neighbourhood; 2]); 2] {
    let of = |clusters: &[usize], probability| Neighbourhood {
        clusters: clusters.to_vec(),
        probability,
        proposal: 0.2,
    };
    [
        ("form A", [of(&[0, 1], 0.1), of(&[3, 2], 0.4)]),
        ("form C1", [of(&[0, 1, 3], 0.1), of(&[1, 0, 4], 0.3)]),
    ]
}

#[test]
fn a_batch_in_shards_has_the_loss_and_gradient_of_the_whole() {
    let (x, clusters, classes, _) = index();
    for (name, drawn) in two_forms() {
        for mean in [WeightedMean::Unbiased, WeightedMean::SelfNormalised] {
            let loss = config(mean).init();
            assert_shards_are_the_whole(name, &x, |x| {
                loss.forward(x, &clusters, &classes, &drawn).mean
            });
        }
    }
}

#[test]
fn half_precision_is_computed_in_single() {
    let (x, clusters, classes, _) = index();
    for (_, drawn) in two_forms() {
        let loss = config(WeightedMean::SelfNormalised).init();
        let half = x.leaf(DType::F32).inner().cast(DType::BF16);
        let exact = loss.forward(half.clone().cast(DType::F32), &clusters, &classes, &drawn);
        let output = loss.forward(half, &clusters, &classes, &drawn);
        assert_eq!(output.mean.dtype(), DType::F32);
        assert_eq!(output.read(), exact.read());
    }
}

#[test]
fn scale_shift_and_order_change_nothing() {
    let (x, clusters, classes, _) = index();
    let order = [7, 2, 11, 0, 5, 9, 14, 3, 1, 10, 4, 12, 6, 8, 13];
    let reordered = order.map(|row| clusters[row]);
    for (_, drawn) in two_forms() {
        let loss = config(WeightedMean::SelfNormalised).init();
        let value = |x: &Matrix, clusters: &[usize]| {
            differentiate(x, |x| loss.forward(x, clusters, &classes, &drawn).mean).0
        };
        let want = [value(&x, &clusters)];
        for scale in [1e4, 1e-4] {
            let scaled = x.map(|v| v * scale);
            assert_close(&[value(&scaled, &clusters)], &want, 1e-5, 0.0);
        }
        assert_close(&[value(&x.map(|v| v + 3.0), &clusters)], &want, 1e-5, 0.0);
        assert_close(&[value(&x.select(&order), &reordered)], &want, 1e-5, 0.0);
    }
}

#[test]
fn the_collapse_level_is_averaged_as_the_loss_is() {
    let (x, clusters, classes, _) = index();
    let [_, (_, drawn)] = two_forms();
    let output = config(WeightedMean::SelfNormalised)
        .init()
        .forward(x.leaf(DType::F32), &clusters, &classes, &drawn)
        .read();
    // Both neighbourhoods have three clusters of three classes.
    assert_close(
        &[f64::from(output.get(Statistic::CollapseLevel).unwrap())],
        &[pinned_level(1.0, 3)],
        1e-6,
        0.0,
    );
}
