//! Mistakes that public codes of the magnet loss have made, each a test with the defect's name and its number in the list
//! of pitfalls of the specification. Those of the list that are missing here belong to sampling, evaluation or training.

use burn::tensor::DType;

use super::tests::{PAIRS, batch_a, mean, mixed, per_example};
use super::{ImportanceMagnetLossConfig, MagnetLossConfig, Neighbourhood};
use crate::output::Statistic;
use crate::testing::{
    Matrix, assert_close, assert_close_to_largest, differentiate, mersenne_twister, number,
};

/// The batch on which the oldest public code is tested: `numpy.random.RandomState(42).rand(24, 8)`.
fn uniform_batch() -> Matrix {
    let values = mersenne_twister(42, 24 * 8);
    assert_eq!(values[0], 0.3745401188473625);
    Matrix::new(24, 8, values)
}

#[test]
fn defect_1_variance_squared_twice() {
    let (x, clusters) = (
        uniform_batch(),
        (0..24).map(|row| row / 4).collect::<Vec<_>>(),
    );
    for (classes, want) in [
        ([0, 1, 2, 3, 4, 5], 2.3396316),
        ([0, 1, 1, 3, 4, 5], 2.2603454),
    ] {
        // With the variance squared: 2.1448281 and 2.0619006.
        let (value, _) = differentiate(&x, |x| mean(1.0, &clusters, &classes, x));
        assert_close(&[value], &[want], 1e-5, 0.0);
    }

    // The loss has no scale, so neither value nor direction may change with the embeddings' size.
    let (x, clusters, classes) = mixed();
    let (value, gradient) = differentiate(&x, |x| mean(1.0, &clusters, &classes, x));
    for scale in [7.0, 1e4, 1e-4] {
        let scaled = x.map(|v| v * scale);
        let (of_scaled, slope) = differentiate(&scaled, |x| mean(1.0, &clusters, &classes, x));
        assert_close(&[of_scaled], &[value], 1e-5, 0.0);
        assert_close_to_largest(
            "scaled",
            &slope.map(|g| g * scale).values,
            &gradient.values,
            2e-5,
        );
    }
    let radial = gradient
        .values
        .iter()
        .zip(&x.values)
        .map(|(g, x)| g * x)
        .sum::<f64>();
    assert_close(&[radial], &[0.0], 0.0, 1e-5);
}

#[test]
fn defect_2_own_cluster_masked_instead_of_own_class() {
    let want = [0.02648051, 1.17300799, 1.0, 0.0, 0.0, 0.0];
    assert_close(
        &per_example(1.0, &PAIRS, &[0, 1, 1], &batch_a()),
        &want,
        1e-5,
        1e-6,
    );
    let (value, gradient) = differentiate(&batch_a(), |x| mean(1.0, &PAIRS, &[0, 1, 1], x));
    // A mask of the own cluster instead of the own class gives 0.68643412.
    assert_close(&[value], &[0.36658142], 1e-5, 0.0);
    let want = [
        -0.037858, 0.277778, 0.224126, 0.230398, -0.246192, -0.232023, 0.107303, -0.093134,
        -0.130992, -0.091510, 0.083613, -0.091510,
    ];
    assert_close(&gradient.values, &want, 0.0, 1.5e-6);
}

#[test]
fn defect_3_no_log_sum_exp() {
    let f = Matrix::of(&[[0., 0.], [2., 0.], [1000., 0.], [1000., 2.]]);
    let (value, gradient) = differentiate(&f, |x| mean(1.0, &[0, 0, 1, 1], &[0, 1], x));
    assert_eq!((value, gradient.values), (0.0, vec![0.0; 8]));
    let (value, gradient) = differentiate(&f, |x| mean(400_000.0, &[0, 0, 1, 1], &[0, 1], x));
    assert_close(&[value], &[25749.25], 1e-5, 0.0);
    assert!(
        gradient.values.iter().any(|g| g.abs() > 1.0),
        "a wrong example far away must be pulled"
    );
}

#[test]
fn defect_4_epsilon_in_the_log_caps_the_loss() {
    let b = Matrix::of(&[[0., 0.], [2., 0.], [10., 0.], [10., 2.]]);
    // 1e-8 inside the logarithm would stop at 18.42.
    assert_close(
        &per_example(50.0, &[0, 0, 1, 1], &[0, 1], &b),
        &[12.5, 26.0, 20.0, 18.5],
        1e-5,
        0.0,
    );
    assert_eq!(per_example(1.0, &[0, 0, 1, 1], &[0, 1], &b), [0.0; 4]);
    let f = Matrix::of(&[[0., 0.], [2., 0.], [1000., 0.], [1000., 2.]]);
    let want = [25000.0, 26498.5, 25750.0, 25748.5];
    assert_close(
        &per_example(400_000.0, &[0, 0, 1, 1], &[0, 1], &f),
        &want,
        1e-5,
        0.0,
    );
}

#[test]
fn defect_11_another_divisor_or_a_variance_per_cluster() {
    // Six squared distances of 1 to the own mean, over 6 - 1; over 6 it would be 1, over 3 · (2 - 1) it would be 2.
    let loss = MagnetLossConfig::default().init();
    let output = loss.forward(batch_a().leaf(DType::F32), &PAIRS, &[0, 1, 2]);
    assert_close(
        &[number(output.statistics.get(Statistic::Variance).unwrap())],
        &[1.2],
        1e-6,
        0.0,
    );
}

#[test]
fn defect_16_division_by_a_sum_of_zeros() {
    let (x, clusters, classes) = mixed();
    let never = Neighbourhood {
        clusters: vec![0, 2],
        probability: 0.0,
        proposal: 0.5,
    };
    let loss = ImportanceMagnetLossConfig::default().init();
    let forward = |x| loss.forward(x, &clusters, &classes, &[never.clone(), never.clone()]);
    let (value, gradient) = differentiate(&x, |x| forward(x).mean);
    assert_eq!((value, gradient.values), (0.0, vec![0.0; 36]));
    let output = forward(x.leaf(DType::F32)).read();
    assert_eq!(output.get(Statistic::EffectiveSampleSize), Some(0.0));
}
