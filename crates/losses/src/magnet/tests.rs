//! The magnet loss against hand-made batches, and its invariants.

use burn::tensor::{DType, Tensor};

use super::{MagnetLossConfig, OwnMean, pinned_level, uninformed_level};
use crate::output::Statistic;
use crate::testing::{
    Matrix, assert_close, assert_close_to_largest, assert_gradient_is_slope, differentiate,
    log_sum_exp, number,
};

/// Three clusters of two on a small grid; their means are (1, 0), (2, 1), (1, 2) and the variance is 6 / 5.
pub(super) fn batch_a() -> Matrix {
    Matrix::of(&[[0., 0.], [2., 0.], [1., 1.], [3., 1.], [0., 2.], [2., 2.]])
}

pub(super) const PAIRS: [usize; 6] = [0, 0, 1, 1, 2, 2];

pub(super) fn mean(gap: f64, clusters: &[usize], classes: &[usize], x: Tensor<2>) -> Tensor<1> {
    of_gap(gap).init().forward(x, clusters, classes).mean
}

pub(super) fn per_example(gap: f64, clusters: &[usize], classes: &[usize], x: &Matrix) -> Vec<f64> {
    let loss = of_gap(gap).init();
    let output = loss.forward(x.leaf(DType::F32), clusters, classes).read();
    output.per_example.into_iter().map(f64::from).collect()
}

/// Eq. 5 as plain loops, in f64, without the hinge: the value of each example.
pub(super) fn unhinged_by_loops(
    config: &MagnetLossConfig,
    clusters: &[usize],
    classes: &[usize],
    x: &Matrix,
) -> Vec<f64> {
    let squared =
        |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
    let mean_of = |rows: &[usize]| {
        let mut mean = vec![0.0; x.columns];
        for &i in rows {
            for (k, mean) in mean.iter_mut().enumerate() {
                *mean += x.row(i)[k] / rows.len() as f64;
            }
        }
        mean
    };
    let members = |m: usize| {
        (0..x.rows)
            .filter(|&i| clusters[i] == m)
            .collect::<Vec<_>>()
    };
    let means = (0..classes.len())
        .map(|m| mean_of(&members(m)))
        .collect::<Vec<_>>();
    let to_plain_mean = |i: usize| squared(x.row(i), &means[clusters[i]]);
    let variance = (0..x.rows).map(to_plain_mean).sum::<f64>() / (x.rows - 1) as f64;
    let twice = 2.0 * config.temperature * variance;
    let own = |i: usize| match config.own_mean {
        OwnMean::Plain => to_plain_mean(i),
        OwnMean::LeaveOneOut => {
            let mut others = members(clusters[i]);
            others.retain(|&other| other != i);
            squared(x.row(i), &mean_of(&others))
        }
    };
    let unhinged = |i: usize| {
        let imposters = (0..classes.len()).filter(|&j| classes[j] != classes[clusters[i]]);
        let exponents = imposters.map(|j| -squared(x.row(i), &means[j]) / twice);
        own(i) / twice + config.gap + log_sum_exp(exponents.collect::<Vec<_>>().into_iter())
    };
    (0..x.rows).map(unhinged).collect()
}

/// The loss as plain loops.
pub(super) fn by_loops(
    config: &MagnetLossConfig,
    clusters: &[usize],
    classes: &[usize],
    x: &Matrix,
) -> f64 {
    let unhinged = unhinged_by_loops(config, clusters, classes, x);
    unhinged.iter().map(|value| value.max(0.0)).sum::<f64>() / x.rows as f64
}

fn of_gap(gap: f64) -> MagnetLossConfig {
    MagnetLossConfig {
        gap,
        ..Default::default()
    }
}

