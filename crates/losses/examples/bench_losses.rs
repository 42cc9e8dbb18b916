//! Seconds and peak memory of one step, forward and backward, of one loss on one large batch.
//!
//! ```text
//! cargo run --release -p lodestone-losses --example bench_losses -- triplet_hard [4096 [512 [512]]]
//! ```
//!
//! The arguments are the loss, the batch, the dimensions and the classes. `bench/peer_losses.py` takes the same ones, makes
//! the same numbers, and prints the same line for pytorch-metric-learning. One loss a process, so that the peak is its own.

#![allow(clippy::print_stdout, reason = "a benchmark prints its numbers")]

use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use lodestone_losses::{
    ContrastiveLossConfig, Labels, LossConfig, Miner, MultiSimilarityLossConfig,
    ProxyAnchorLossConfig, SupConLossConfig, TripletLossConfig,
};

/// Steps that are timed, after one that is not; the fastest counts.
const STEPS: usize = 5;

fn main() {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    let name = arguments.first().map_or("triplet_hard", String::as_str);
    let number = |at: usize, default: usize| {
        arguments
            .get(at)
            .map_or(default, |text| text.parse().unwrap_or(default))
    };
    let (batch, dim, classes) = (number(1, 4096), number(2, 512), number(3, 512));

    let mining = Miner::All;
    let config = match name {
        "triplet_hard" => LossConfig::Triplet(TripletLossConfig::default()),
        "multi_similarity" => LossConfig::MultiSimilarity(MultiSimilarityLossConfig {
            mining,
            ..Default::default()
        }),
        "multi_similarity_mined" => {
            LossConfig::MultiSimilarity(MultiSimilarityLossConfig::default())
        }
        "contrastive" => LossConfig::Contrastive(ContrastiveLossConfig::default()),
        "supcon" => LossConfig::SupCon(SupConLossConfig::default()),
        "proxy_anchor" => LossConfig::ProxyAnchor(ProxyAnchorLossConfig::default()),
        other => panic!("{other} is not timed"),
    };
    let device = Device::flex().autodiff();
    let loss = config.init(dim, classes, &device);
    let labels = (0..batch).map(|row| row % classes).collect::<Vec<_>>();
    let embeddings = TensorData::new(embeddings(batch, dim, classes), [batch, dim]);

    let step = || {
        let leaf = Tensor::<2>::from_data(embeddings.clone(), &device).require_grad();
        let start = Instant::now();
        let output = loss.forward(leaf.clone(), &Labels::new(&labels));
        let gradients = output.mean.backward();
        let gradient = leaf
            .grad(&gradients)
            .map(|gradient| gradient.abs().max().into_scalar::<f32>());
        let seconds = start.elapsed().as_secs_f64();
        (seconds, output.read().mean, gradient.unwrap_or_default())
    };
    step();
    let runs = (0..STEPS).map(|_| step()).collect::<Vec<_>>();
    let seconds = runs.iter().map(|run| run.0).fold(f64::INFINITY, f64::min);
    println!(
        "{name} {batch} x {dim}, {classes} classes: {seconds:.3} s, peak {} MB, loss {:.6}, largest slope {:.3e}",
        peak_megabytes(),
        runs[0].1,
        runs[0].2
    );
}

/// Overlapping classes: a centre and noise, both uniform, from numbers that any language can make.
fn embeddings(batch: usize, dim: usize, classes: usize) -> Vec<f32> {
    let value = |seed: u64, at: usize| {
        let mut z = (seed + at as u64).wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    let of = |row: usize, column: usize| {
        value(1 << 40, row % classes * dim + column) + 1.5 * value(1 << 50, row * dim + column)
    };
    (0..batch * dim).map(|at| of(at / dim, at % dim)).collect()
}

/// Largest memory that this process ever held; 0 where the system does not say.
fn peak_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or(0)
        / 1024
}
