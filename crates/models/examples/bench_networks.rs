//! Speed and memory of the networks on the processor, for `cargo xtask bench convnet`.
//!
//! ```text
//! cargo run --release -p lodestone-models --features cpu --example bench_networks -- rates googlenet 32
//! ```
//!
//! Arguments: job, network (`bvlc`, `googlenet`, `paper`, `inception_v3`, `resnet18`, `resnet34`, `resnet50`), images in a batch, and what the names that it
//! prints end with. Jobs:
//!
//! - `rates`: images per second, forward without gradients and forward + backward of the mean feature in training; one
//!   line for each run after one that is not counted.
//! - `burn`: the same with burn's own operators.
//! - `memory`: largest resident size of two training steps in megabytes, of the whole program and above what it had before.
//!
//! The pictures are the numbers of [`fill`], which bench/peer_convnet.py uses too.

#![allow(clippy::print_stdout, reason = "a program that measures prints")]

use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use lodestone_kernels::with_burn_operators;
use lodestone_models::{
    EmbedderConfig, GoogLeNetConfig, GoogLeNetForm, HeadConfig, InceptionV3Config, NetworkConfig,
    ResNetConfig,
};

/// Counted runs.
const RUNS: usize = 3;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [job, name, images, ending @ ..] = arguments.as_slice() else {
        panic!("expected a job, a network and the images in a batch")
    };
    let images = images.parse().expect("a number of images");
    let bench = Bench {
        network: network(name),
        images,
        label: name.clone(),
        ending: ending.concat(),
    };
    match job.as_str() {
        "rates" => bench.rates(),
        "burn" => with_burn_operators(|| bench.rates()),
        "memory" => bench.memory(),
        other => panic!("{other} is none of rates, burn, memory"),
    }
}

fn network(name: &str) -> NetworkConfig {
    match name {
        "bvlc" => GoogLeNetConfig::new(GoogLeNetForm::Bvlc).into(),
        "googlenet" => GoogLeNetConfig::new(GoogLeNetForm::Torchvision).into(),
        "paper" => GoogLeNetConfig::new(GoogLeNetForm::Paper).into(),
        "inception_v3" => InceptionV3Config::default().into(),
        "resnet18" => NetworkConfig::ResNet18(ResNetConfig {}),
        "resnet34" => NetworkConfig::ResNet34(ResNetConfig {}),
        "resnet50" => NetworkConfig::ResNet50(ResNetConfig {}),
        other => panic!(
            "{other} is none of bvlc, googlenet, paper, inception_v3, resnet18, resnet34, resnet50"
        ),
    }
}

struct Bench {
    network: NetworkConfig,
    images: usize,
    label: String,
    ending: String,
}

impl Bench {
    fn rates(&self) {
        let config = EmbedderConfig {
            network: self.network.clone(),
            head: HeadConfig::new(1),
        };
        let folded = config.init(0, &Device::flex()).for_inference();
        self.time("forward", &Device::flex(), |batch| {
            drop(folded.features(batch));
        });
        drop(folded);
        let device = Device::flex().autodiff();
        let tracked = self.network.init(0, &device);
        self.time("forward+backward", &device, |batch| {
            drop(tracked.forward(batch).mean().backward());
        });
    }

    fn time(&self, what: &str, device: &Device, run: impl Fn(Tensor<4>)) {
        for index in 0..=RUNS {
            let batch = self.batch(device);
            let start = Instant::now();
            run(batch);
            let seconds = start.elapsed().as_secs_f64();
            if index > 0 {
                self.print(what, self.images as f64 / seconds, "images/s");
            }
        }
    }

    fn memory(&self) {
        let device = Device::flex().autodiff();
        let tracked = self.network.init(0, &device);
        let batch = self.batch(&device);
        let idle = resident_megabytes("VmRSS");
        for _ in 0..2 {
            drop(tracked.forward(batch.clone()).mean().backward());
        }
        let peak = resident_megabytes("VmHWM");
        self.print("training step, peak memory", peak, "MB");
        self.print("training step, peak above idle", peak - idle, "MB");
    }

    fn batch(&self, device: &Device) -> Tensor<4> {
        let side = self.network.usual_size();
        let shape = [self.images, self.network.image_channels(), side, side];
        let values = fill(shape.iter().product());
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    fn print(&self, what: &str, value: f64, unit: &str) {
        let (label, images, side) = (&self.label, self.images, self.network.usual_size());
        let ending = &self.ending;
        println!(
            "{{\"name\": \"{label} {images} x {side}, {what}{ending}\", \"value\": {value:.4}, \"unit\": \"{unit}\"}}"
        );
    }
}

/// Outputs 1, 2, .. of splitmix64, as fractions less one half.
fn fill(count: usize) -> Vec<f32> {
    const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
    (1..=count as u64)
        .map(|index| {
            let mut z = index.wrapping_mul(STEP);
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32 - 0.5
        })
        .collect()
}

/// Resident size now (`VmRSS`) or at its largest (`VmHWM`), as Linux states it.
fn resident_megabytes(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("this bench runs on Linux");
    let line = status.lines().find(|line| line.starts_with(field));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    kibibytes.map_or(f64::NAN, |kibibytes: f64| kibibytes * 1024.0 / 1e6)
}
