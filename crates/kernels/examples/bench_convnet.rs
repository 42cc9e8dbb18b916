//! Speed of the convolutions of GoogLeNet and Inception V3, layer by layer, and of a whole GoogLeNet, on the CPU.
//!
//! `cargo run --release -p lodestone-kernels --features cpu --example bench_convnet -- layers|googlenet|burn [BATCH]`
//!
//! - `layers`: each distinct convolution, GFLOP/s forward and forward + backward, and share of the machine's peak, which is
//!   taken to be the rate of a large matrix product.
//! - `googlenet`: images per second of GoogLeNet in its form of 2014 (biases, response normalisation, no head), 224 × 224,
//!   forward and forward + backward.
//! - `burn`: the same network with burn's own operators.
#![allow(clippy::print_stdout, reason = "a bench prints")]

use std::time::Instant;

use burn::tensor::activation::relu;
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Distribution, Tensor, module};
use lodestone_kernels::{
    Activation, ResponseNorm, concatenate, conv2d, global_average, local_response_norm, max_pool2d,
};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let job = arguments.next().unwrap_or_else(|| "googlenet".into());
    let batch = arguments
        .next()
        .map_or(32, |batch| batch.parse().expect("a batch size"));
    match job.as_str() {
        "layers" => layers(batch),
        "googlenet" => networks(batch, Operators::Fast),
        "burn" => networks(batch, Operators::Burn),
        _ => println!("unknown job {job}: layers, googlenet or burn"),
    }
}

/// Input channels, input size, output channels, kernel, stride, padding.
type Layer = (usize, usize, usize, [usize; 2], usize, [usize; 2]);

const LAYERS: [Layer; 22] = [
    (3, 224, 64, [7, 7], 2, [3, 3]),
    (64, 56, 64, [1, 1], 1, [0, 0]),
    (64, 56, 192, [3, 3], 1, [1, 1]),
    (192, 28, 16, [1, 1], 1, [0, 0]),
    (96, 28, 128, [3, 3], 1, [1, 1]),
    (16, 28, 32, [5, 5], 1, [2, 2]),
    (480, 14, 192, [1, 1], 1, [0, 0]),
    (112, 14, 224, [3, 3], 1, [1, 1]),
    (24, 14, 64, [5, 5], 1, [2, 2]),
    (832, 7, 384, [1, 1], 1, [0, 0]),
    (192, 7, 384, [3, 3], 1, [1, 1]),
    (3, 299, 32, [3, 3], 2, [0, 0]),
    (32, 149, 32, [3, 3], 1, [0, 0]),
    (32, 147, 64, [3, 3], 1, [1, 1]),
    (80, 73, 192, [3, 3], 1, [0, 0]),
    (48, 35, 64, [5, 5], 1, [2, 2]),
    (96, 35, 96, [3, 3], 1, [1, 1]),
    (288, 35, 384, [3, 3], 2, [0, 0]),
    (768, 17, 192, [1, 1], 1, [0, 0]),
    (160, 17, 160, [1, 7], 1, [0, 3]),
    (2048, 8, 320, [1, 1], 1, [0, 0]),
    (448, 8, 384, [3, 3], 1, [1, 1]),
];

fn layers(batch: usize) {
    let device = Device::flex();
    let square = || Tensor::<2>::random([2048, 2048], Distribution::Default, &device);
    let (left, right) = (square(), square());
    let peak = 2.0 * 2048f64.powi(3) / median(|| left.clone().matmul(right.clone())) / 1e9;
    println!("peak {peak:.0} GFLOP/s (product of 2048 × 2048)");
    println!(
        "{:40} {:>8} {:>6} {:>9} {:>6}",
        "layer", "forward", "share", "fwd+bwd", "share"
    );
    for (input, size, output, kernel, stride, padding) in LAYERS {
        let tracked = Device::flex().autodiff();
        let images =
            Tensor::<4>::random([batch, input, size, size], Distribution::Default, &tracked);
        // As in a network, where the images come from another operator of the crate.
        let images = max_pool2d(images, MaxPoolOptions::new([1, 1]));
        let weights = Tensor::<4>::random(
            [output, input, kernel[0], kernel[1]],
            Distribution::Uniform(-0.1, 0.1),
            &tracked,
        )
        .require_grad();
        let options = ConvOptions::new([stride; 2], padding, [1, 1], 1);
        let run = |images: Tensor<4>, weights: Tensor<4>| {
            conv2d(images, weights, None, options.clone(), Activation::Relu)
        };
        let maps = run(images.clone().inner(), weights.clone().inner());
        let [_, _, height, width] = maps.dims();
        let products = batch * output * height * width * input * kernel[0] * kernel[1];
        let rate = |seconds: f64, passes: f64| passes * 2.0 * products as f64 / seconds / 1e9;
        let forward = rate(
            median(|| run(images.clone().inner(), weights.clone().inner())),
            1.0,
        );
        let images = if input == 3 {
            images
        } else {
            images.require_grad()
        };
        let passes = if input == 3 { 2.0 } else { 3.0 };
        let both = rate(
            median(|| run(images.clone(), weights.clone()).sum().backward()),
            passes,
        );
        let name = format!("{input} -> {output}, {kernel:?} / {stride}, {size} × {size}");
        println!(
            "{name:40} {forward:8.1} {:5.0}% {both:9.1} {:5.0}%",
            100.0 * forward / peak,
            100.0 * both / peak
        );
    }
}

#[derive(Clone, Copy)]
enum Operators {
    Fast,
    Burn,
}