/// Clusters of unequal size in mixed order, two of them siblings.
pub(super) fn mixed() -> (Matrix, Vec<usize>, Vec<usize>) {
    let clusters = vec![3, 0, 1, 2, 0, 1, 3, 2, 2, 1, 0, 0];
    let noise = Matrix::random(clusters.len(), 3, 7);
    let centre = Matrix::random(4, 3, 8);
    let values = (0..clusters.len() * 3)
        .map(|at| noise.values[at] + 1.5 * centre.row(clusters[at / 3])[at % 3]);
    (
        Matrix::new(clusters.len(), 3, values.collect()),
        clusters,
        vec![0, 0, 1, 2],
    )
}

#[test]
fn a_batch_made_by_hand_has_its_losses_and_gradients() {
    let a = batch_a();
    let want = [
        0.02648051, 1.17300799, 1.69314718, 0.02648051, 0.02648051, 1.17300799,
    ];
    assert_close(&per_example(1.0, &PAIRS, &[0, 1, 2], &a), &want, 1e-5, 1e-6);
    for (gap, want) in [(0.0, 0.17319386), (1.0, 0.68643412), (3.0, 2.68643412)] {
        let (value, _) = differentiate(&a, |x| mean(gap, &PAIRS, &[0, 1, 2], x));
        assert_close(&[value], &[want], 1e-5, 0.0);
    }
    let (_, gradient) = differentiate(&a, |x| mean(1.0, &PAIRS, &[0, 1, 2], x));
    let want = [
        -0.191999, 0.369287, 0.469777, 0.321908, -0.584976, 0.0, 0.029420, 0.0, -0.191999,
        -0.369287, 0.469777, -0.321908,
    ];
    assert_close(&gradient.values, &want, 0.0, 1.5e-6);
}

#[test]
fn a_constant_variance_has_the_other_gradient() {
    let loss = MagnetLossConfig {
        gap: 1.0,
        detach_variance: true,
        ..Default::default()
    }
    .init();
    let (_, gradient) = differentiate(&batch_a(), |x| loss.forward(x, &PAIRS, &[0, 1, 2]).mean);
    let want = [
        0.115199, 0.369287, 0.162579, 0.321908, -0.277778, 0.0, -0.277778, 0.0, 0.115199,
        -0.369287, 0.162579, -0.321908,
    ];
    assert_close(&gradient.values, &want, 0.0, 1.5e-6);
    // Then growing the embeddings looks like progress, which is why it is not the default.
    let radial = gradient
        .values
        .iter()
        .zip(&batch_a().values)
        .map(|(g, x)| g * x)
        .sum::<f64>();
    assert_close(&[radial], &[-1.8432], 1e-4, 0.0);
}

#[test]
fn loops_written_from_the_paper_agree() {
    let (x, clusters, classes) = mixed();
    for gap in [0.0, 1.0, 7.18] {
        let (value, _) = differentiate(&x, |x| mean(gap, &clusters, &classes, x));
        let want = by_loops(&of_gap(gap), &clusters, &classes, &x);
        assert_close(&[value], &[want], 1e-5, 1e-6);
    }
}

/// Magnet loss whose variance counts a tenth.
fn tempered() -> MagnetLossConfig {
    MagnetLossConfig {
        gap: 2.0,
        temperature: 0.1,
        ..Default::default()
    }
}

#[test]
fn a_temperature_multiplies_the_variance_and_leaves_the_loss_without_a_length_scale() {
    let (x, clusters, classes) = mixed();
    let loss = tempered().init();
    let want = by_loops(&tempered(), &clusters, &classes, &x);
    for scale in [1.0, 7.0] {
        let scaled = x.values.iter().map(|value| scale * value).collect();
        let scaled = Matrix::new(x.rows, x.columns, scaled);
        let (value, _) = differentiate(&scaled, |x| loss.forward(x, &clusters, &classes).mean);
        assert_close(&[value], &[want], 1e-5, 1e-6);
    }
    assert_gradient_is_slope(&x, |x| loss.forward(x, &clusters, &classes).mean);
}

