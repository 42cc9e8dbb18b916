//! Speed of every convolution of GoogLeNet, Inception V3 and ResNet on the CPU, for `cargo xtask bench convnet`.
//!
//! `cargo run --release -p lodestone-kernels --features cpu --example bench_convnet`
//!
//! One line for each distinct shape: GFLOP/s by the multiply-adds of the plain sums, forward and forward + backward (median of five runs after one that is not counted), with 32 images for GoogLeNet, 8 for Inception V3 and 16 for ResNet. The
//! first line is the peak: what all threads reach in fused multiply-adds of registers alone.
#![allow(clippy::print_stdout, reason = "a bench prints")]

#[path = "../tests/networks/mod.rs"]
mod networks;

use std::collections::BTreeSet;
use std::time::Instant;

use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Distribution, Tensor};
use lodestone_kernels::{Activation, conv2d, global_average, max_pool2d};

fn main() {
    print("peak", "registers", peak());
    let mut seen = BTreeSet::new();
    let networks = [
        (32, networks::googlenet()),
        (8, networks::inception()),
        (16, networks::resnet()),
    ];
    for (images, layers) in networks {
        for layer in layers {
            if seen.insert(layer) {
                measure(images, layer);
            }
        }
    }
}

fn print(layer: &str, what: &str, rate: f64) {
    println!("{{\"name\": \"{layer}, {what}\", \"value\": {rate:.1}, \"unit\": \"GFLOP/s\"}}");
}

fn measure(batch: usize, (input, size, output, kernel, stride, padding): networks::Layer) {
    let device = Device::flex().autodiff();
    let images = Tensor::<4>::random([batch, input, size, size], Distribution::Default, &device);
    // As in a network, where the images come from another operator of the crate.
    let images = max_pool2d(images, MaxPoolOptions::new([1, 1]));
    let shape = [output, input, kernel[0], kernel[1]];
    let weights = Tensor::<4>::random(shape, Distribution::Uniform(-0.1, 0.1), &device);
    let weights = weights.require_grad();
    let options = ConvOptions::new([stride; 2], padding, [1, 1], 1);
    let run = |images: Tensor<4>, weights: Tensor<4>| {
        conv2d(images, weights, None, options.clone(), Activation::None)
    };
    let maps = run(images.clone().inner(), weights.clone().inner());
    let [_, _, height, width] = maps.dims();
    let products = batch * output * height * width * input * kernel[0] * kernel[1];
    let rate = |seconds: f64, passes: usize| 2e-9 * (passes * products) as f64 / seconds;
    let forward = median(|| run(images.clone().inner(), weights.clone().inner()));
    // Pictures have no gradient.
    let passes = if input == 3 { 2 } else { 3 };
    let images = if input == 3 {
        images
    } else {
        images.require_grad()
    };
    // The mean's own passes are the crate's, and small beside the convolution's.
    let both = median(|| {
        let maps = run(images.clone(), weights.clone());
        global_average(maps).sum().backward()
    });
    let name = format!(
        "{batch} x {input} -> {output}, {}x{} / {stride}, {size} x {size}",
        kernel[0], kernel[1]
    );
    print(&name, "forward", rate(forward, 1));
    print(&name, "forward+backward", rate(both, passes));
}

/// GFLOP/s of all threads in fused multiply-adds of registers alone, the best of five runs.
fn peak() -> f64 {
    const STEPS: usize = 20_000_000;
    let threads = rayon::current_num_threads();
    let run = || {
        let start = Instant::now();
        let lanes = rayon::broadcast(|_| std::hint::black_box(multiply_adds(STEPS)).1)[0];
        2e-9 * (threads * STEPS * SUMS * lanes) as f64 / start.elapsed().as_secs_f64()
    };
    (0..5).map(|_| run()).fold(0.0, f64::max)
}

/// Independent sums, enough to hide the latency of a multiply-add.
const SUMS: usize = 12;

/// So many steps of [`SUMS`] multiply-adds in the widest vectors that the processor has, and the floats of a vector.
fn multiply_adds(steps: usize) -> (f32, usize) {
    #[cfg(target_arch = "x86_64")]
    #[expect(unsafe_code, reason = "intrinsics behind a test for them")]
    {
        use std::arch::x86_64::*;
        #[target_feature(enable = "avx512f")]
        fn avx512(steps: usize) -> f32 {
            let factor = _mm512_set1_ps(std::hint::black_box(0.999));
            let mut sums = [_mm512_setzero_ps(); SUMS];
            for _ in 0..steps {
                for sum in &mut sums {
                    *sum = _mm512_fmadd_ps(*sum, factor, factor);
                }
            }
            let zero = _mm512_setzero_ps();
            _mm512_reduce_add_ps(sums.into_iter().fold(zero, |a, b| _mm512_add_ps(a, b)))
        }
        #[target_feature(enable = "avx,fma")]
        fn avx2(steps: usize) -> f32 {
            let factor = _mm256_set1_ps(std::hint::black_box(0.999));
            let mut sums = [_mm256_setzero_ps(); SUMS];
            for _ in 0..steps {
                for sum in &mut sums {
                    *sum = _mm256_fmadd_ps(*sum, factor, factor);
                }
            }
            let zero = _mm256_setzero_ps();
            _mm256_cvtss_f32(sums.into_iter().fold(zero, |a, b| _mm256_add_ps(a, b)))
        }
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has the instructions.
            return (unsafe { avx512(steps) }, 16);
        }
        if is_x86_feature_detected!("avx") && is_x86_feature_detected!("fma") {
            // SAFETY: as above.
            return (unsafe { avx2(steps) }, 8);
        }
    }
    let factor = std::hint::black_box(0.999f32);
    let mut sums = [[0.0f32; 4]; SUMS];
    for _ in 0..steps {
        for sum in sums.as_flattened_mut() {
            *sum = *sum * factor + factor;
        }
    }
    (sums.as_flattened().iter().sum(), 4)
}

/// Median seconds of five runs after one that is not counted.
fn median<T>(mut run: impl FnMut() -> T) -> f64 {
    let mut seconds: Vec<f64> = (0..6)
        .map(|_| {
            let start = Instant::now();
            let result = run();
            let seconds = start.elapsed().as_secs_f64();
            drop(result);
            seconds
        })
        .skip(1)
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[2]
}