fn networks(batch: usize, operators: Operators) {
    let device = Device::flex().autodiff();
    let network = GoogLeNet::new(&device, operators);
    let images = Tensor::<4>::random([batch, 3, 224, 224], Distribution::Default, &device);
    let inner = GoogLeNet {
        weights: network
            .weights
            .iter()
            .map(|(w, b)| (w.clone().inner(), b.clone().inner()))
            .collect(),
        operators,
    };
    let forward = median(|| inner.forward(images.clone().inner()));
    println!(
        "GoogLeNet, batch {batch}, forward: {:.2} images/s",
        batch as f64 / forward
    );
    let both = median(|| network.forward(images.clone()).mean().backward());
    println!(
        "GoogLeNet, batch {batch}, forward + backward: {:.2} images/s",
        batch as f64 / both
    );
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

/// Weights and biases in the order of use.
struct GoogLeNet {
    weights: Vec<(Tensor<4>, Tensor<1>)>,
    operators: Operators,
}

/// Input channels, and channels of the four branches with their reductions.
const BLOCKS: [(usize, [usize; 6]); 9] = [
    (192, [64, 96, 128, 16, 32, 32]),
    (256, [128, 128, 192, 32, 96, 64]),
    (480, [192, 96, 208, 16, 48, 64]),
    (512, [160, 112, 224, 24, 64, 64]),
    (512, [128, 128, 256, 24, 64, 64]),
    (512, [112, 144, 288, 32, 64, 64]),
    (528, [256, 160, 320, 32, 128, 128]),
    (832, [256, 160, 320, 32, 128, 128]),
    (832, [384, 192, 384, 48, 128, 128]),
];

impl GoogLeNet {
    fn new(device: &Device, operators: Operators) -> Self {
        let mut shapes = vec![[64, 3, 7, 7], [64, 64, 1, 1], [192, 64, 3, 3]];
        for (input, [one, three_in, three, five_in, five, pool]) in BLOCKS {
            shapes.extend([
                [one, input, 1, 1],
                [three_in, input, 1, 1],
                [three, three_in, 3, 3],
            ]);
            shapes.extend([
                [five_in, input, 1, 1],
                [five, five_in, 5, 5],
                [pool, input, 1, 1],
            ]);
        }
        let weight = |shape: [usize; 4]| {
            let scale = (2.0 / (shape[1] * shape[2] * shape[3]) as f64).sqrt();
            let weight = Tensor::random(shape, Distribution::Normal(0.0, scale), device);
            (
                weight.require_grad(),
                Tensor::zeros([shape[0]], device).require_grad(),
            )
        };
        Self {
            weights: shapes.into_iter().map(weight).collect(),
            operators,
        }
    }

    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let mut weights = self.weights.iter();
        let mut unit = |images: &Tensor<4>, stride: usize| {
            let (weights, bias) = weights.next().expect("one for each unit").clone();
            let padding = weights.dims()[2] / 2;
            let options = ConvOptions::new([stride; 2], [padding; 2], [1, 1], 1);
            match self.operators {
                Operators::Fast => conv2d(
                    images.clone(),
                    weights,
                    Some(bias),
                    options,
                    Activation::Relu,
                ),
                Operators::Burn => {
                    relu(module::conv2d(images.clone(), weights, Some(bias), options))
                }
            }
        };
        let pool = |images: Tensor<4>, stride: usize| {
            let options = MaxPoolOptions::new([3, 3])
                .with_stride([stride; 2])
                .with_padding([2 - stride; 2])
                .with_ceil_mode(true);
            match self.operators {
                Operators::Fast => max_pool2d(images, options),
                Operators::Burn => module::max_pool2d(images, options),
            }
        };
        let maps = self.response_norm(pool(unit(&images, 2), 2));
        let maps = unit(&maps, 1);
        let mut maps = pool(self.response_norm(unit(&maps, 1)), 2);
        for index in 0..BLOCKS.len() {
            // Before the blocks 4a and 5a.
            if index == 2 || index == 7 {
                maps = pool(maps, 2);
            }
            let one = unit(&maps, 1);
            let three = unit(&maps, 1);
            let three = unit(&three, 1);
            let five = unit(&maps, 1);
            let five = unit(&five, 1);
            let pooled = unit(&pool(maps, 1), 1);
            let branches = vec![one, three, five, pooled];
            maps = match self.operators {
                Operators::Fast => concatenate(branches),
                Operators::Burn => Tensor::cat(branches, 1),
            };
        }
        match self.operators {
            Operators::Fast => global_average(maps),
            Operators::Burn => {
                let [images, channels, height, width] = maps.dims();
                let maps = maps.reshape([images, channels, height * width]);
                maps.mean_dim(2).reshape([images, channels])
            }
        }
    }

    fn response_norm(&self, maps: Tensor<4>) -> Tensor<4> {
        match self.operators {
            Operators::Fast => {
                let setting = ResponseNorm {
                    size: 5,
                    alpha: 1e-4,
                    beta: 0.75,
                    bias: 1.0,
                };
                local_response_norm(maps, setting)
            }
            Operators::Burn => {
                let channels = maps.dims()[1];
                let squares = maps.clone() * maps.clone();
                let padded = squares.pad([(2, 2), (0, 0), (0, 0)], 0.0);
                let sums = (0..5).map(|offset| padded.clone().narrow(1, offset, channels));
                let base = sums.reduce(|a, b| a + b).expect("five") * (1e-4 / 5.0) + 1.0;
                let root = base.sqrt();
                maps / (root.clone() * root.sqrt())
            }
        }
    }
}
