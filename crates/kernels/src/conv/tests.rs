//! The three products at every level against plain loops.

use proptest::prelude::*;

use super::*;
use crate::simd::Level;

#[path = "../../../../tests/close.rs"]
mod close;
#[path = "../../tests/networks/mod.rs"]
mod networks;

use close::assert_close_to_largest;

fn values(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1u32 << 24) as f32 - 0.5
    };
    (0..len).map(|_| next()).collect()
}

/// Calls `visit(input index, weight index, output index)` for every product of the convolution.
fn products(geometry: &Geometry, mut visit: impl FnMut(usize, usize, usize)) {
    let Geometry {
        batch,
        input,
        in_channels,
        output,
        out_channels,
        kernel,
        stride,
        padding,
    } = *geometry;
    for image in 0..batch {
        for (row, column) in pairs(output) {
            for (down, right) in pairs(kernel) {
                let y = (row * stride[0] + down) as isize - padding[0];
                let x = (column * stride[1] + right) as isize - padding[1];
                if y < 0 || x < 0 || y >= input[0] as isize || x >= input[1] as isize {
                    continue;
                }
                let from = (image * input[0] + y as usize) * input[1] + x as usize;
                let to = (image * output[0] + row) * output[1] + column;
                for (out, inner) in pairs([out_channels, in_channels]) {
                    let weight =
                        ((out * in_channels + inner) * kernel[0] + down) * kernel[1] + right;
                    visit(from * in_channels + inner, weight, to * out_channels + out);
                }
            }
        }
    }
}

fn pairs([first, second]: [usize; 2]) -> impl Iterator<Item = (usize, usize)> {
    (0..first).flat_map(move |a| (0..second).map(move |b| (a, b)))
}

fn check(
    batch: usize,
    size: usize,
    channels: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
) {
    let geometry = geometry(batch, [size; 2], channels, kernel, stride, padding);
    check_geometry(&geometry.unwrap());
}

/// None if the kernel does not fit.
fn geometry(
    batch: usize,
    input: [usize; 2],
    [in_channels, out_channels]: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
) -> Option<Geometry> {
    Some(Geometry {
        batch,
        input,
        in_channels,
        output: Geometry::output_size(input, kernel, stride, padding)?,
        out_channels,
        kernel,
        stride,
        padding: padding.map(|padding| padding as isize),
    })
}

/// Compares all three products at every level with sums in double precision.
fn check_geometry(geometry: &Geometry) {
    let Geometry {
        batch,
        in_channels,
        out_channels,
        kernel,
        ..
    } = *geometry;
    let images = values(batch * geometry.input_image(), 1);
    let weights = values(in_channels * out_channels * kernel[0] * kernel[1], 2);
    let bias = values(out_channels, 3);
    let gradient = values(batch * geometry.output_image(), 4);
    let mut sums: Vec<f64> = (0..gradient.len())
        .map(|index| f64::from(bias[index % out_channels]))
        .collect();
    let (mut images_sums, mut weights_sums) = (vec![0.0; images.len()], vec![0.0; weights.len()]);
    products(geometry, |image, weight, out| {
        let (x, w, g) = (
            f64::from(images[image]),
            f64::from(weights[weight]),
            f64::from(gradient[out]),
        );
        sums[out] += x * w;
        images_sums[image] += g * w;
        weights_sums[weight] += g * x;
    });
    for level in Level::ALL.into_iter().filter(|level| level.is_available()) {
        let what = |name: &str| format!("{name}, {level:?}, {geometry:?}");
        let after = After {
            bias: Some(&bias),
            ..After::default()
        };
        let have = convolve(level, geometry, &images, &weights, after);
        assert_close_to_largest(&what("output"), &have, &sums, 1e-5);
        let cut: Vec<f32> = have.iter().map(|value| value.max(0.0)).collect();
        let after = After {
            relu: true,
            ..after
        };
        let relu = convolve(level, geometry, &images, &weights, after);
        assert!(*relu == *cut);
        let cut: Vec<f32> = have
            .iter()
            .zip(&gradient)
            .map(|(value, more)| (value + more).max(0.0))
            .collect();
        let after = After {
            maps: Some(&gradient),
            ..after
        };
        let added = convolve(level, geometry, &images, &weights, after);
        assert!(*added == *cut);
        let have = input_gradient(level, geometry, &gradient, &weights);
        assert_close_to_largest(&what("input gradient"), &have, &images_sums, 1e-5);
        let have = weight_gradient(level, geometry, &images, &gradient);
        assert_close_to_largest(&what("weight gradient"), &have, &weights_sums, 1e-5);
    }
}

