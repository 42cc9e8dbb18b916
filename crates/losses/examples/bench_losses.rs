//! Seconds and peak memory of one step, forward and backward, of one loss on one large batch.
//!
//! ```text
//! cargo run --release -p lodestone-losses --example bench_losses -- triplet_hard [4096 [512 [512]]]
//! cargo xtask bench losses --peer PYTHON
//! ```
//!
//! The arguments are the loss, the batch, the dimensions and the classes. `bench/peer_losses.py` takes the same ones, makes
//! the same numbers, and prints the same lines for pytorch-metric-learning; `xtask` runs both in turn. One loss a process,
//! so that the peak is its own.

#![allow(clippy::print_stdout, reason = "a benchmark prints its numbers")]

use std::time::Instant;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use lodestone_losses::{Labels, LossConfig, Miner, MultiSimilarityLossConfig};

/// Steps that are timed, after two that are not; the median counts.
const STEPS: usize = 7;

fn main() {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    let name = arguments.first().map_or("triplet_hard", String::as_str);
    let number = |at: usize, default: usize| {
        arguments.get(at).map_or(default, |text| {
            text.parse()
                .unwrap_or_else(|_| panic!("argument {at} is {text}, must be a number"))
        })
    };
    let (batch, dim, classes) = (number(1, 4096), number(2, 512), number(3, 512));

    let device = Device::flex().autodiff();
    let loss = config(name)
        .init(dim, classes, &device)
        .map(&mut SameVectors);
    let labels = (0..batch).map(|row| row % classes).collect::<Vec<_>>();
    let embeddings = TensorData::new(embeddings(batch, dim, classes), [batch, dim]);

    let step = || {
        let leaf = Tensor::<2>::from_data(embeddings.clone(), &device).require_grad();
        let start = Instant::now();
        let output = loss.forward(leaf.clone(), Labels::new(&labels));
        let gradients = output.mean.backward();
        // Reading a number makes sure that the gradient is there.
        let gradient = leaf
            .grad(&gradients)
            .map(|gradient| gradient.abs().max().into_scalar::<f32>());
        let seconds = start.elapsed().as_secs_f64();
        (seconds, output.read().mean, gradient.unwrap_or_default())
    };
    (0..2).for_each(|_| {
        step();
    });
    let before = cpu_seconds();
    let runs = (0..STEPS).map(|_| step()).collect::<Vec<_>>();
    let cpu = (cpu_seconds() - before) / STEPS as f64;
    let mut seconds = runs.iter().map(|run| run.0).collect::<Vec<_>>();
    seconds.sort_by(f64::total_cmp);
    let print = |what: &str, value: f64, unit: &str| {
        println!(r#"{{"name": "{name} {what}", "value": {value}, "unit": "{unit}"}}"#);
    };
    print("step", seconds[STEPS / 2], "s");
    print("step on all cores together", cpu, "CPU s");
    print("peak", peak_megabytes(), "MB");
    print("value", f64::from(runs[0].1), "");
    print("largest slope", f64::from(runs[0].2), "");
}

/// The loss of a name: as its kind is in a run file, with its defaults, but for the miner that the name tells.
fn config(name: &str) -> LossConfig {
    let kind = match name {
        "triplet_hard" => "triplet",
        "multi_similarity" => {
            return LossConfig::MultiSimilarity(MultiSimilarityLossConfig {
                mining: Miner::All,
                ..Default::default()
            });
        }
        "multi_similarity_mined" => "multi_similarity",
        kind => kind,
    };
    serde_json::from_value(serde_json::json!({ "kind": kind }))
        .unwrap_or_else(|error| panic!("{name} is not timed: {error}"))
}

/// Gives learned vectors the numbers that the peer gives them.
struct SameVectors;

impl ModuleMapper for SameVectors {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| {
            let shape = tensor.shape();
            let values = (0..shape.num_elements()).map(|at| fraction(1 << 60, at));
            let data = TensorData::new(values.collect::<Vec<_>>(), shape);
            Tensor::from_data(data, &tensor.device()).require_grad()
        })
    }
}

/// Overlapping classes: a centre and noise, both uniform.
fn embeddings(batch: usize, dim: usize, classes: usize) -> Vec<f32> {
    let of = |row: usize, column: usize| {
        fraction(1 << 40, row % classes * dim + column)
            + 1.5 * fraction(1 << 50, row * dim + column)
    };
    (0..batch * dim).map(|at| of(at / dim, at % dim)).collect()
}

/// Number `seed + at` of splitmix64, which any language can make, as a fraction less one half.
fn fraction(seed: u64, at: usize) -> f32 {
    let mut z = (seed + at as u64).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32 - 0.5
}

/// Processor time of all threads of this process so far, which other programs disturb less than the clock; 0 where the system
/// does not say.
fn cpu_seconds() -> f64 {
    let line = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name in parentheses, user and system time are words 12 and 13, in hundredths of a second.
    let words = line.rsplit(')').next().unwrap_or_default();
    let ticks = words.split_whitespace().skip(11).take(2);
    ticks
        .filter_map(|word| word.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

/// Largest memory that this process ever held; 0 where the system does not say.
fn peak_megabytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok())
        .unwrap_or(0.0)
        / 1024.0
}
