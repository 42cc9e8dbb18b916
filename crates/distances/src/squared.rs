//! One tile of squared distances by `‖q‖² + ‖p‖² - 2 q·p`: the product runs at the speed of the matrix kernel, many times
//! that of subtracting pair by pair.
//! What this costs in accuracy stands in the crate's documentation.

use gemm::Parallelism;

use crate::Rows;

/// `‖row‖²` of each row, `[rows]`.
pub fn squared_norms(rows: Rows) -> Vec<f32> {
    rows.iter()
        .map(|row| lanes_sum(row, row, |x, _| x * x))
        .collect()
}

/// `‖a - b‖²` by subtraction: no cancellation, and exactly 0 for equal rows.
///
/// # Panics
/// If the rows differ in length.
pub fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(
        a.len(),
        b.len(),
        "rows of {} and {} values have no distance",
        a.len(),
        b.len()
    );
    lanes_sum(a, b, |x, y| (x - y) * (x - y))
}

/// Fills `out[q * points.len() + p]` with `max(0, ‖queries[q]‖² + point_norms[p] - 2 queries[q]·points[p])`.
///
/// Runs on the calling thread. A NaN on either side stays NaN. The crate page has an [example](crate#example) and the
/// [error bound](crate#accuracy).
///
/// # Shapes
/// - queries: `[q, dim]`, points: `[p, dim]`
/// - point_norms: `[p]`, from [`squared_norms`], so that a walk over many tiles computes them once
/// - out: `[q, p]`, row-major
///
/// # Panics
/// If these shapes disagree.
pub fn squared_distances(queries: Rows, points: Rows, point_norms: &[f32], out: &mut [f32]) {
    let dim = points.dim();
    assert_eq!(queries.dim(), dim, "queries and points differ in dimension");
    assert_eq!(
        point_norms.len(),
        points.len(),
        "norms and points differ in number"
    );
    let strides = Strides {
        point: dim,
        value: 1,
    };
    expand(queries, points.values(), strides, point_norms, out);
}

/// As [`squared_distances`] for points that are stored coordinate by coordinate: all first values, then all second values.
///
/// The matrix kernel reads that order as it is, where it must copy rows first. So a search that compares the same points with
/// a few queries again and again (K-means) stores them this way once.
///
/// # Shapes
/// - queries: `[q, dim]`, columns: `[dim, p]`
/// - point_norms: `[p]`
/// - out: `[q, p]`, row-major
///
/// # Panics
/// If these shapes disagree.
pub fn squared_distances_to_columns(
    queries: Rows,
    columns: &[f32],
    point_norms: &[f32],
    out: &mut [f32],
) {
    let (p, dim) = (point_norms.len(), queries.dim());
    assert_eq!(
        columns.len(),
        p * dim,
        "{p} points of {dim} values were announced"
    );
    expand(
        queries,
        columns,
        Strides { point: 1, value: p },
        point_norms,
        out,
    );
}

/// Steps in memory from one point to the next, and from one value of a point to the next.
#[derive(Clone, Copy)]
struct Strides {
    point: usize,
    value: usize,
}

fn expand(queries: Rows, points: &[f32], strides: Strides, point_norms: &[f32], out: &mut [f32]) {
    let (q, p) = (queries.len(), point_norms.len());
    assert_eq!(out.len(), q * p, "there must be {q} x {p} places");
    if p == 0 {
        return;
    }
    for (line, query) in out.chunks_exact_mut(p).zip(queries.iter()) {
        let norm = lanes_sum(query, query, |x, _| x * x);
        for (entry, point_norm) in line.iter_mut().zip(point_norms) {
            *entry = norm + point_norm;
        }
    }
    subtract_twice_the_product(queries, points, strides, out);
    for entry in out {
        // Written so that a NaN is kept: `max` would turn it into the distance of a perfect match.
        if *entry < 0.0 {
            *entry = 0.0;
        }
    }
}

