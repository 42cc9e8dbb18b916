//! Images per second of GoogLeNet and Inception V3 in the operators of this crate, or in burn's own.
//!
//! ```text
//! cargo run --release -p lodestone-kernels --features cpu --example bench_whole -- rates googlenet 32
//! ```
//!
//! Arguments: job (`rates`, `burn` or `memory`), network, images in a batch. The networks are torchvision's, without
//! classifiers: forward with the normalisation folded into the convolutions, forward + backward with that of the batch.
#![allow(clippy::print_stdout, reason = "a bench prints")]

use std::cell::{Cell, RefCell};
use std::time::Instant;

use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Distribution, Tensor};
use lodestone_kernels::{
    Activation, avg_pool2d, batch_norm, concatenate, conv2d, fork, global_average, max_pool2d,
    with_burn_operators,
};

/// Counted runs.
const RUNS: usize = 3;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [job, name, images] = arguments.as_slice() else {
        panic!("expected a job, a network and the images in a batch")
    };
    let images = images.parse().expect("a number of images");
    match job.as_str() {
        "rates" => rates(name, images),
        "burn" => with_burn_operators(|| rates(name, images)),
        "memory" => memory(name, images),
        other => panic!("{other} is none of rates, burn, memory"),
    }
}

fn rates(name: &str, images: usize) {
    for (what, device) in [
        ("forward", Device::flex()),
        ("forward+backward", Device::flex().autodiff()),
    ] {
        let network = Network::new(&device);
        for run in 0..=RUNS {
            let batch = pictures(name, images, &device);
            let start = Instant::now();
            network.step(name, batch);
            let rate = images as f64 / start.elapsed().as_secs_f64();
            if run > 0 {
                println!(
                    "{{\"name\": \"{name} {images}, {what}\", \"value\": {rate:.4}, \"unit\": \"images/s\"}}"
                );
            }
        }
    }
}