#[test]
fn embeddings_in_f64_get_the_loss_of_the_loops_to_the_last_digits() {
    // Two of the clusters have three examples, whose mean no f32 weight gives.
    let (x, clusters, classes) = mixed();
    let loss = mean(1.0, &clusters, &classes, x.leaf(DType::F64));
    let value = loss.into_data().convert::<f64>().as_slice::<f64>().unwrap()[0];
    assert_close(
        &[value],
        &[by_loops(&of_gap(1.0), &clusters, &classes, &x)],
        1e-13,
        0.0,
    );
}

#[test]
fn gradient_is_the_slope_through_means_and_variance() {
    let (x, clusters, classes) = mixed();
    assert_gradient_is_slope(&x, |x| mean(1.0, &clusters, &classes, x));
}

#[test]
fn shifting_and_turning_change_nothing() {
    let (x, clusters, classes) = mixed();
    let (value, gradient) = differentiate(&x, |x| mean(1.0, &clusters, &classes, x));
    let (sine, cosine) = 0.7f64.sin_cos();
    let turned = (0..x.rows).flat_map(|i| {
        let r = x.row(i);
        [
            cosine * r[0] - sine * r[1] + 3.0,
            sine * r[0] + cosine * r[1] - 5.0,
            r[2] + 1.0,
        ]
    });
    let turned = Matrix::new(x.rows, 3, turned.collect());
    let (of_turned, _) = differentiate(&turned, |x| mean(1.0, &clusters, &classes, x));
    assert_close(&[of_turned], &[value], 1e-5, 0.0);
    for column in 0..3 {
        let sum = (0..x.rows).map(|i| gradient.row(i)[column]).sum::<f64>();
        assert_close(&[sum], &[0.0], 0.0, 1e-5);
    }
}

#[test]
fn order_of_examples_and_of_clusters_does_not_matter() {
    let (x, clusters, classes) = mixed();
    let (value, gradient) = differentiate(&x, |x| mean(1.0, &clusters, &classes, x));
    let rows = [5, 2, 11, 0, 7, 9, 1, 10, 3, 8, 4, 6];
    let rename = [2, 0, 3, 1];
    let moved_clusters = rows
        .iter()
        .map(|&r| rename[clusters[r]])
        .collect::<Vec<_>>();
    let mut moved_classes = [0; 4];
    for (old, &new) in rename.iter().enumerate() {
        moved_classes[new] = classes[old];
    }
    let (moved, slope) = differentiate(&x.select(&rows), |x| {
        mean(1.0, &moved_clusters, &moved_classes, x)
    });
    assert_close(&[moved], &[value], 1e-5, 0.0);
    assert_close_to_largest(
        "permuted",
        &slope.values,
        &gradient.select(&rows).values,
        2e-5,
    );
}

#[test]
fn the_gap_shifts_every_active_example() {
    let (x, clusters, classes) = mixed();
    let (low, high) = (
        per_example(20.0, &clusters, &classes, &x),
        per_example(22.5, &clusters, &classes, &x),
    );
    let shifts = low
        .iter()
        .zip(&high)
        .map(|(l, h)| h - l)
        .collect::<Vec<_>>();
    assert_close(&shifts, &[2.5; 12], 0.0, 1e-5);
}

#[test]
fn points_on_their_means_stay_finite_and_are_reported() {
    let x = Matrix::of(&[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]);
    let loss = MagnetLossConfig::default().init();
    let (value, _) = differentiate(&x, |x| loss.forward(x, &[0, 0, 1, 1], &[0, 1]).mean);
    assert_eq!(value, 0.0);
    for x in [x, Matrix::new(4, 2, vec![0.0; 8])] {
        let output = loss
            .forward(x.leaf(DType::F32), &[0, 0, 1, 1], &[0, 1])
            .read();
        assert_eq!(output.get(Statistic::VarianceFloored), Some(1.0));
        assert!(output.per_example.iter().all(|l| l.is_finite()));
    }
}

