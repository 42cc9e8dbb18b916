//! Eigenvalues of a symmetric matrix: Householder's reduction to three diagonals, then shifted QL steps.
//!
//! Golub, Van Loan, *Matrix Computations*, sections 8.3.1 and 8.3.3. Eigenvectors are not formed, which leaves `4/3 n³`
//! multiplications: about a second for a covariance of 1024 dimensions. By hand, because nalgebra would bring ten crates into the
//! tree of this one, for 110 lines that every report needs.

/// The eigenvalues of the symmetric row-major `matrix`, `[n, n]`, ascending.
pub(crate) fn symmetric_eigenvalues(mut matrix: Vec<f64>, n: usize) -> Vec<f64> {
    assert_eq!(
        matrix.len(),
        n * n,
        "{} values for a square of {n}",
        matrix.len()
    );
    let (mut diagonal, mut beside) = tridiagonal(&mut matrix, n);
    shifted_ql(&mut diagonal, &mut beside);
    diagonal.sort_unstable_by(f64::total_cmp);
    diagonal
}

/// Reflects one row and column after the other onto the diagonal and its neighbours.
///
/// Returns the diagonal `[n]`, and beside it `[n]`: entry `i` stands between `i` and `i + 1`, the last is 0.
fn tridiagonal(a: &mut [f64], n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut beside = vec![0.0; n];
    let (mut v, mut p) = (vec![0.0; n], vec![0.0; n]);
    for k in 0..n.saturating_sub(1) {
        // Column k below the diagonal is reflected onto its first entry.
        let column = |a: &[f64], i: usize| a[i * n + k];
        let length = (k + 1..n).map(|i| column(a, i).powi(2)).sum::<f64>().sqrt();
        if length == 0.0 {
            continue;
        }
        let head = column(a, k + 1);
        let image = -length.copysign(head);
        beside[k] = image;
        v[k + 1..]
            .iter_mut()
            .zip(k + 1..)
            .for_each(|(v, i)| *v = column(a, i));
        v[k + 1] -= image;
        // 2 / ‖v‖², without the cancellation of summing it again.
        let scale = 1.0 / (length * (length + head.abs()));
        for i in k + 1..n {
            let line = &a[i * n + k + 1..(i + 1) * n];
            p[i] = scale
                * line
                    .iter()
                    .zip(&v[k + 1..])
                    .map(|(a, v)| a * v)
                    .sum::<f64>();
        }
        let half = 0.5 * scale * (k + 1..n).map(|i| p[i] * v[i]).sum::<f64>();
        (k + 1..n).for_each(|i| p[i] -= half * v[i]);
        for i in k + 1..n {
            let (vi, pi) = (v[i], p[i]);
            let line = &mut a[i * n + k + 1..(i + 1) * n];
            for ((a, v), p) in line.iter_mut().zip(&v[k + 1..]).zip(&p[k + 1..]) {
                *a -= vi * p + pi * v;
            }
        }
    }
    ((0..n).map(|i| a[i * n + i]).collect(), beside)
}

/// Drives the entries beside the diagonal to zero; the diagonal then holds the eigenvalues.
fn shifted_ql(diagonal: &mut [f64], beside: &mut [f64]) {
    let n = diagonal.len();
    for first in 0..n {
        // Convergence is cubic: more than some steps happen only if the values are not finite.
        for _ in 0..60 {
            let small = |i: &usize| {
                beside[*i].abs() <= f64::EPSILON * (diagonal[*i].abs() + diagonal[i + 1].abs())
            };
            let last = (first..n - 1).find(small).unwrap_or(n - 1);
            if last == first {
                break;
            }
            // Wilkinson's shift, from the upper left block of two.
            let slope = (diagonal[first + 1] - diagonal[first]) / (2.0 * beside[first]);
            let root = slope.hypot(1.0);
            let mut g =
                diagonal[last] - diagonal[first] + beside[first] / (slope + root.copysign(slope));
            let (mut sine, mut cosine, mut carried) = (1.0, 1.0, 0.0);
            let mut split = None;
            for i in (first..last).rev() {
                let f = sine * beside[i];
                let b = cosine * beside[i];
                let radius = f.hypot(g);
                beside[i + 1] = radius;
                if radius == 0.0 {
                    split = Some(i);
                    break;
                }
                sine = f / radius;
                cosine = g / radius;
                g = diagonal[i + 1] - carried;
                let turned = (diagonal[i] - g) * sine + 2.0 * cosine * b;
                carried = sine * turned;
                diagonal[i + 1] = g + carried;
                g = cosine * turned - b;
            }
            match split {
                // The matrix fell into two in the middle of the step.
                Some(i) => diagonal[i + 1] -= carried,
                None => {
                    diagonal[first] -= carried;
                    beside[first] = g;
                }
            }
            beside[last] = 0.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(matrix: &[f64], n: usize, expected: &[f64]) {
        let got = symmetric_eigenvalues(matrix.to_vec(), n);
        for (got, expected) in got.iter().zip(expected) {
            assert!(
                (got - expected).abs() < 1e-10,
                "{got} instead of {expected}"
            );
        }
    }

    #[test]
    fn small_matrices_by_hand() {
        check(&[3.0], 1, &[3.0]);
        check(&[2.0, 1.0, 1.0, 2.0], 2, &[1.0, 3.0]);
        check(&[0.0; 9], 3, &[0.0; 3]);
        check(
            &[5.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 2.0],
            3,
            &[-1.0, 2.0, 5.0],
        );
        // All ones: n once, 0 for the rest.
        check(&[1.0; 16], 4, &[0.0, 0.0, 0.0, 4.0]);
        // A path of five: 2 cos(πj/6).
        let mut path = vec![0.0; 25];
        for i in 0..4 {
            path[i * 5 + i + 1] = 1.0;
            path[(i + 1) * 5 + i] = 1.0;
        }
        let root = 3.0_f64.sqrt();
        check(&path, 5, &[-root, -1.0, 0.0, 1.0, root]);
    }

    proptest! {
        #[test]
        fn sum_and_sum_of_squares_are_those_of_the_matrix(n in 1_usize..12, values in prop::collection::vec(-10.0_f64..10.0, 144)) {
            let mut matrix = vec![0.0; n * n];
            for i in 0..n {
                for j in 0..n {
                    matrix[i * n + j] = values[i.max(j) * 12 + i.min(j)];
                }
            }
            let eigenvalues = symmetric_eigenvalues(matrix.clone(), n);
            let trace: f64 = (0..n).map(|i| matrix[i * n + i]).sum();
            let squares: f64 = matrix.iter().map(|x| x * x).sum();
            prop_assert!((eigenvalues.iter().sum::<f64>() - trace).abs() < 1e-9);
            prop_assert!((eigenvalues.iter().map(|x| x * x).sum::<f64>() - squares).abs() < 1e-7 * (1.0 + squares));
        }
    }
}