#[test]
fn every_level_agrees_with_plain_loops() {
    check(2, 11, [3, 20], [7, 7], [2, 2], [3, 3]);
    check(9, 7, [16, 50], [3, 3], [1, 1], [1, 1]);
    check(3, 17, [5, 17], [1, 1], [1, 1], [0, 0]);
    check(2, 9, [8, 24], [1, 7], [1, 1], [0, 3]);
    check(2, 10, [8, 97], [3, 3], [2, 2], [0, 0]);
    check(2, 9, [8, 24], [1, 1], [2, 2], [0, 0]);
    check(1, 8, [20, 100], [5, 5], [1, 1], [2, 2]);
    check(2, 9, [3, 4], [2, 3], [3, 1], [1, 2]);
    check(1, 5, [4, 3], [2, 2], [4, 3], [0, 1]);
    check(1, 1, [1, 1], [1, 1], [1, 1], [0, 0]);
    // Rows wider than a strip's share of the cache, and many strips.
    check(1, 60, [40, 16], [3, 3], [1, 1], [1, 1]);
    // Tiles of two by two that hang over the edge, and channels that do not fill a vector.
    check(3, 7, [17, 50], [3, 3], [1, 1], [1, 1]);
    check(2, 9, [33, 20], [3, 3], [1, 1], [0, 0]);
    check(1, 8, [16, 16], [3, 3], [1, 1], [2, 2]);
    check(1, 3, [16, 100], [3, 3], [1, 1], [0, 0]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_level_agrees_with_plain_loops_on_random_sizes(
        batch in 1usize..4,
        input in [1usize..14, 1usize..14],
        channels in [1usize..40, 1usize..60],
        kernel in [1usize..6, 1usize..6],
        stride in [1usize..4, 1usize..4],
        padding in [0usize..4, 0usize..4],
    ) {
        if let Some(geometry) = geometry(batch, input, channels, kernel, stride, padding) {
            check_geometry(&geometry);
        }
    }

    #[test]
    fn every_level_agrees_with_plain_loops_on_random_tiles(
        batch in 1usize..6,
        input in [1usize..20, 1usize..20],
        channels in [16usize..40, 16usize..110],
        padding in [0usize..3, 0usize..3],
    ) {
        if let Some(geometry) = geometry(batch, input, channels, [3, 3], [1, 1], padding) {
            check_geometry(&geometry);
        }
    }
}

/// The portable level is compared with plain loops above, and here every other one with it.
#[test]
fn every_level_agrees_on_the_networks() {
    let mut layers = networks::googlenet();
    layers.extend(networks::inception());
    layers.extend(networks::resnet());
    layers.sort_unstable();
    layers.dedup();
    for (input, size, output, kernel, stride, padding) in layers {
        // Wide maps are tall: their first rows show the same as all.
        let height = if size > 56 { 21 } else { size };
        let channels = [input, output];
        let geometry = geometry(1, [height, size], channels, kernel, [stride; 2], padding);
        let geometry = &geometry.unwrap();
        let images = values(geometry.input_image(), 1);
        let weights = values(input * output * kernel[0] * kernel[1], 2);
        let gradient = values(geometry.output_image(), 3);
        let run = |level| {
            [
                convolve(level, geometry, &images, &weights, After::default()),
                input_gradient(level, geometry, &gradient, &weights),
                weight_gradient(level, geometry, &images, &gradient),
            ]
        };
        let want = run(Level::Portable);
        for level in Level::ALL.into_iter().filter(|level| level.is_available()) {
            for (have, want) in run(level).iter().zip(&want) {
                let want: Vec<f64> = want.iter().map(|&value| f64::from(value)).collect();
                assert_close_to_largest(&format!("{level:?}, {geometry:?}"), have, &want, 1e-5);
            }
        }
    }
}