#[test]
fn statistics_say_who_is_hinged_out_and_how_far_imposters_are() {
    let loss = MagnetLossConfig::default().init();
    let output = loss
        .forward(batch_a().leaf(DType::F32), &PAIRS, &[0, 1, 1])
        .read();
    assert_eq!(output.get(Statistic::HingedOut), Some(0.5));
    // Squared distances to the nearest imposter less the own 1, over 2.4: (4, 0, 0, 4, 4, 4 less ...) by hand below.
    let nearest = [5.0, 1.0, 1.0, 5.0, 5.0, 5.0];
    let want = nearest.iter().map(|s| (s - 1.0) / 2.4).sum::<f64>() / 6.0;
    assert_close(
        &[f64::from(output.get(Statistic::ImposterGap).unwrap())],
        &[want],
        1e-5,
        0.0,
    );
}

#[test]
fn large_batches_take_the_expanded_distances_and_agree() {
    // 512 rows × 64 clusters × 513 numbers is just past the limit for differences.
    let clusters = (0..512).map(|row| row % 64).collect::<Vec<_>>();
    let classes = (0..64).collect::<Vec<_>>();
    let x = Matrix::random(512, 513, 3);
    let (value, _) = differentiate(&x, |x| mean(1.0, &clusters, &classes, x));
    assert_close(
        &[value],
        &[by_loops(&of_gap(1.0), &clusters, &classes, &x)],
        1e-5,
        0.0,
    );
}

#[test]
fn embeddings_that_know_nothing_lose_the_uninformed_level() {
    // Directions enough for the scatter of the exponents to be small at the lowest temperature.
    let many = 2048;
    for (gap, temperature, clusters, per_cluster, directions) in [
        (2.43, 1.0, 12, 4, 64),
        (7.18, 1.0, 8, 4, 64),
        (0.7, 1.0, 12, 4, 64),
        (1.0, 3.0, 4, 2, 64),
        (1.0, 0.3, 12, 4, many),
        (1.0, 0.1, 12, 4, many),
        (1.0, 0.1, 6, 8, many),
    ] {
        for own_mean in [OwnMean::Plain, OwnMean::LeaveOneOut] {
            let config = MagnetLossConfig {
                gap,
                temperature,
                own_mean,
                ..Default::default()
            };
            let ids = (0..clusters * per_cluster)
                .map(|row| row / per_cluster)
                .collect::<Vec<_>>();
            let classes = (0..clusters).collect::<Vec<_>>();
            let draws = if directions == many { 3 } else { 20 };
            let total = (0..draws)
                .flat_map(|seed| {
                    let x = Matrix::random(ids.len(), directions, 100 + seed);
                    unhinged_by_loops(&config, &ids, &classes, &x)
                })
                .sum::<f64>();
            let found = total / (draws as usize * ids.len()) as f64;
            let level = uninformed_level(&config, clusters, per_cluster);
            assert!(
                (found - level).abs() < 0.03,
                "{config:?} with {clusters} clusters of {per_cluster}: {found}, not {level}"
            );
        }
    }
    assert_close(&[pinned_level(2.43, 12)], &[4.828], 0.0, 1e-3);
}

#[test]
fn the_uninformed_level_has_the_values_that_were_worked_out_by_hand() {
    let level = |gap, temperature, own_mean, clusters, per_cluster| {
        let config = MagnetLossConfig {
            gap,
            temperature,
            own_mean,
            ..Default::default()
        };
        uninformed_level(&config, clusters, per_cluster)
    };
    use OwnMean::{LeaveOneOut, Plain};
    let got = [
        level(2.43, 1.0, Plain, 12, 4),
        level(7.18, 1.0, Plain, 8, 4),
        // 1 + ln 11 - 47/48 / (0.1 · 3) and 1 + ln 11 + 47/48 / (2 · 0.1 · 9)
        level(1.0, 0.1, Plain, 12, 4),
        level(1.0, 0.1, LeaveOneOut, 12, 4),
    ];
    assert_close(&got, &[4.502, 8.803, 0.1340, 3.9419], 0.0, 1e-3);
}

