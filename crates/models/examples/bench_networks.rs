//! Images per second of the networks on the processor: the median
//! of five runs after one that is not counted, forward without gradients, and forward + backward of the mean feature in
//! training.
//!
//! ```text
//! cargo run --release -p lodestone-models --features cpu --example bench_networks -- googlenet 32
//! ```
//!
//! Arguments: network (`bvlc`, `googlenet`, `inception_v3`) and images in a batch; without any, GoogLeNet with 32 and
//! Inception V3 with 8.

#![allow(clippy::print_stdout, reason = "a program that measures prints")]

use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};
use lodestone_models::{GoogLeNetConfig, GoogLeNetForm, InceptionV3Config, NetworkConfig};

/// Runs whose median counts.
const RUNS: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let jobs = match arguments.as_slice() {
        [] => vec![(network("googlenet"), 32), (network("inception_v3"), 8)],
        [name, images] => vec![(network(name), images.parse().expect("a number of images"))],
        _ => panic!("expected no arguments, or a network and the images in a batch"),
    };
    for (network, images) in jobs {
        measure(&network, images);
    }
}

fn network(name: &str) -> NetworkConfig {
    match name {
        "bvlc" => GoogLeNetConfig::new(GoogLeNetForm::Bvlc).into(),
        "googlenet" => GoogLeNetConfig::new(GoogLeNetForm::Torchvision).into(),
        "inception_v3" => InceptionV3Config::default().into(),
        other => panic!("{other} is none of bvlc, googlenet, inception_v3"),
    }
}

fn measure(network: &NetworkConfig, images: usize) {
    let side = network.usual_size();
    let shape = [images, network.image_channels(), side, side];
    let report = |what: &str, device: Device, run: &dyn Fn(Tensor<4>)| {
        let mut seconds: Vec<f64> = (0..=RUNS)
            .map(|_| {
                let batch = Tensor::random(shape, Distribution::Default, &device);
                let start = Instant::now();
                run(batch);
                start.elapsed().as_secs_f64()
            })
            .skip(1)
            .collect();
        seconds.sort_by(f64::total_cmp);
        let rate = images as f64 / seconds[RUNS / 2];
        println!(
            "{} {images}x{side} {what}: {rate:.2} images/s",
            network.name()
        );
    };
    let plain = network.init(0, &Device::flex());
    report("forward", Device::flex(), &|batch| {
        drop(plain.forward(batch))
    });
    let device = Device::flex().autodiff();
    let tracked = network.init(0, &device);
    report("forward+backward", device, &|batch| {
        drop(tracked.forward(batch).mean().backward())
    });
}