/// `out -= 2 queries pointsᵀ`; there is at least one point.
#[allow(unsafe_code, reason = "the matrix kernel takes pointers and strides")]
fn subtract_twice_the_product(queries: Rows, points: &[f32], strides: Strides, out: &mut [f32]) {
    let (q, dim) = (queries.len(), queries.dim());
    let p = points.len() / dim;
    assert_eq!(out.len(), q * p);
    // The last value of the last point is the farthest that the strides reach.
    let reach = (p - 1) * strides.point + (dim - 1) * strides.value + 1;
    assert_eq!(reach, points.len());
    // SAFETY: the three pointers come from slices of q*dim, p*dim and q*p values (`Rows` checks its length, the assertions
    // above the others); the strides address exactly these, and `out` is borrowed mutably, so it overlaps neither input.
    unsafe {
        gemm::gemm(
            q,
            p,
            dim,
            out.as_mut_ptr(),
            1,
            p as isize,
            true,
            queries.values().as_ptr(),
            1,
            dim as isize,
            points.as_ptr(),
            strides.point as isize,
            strides.value as isize,
            1.0,
            -2.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// `Σ term(a[i], b[i])` in sixteen partial sums, which the compiler keeps in vector registers and which also shrink the
/// rounding error against one long sum.
fn lanes_sum(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    const LANES: usize = 16;
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            sums[lane] += term(a[lane], b[lane]);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(&x, &y)| term(x, y)).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tile(queries: Rows, points: Rows) -> Vec<f32> {
        let mut out = vec![f32::NAN; queries.len() * points.len()];
        squared_distances(queries, points, &squared_norms(points), &mut out);
        out
    }

    #[test]
    fn whole_numbers_give_exact_distances_in_every_shape() {
        for (q, p, dim) in [
            (1, 1, 1),
            (3, 5, 2),
            (17, 33, 19),
            (2, 70, 100),
            (64, 1, 7),
            (0, 3, 2),
        ] {
            let values = |n: usize, k: usize| -> Vec<f32> {
                (0..n).map(|i| ((i * k) % 23) as f32 - 11.0).collect()
            };
            let (a, b) = (values(q * dim, 7), values(p * dim, 5));
            let (queries, points) = (Rows::new(&a, dim).unwrap(), Rows::new(&b, dim).unwrap());
            let mut expected = Vec::new();
            for x in queries.iter() {
                for y in points.iter() {
                    expected.push(x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum::<f32>());
                }
            }
            assert_eq!(tile(queries, points), expected, "{q} x {p} of {dim}");
            let columns: Vec<f32> = (0..dim)
                .flat_map(|value| points.iter().map(move |point| point[value]))
                .collect();
            let mut out = vec![f32::NAN; q * p];
            squared_distances_to_columns(queries, &columns, &squared_norms(points), &mut out);
            assert_eq!(out, expected, "{q} x {p} of {dim}, by columns");
            for i in 0..q {
                for j in 0..p {
                    assert_eq!(
                        squared_distance(queries.row(i), points.row(j)),
                        expected[i * p + j]
                    );
                }
            }
        }
    }

    #[test]
    fn a_nan_row_is_not_taken_for_a_match() {
        let values = [f32::NAN, 0.0, 1.0, 0.0];
        let rows = Rows::new(&values, 2).unwrap();
        let out = tile(rows, rows);
        assert!(out[0].is_nan() && out[1].is_nan() && out[2].is_nan());
        assert_eq!(out[3], 0.0);
    }

    #[test]
    fn centring_restores_what_a_far_origin_hides() {
        // 1000 and 1000.001 differ by 1e-6 squared; at norms of 1e6 the expansion cannot see that.
        let far = [1000.0_f32, 1000.001, 1000.5];
        let mean = far.iter().sum::<f32>() / 3.0;
        let near = far.map(|x| x - mean);
        let error = |values: &[f32]| {
            let rows = Rows::new(values, 1).unwrap();
            (tile(rows, rows)[1] - squared_distance(rows.row(0), rows.row(1))).abs()
        };
        assert!(error(&near) <= 1e-7, "centred: {}", error(&near));
        assert!(error(&far) > error(&near), "far: {}", error(&far));
    }

    proptest! {
        #[test]
        fn the_error_stays_within_the_stated_bound(
            dim in 1_usize..40,
            seed in prop::collection::vec(-100.0_f32..100.0, 80),
        ) {
            let values = &seed[..seed.len() / dim * dim];
            let rows = Rows::new(values, dim).unwrap();
            let out = tile(rows, rows);
            let norms = squared_norms(rows);
            for i in 0..rows.len() {
                for j in 0..rows.len() {
                    let exact: f64 = rows.row(i).iter().zip(rows.row(j))
                        .map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2)).sum();
                    // At most `dim` roundings in the norms, as many in the doubled product, whose absolute terms add up to
                    // no more than the norms, and a few where the three meet.
                    let roundings = 2.0 * dim as f64 + 4.0;
                    let bound = f64::from(norms[i] + norms[j]) * roundings * 2f64.powi(-24);
                    prop_assert!((f64::from(out[i * rows.len() + j]) - exact).abs() <= bound);
                    prop_assert!(
                        (f64::from(squared_distance(rows.row(i), rows.row(j))) - exact).abs()
                            <= exact * roundings * 2f64.powi(-24)
                    );
                }
            }
        }
    }
}
