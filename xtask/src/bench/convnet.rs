//! `cargo xtask bench convnet`: convolutional networks on the CPU beside torchvision's.
//!
//! `cargo xtask bench convnet [--peer PYTHON] [--rounds N] [PART..]`, all parts by default:
//!
//! - `rates`: images per second of whole networks with two threads, both sides in turn;
//! - `threads`: the same with one thread, and what the second thread brings;
//! - `memory`: largest resident size of training steps;
//! - `burn`: whole networks with burn's own operators instead of the crate's;
//! - `layers`: every convolution, and its share of what the machine can do.

use std::process::Command;

use anyhow::{Result, ensure};

use super::{Comparison, Options, example, peer, three_digits};
use crate::machine::{commit, machine};
use crate::median::median;

const PARTS: [&str; 5] = ["rates", "threads", "memory", "burn", "layers"];

/// Networks and images in a batch.
const NETWORKS: [(&str, &str); 4] = [
    ("googlenet", "32"),
    ("inception_v3", "8"),
    ("resnet18", "32"),
    ("resnet50", "16"),
];

const PEER: &str = "torch channels-last";

/// The bench of convolutional networks.
pub(crate) fn convnet(options: &Options) -> Result<()> {
    for part in &options.rest {
        ensure!(
            PARTS.contains(&part.as_str()),
            "convnet has the parts {}, not {part}",
            PARTS.join(", ")
        );
    }
    let wanted =
        |part: &str| options.rest.is_empty() || options.rest.iter().any(|word| word == part);
    let networks = example("bench_networks")?;
    let ours = |job: &str, network: (&str, &str), threads: &str, ending: &str| {
        let mut command = Command::new(&networks);
        command.args([job, network.0, network.1, ending]);
        command.env("RAYON_NUM_THREADS", threads);
        command
    };
    let theirs = |job: &str, network: (&str, &str), threads: &str, ending: &str| {
        let python = options.peer.as_ref()?;
        let mut command = peer(python, "peer_convnet.py");
        command.args([job, network.0, network.1, ending]);
        command.env("LODESTONE_THREADS", threads);
        Some(command)
    };
    let mut comparison = Comparison::default();
    let mut run = |job: &str, threads: &str, ending: &str, rounds: usize, with_peer: bool| {
        for network in NETWORKS {
            let start = || ours(job, network, threads, ending);
            let start_peer = || theirs(job, network, threads, ending).expect("there is a peer");
            let peer: Option<&dyn Fn() -> Command> = match with_peer && options.peer.is_some() {
                true => Some(&start_peer),
                false => None,
            };
            comparison.alternate(rounds, &start, peer)?;
        }
        anyhow::Ok(())
    };
    if wanted("rates") || wanted("threads") {
        run("rates", "2", "", options.rounds, true)?;
    }
    if wanted("threads") {
        run("rates", "1", ", one thread", options.rounds, true)?;
    }
    if wanted("memory") {
        run("memory", "2", "", 1, true)?;
    }
    if wanted("burn") {
        run("burn", "2", ", burn's own operators", 1, false)?;
    }
    outln!("{}", comparison.to_markdown(PEER))?;
    if wanted("threads") {
        outln!("{}", scaling(&comparison))?;
    }
    if wanted("layers") {
        outln!("{}", layers(options.rounds)?)?;
    }
    Ok(())
}

/// Rates with two threads over those with one.
fn scaling(comparison: &Comparison) -> String {
    let mut text = format!("| two threads over one | lodestone | {PEER} |\n|---|---:|---:|\n");
    for name in &comparison.order {
        let Some(two) = name.strip_suffix(", one thread") else {
            continue;
        };
        let (one, two) = (&comparison.values[name], &comparison.values[two]);
        let ratio = |one: &[f64], two: &[f64]| {
            let ratio = median(two).zip(median(one)).map(|(two, one)| two / one);
            ratio.map_or_else(|| "–".to_owned(), three_digits)
        };
        let (ours, peer) = (ratio(&one.ours, &two.ours), ratio(&one.peer, &two.peer));
        text += &format!(
            "| {} | {ours} | {peer} |\n",
            name.trim_end_matches(", one thread")
        );
    }
    text
}

/// The table of all convolutions with two threads.
fn layers(rounds: usize) -> Result<String> {
    let program = example("bench_convnet")?;
    let start = || {
        let mut command = Command::new(&program);
        command.env("RAYON_NUM_THREADS", "2");
        command
    };
    let mut comparison = Comparison::default();
    comparison.alternate(rounds, &start, None)?;
    let rate = |name: &str| {
        comparison
            .values
            .get(name)
            .and_then(|values| median(&values.ours))
    };
    let peak = rate("peak, registers").unwrap_or(f64::NAN);
    let mut text = format!(
        "Peak of two threads: {peak:.0} GFLOP/s. Rates count the multiply-adds of the plain sums, so that 3x3 convolutions, \
         which need fewer, may pass it.\n\n\
         | convolution | forward, GFLOP/s | share of peak | forward+backward, GFLOP/s | share of peak |\n\
         |---|---:|---:|---:|---:|\n"
    );
    for name in &comparison.order {
        let Some(layer) = name.strip_suffix(", forward") else {
            continue;
        };
        let forward = rate(name).unwrap_or(f64::NAN);
        let both = rate(&format!("{layer}, forward+backward")).unwrap_or(f64::NAN);
        text += &format!(
            "| {layer} | {forward:.0} | {:.0} % | {both:.0} | {:.0} % |\n",
            100.0 * forward / peak,
            100.0 * both / peak
        );
    }
    text += &format!(
        "\nMedians of {rounds} runs; commit {}; {}.\n",
        commit(),
        machine()
    );
    Ok(text)
}