fn memory(name: &str, images: usize) {
    let device = Device::flex().autodiff();
    let network = Network::new(&device);
    for _ in 0..2 {
        network.step(name, pictures(name, images, &device));
    }
    let status = std::fs::read_to_string("/proc/self/status").expect("this bench runs on Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    println!("{name} {images}: {}", line.unwrap_or("no peak"));
}

fn pictures(name: &str, images: usize, device: &Device) -> Tensor<4> {
    let side = if name == "googlenet" { 224 } else { 299 };
    Tensor::random(
        [images, 3, side, side],
        Distribution::Uniform(-0.5, 0.5),
        device,
    )
}

/// Weight, scale and shift of each convolution in the order of use, drawn when first used.
struct Network {
    device: Device,
    parameters: RefCell<Vec<(Tensor<4>, Tensor<1>, Tensor<1>)>>,
    next: Cell<usize>,
}

impl Network {
    fn new(device: &Device) -> Self {
        Self {
            device: device.clone(),
            parameters: RefCell::default(),
            next: Cell::new(0),
        }
    }

    fn step(&self, name: &str, batch: Tensor<4>) {
        self.next.set(0);
        let maps = match name {
            "googlenet" => self.googlenet(batch),
            "inception_v3" => self.inception(batch),
            other => panic!("{other} is none of googlenet, inception_v3"),
        };
        let features = global_average(maps);
        if self.device.is_autodiff() {
            features.mean().backward();
        }
    }

    fn unit(
        &self,
        maps: Tensor<4>,
        output: usize,
        kernel: [usize; 2],
        stride: usize,
        padding: [usize; 2],
    ) -> Tensor<4> {
        let input = maps.dims()[1];
        let index = self.next.replace(self.next.get() + 1);
        let mut parameters = self.parameters.borrow_mut();
        if index == parameters.len() {
            let shape = [output, input, kernel[0], kernel[1]];
            let scale = (2.0 / (input * kernel[0] * kernel[1]) as f64).sqrt();
            let weight = Tensor::random(shape, Distribution::Normal(0.0, scale), &self.device);
            let ones = Tensor::ones([output], &self.device);
            let zeros = Tensor::zeros([output], &self.device);
            let tracked = self.device.is_autodiff();
            parameters.push((
                weight.set_require_grad(tracked),
                ones.set_require_grad(tracked),
                zeros.set_require_grad(tracked),
            ));
        }
        let (weight, scale, shift) = parameters[index].clone();
        let options = ConvOptions::new([stride; 2], padding, [1, 1], 1);
        if self.device.is_autodiff() {
            let sums = conv2d(maps, weight, None, options, Activation::None);
            batch_norm(sums, scale, shift, 1e-3, Activation::Relu).output
        } else {
            conv2d(maps, weight, Some(shift), options, Activation::Relu)
        }
    }

    /// A convolution that keeps the size.
    fn same(&self, maps: Tensor<4>, output: usize, kernel: [usize; 2]) -> Tensor<4> {
        self.unit(maps, output, kernel, 1, kernel.map(|side| side / 2))
    }

    fn googlenet(&self, images: Tensor<4>) -> Tensor<4> {
        let halve = |maps, side: usize| {
            let options = MaxPoolOptions::new([side; 2])
                .with_stride([2, 2])
                .with_ceil_mode(true);
            max_pool2d(maps, options)
        };
        let maps = halve(self.unit(images, 64, [7, 7], 2, [3, 3]), 3);
        let maps = self.same(maps, 64, [1, 1]);
        let mut maps = halve(self.same(maps, 192, [3, 3]), 3);
        let blocks = [
            [64, 96, 128, 16, 32, 32],
            [128, 128, 192, 32, 96, 64],
            [192, 96, 208, 16, 48, 64],
            [160, 112, 224, 24, 64, 64],
            [128, 128, 256, 24, 64, 64],
            [112, 144, 288, 32, 64, 64],
            [256, 160, 320, 32, 128, 128],
            [256, 160, 320, 32, 128, 128],
            [384, 192, 384, 48, 128, 128],
        ];
        for (index, [one, three_in, three, five_in, five, pool]) in blocks.into_iter().enumerate() {
            maps = match index {
                2 => halve(maps, 3),
                7 => halve(maps, 2),
                _ => maps,
            };
            let [a, b, c, d] = fork(maps, 4).try_into().expect("four readers");
            let options = MaxPoolOptions::new([3, 3])
                .with_stride([1, 1])
                .with_padding([1, 1]);
            maps = concatenate(vec![
                self.same(a, one, [1, 1]),
                self.same(self.same(b, three_in, [1, 1]), three, [3, 3]),
                self.same(self.same(c, five_in, [1, 1]), five, [3, 3]),
                self.same(max_pool2d(d, options), pool, [1, 1]),
            ]);
        }
        maps
    }

    fn inception(&self, images: Tensor<4>) -> Tensor<4> {
        let halve = |maps| max_pool2d(maps, MaxPoolOptions::new([3, 3]).with_stride([2, 2]));
        let smooth = |maps| {
            let options = AvgPoolOptions::new([3, 3])
                .with_stride([1, 1])
                .with_padding([1, 1]);
            avg_pool2d(maps, options)
        };
        let shrink = |maps, output| self.unit(maps, output, [3, 3], 2, [0, 0]);
        let maps = shrink(images, 32);
        let maps = self.unit(maps, 32, [3, 3], 1, [0, 0]);
        let maps = halve(self.same(maps, 64, [3, 3]));
        let maps = self.same(maps, 80, [1, 1]);
        let mut maps = halve(self.unit(maps, 192, [3, 3], 1, [0, 0]));
        for pool in [32, 64, 64] {
            let [a, b, c, d] = fork(maps, 4).try_into().expect("four readers");
            let double = self.same(self.same(c, 64, [1, 1]), 96, [3, 3]);
            maps = concatenate(vec![
                self.same(a, 64, [1, 1]),
                self.same(self.same(b, 48, [1, 1]), 64, [5, 5]),
                self.same(double, 96, [3, 3]),
                self.same(smooth(d), pool, [1, 1]),
            ]);
        }
        let [a, b, c] = fork(maps, 3).try_into().expect("three readers");
        let double = self.same(self.same(b, 64, [1, 1]), 96, [3, 3]);
        maps = concatenate(vec![shrink(a, 384), shrink(double, 96), halve(c)]);
        for width in [128, 160, 160, 192] {
            let [a, b, c, d] = fork(maps, 4).try_into().expect("four readers");
            let chain = |maps, last: usize, kernels: &[[usize; 2]]| {
                let maps = self.same(maps, width, [1, 1]);
                let count = kernels.len();
                kernels
                    .iter()
                    .enumerate()
                    .fold(maps, |maps, (index, &kernel)| {
                        let output = if index + 1 == count { last } else { width };
                        self.same(maps, output, kernel)
                    })
            };
            maps = concatenate(vec![
                self.same(a, 192, [1, 1]),
                chain(b, 192, &[[1, 7], [7, 1]]),
                chain(c, 192, &[[7, 1], [1, 7], [7, 1], [1, 7]]),
                self.same(smooth(d), 192, [1, 1]),
            ]);
        }
        let [a, b, c] = fork(maps, 3).try_into().expect("three readers");
        let three = shrink(self.same(a, 192, [1, 1]), 320);
        let seven = self.same(self.same(b, 192, [1, 1]), 192, [1, 7]);
        let seven = shrink(self.same(seven, 192, [7, 1]), 192);
        maps = concatenate(vec![three, seven, halve(c)]);
        for _ in 0..2 {
            let [a, b, c, d] = fork(maps, 4).try_into().expect("four readers");
            let cross = |maps| {
                let [row, column] = fork(maps, 2).try_into().expect("two readers");
                concatenate(vec![
                    self.same(row, 384, [1, 3]),
                    self.same(column, 384, [3, 1]),
                ])
            };
            let double = self.same(self.same(c, 448, [1, 1]), 384, [3, 3]);
            maps = concatenate(vec![
                self.same(a, 320, [1, 1]),
                cross(self.same(b, 384, [1, 1])),
                cross(double),
                self.same(smooth(d), 192, [1, 1]),
            ]);
        }
        maps
    }
}