/// A gap that keeps every example of [`mixed`] above the hinge, so that its factor shows in each.
fn left_out() -> MagnetLossConfig {
    MagnetLossConfig {
        gap: 3.0,
        temperature: 0.5,
        own_mean: OwnMean::LeaveOneOut,
        ..Default::default()
    }
}

#[test]
fn the_own_mean_without_the_example_is_that_of_the_clusters_others() {
    // Clusters of two, three and four: D is that of each cluster.
    let (x, clusters, classes) = mixed();
    let loss = left_out().init();
    let want = unhinged_by_loops(&left_out(), &clusters, &classes, &x);
    let output = loss.forward(x.leaf(DType::F64), &clusters, &classes);
    let got = output.per_example.into_data().convert::<f64>();
    let got = got.as_slice::<f64>().unwrap();
    let hinged = want.iter().map(|value| value.max(0.0)).collect::<Vec<_>>();
    // Exponents of about 10 cancel to losses of about 1.
    assert_close(got, &hinged, 1e-13, 1e-13);
    let (value, _) = differentiate(&x, |x| loss.forward(x, &clusters, &classes).mean);
    let mean = hinged.iter().sum::<f64>() / hinged.len() as f64;
    assert_close(&[value], &[mean], 1e-5, 0.0);
    assert_gradient_is_slope(&x, |x| loss.forward(x, &clusters, &classes).mean);
}

#[test]
fn leaving_the_example_out_of_its_mean_multiplies_the_own_exponent_alone() {
    // Pairs: D = 2, so the own distance counts four times. v = 6 / 5, every own squared distance is 1.
    let config = MagnetLossConfig {
        own_mean: OwnMean::LeaveOneOut,
        ..of_gap(3.0)
    };
    let output = config
        .init()
        .forward(batch_a().leaf(DType::F32), &PAIRS, &[0, 1, 2])
        .read();
    let plain = per_example(3.0, &PAIRS, &[0, 1, 2], &batch_a());
    let want = plain
        .iter()
        .map(|value| value + 3.0 / 2.4)
        .collect::<Vec<_>>();
    let got = output.per_example.iter().map(|&value| f64::from(value));
    assert_close(&got.collect::<Vec<_>>(), &want, 1e-5, 0.0);
    // The variance is that of the plain means.
    let variance = output.get(Statistic::Variance).unwrap();
    assert_close(&[f64::from(variance)], &[1.2], 1e-6, 0.0);
}

#[test]
fn a_cluster_of_one_example_has_no_mean_of_its_others() {
    let x = Matrix::of(&[[0.0, 0.0], [2.0, 0.0], [1.0, 1.0]]);
    let forward = |config: MagnetLossConfig| {
        let loss = config.init();
        std::panic::catch_unwind(|| loss.forward(x.leaf(DType::F32), &[0, 0, 1], &[0, 1]))
    };
    assert!(forward(of_gap(3.0)).is_ok());
    let refused = forward(left_out()).unwrap_err();
    let reason = refused.downcast_ref::<String>().unwrap();
    assert!(reason.contains("has one example"), "{reason}");
}

#[test]
fn a_collapsed_batch_would_lose_the_collapse_level() {
    let loss = MagnetLossConfig::default().init();
    let level = |classes: &[usize]| {
        let output = loss.forward(batch_a().leaf(DType::F32), &PAIRS, classes);
        number(output.statistics.get(Statistic::CollapseLevel).unwrap())
    };
    assert_close(&[level(&[0, 1, 2])], &[pinned_level(1.0, 3)], 1e-6, 0.0);
    // Cluster 0 has two imposters, each of the siblings 1 and 2 has one: 1 + (ln 2 + 0 + 0) / 3.
    assert_close(&[level(&[0, 1, 1])], &[1.0 + 2f64.ln() / 3.0], 1e-6, 0.0);
}
